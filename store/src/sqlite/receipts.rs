//! Rows of receipts: written with the rounds that they are of, read by whoever asks.

use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row, Transaction, params};
use syngrad_common::wire::receipt::SignedHead;
use syngrad_engine::receipt::{Fingerprint, Frontier, Head, Receipt, Record, Signature, Tree};
use syngrad_engine::{Digest, Round, RunId};

use super::{PATIENCE, error, run_row, schema};
use crate::receipts::{Archived, Chain, Cutting, Logged};
use crate::{Entry, RunRow, StoreError};

/// Writes what an entry has of receipts. A round that has one keeps it.
pub(super) fn write(transaction: &Transaction<'_>, run: RunId, entry: &Entry) -> rusqlite::Result<()> {
    if let Some(Cutting { samples, shards, numerics }) = &entry.cutting {
        let shards: Vec<u8> = shards.iter().flatten().flat_map(|size| size.to_le_bytes()).collect();
        let mut add = transaction.prepare_cached(&schema::insert("cuttings"))?;
        add.execute(params![run.0, samples, shards, numerics.0])?;
    }
    let mut add = transaction.prepare_cached(&schema::insert("receipts"))?;
    for Receipt { round, record, contributions } in &entry.receipts {
        add.execute(params![run.0, round.0, record, join(contributions)])?;
    }
    let mut add = transaction.prepare_cached(&schema::insert("heads"))?;
    for SignedHead { head: Head { run: _, size, root }, signature } in &entry.heads {
        add.execute(params![run.0, size, root.0, signature.0])?;
    }
    let mut add = transaction.prepare_cached(&schema::insert("chains"))?;
    for Chain { fingerprint, certificates } in &entry.certificates {
        add.execute(params![fingerprint.0, join(certificates)])?;
    }
    let mut add = transaction.prepare_cached(&schema::insert("archived"))?;
    for Archived { payload, blob } in &entry.archived {
        add.execute(params![run.0, payload.0, blob.0])?;
    }
    Ok(())
}

/// Parts one after another, each after its length.
fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        joined.extend((part.len() as u32).to_le_bytes());
        joined.extend(part);
    }
    joined
}

/// What [`join`] joined.
fn split(mut joined: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    while let Some((len, rest)) = joined.split_first_chunk() {
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        parts.push(part.to_vec());
        joined = rest;
    }
    joined.is_empty().then_some(parts)
}

fn parts(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
    let joined: Vec<u8> = row.get(column)?;
    let damaged = || rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "parts end early".into());
    split(&joined).ok_or_else(damaged)
}

/// A connection that only reads.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    connection: Connection,
    file: PathBuf,
}

impl ReadOnly {
    pub(crate) fn open(file: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |why: rusqlite::Error| error(file, "opening it to read", &why);
        let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        Ok(Self { connection, file: file.to_owned() })
    }

    pub(crate) fn run(&self, run: Option<RunId>) -> Result<Option<RunRow>, StoreError> {
        let query = "SELECT run, name, spec, spec_digest FROM runs WHERE ?1 IS NULL OR run = ?1
                     ORDER BY rowid DESC LIMIT 1";
        let found = rows(&self.connection, &self.file, query, params![run.map(|run| run.0)], run_row)?;
        Ok(found.into_iter().next())
    }

    pub(crate) fn cutting(&self, run: RunId) -> Result<Option<Cutting>, StoreError> {
        let query = "SELECT samples, shards, numerics FROM cuttings WHERE run = ?1";
        let found = rows(&self.connection, &self.file, query, [run.0], |row| {
            let shards: Vec<u8> = row.get(1)?;
            let sizes: Vec<u32> = shards.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
            let shards = (!sizes.is_empty()).then_some(sizes);
            Ok(Cutting { samples: row.get(0)?, shards, numerics: Digest(row.get(2)?) })
        })?;
        Ok(found.into_iter().next())
    }

    pub(crate) fn receipts(&self, run: RunId, first: Round, most: usize) -> Result<Vec<Receipt>, StoreError> {
        let query = "SELECT round, record, contributions FROM receipts WHERE run = ?1 AND round >= ?2
                     ORDER BY round LIMIT ?3";
        rows(&self.connection, &self.file, query, params![run.0, first.0, most], |row| {
            Ok(Receipt { round: Round(row.get(0)?), record: row.get(1)?, contributions: parts(row, 2)? })
        })
    }

    pub(crate) fn leaves(&self, run: RunId) -> Result<Vec<Digest>, StoreError> {
        leaves(&self.connection, &self.file, run)
    }

    pub(crate) fn heads(&self, run: RunId) -> Result<Vec<SignedHead>, StoreError> {
        heads(&self.connection, &self.file, run)
    }

    pub(crate) fn certificate(&self, fingerprint: Fingerprint) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let query = "SELECT chain FROM chains WHERE fingerprint = ?1";
        let found = rows(&self.connection, &self.file, query, [fingerprint.0], |row| parts(row, 0))?;
        Ok(found.into_iter().next())
    }

    pub(crate) fn archived(&self, run: RunId) -> Result<Vec<Archived>, StoreError> {
        let query = "SELECT payload, blob FROM archived WHERE run = ?1 ORDER BY payload";
        rows(&self.connection, &self.file, query, [run.0], |row| {
            Ok(Archived { payload: Digest(row.get(0)?), blob: Digest(row.get(1)?) })
        })
    }
}

/// How far the log of a run has come.
pub(super) fn log(connection: &Connection, file: &Path, run: RunId) -> Result<Option<Logged>, StoreError> {
    let Some(head) = heads(connection, file, run)?.pop() else { return Ok(None) };
    let mut frontier = Frontier::new(Tree::Log);
    let leaves = leaves(connection, file, run)?;
    let previous = leaves.last().copied().unwrap_or_default();
    leaves.into_iter().for_each(|leaf| frontier.append(leaf));
    let root = frontier.root();
    match (root.size, root.hash) == (head.head.size, head.head.root) {
        true => Ok(Some(Logged { frontier, previous, head })),
        false => {
            let what = format!("the receipts of run {run} in {} are not those of the signed head", file.display());
            Err(StoreError::Damaged { what })
        }
    }
}

fn leaves(connection: &Connection, file: &Path, run: RunId) -> Result<Vec<Digest>, StoreError> {
    let query = "SELECT record FROM receipts WHERE run = ?1 ORDER BY round";
    rows(connection, file, query, [run.0], |row| {
        let record = row.get_ref(0)?.as_blob()?;
        Ok(Record::digest(record))
    })
}

fn heads(connection: &Connection, file: &Path, run: RunId) -> Result<Vec<SignedHead>, StoreError> {
    let query = "SELECT size, root, signature FROM heads WHERE run = ?1 ORDER BY size";
    rows(connection, file, query, [run.0], |row| {
        let head = Head { run, size: row.get(0)?, root: Digest(row.get(1)?) };
        Ok(SignedHead { head, signature: Signature(row.get(2)?) })
    })
}

fn rows<T>(
    connection: &Connection,
    file: &Path,
    query: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let failed = |why: rusqlite::Error| error(file, "reading receipts", &why);
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let rows = statement.query_map(parameters, read).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_apart_as_they_were_joined() {
        for parts in [vec![], vec![Vec::new()], vec![b"a".to_vec(), Vec::new(), vec![7; 300]]] {
            let joined = join(&parts);
            assert_eq!(split(&joined), Some(parts));
            assert!(joined.is_empty() || split(&joined[..joined.len() - 1]).is_none());
        }
    }
}
