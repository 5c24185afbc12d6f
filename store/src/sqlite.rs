//! Metadata in SQLite: write-ahead log, every commit on disk before it counts, one writer.

mod log;
pub(super) mod receipts;
mod register;
pub(super) mod schema;
mod writing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use syngrad_engine::keeping::{Epoch, Trouble};
use syngrad_engine::run::{AuditCounters, Caught, Counters, Participation};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, PartnerName, Round, RunId, Unit, WorkerId};
use uuid::Uuid;

pub use register::{Founding, Recalled, Register};

use super::{
    CheckpointRow, EndPhase, Ending, Entry, Holding, Logged, Point, Progress, Report, RoundTimes, RunRow, ServedRow,
    SpoolRow, Store, StoreError, Traffic, Version,
};

/// How long a write waits for somebody else who uses the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Entries in the write-ahead log before it is emptied: a few megabytes, read again at the next start.
const MAX_LOGGED: u32 = 128;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    file: PathBuf,
    epoch: Epoch,
    id: Uuid,
    /// Entries in the write-ahead log.
    logged: u32,
}

/// Whether a database without a coordinator may become a new one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It may.
    Allowed,
    /// The folder is a coordinator's already: its database is gone.
    Refused,
}

impl Sqlite {
    /// Opens the database, brings it to this release's schema, checks all of it, and draws the next epoch.
    pub(crate) fn open(file: &Path, beginning: Beginning) -> Result<Self, StoreError> {
        let failed = |why: rusqlite::Error| error(file, "opening it", &why);
        log::check(file)?;
        let mut connection = Connection::open(file).map_err(failed)?;
        schema::know_seals(&connection).map_err(failed)?;
        schema::refuse_foreign(&connection, file)?;
        if beginning == Beginning::Refused && !schema::has_coordinator(&connection).map_err(failed)? {
            // Before anything is written: what is made anew here would be taken for the right one next time.
            let what = format!("the folder of {} is a coordinator's, but its database is gone", file.display());
            return Err(StoreError::Damaged { what });
        }
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        // The log is emptied here, and wholly: older pages in a log that is damaged later must not hide newer ones.
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
        schema::migrate(&mut connection, file)?;
        schema::check(&connection, file)?;
        let (id, epoch) = draw_epoch(&mut connection).map_err(failed)?;
        let mut opened = Self { connection, file: file.to_owned(), epoch, id, logged: 0 };
        opened.empty_log()?;
        Ok(opened)
    }

    /// Brings what is in the write-ahead log into the database itself. Whatever happens to the log afterwards, that is
    /// not lost with it. Nobody who reads is waited for: then it is brought there later.
    fn empty_log(&mut self) -> Result<(), StoreError> {
        self.logged = 0;
        empty_log(&self.connection).map_err(|why| error(&self.file, "bringing the log into it", &why))
    }

    /// The register of the consortium in this database, with a connection of its own.
    pub(crate) fn register(&self) -> Result<Register, StoreError> {
        Register::open(self.file.clone(), self.epoch)
    }

    /// The coordinator's identity, drawn when its state began.
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The epoch of this opening.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn rows<T>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = |why: rusqlite::Error| error(&self.file, "reading it", &why);
        let mut statement = self.connection.prepare_cached(query).map_err(failed)?;
        let rows = statement.query_map(parameters, read).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}

/// Refuses to write for a coordinator that another has replaced.
fn check_epoch(
    transaction: &Transaction<'_>,
    ours: Epoch,
    failed: impl Fn(rusqlite::Error) -> StoreError,
) -> Result<(), StoreError> {
    let found: Option<u64> =
        transaction.query_row("SELECT epoch FROM coordinator", [], |row| row.get(0)).optional().map_err(failed)?;
    Ok(ours.check(Epoch(found.unwrap_or(0)))?)
}

/// Brings the log into the database without waiting for anybody who uses it.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(PATIENCE)?;
    emptied
}

