//! A coordinator's state folder from outside: what its database says, checked without the code that wrote it.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use syngrad_engine::Digest;
use syngrad_engine::digest::{Domain, Hasher};
use thiserror::Error;

/// The digests that an undisturbed run ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) params: Digest,
    pub(crate) chain: Digest,
    pub(crate) rounds: u32,
}

/// A committed round.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    round: u32,
    params: Digest,
    chain: Digest,
    units: u32,
    weight: u64,
}

/// A run as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its id as the command line writes it.
    pub(crate) run: String,
    pub(crate) phase: String,
    rows: Vec<Row>,
    /// Rounds that checkpoints open.
    checkpoints: Vec<u32>,
}

/// Why a ledger is not what it should be.
#[derive(Debug, Error)]
pub(crate) enum LedgerError {
    #[error("the state cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the state cannot be copied: {0}")]
    Copy(#[from] io::Error),
    #[error("the state holds {0} runs instead of one")]
    Runs(usize),
    #[error("the run is kept as {0}, not as completed")]
    NotCompleted(String),
    #[error("the ledger has rounds {found:?} where 0 to {rounds} should be, each once")]
    Rounds { found: Vec<u32>, rounds: u32 },
    #[error("the chain of round {0} does not follow from the round before it")]
    Chain(u32),
    #[error("the ledger ends with params {params} and chain {chain}; an undisturbed run has {} and {}", expected.params, expected.chain)]
    End { params: Digest, chain: Digest, expected: Box<Expected> },
}

impl Kept {
    /// What the state in `folder` says; none if it holds no run. A coordinator may have it open.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, LedgerError> {
        let connection = Connection::open_with_flags(folder.join("state.sqlite"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A coordinator that was killed at once has made no tables.
        let tables: u32 =
            connection.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'runs'", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(None);
        }
        let mut runs = connection.prepare("SELECT run, phase FROM runs")?;
        let runs = runs.query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?)))?;
        let mut runs = runs.collect::<rusqlite::Result<Vec<_>>>()?;
        let Some((run, phase)) = runs.pop() else { return Ok(None) };
        if !runs.is_empty() {
            return Err(LedgerError::Runs(runs.len() + 1));
        }
        let query = "SELECT round, params, chain, units, weight FROM rounds WHERE run = ?1 ORDER BY round";
        let mut rows = connection.prepare(query)?;
        let rows = rows.query_map(params![run], |row| {
            Ok(Row {
                round: row.get(0)?,
                params: Digest(row.get(1)?),
                chain: Digest(row.get(2)?),
                units: row.get(3)?,
                weight: row.get(4)?,
            })
        })?;
        let rows = rows.collect::<rusqlite::Result<_>>()?;
        let mut checkpoints = connection.prepare("SELECT round FROM checkpoints WHERE run = ?1")?;
        let checkpoints = checkpoints.query_map(params![run], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Some(Self { run: uuid(&run), phase, rows, checkpoints }))
    }

    /// What a coordinator left that was killed, read from a copy: reading itself would mend what the next coordinator
    /// has to.
    pub(crate) fn of_the_dead(folder: &Path) -> Result<Option<Self>, LedgerError> {
        if !folder.join("state.sqlite").exists() {
            return Ok(None);
        }
        let copy = tempfile::tempdir()?;
        for file in ["state.sqlite", "state.sqlite-wal", "state.sqlite-journal"] {
            if folder.join(file).exists() {
                fs::copy(folder.join(file), copy.path().join(file))?;
            }
        }
        Self::read(copy.path())
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.phase == "completed"
    }

    /// Where a run ended to which nothing was done.
    pub(crate) fn end(&self) -> Option<Expected> {
        let last = self.rows.last().filter(|_| self.is_completed())?;
        Some(Expected { params: last.params, chain: last.chain, rounds: self.rounds() })
    }

    /// How many rounds are in the ledger.
    pub(crate) fn rounds(&self) -> u32 {
        self.rows.last().map_or(0, |row| row.round + 1)
    }

    /// The round that the newest checkpoint opens, and so the first that a restart computes.
    pub(crate) fn checkpoint(&self) -> u32 {
        self.checkpoints.iter().copied().max().unwrap_or(0)
    }

    /// Checks the rows that are there: each follows from the one before it.
    pub(crate) fn check_chain(&self) -> Result<(), LedgerError> {
        for pair in self.rows.windows(2) {
            let [before, row] = pair else { continue };
            if before.round + 1 != row.round {
                return Err(self.wrong_rounds(self.rounds()));
            }
            if chain(before.chain, row) != row.chain {
                return Err(LedgerError::Chain(row.round));
            }
        }
        Ok(())
    }

    /// Checks the ledger of a run that is over: every round once, each following from the one before it, and the last
    /// as in an undisturbed run. A chain that ends as the other does has every link of the other.
    pub(crate) fn check(&self, expected: &Expected) -> Result<(), LedgerError> {
        if !self.is_completed() {
            return Err(LedgerError::NotCompleted(self.phase.clone()));
        }
        let all = (0..expected.rounds).eq(self.rows.iter().map(|row| row.round));
        let Some(last) = self.rows.last().filter(|_| all) else { return Err(self.wrong_rounds(expected.rounds)) };
        self.check_chain()?;
        if (last.params, last.chain) != (expected.params, expected.chain) {
            let expected = Box::new(*expected);
            return Err(LedgerError::End { params: last.params, chain: last.chain, expected });
        }
        Ok(())
    }

    fn wrong_rounds(&self, rounds: u32) -> LedgerError {
        LedgerError::Rounds { found: self.rows.iter().map(|row| row.round).collect(), rounds }
    }
}

/// The chain after `row`, every unit of which was counted.
fn chain(before: Digest, row: &Row) -> Digest {
    let mut hasher = Hasher::new(Domain::Chain);
    hasher.update(before.as_ref()).update(&row.round.to_le_bytes()).update(row.params.as_ref());
    hasher.update(&row.weight.to_le_bytes());
    for unit in 0..row.units {
        hasher.update(&unit.to_le_bytes());
    }
    hasher.finish()
}

fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
