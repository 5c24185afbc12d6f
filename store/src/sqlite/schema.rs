//! The tables, how an older release's become this one's, and how a row shows that it is as it was written.
//!
//! SQLite finds a page that is no page, not a byte that changed inside a value. So each row has a seal: 64 bits of the
//! digest of its table's name and all its other values. It is against accidents; whoever can write the file can seal.

use std::path::Path;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};
use syngrad_engine::digest::{Domain, Hasher};

use super::{StoreError, error};

/// The steps from an empty database to this release's, each applied once. A step never changes after a release.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
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
    ",
    "
    CREATE TABLE holdings (
        run BLOB NOT NULL, partner TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run, partner)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE spool (
        run BLOB NOT NULL, round INTEGER NOT NULL, unit INTEGER NOT NULL, blob BLOB NOT NULL, saturated INTEGER NOT NULL,
        loss_sum REAL NOT NULL, samples INTEGER NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (run, round, unit)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    CREATE TABLE participation (
        run BLOB NOT NULL, partner TEXT NOT NULL, used INTEGER NOT NULL, late INTEGER NOT NULL, missing INTEGER NOT NULL,
        seal INTEGER NOT NULL, PRIMARY KEY (run, partner)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE progress (
        run BLOB PRIMARY KEY, train_samples INTEGER NOT NULL, committed INTEGER NOT NULL, params BLOB NOT NULL,
        chain BLOB NOT NULL, loss REAL, train_seconds REAL NOT NULL, accepted INTEGER NOT NULL,
        units_released INTEGER NOT NULL, duplicates INTEGER NOT NULL, late INTEGER NOT NULL, rejected INTEGER NOT NULL,
        joins INTEGER NOT NULL, leaves INTEGER NOT NULL, saturated INTEGER NOT NULL, params_bytes_sent INTEGER NOT NULL,
        update_bytes_received INTEGER NOT NULL, shard_bytes_sent INTEGER NOT NULL, foreign_numerics INTEGER NOT NULL,
        p50_ms REAL NOT NULL, p99_ms REAL NOT NULL, max_ms REAL NOT NULL, confusion BLOB NOT NULL,
        seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE versions (
        version INTEGER PRIMARY KEY, run BLOB NOT NULL, round INTEGER NOT NULL, params BLOB NOT NULL,
        seal INTEGER NOT NULL, UNIQUE (run, round, params)
    ) STRICT;
    ALTER TABLE rounds ADD COLUMN micros INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rounds ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE coordinator ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE evaluations ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE checkpoints ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE holdings ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE spool ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
    UPDATE rounds SET seal = seal_of('rounds', run, round, params, chain, units, weight, saturated, epoch, micros);
    UPDATE coordinator SET seal = seal_of('coordinator', id, epoch);
    UPDATE runs SET seal = seal_of('runs', run, name, spec, spec_digest, began, phase, reason);
    UPDATE evaluations SET seal = seal_of('evaluations', run, round, accuracy, loss, seconds);
    UPDATE checkpoints SET seal = seal_of('checkpoints', run, round, blob, epoch);
    UPDATE holdings SET seal = seal_of('holdings', run, partner, data);
    UPDATE spool SET seal = seal_of('spool', run, round, unit, blob, saturated, loss_sum, samples, epoch);
    ",
    "
    CREATE TABLE consortium (
        only INTEGER PRIMARY KEY CHECK (only = 1), name TEXT NOT NULL, addresses TEXT NOT NULL, seal INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE authorities (
        authority BLOB PRIMARY KEY, trust TEXT NOT NULL, since INTEGER NOT NULL, seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE holders (
        role TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, max_workers INTEGER,
        joined INTEGER, seen INTEGER, seal INTEGER NOT NULL, PRIMARY KEY (role, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE invitations (
        invitation BLOB PRIMARY KEY, secret BLOB NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
        expires INTEGER NOT NULL, uses INTEGER NOT NULL, admission TEXT NOT NULL, validity TEXT NOT NULL,
        seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE redemptions (
        invitation BLOB NOT NULL, key BLOB NOT NULL, principal TEXT NOT NULL, seal INTEGER NOT NULL,
        PRIMARY KEY (invitation, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE certificates (
        serial BLOB PRIMARY KEY, principal TEXT NOT NULL, key BLOB NOT NULL, authority BLOB NOT NULL,
        not_after INTEGER NOT NULL, validity TEXT NOT NULL, seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, reason TEXT NOT NULL,
        digest BLOB NOT NULL, seal INTEGER NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'acts are not changed'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'acts are not deleted'); END;
    ",
    "
    CREATE TABLE receipts (
        run BLOB NOT NULL, round INTEGER NOT NULL, record BLOB NOT NULL, contributions BLOB NOT NULL,
        seal INTEGER NOT NULL, PRIMARY KEY (run, round)
    ) STRICT;
    CREATE TABLE cuttings (
        run BLOB PRIMARY KEY, samples INTEGER NOT NULL, shards BLOB NOT NULL, numerics BLOB NOT NULL,
        seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE heads (
        run BLOB NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL, seal INTEGER NOT NULL,
        PRIMARY KEY (run, size)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE chains (
        fingerprint BLOB PRIMARY KEY, chain BLOB NOT NULL, seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE archived (
        run BLOB NOT NULL, payload BLOB NOT NULL, blob BLOB NOT NULL, seal INTEGER NOT NULL, PRIMARY KEY (run, payload)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX archived_blobs ON archived (blob);
    ALTER TABLE spool ADD COLUMN contribution BLOB NOT NULL DEFAULT x'';
    UPDATE spool
    SET seal = seal_of('spool', run, round, unit, blob, saturated, loss_sum, samples, epoch, contribution);
    ",
    "
    CREATE TABLE run_audits (
        run BLOB PRIMARY KEY, made INTEGER NOT NULL, passed INTEGER NOT NULL, failed INTEGER NOT NULL,
        lapsed INTEGER NOT NULL, seal INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE caught (
        run BLOB NOT NULL, partner TEXT NOT NULL, worker BLOB NOT NULL, round INTEGER NOT NULL, units BLOB NOT NULL,
        seal INTEGER NOT NULL, PRIMARY KEY (run, partner)
    ) STRICT, WITHOUT ROWID;
    ",
];

/// What is sealed in each table, in this order. Rounds are looked at only where a run still needs them.
const SEALED: &[(&str, &str, &str)] = &[
    ("coordinator", "id, epoch", "true"),
    ("runs", "run, name, spec, spec_digest, began, phase, reason", "true"),
    ("checkpoints", "run, round, blob, epoch", "true"),
    ("evaluations", "run, round, accuracy, loss, seconds", "true"),
    ("versions", "version, run, round, params", "true"),
    ("holdings", "run, partner, data", "true"),
    ("spool", "run, round, unit, blob, saturated, loss_sum, samples, epoch, contribution", "true"),
    ("receipts", "run, round, record, contributions", "run IN (SELECT run FROM runs WHERE phase = 'open')"),
    ("cuttings", "run, samples, shards, numerics", "true"),
    ("heads", "run, size, root, signature", "run IN (SELECT run FROM runs WHERE phase = 'open')"),
    ("chains", "fingerprint, chain", "true"),
    ("archived", "run, payload, blob", "run IN (SELECT run FROM runs WHERE phase = 'open')"),
    ("participation", "run, partner, used, late, missing", "true"),
    ("run_audits", "run, made, passed, failed, lapsed", "true"),
    ("caught", "run, partner, worker, round, units", "true"),
    (
        "progress",
        "run, train_samples, committed, params, chain, loss, train_seconds, accepted, units_released, duplicates, late,
         rejected, joins, leaves, saturated, params_bytes_sent, update_bytes_received, shard_bytes_sent,
         foreign_numerics, p50_ms, p99_ms, max_ms, confusion",
        "true",
    ),
    (
        "rounds",
        "run, round, params, chain, units, weight, saturated, epoch, micros",
        "run IN (SELECT run FROM runs WHERE phase = 'open')",
    ),
    ("consortium", "only, name, addresses", "true"),
    ("authorities", "authority, trust, since", "true"),
    ("holders", "role, name, state, reason, max_workers, joined, seen", "true"),
    ("invitations", "invitation, secret, role, name, expires, uses, admission, validity", "true"),
    ("redemptions", "invitation, key, principal", "true"),
    ("certificates", "serial, principal, key, authority, not_after, validity", "true"),
    ("audit", "number, at, who, what, reason, digest", "true"),
];

/// A statement that writes a row with its seal: its values are the parameters, in the order of the sealed columns.
pub(super) fn insert(table: &str) -> String {
    let (_, columns, _) = SEALED.iter().find(|(name, ..)| *name == table).expect("every table is sealed");
    let count = columns.split(',').count();
    let values = (1..=count).map(|index| format!("?{index}")).collect::<Vec<_>>().join(", ");
    format!("INSERT OR REPLACE INTO {table} ({columns}, seal) VALUES ({values}, seal_of('{table}', {values}))")
}

/// As [`insert`], for a table whose rows are never replaced.
pub(super) fn append(table: &str) -> String {
    insert(table).replacen("INSERT OR REPLACE", "INSERT", 1)
}

/// Makes `seal_of(table, values…)` known to a connection.
pub(crate) fn know_seals(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("seal_of", -1, flags, |context| Ok(seal(context)))
}

fn seal(values: &Context<'_>) -> i64 {
    let mut hasher = Hasher::new(Domain::Row);
    for value in (0..values.len()).map(|index| values.get_raw(index)) {
        match value {
            ValueRef::Null => hasher.update(b"n"),
            ValueRef::Integer(value) => hasher.update(b"i").update(&value.to_le_bytes()),
            // The two zeros are one once they are stored.
            ValueRef::Real(value) => hasher.update(b"r").update(&(value + 0.0).to_bits().to_le_bytes()),
            ValueRef::Text(bytes) => hasher.update(b"t").update(&(bytes.len() as u64).to_le_bytes()).update(bytes),
            ValueRef::Blob(bytes) => hasher.update(b"b").update(&(bytes.len() as u64).to_le_bytes()).update(bytes),
        };
    }
    let digest = hasher.finish().0;
    i64::from_le_bytes(*digest.first_chunk().expect("a digest has more than eight bytes"))
}

/// Refuses what is not ours before anything is written to it.
pub(super) fn refuse_foreign(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let failed = |why: rusqlite::Error| error(file, "opening it", &why);
    let found = version(connection).map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { file: file.display().to_string(), found, known });
    }
    let anything: Option<String> =
        connection.query_row("SELECT name FROM sqlite_schema", [], |row| row.get(0)).optional().map_err(failed)?;
    match anything {
        Some(name) if found <= 0 => Err(damaged(file, &format!("it has a table {name}, but no version of ours"))),
        Some(_) | None => Ok(()),
    }
}

/// Whether the database is one of a coordinator.
pub(super) fn has_coordinator(connection: &Connection) -> rusqlite::Result<bool> {
    match version(connection)? {
        0 => Ok(false),
        _ => connection.query_row("SELECT count(*) > 0 FROM coordinator", [], |row| row.get(0)),
    }
}

/// Brings the database to this release's schema.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let failed = |why: rusqlite::Error| error(file, "bringing it to this release's schema", &why);
    let found = version(connection).map_err(failed)?;
    for (step, version) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", version).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Holds the database against itself, against the schema that this release makes, and each row against its seal.
pub(super) fn check(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let failed = |why: rusqlite::Error| error(file, "checking it", &why);
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found != "ok" {
        return Err(damaged(file, &found));
    }
    if tables(connection).map_err(failed)? != expected().map_err(failed)? {
        return Err(damaged(file, "its tables are not those of this release"));
    }
    for (table, columns, of_use) in SEALED {
        let query = format!("SELECT count(*) FROM {table} WHERE seal <> seal_of('{table}', {columns}) AND {of_use}");
        let broken: i64 = connection.query_row(&query, [], |row| row.get(0)).map_err(failed)?;
        if broken > 0 {
            return Err(damaged(file, &format!("{broken} rows of its table {table} are not as they were written")));
        }
    }
    Ok(())
}

type Tables = Vec<(String, String, Option<String>)>;

fn tables(connection: &Connection) -> rusqlite::Result<Tables> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

fn expected() -> rusqlite::Result<Tables> {
    let connection = Connection::open_in_memory()?;
    know_seals(&connection)?;
    MIGRATIONS.iter().try_for_each(|step| connection.execute_batch(step))?;
    tables(&connection)
}

fn damaged(file: &Path, why: &str) -> StoreError {
    StoreError::Damaged { what: format!("the database {} is damaged: {why}", file.display()) }
}
