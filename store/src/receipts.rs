//! What is kept of receipts, and how it is read while the coordinator goes on.

use std::path::PathBuf;

use bytes::Bytes;
use syngrad_common::wire::receipt::SignedHead;
use syngrad_engine::receipt::{Fingerprint, Frontier, Receipt};
use syngrad_engine::{Digest, Round, RunId};

use super::blobs::Blobs;
use super::sqlite::receipts::ReadOnly;
use super::{RunRow, StoreError};

/// A certificate, and those that lead from it to an authority, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The first one's name.
    pub fingerprint: Fingerprint,
    /// All of them.
    pub certificates: Vec<Vec<u8>>,
}

/// An accepted update, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToArchive {
    /// Digest of the payload, as its contribution names it.
    pub payload: Digest,
    /// The payload.
    pub bytes: Bytes,
}

/// Where an accepted update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Digest of the payload, as its contribution names it.
    pub payload: Digest,
    /// The blob's name.
    pub blob: Digest,
}

/// How the samples of a run with receipts are cut: what a weight is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// Training samples.
    pub samples: u32,
    /// Samples of each shard; none if the shards are even.
    pub shards: Option<Vec<u32>>,
    /// The numerics class of the run.
    pub numerics: Digest,
}

/// How far the log of a run had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The tree over its records.
    pub frontier: Frontier,
    /// Digest of the last record.
    pub previous: Digest,
    /// The newest head.
    pub head: SignedHead,
}

/// Opens what is kept, to read it beside the one who writes.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) database: PathBuf,
    pub(super) blobs: PathBuf,
}

/// What is kept, as it was when it was opened or later.
#[derive(Debug)]
pub struct Records {
    database: ReadOnly,
    blobs: Blobs,
}

impl Reader {
    /// Opens it. Blocks, as all that follows does.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn open(&self) -> Result<Records, StoreError> {
        Ok(Records { database: ReadOnly::open(&self.database)?, blobs: Blobs::open(&self.blobs)? })
    }
}

impl Records {
    /// A run, the newest if none is named.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn run(&self, run: Option<RunId>) -> Result<Option<RunRow>, StoreError> {
        self.database.run(run)
    }

    /// How a run's samples are cut; none if it has no receipts.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn cutting(&self, run: RunId) -> Result<Option<Cutting>, StoreError> {
        self.database.cutting(run)
    }

    /// Receipts of a run from `first` on, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub fn receipts(&self, run: RunId, first: Round, most: usize) -> Result<Vec<Receipt>, StoreError> {
        self.database.receipts(run, first, most)
    }

    /// Leaves of a run's log, in order.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub fn leaves(&self, run: RunId) -> Result<Vec<Digest>, StoreError> {
        self.database.leaves(run)
    }

    /// Signed heads of a run's log, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub fn heads(&self, run: RunId) -> Result<Vec<SignedHead>, StoreError> {
        self.database.heads(run)
    }

    /// A certificate and those that lead from it to an authority, in DER.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn certificate(&self, fingerprint: Fingerprint) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        self.database.certificate(fingerprint)
    }

    /// Where the archived updates of a run are.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be read.
    pub fn archived(&self, run: RunId) -> Result<Vec<Archived>, StoreError> {
        self.database.archived(run)
    }

    /// A blob.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or is damaged.
    pub fn blob(&self, blob: Digest) -> Result<Vec<u8>, StoreError> {
        self.blobs.get(blob)
    }
}