fn draw_epoch(connection: &mut Connection) -> rusqlite::Result<(Uuid, Epoch)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let drawn = Uuid::new_v4();
    transaction.execute(
        "INSERT INTO coordinator (only, id, epoch) VALUES (1, ?1, 1) ON CONFLICT (only) DO UPDATE SET epoch = epoch + 1",
        params![drawn.as_bytes()],
    )?;
    transaction.execute("UPDATE coordinator SET seal = seal_of('coordinator', id, epoch)", [])?;
    let found = transaction.query_row("SELECT id, epoch FROM coordinator", [], |row| {
        Ok((Uuid::from_bytes(row.get(0)?), Epoch(row.get(1)?)))
    })?;
    transaction.commit()?;
    Ok(found)
}

impl Sqlite {
    /// See [`Store::keep`].
    fn keep_whole(&mut self, run: RunId, entry: &Entry) -> Result<Option<u64>, StoreError> {
        let (file, ours) = (self.file.clone(), self.epoch);
        let failed = |why: rusqlite::Error| error(&file, "keeping a round", &why);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        check_epoch(&transaction, ours, failed)?;
        let number = writing::write(&transaction, run, entry, ours).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.logged += 1;
        if entry.is_lasting() || self.logged >= MAX_LOGGED {
            self.empty_log()?;
        }
        Ok(number)
    }
}

impl Store for Sqlite {
    fn keep(&mut self, run: RunId, entry: &Entry) -> Result<Option<u64>, StoreError> {
        let kept = self.keep_whole(run, entry);
        if kept.as_ref().is_err_and(|why| why.trouble() == Trouble::Broken) {
            // After a failed sync nobody knows what of the file is on the disk, and a second one that succeeds proves
            // nothing. So nothing more is written to it, not even the log into the database when it is closed. It fails
            // only where there is no connection any more.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        kept
    }

    fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        let rows = self.rows("SELECT run, name, spec, spec_digest FROM runs WHERE run = ?1", [run.0], run_row)?;
        Ok(rows.into_iter().next())
    }

    fn unfinished(&self) -> Result<Vec<RunRow>, StoreError> {
        let query = "SELECT run, name, spec, spec_digest FROM runs WHERE phase = 'open' ORDER BY rowid";
        self.rows(query, [], run_row)
    }

    fn ended(&self, most: usize) -> Result<Vec<(RunRow, Ending)>, StoreError> {
        let query = "SELECT run, name, spec, spec_digest, phase, reason FROM runs WHERE phase <> 'open'
                     ORDER BY rowid DESC LIMIT ?1";
        self.rows(query, [most], |row| {
            let word: String = row.get(4)?;
            let phase = EndPhase::named(&word).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok((run_row(row)?, Ending { phase, reason: row.get(5)? }))
        })
    }

    fn checkpoints(&self, run: RunId) -> Result<Vec<CheckpointRow>, StoreError> {
        let query = "SELECT round, blob FROM checkpoints WHERE run = ?1 ORDER BY round DESC";
        self.rows(query, [run.0], |row| Ok(CheckpointRow { round: Round(row.get(0)?), blob: Digest(row.get(1)?) }))
    }

    fn rounds(&self, run: RunId, first: Round) -> Result<Vec<Commit>, StoreError> {
        let query = "SELECT round, params, chain, units, weight, saturated FROM rounds
                     WHERE run = ?1 AND round >= ?2 ORDER BY round";
        self.rows(query, params![run.0, first.0], |row| {
            Ok(Commit {
                round: Round(row.get(0)?),
                params_digest: Digest(row.get(1)?),
                chain: Digest(row.get(2)?),
                units: row.get(3)?,
                weight: row.get(4)?,
                saturated: row.get(5)?,
            })
        })
    }

