//! The raw bytes of a file that may be compressed, and no more of them than were asked for.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How many raw bytes a file should have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// So many.
    Exactly(usize),
    /// At most so many.
    UpTo(usize),
}

/// Why there are no raw bytes.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The file cannot be read.
    Io(io::Error),
    /// The file is not compressed correctly.
    Gzip(io::Error),
}

/// The raw bytes of the file at `path`, and one more than its size if there are more.
pub(super) fn read(path: &Path, size: Size) -> Result<Vec<u8>, Unreadable> {
    let (expected, room) = match size {
        Size::Exactly(expected) => (expected, expected + 1),
        Size::UpTo(most) => (most, 0),
    };
    let most = expected as u64 + 1;
    let mut file = File::open(path).map_err(Unreadable::Io)?;
    let mut raw = Vec::with_capacity(room);
    (&mut file).take(GZIP.len() as u64).read_to_end(&mut raw).map_err(Unreadable::Io)?;
    if raw == GZIP {
        let whole = GZIP.chain(io::BufReader::with_capacity(1 << 16, file));
        raw.clear();
        MultiGzDecoder::new(whole).take(most).read_to_end(&mut raw).map_err(Unreadable::Gzip)?;
        return Ok(raw);
    }
    file.take(most - raw.len() as u64).read_to_end(&mut raw).map_err(Unreadable::Io)?;
    Ok(raw)
}
