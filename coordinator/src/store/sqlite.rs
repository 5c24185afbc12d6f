//! Metadata in SQLite: write-ahead log, every commit on disk before it counts, one writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use syngrad_engine::keeping::{CHECKPOINTS, Epoch};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, PartnerName, Round, RunId, Unit};
use uuid::Uuid;

use super::{CheckpointRow, EndPhase, Ending, Entry, Holding, Report, RunRow, SpoolRow, Store, StoreError};
use crate::status::Point;

/// The steps from an empty database to this release's, each applied once. A step never changes after a release.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE coordinator (only INTEGER PRIMARY KEY CHECK (only = 1), id BLOB NOT NULL, epoch INTEGER NOT NULL) STRICT;
    CREATE TABLE runs (
        run BLOB PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, spec_digest BLOB NOT NULL,
        began INTEGER NOT NULL DEFAULT (unixepoch()),
        phase TEXT NOT NULL DEFAULT 'open' CHECK (phase IN ('open', 'completed', 'stopped', 'failed')),
        reason TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE rounds (
        run BLOB NOT NULL, round INTEGER NOT NULL, params BLOB NOT NULL, chain BLOB NOT NULL, units INTEGER NOT NULL,
        weight INTEGER NOT NULL, saturated INTEGER NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (run, round)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE evaluations (
        run BLOB NOT NULL, round INTEGER NOT NULL, accuracy REAL NOT NULL, loss REAL NOT NULL, seconds REAL NOT NULL,
        PRIMARY KEY (run, round)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoints (
        run BLOB NOT NULL, round INTEGER NOT NULL, blob BLOB NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (run, round)
    ) STRICT, WITHOUT ROWID;
", "
    CREATE TABLE holdings (
        run BLOB NOT NULL, partner TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run, partner)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE spool (
        run BLOB NOT NULL, round INTEGER NOT NULL, unit INTEGER NOT NULL, blob BLOB NOT NULL, saturated INTEGER NOT NULL,
        loss_sum REAL NOT NULL, samples INTEGER NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (run, round, unit)
    ) STRICT, WITHOUT ROWID;
"];

/// See the module.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    file: PathBuf,
    epoch: Epoch,
    id: Uuid,
}

impl Sqlite {
    /// Opens the database, brings it to this release's schema, and draws the next epoch.
    pub(crate) fn open(file: &Path) -> Result<Self, StoreError> {
        let failed = |why: rusqlite::Error| error(file, "opening it", &why);
        let mut connection = Connection::open(file).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let checked: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if checked != "ok" {
            return Err(StoreError::Damaged { what: format!("the database {} is damaged: {checked}", file.display()) });
        }
        migrate(&mut connection, file)?;
        let (id, epoch) = draw_epoch(&mut connection).map_err(failed)?;
        Ok(Self { connection, file: file.to_owned(), epoch, id })
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

fn migrate(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let failed = |why: rusqlite::Error| error(file, "bringing it to this release's schema", &why);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { file: file.display().to_string(), found, known });
    }
    for (step, version) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", version).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

fn draw_epoch(connection: &mut Connection) -> rusqlite::Result<(Uuid, Epoch)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let drawn = Uuid::new_v4();
    transaction.execute(
        "INSERT INTO coordinator (only, id, epoch) VALUES (1, ?1, 1) ON CONFLICT (only) DO UPDATE SET epoch = epoch + 1",
        params![drawn.as_bytes()],
    )?;
    let found = transaction.query_row("SELECT id, epoch FROM coordinator", [], |row| {
        Ok((Uuid::from_bytes(row.get(0)?), Epoch(row.get(1)?)))
    })?;
    transaction.commit()?;
    Ok(found)
}

impl Store for Sqlite {
    fn keep(&mut self, run: RunId, entry: &Entry) -> Result<(), StoreError> {
        let (file, ours) = (self.file.clone(), self.epoch);
        let failed = |why: rusqlite::Error| error(&file, "keeping a round", &why);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found: Option<u64> =
            transaction.query_row("SELECT epoch FROM coordinator", [], |row| row.get(0)).optional().map_err(failed)?;
        ours.check(Epoch(found.unwrap_or(0)))?;
        write(&transaction, run, entry, ours).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn unfinished(&self) -> Result<Vec<RunRow>, StoreError> {
        let query = "SELECT run, name, spec, spec_digest FROM runs WHERE phase = 'open' ORDER BY began, rowid";
        self.rows(query, [], |row| {
            Ok(RunRow {
                run: RunId(row.get(0)?),
                name: row.get(1)?,
                spec: row.get(2)?,
                spec_digest: Digest(row.get(3)?),
            })
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

    fn evaluations(&self, run: RunId) -> Result<Vec<Point>, StoreError> {
        let query = "SELECT round, accuracy, loss, seconds FROM evaluations WHERE run = ?1 ORDER BY round";
        self.rows(query, [run.0], |row| {
            Ok(Point {
                round: Round(row.get(0)?),
                accuracy: row.get(1)?,
                loss: row.get(2)?,
                at: Duration::from_secs_f64(row.get(3)?),
            })
        })
    }

    fn holdings(&self, run: RunId) -> Result<Vec<Holding>, StoreError> {
        let query = "SELECT partner, data FROM holdings WHERE run = ?1 ORDER BY partner";
        self.rows(query, [run.0], |row| {
            let partner: String = row.get(0)?;
            let partner = PartnerName::parse(&partner)
                .map_err(|why| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into()))?;
            Ok(Holding { partner, data: Digest(row.get(1)?) })
        })
    }

    fn spooled(&self, run: RunId, first: Round) -> Result<Vec<SpoolRow>, StoreError> {
        let query = "SELECT round, unit, blob, saturated, loss_sum, samples FROM spool
                     WHERE run = ?1 AND round >= ?2 ORDER BY round, unit";
        self.rows(query, params![run.0, first.0], |row| {
            Ok(SpoolRow {
                round: Round(row.get(0)?),
                unit: Unit(row.get(1)?),
                blob: Digest(row.get(2)?),
                report: Report { saturated: row.get(3)?, loss: (row.get(4)?, row.get(5)?) },
            })
        })
    }

    fn blobs(&self) -> Result<Vec<Digest>, StoreError> {
        let query = "SELECT blob FROM checkpoints UNION SELECT blob FROM spool";
        self.rows(query, [], |row| Ok(Digest(row.get(0)?)))
    }
}

fn write(transaction: &Transaction<'_>, run: RunId, entry: &Entry, epoch: Epoch) -> rusqlite::Result<()> {
    let Entry { begun, rounds, evaluations, holdings, spooled, checkpoint, ending } = entry;
    let run = run.0;
    if let Some(RunRow { name, spec, spec_digest, .. }) = begun {
        transaction.execute(
            "INSERT INTO runs (run, name, spec, spec_digest) VALUES (?1, ?2, ?3, ?4)",
            params![run, name, spec, spec_digest.0],
        )?;
    }
    // A round that is computed again after a crash has the same bits, or the run has stopped before this.
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO rounds (run, round, params, chain, units, weight, saturated, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for Commit { round, params_digest, chain, units, weight, saturated } in rounds {
        insert.execute(params![run, round.0, params_digest.0, chain.0, units, weight, saturated, epoch.0])?;
    }
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO evaluations VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for Point { round, accuracy, loss, at } in evaluations {
        insert.execute(params![run, round.0, accuracy, loss, at.as_secs_f64()])?;
    }
    for Holding { partner, data } in holdings {
        transaction
            .execute("INSERT OR REPLACE INTO holdings VALUES (?1, ?2, ?3)", params![run, partner.as_str(), data.0])?;
    }
    if let Some(SpoolRow { round, unit, blob, report: Report { saturated, loss: (loss_sum, samples) } }) = spooled {
        transaction.execute(
            "INSERT OR REPLACE INTO spool VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![run, round.0, unit.0, blob.0, saturated, loss_sum, samples, epoch.0],
        )?;
    }
    if let Some(CheckpointRow { round, blob }) = checkpoint {
        transaction.execute(
            "INSERT OR REPLACE INTO checkpoints (run, round, blob, epoch) VALUES (?1, ?2, ?3, ?4)",
            params![run, round.0, blob.0, epoch.0],
        )?;
        transaction.execute(
            "DELETE FROM checkpoints WHERE run = ?1 AND round NOT IN
             (SELECT round FROM checkpoints WHERE run = ?1 ORDER BY round DESC LIMIT ?2)",
            params![run, CHECKPOINTS],
        )?;
        transaction.execute(
            "DELETE FROM spool WHERE run = ?1 AND round < (SELECT min(round) FROM checkpoints WHERE run = ?1)",
            [run],
        )?;
    }
    if let Some(Ending { phase, reason }) = ending {
        let phase = match phase {
            EndPhase::Completed => "completed",
            EndPhase::Stopped => "stopped",
            EndPhase::Failed => "failed",
        };
        transaction.execute("DELETE FROM spool WHERE run = ?1", [run])?;
        transaction.execute("UPDATE runs SET phase = ?2, reason = ?3 WHERE run = ?1", params![run, phase, reason])?;
    }
    Ok(())
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
    );
    match why.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { why: why.to_string() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(why),
        None if is_foreign => damaged(why),
        Some(_) | None => StoreError::Io { doing: format!("{doing} ({})", file.display()), why: why.to_string() },
    }
}