    fn round_times(&self, run: RunId, end: Round) -> Result<Vec<Duration>, StoreError> {
        let query = "SELECT micros FROM rounds WHERE run = ?1 AND round < ?2";
        self.rows(query, params![run.0, end.0], |row| Ok(Duration::from_micros(row.get(0)?)))
    }

    fn evaluations(&self, run: RunId, most: usize) -> Result<Vec<Point>, StoreError> {
        let query = "SELECT round, accuracy, loss, seconds FROM
                     (SELECT * FROM evaluations WHERE run = ?1 ORDER BY round DESC LIMIT ?2) ORDER BY round";
        self.rows(query, params![run.0, most], |row| {
            Ok(Point {
                round: Round(row.get(0)?),
                accuracy: row.get(1)?,
                loss: row.get(2)?,
                at: Duration::try_from_secs_f64(row.get(3)?).unwrap_or_default(),
            })
        })
    }

    fn progress(&self, run: RunId) -> Result<Option<Progress>, StoreError> {
        let rows = self.rows("SELECT * FROM progress WHERE run = ?1", [run.0], progress_row)?;
        let Some(progress) = rows.into_iter().next() else { return Ok(None) };
        let query = "SELECT partner, used, late, missing FROM participation WHERE run = ?1 ORDER BY partner";
        let participation = self.rows(query, [run.0], |row| {
            Ok((partner(row)?, Participation { used: row.get(1)?, late: row.get(2)?, missing: row.get(3)? }))
        })?;
        let query = "SELECT made, passed, failed, lapsed FROM run_audits WHERE run = ?1";
        let audits = self.rows(query, [run.0], |row| {
            Ok(AuditCounters { made: row.get(0)?, passed: row.get(1)?, failed: row.get(2)?, lapsed: row.get(3)? })
        })?;
        let audits = audits.first().copied().unwrap_or_default();
        let query = "SELECT partner, worker, round, units FROM caught WHERE run = ?1 ORDER BY partner";
        let caught = self.rows(query, [run.0], |row| {
            let units: Vec<u8> = row.get(3)?;
            let units = units.as_chunks().0.iter().map(|&bytes| Unit(u32::from_le_bytes(bytes))).collect();
            Ok(Caught { partner: partner(row)?, worker: WorkerId(row.get(1)?), round: Round(row.get(2)?), units })
        })?;
        let counters = Counters { audits, ..progress.counters };
        Ok(Some(Progress { participation, caught, counters, ..progress }))
    }

    fn served(&self) -> Result<Vec<ServedRow>, StoreError> {
        let query = "SELECT v.run, v.round, v.params, v.version, c.round, c.blob, e.accuracy FROM versions v
                     JOIN checkpoints c ON c.run = v.run AND c.round = v.round + 1
                     LEFT JOIN evaluations e ON e.run = v.run AND e.round = v.round ORDER BY v.version DESC";
        self.rows(query, [], |row| {
            Ok(ServedRow {
                run: RunId(row.get(0)?),
                version: Version { round: Round(row.get(1)?), params: Digest(row.get(2)?) },
                number: row.get(3)?,
                checkpoint: CheckpointRow { round: Round(row.get(4)?), blob: Digest(row.get(5)?) },
                accuracy: row.get(6)?,
            })
        })
    }

    fn holdings(&self, run: RunId) -> Result<Vec<Holding>, StoreError> {
        let query = "SELECT partner, data FROM holdings WHERE run = ?1 ORDER BY partner";
        self.rows(query, [run.0], |row| Ok(Holding { partner: partner(row)?, data: Digest(row.get(1)?) }))
    }

    fn spooled(&self, run: RunId, first: Round) -> Result<Vec<SpoolRow>, StoreError> {
        let query = "SELECT round, unit, blob, saturated, loss_sum, samples, contribution FROM spool
                     WHERE run = ?1 AND round >= ?2 ORDER BY round, unit";
        self.rows(query, params![run.0, first.0], |row| {
            Ok(SpoolRow {
                round: Round(row.get(0)?),
                unit: Unit(row.get(1)?),
                blob: Digest(row.get(2)?),
                report: Report { saturated: row.get(3)?, loss: (row.get(4)?, row.get(5)?) },
                contribution: row.get(6)?,
            })
        })
    }

