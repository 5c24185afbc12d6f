//! Whether the write-ahead log is one that a crash can have left.
//!
//! SQLite reads the log up to the first frame whose checksum is wrong and takes the rest for what a crash tore. That is
//! right for the last transaction, which was being written; with every commit on disk before the next one begins, it can
//! be no other. Two commits beyond a broken frame were whole once, and would be lost without a word.
//!
//! The format is SQLite's, <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>: a header of 32 bytes, then
//! frames of a header of 24 bytes and a page, with sums that go on from frame to frame.

use std::path::Path;

use crate::StoreError;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// With its last bit set, the words of sums are big-endian.
const MAGIC: u32 = 0x377f_0682;

/// Refuses a log from which commits are lost. One that is not there is as good as an empty one.
pub(super) fn check(database: &Path) -> Result<(), StoreError> {
    let mut file = database.as_os_str().to_owned();
    file.push("-wal");
    let log = match std::fs::read(&file) {
        Ok(log) => log,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(StoreError::io(&format!("reading {}", Path::new(&file).display()), &why)),
    };
    match damage(&log) {
        None => Ok(()),
        Some(why) => {
            let what = format!("the log {} is damaged: {why}", Path::new(&file).display());
            Err(StoreError::Damaged { what })
        }
    }
}

/// What is wrong with the log that no crash can have done.
fn damage(log: &[u8]) -> Option<String> {
    let (header, frames) = log.split_at_checked(HEADER)?;
    let big_endian = match word(header, 0) ^ MAGIC {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    let page = word(header, 2) as usize;
    let sums = big_endian.map(|big_endian| add((0, 0), &header[..24], big_endian));
    let (Some(big_endian), Some(mut sums)) =
        (big_endian, sums.filter(|sums| *sums == (word(header, 6), word(header, 7))))
    else {
        // The header is on disk before the first frame is written.
        return (frames.len() > FRAME_HEADER).then(|| "its header is broken".to_owned());
    };
    let is_of_this_log = |frame: &[u8]| (word(frame, 2), word(frame, 3)) == (word(header, 4), word(header, 5));
    let frames: Vec<&[u8]> = frames.chunks_exact(FRAME_HEADER + page).collect();
    let whole = frames.iter().take_while(|frame| {
        sums = add(add(sums, &frame[..8], big_endian), &frame[FRAME_HEADER..], big_endian);
        is_of_this_log(frame) && sums == (word(frame, 4), word(frame, 5))
    });
    let whole = whole.count();
    let lost = frames[whole..].iter().filter(|frame| is_of_this_log(frame) && word(frame, 1) != 0).count();
    (lost > 1).then(|| format!("{lost} transactions from its frame {whole} on are lost"))
}

fn word(bytes: &[u8], index: usize) -> u32 {
    u32::from_be_bytes(*bytes[4 * index..].first_chunk().expect("a header has all its words"))
}

fn add((mut first, mut second): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let word = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    for &[a, b] in bytes.as_chunks().0.as_chunks().0 {
        first = first.wrapping_add(word(a)).wrapping_add(second);
        second = second.wrapping_add(word(b)).wrapping_add(first);
    }
    (first, second)
}
