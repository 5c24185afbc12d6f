//! Reading the journal, whether its worker is running or not.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use syngrad_common::{Code, Failure};

use super::super::state::unusable;
use super::files::{Header, OLDER_FILES, count, each_line, file};
use super::record::{Record, Totals};

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of the run whose id begins so.
    pub run: Option<String>,
    /// Of this round.
    pub round: Option<u32>,
}

/// What a journal has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// When the journal began, in milliseconds since 1970-01-01 00:00 UTC.
    pub since: u64,
    /// All messages that left since then, by kind.
    pub totals: Totals,
    /// Messages whose records have been dropped to keep the files small; the totals have them.
    pub dropped: u64,
    /// Lines that a crash has cut.
    pub unreadable: u64,
    /// The records that are wanted and kept, oldest first.
    pub records: Vec<Record>,
}

impl Filter {
    fn wants(&self, record: &Record) -> bool {
        let (run, round) = record.place();
        let of_run = self.run.as_ref().is_none_or(|wanted| run.is_some_and(|run| run.starts_with(wanted.as_str())));
        let of_round = self.round.is_none_or(|wanted| round == Some(wanted));
        of_run && of_round
    }
}

/// Reads the journal of the worker whose state is in `folder`.
///
/// # Errors
/// [`Failure`] if there is none, or it cannot be read.
pub fn inspect(folder: &Path, filter: &Filter) -> Result<Inspection, Failure> {
    let mut found = Inspection { since: 0, totals: Totals::new(), dropped: 0, unreadable: 0, records: Vec::new() };
    let mut is_oldest = true;
    for age in (0..=OLDER_FILES).rev() {
        let path = file(folder, age);
        let read = each_line(&path, |line| match serde_json::from_str::<Record>(line) {
            Ok(record) => {
                count(&mut found.totals, record.kind(), record.bytes);
                if filter.wants(&record) {
                    found.records.push(record);
                }
            }
            Err(_) => match serde_json::from_str::<Header>(line) {
                Ok(Header { journal }) if is_oldest => {
                    is_oldest = false;
                    found.since = journal.since;
                    found.dropped = journal.before.values().map(|total| total.messages).sum();
                    found.totals = journal.before;
                }
                Ok(_) => {}
                Err(_) if line.is_empty() => {}
                Err(_) => found.unreadable += 1,
            },
        });
        match read {
            Ok(_) => {}
            Err(why) if why.kind() == ErrorKind::NotFound && age > 0 => {}
            Err(why) if why.kind() == ErrorKind::NotFound => {
                let what = format!("{} has no journal: no worker has kept its state there", folder.display());
                return Err(Failure::new(Code::NoWorker, what));
            }
            Err(why) => return Err(unusable("reading", &path, &why)),
        }
    }
    Ok(found)
}
