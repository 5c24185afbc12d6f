//! The journal's files: lines of JSON, oldest first. The present file is moved aside when it is full, and the oldest of
//! those goes.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syngrad_common::Failure;

use super::super::state::unusable;
use super::record::{Record, Totals, unix_millis};

/// The size at which a file is moved aside.
pub(super) const FILE_BYTES: u64 = 16 << 20;
/// Files that were moved aside and are kept.
pub(super) const OLDER_FILES: usize = 4;
/// The longest line that is read: an update of as many units as a round may have.
pub(super) const LINE_BYTES: u64 = 1 << 20;

/// The first line of each file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) journal: Beginning,
}

/// What had left before the file was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Beginning {
    /// The version of the format.
    pub(super) version: u32,
    /// When the journal began, in milliseconds since 1970-01-01 00:00 UTC.
    pub(super) since: u64,
    /// Messages of all files before this one.
    pub(super) before: Totals,
}

const VERSION: u32 = 1;

/// Adds a message to the totals of its kind.
pub(super) fn count(totals: &mut Totals, kind: &str, bytes: u64) {
    let total = match totals.get_mut(kind) {
        Some(total) => total,
        None => totals.entry(kind.to_owned()).or_default(),
    };
    total.messages += 1;
    total.bytes += bytes;
}

/// The file that was moved aside `age` times; the present one is of age 0.
pub(super) fn file(folder: &Path, age: usize) -> PathBuf {
    match age {
        0 => folder.join("journal.jsonl"),
        age => folder.join(format!("journal.{age}.jsonl")),
    }
}

/// Lines of a file, and whether the last one is whole.
pub(super) fn each_line(path: &Path, mut take: impl FnMut(&str)) -> io::Result<bool> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    let mut whole = true;
    while {
        line.clear();
        io::Read::take(&mut reader, LINE_BYTES).read_until(b'\n', &mut line)? > 0
    } {
        whole = line.last() == Some(&b'\n');
        take(String::from_utf8_lossy(&line).trim_end());
    }
    Ok(whole)
}

/// The open file.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    out: File,
    /// Bytes of the present file.
    bytes: u64,
    most: u64,
    since: u64,
    /// Messages of all files.
    totals: Totals,
    line: Vec<u8>,
}

impl Files {
    /// Goes on with the journal in `folder`, whose files have about `most` bytes each.
    pub(super) fn open(folder: &Path, most: u64) -> Result<Self, Failure> {
        let path = file(folder, 0);
        Self::go_on(folder, most).map_err(|why| unusable("opening the journal", &path, &why))
    }

    fn go_on(folder: &Path, most: u64) -> io::Result<Self> {
        let path = file(folder, 0);
        let (mut since, mut totals) = (unix_millis(), Totals::new());
        let mut is_first = true;
        let found = each_line(&path, |line| {
            if let Ok(Header { journal }) = serde_json::from_str(line)
                && is_first
            {
                (since, totals) = (journal.since, journal.before);
            } else if let Ok(record) = serde_json::from_str::<Record>(line) {
                count(&mut totals, record.kind(), record.bytes);
            }
            is_first = false;
        });
        let whole = match found {
            Ok(whole) => Some(whole),
            Err(why) if why.kind() == ErrorKind::NotFound => None,
            Err(why) => return Err(why),
        };
        let out = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let bytes = out.metadata()?.len();
        let mut files = Self { folder: folder.to_owned(), out, bytes, most, since, totals, line: Vec::new() };
        match whole {
            Some(true) if bytes > 0 => {}
            // The process died within a line.
            Some(false) => files.out.write_all(b"\n")?,
            Some(true) | None => files.write_header()?,
        }
        Ok(files)
    }

    fn write_header(&mut self) -> io::Result<()> {
        let journal = Beginning { version: VERSION, since: self.since, before: self.totals.clone() };
        self.write_line(&Header { journal })
    }

    fn write_line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.out.write_all(&self.line)
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.bytes >= self.most {
            self.move_aside()?;
        }
        self.write_line(record)?;
        count(&mut self.totals, record.kind(), record.bytes);
        Ok(())
    }

    fn move_aside(&mut self) -> io::Result<()> {
        self.sync()?;
        for age in (0..OLDER_FILES).rev() {
            match rename(file(&self.folder, age), file(&self.folder, age + 1)) {
                Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
                Ok(()) | Err(_) => {}
            }
        }
        self.out = OpenOptions::new().create(true).append(true).mode(0o600).open(file(&self.folder, 0))?;
        self.bytes = 0;
        self.write_header()
    }

    /// Puts everything on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.out.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Sent;
    use super::super::{Filter, inspect};
    use super::*;

    fn leave(number: u64) -> Record {
        Record { at: number, bytes: 3, sent: Sent::Leave { why: format!("number {number}") } }
    }

    fn numbers(folder: &Path) -> Vec<u64> {
        let found = inspect(folder, &Filter::default()).expect("a journal");
        found.records.iter().map(|record| record.at).collect()
    }

    #[test]
    fn what_is_written_is_read_again_also_by_the_next_process() {
        let folder = tempfile::tempdir().expect("a folder");
        for life in 0..3 {
            let mut files = Files::open(folder.path(), FILE_BYTES).expect("a journal");
            files.append(&leave(life)).expect("room");
            files.sync().expect("room");
        }
        assert_eq!(numbers(folder.path()), [0, 1, 2]);
        let found = inspect(folder.path(), &Filter::default()).expect("a journal");
        assert_eq!((found.totals["leave"].messages, found.totals["leave"].bytes), (3, 9));
        assert_eq!((found.dropped, found.unreadable), (0, 0));
    }

    #[test]
    fn the_files_are_bounded_and_the_totals_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Files::open(folder.path(), 400).expect("a journal");
        (0..200).for_each(|number| files.append(&leave(number)).expect("room"));
        files.sync().expect("room");
        let found = inspect(folder.path(), &Filter::default()).expect("a journal");
        let kept = numbers(folder.path());
        assert!(kept.len() < 60 && kept.last() == Some(&199), "{kept:?}");
        assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{kept:?}");
        assert_eq!(found.totals["leave"].messages, 200);
        assert_eq!(found.dropped, 200 - kept.len() as u64);
        let size: u64 = (0..=OLDER_FILES).map(|age| file(folder.path(), age).metadata().expect("there").len()).sum();
        assert!(size < 5 * 700, "{size}");
        assert!(!file(folder.path(), OLDER_FILES + 1).exists());
    }

    #[test]
    fn a_line_that_a_crash_cut_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Files::open(folder.path(), FILE_BYTES).expect("a journal");
        files.append(&leave(1)).expect("room");
        files.sync().expect("room");
        let mut out = OpenOptions::new().append(true).open(file(folder.path(), 0)).expect("there");
        out.write_all(b"{\"at\":2,\"by").expect("room");
        let mut files = Files::open(folder.path(), FILE_BYTES).expect("a journal");
        files.append(&leave(3)).expect("room");
        files.sync().expect("room");
        assert_eq!(numbers(folder.path()), [1, 3]);
        assert_eq!(inspect(folder.path(), &Filter::default()).expect("a journal").unreadable, 1);
    }
}