    fn blobs(&self) -> Result<Vec<Digest>, StoreError> {
        let query = "SELECT blob FROM checkpoints UNION SELECT blob FROM spool UNION SELECT blob FROM archived";
        self.rows(query, [], |row| Ok(Digest(row.get(0)?)))
    }

    fn replaceable(&self) -> Result<Vec<Digest>, StoreError> {
        let query = "SELECT blob FROM checkpoints UNION SELECT blob FROM spool";
        self.rows(query, [], |row| Ok(Digest(row.get(0)?)))
    }

    fn names(&self, blob: Digest) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM checkpoints WHERE blob = ?1)
                         OR EXISTS (SELECT 1 FROM spool WHERE blob = ?1)
                         OR EXISTS (SELECT 1 FROM archived WHERE blob = ?1)";
        Ok(self.rows(query, [blob.0], |row| row.get(0))?.first().copied().unwrap_or(false))
    }

    fn log(&self, run: RunId) -> Result<Option<Logged>, StoreError> {
        receipts::log(&self.connection, &self.file, run)
    }
}

/// The partner in the first column.
fn partner(row: &Row<'_>) -> rusqlite::Result<PartnerName> {
    let name: String = row.get(0)?;
    PartnerName::parse(&name).map_err(|why| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into()))
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        run: RunId(row.get("run")?),
        name: row.get("name")?,
        spec: row.get("spec")?,
        spec_digest: Digest(row.get("spec_digest")?),
    })
}

fn progress_row(row: &Row<'_>) -> rusqlite::Result<Progress> {
    let confusion: Vec<u8> = row.get("confusion")?;
    Ok(Progress {
        train_samples: row.get("train_samples")?,
        committed: row.get("committed")?,
        params: Digest(row.get("params")?),
        chain: Digest(row.get("chain")?),
        loss: row.get("loss")?,
        train_time: Duration::try_from_secs_f64(row.get("train_seconds")?).unwrap_or_default(),
        counters: Counters {
            accepted: row.get("accepted")?,
            units_released: row.get("units_released")?,
            duplicates: row.get("duplicates")?,
            late: row.get("late")?,
            rejected: row.get("rejected")?,
            joins: row.get("joins")?,
            leaves: row.get("leaves")?,
            audits: AuditCounters::default(),
        },
        traffic: Traffic {
            saturated: row.get("saturated")?,
            params_bytes_sent: row.get("params_bytes_sent")?,
            update_bytes_received: row.get("update_bytes_received")?,
            shard_bytes_sent: row.get("shard_bytes_sent")?,
        },
        participation: Vec::new(),
        caught: Vec::new(),
        foreign_numerics: row.get("foreign_numerics")?,
        round_times: RoundTimes { p50_ms: row.get("p50_ms")?, p99_ms: row.get("p99_ms")?, max_ms: row.get("max_ms")? },
        confusion: confusion.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect(),
    })
}

fn error(file: &Path, doing: &str, why: &rusqlite::Error) -> StoreError {
    let damaged = |why: &dyn std::fmt::Display| StoreError::Damaged {
        what: format!("the database {} cannot be read as state of ours: {why}", file.display()),
    };
    let is_foreign = matches!(
        why,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::Utf8Error(..)
    );
    match why.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { why: why.to_string() },
        // Statements that fit the schema fail in themselves only where the file is not what its schema says.
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::Unknown
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch,
        ) => damaged(why),
        None if is_foreign => damaged(why),
        Some(_) | None => StoreError::Io { doing: format!("{doing} ({})", file.display()), why: why.to_string() },
    }
}
