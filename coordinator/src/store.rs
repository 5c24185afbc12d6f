//! What outlives the coordinator's process: its identity, its runs, the ledger of their rounds, and checkpoints.
//!
//! ```text
//!   driver ──Order──► keeper (a thread) ──► Store      metadata: one transaction an order
//!      ▲                   │                Blobs      training states and spooled updates by content, durable before
//!      │                   │                           a row names them
//!      └────── Kept ───────┘
//! ```
//!
//! A round is history once its row is durable. What was not kept at a crash is computed again, to the same bits: the
//! rows that the ledger has beyond the last checkpoint say what must come out.
//!
//! Every write carries the epoch that its coordinator drew when it opened the folder, and none of an older epoch is
//! taken: a coordinator that was taken for dead and comes back can do no harm.

mod blobs;
mod folder;
mod keeper;
mod sqlite;
#[cfg(test)]
mod tests;

use syngrad_common::{Code, Failure};
use syngrad_engine::keeping::{Fenced, Trouble};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, PartnerName, Round, RunId, Unit};
use thiserror::Error;

pub(crate) use folder::{Folder, Spooled, Unfinished};
pub(crate) use keeper::{Bulk, Keeper, Kept, Order, ToSpool};

use crate::status::Point;

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRow {
    pub(crate) run: RunId,
    pub(crate) name: String,
    /// The run spec as text, and its digest.
    pub(crate) spec: String,
    pub(crate) spec_digest: Digest,
}

/// A training state that was kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CheckpointRow {
    /// The round that it opens.
    pub(crate) round: Round,
    /// Digest of its bytes, which is the blob's name.
    pub(crate) blob: Digest,
}

/// An update of private samples that was made durable before it was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SpoolRow {
    pub(crate) round: Round,
    pub(crate) unit: Unit,
    /// Digest of its payload, which is the blob's name.
    pub(crate) blob: Digest,
    pub(crate) report: Report,
}

/// What a worker says of an update beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// Entries that were clamped to the grid's limit.
    pub(crate) saturated: u64,
    /// Summed training loss, and the samples behind it.
    pub(crate) loss: (f64, u64),
}

/// A partner with samples of its own, and the digest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) partner: PartnerName,
    pub(crate) data: Digest,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) phase: EndPhase,
    pub(crate) reason: String,
}

/// The phases in which a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndPhase {
    Completed,
    Stopped,
    Failed,
}

/// What is kept in one step: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// Only with the first entry of a run.
    pub(crate) begun: Option<RunRow>,
    pub(crate) rounds: Vec<Commit>,
    pub(crate) evaluations: Vec<Point>,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) spooled: Option<SpoolRow>,
    /// What is spooled for rounds before the oldest checkpoint that is kept goes with it.
    pub(crate) checkpoint: Option<CheckpointRow>,
    pub(crate) ending: Option<Ending>,
}

/// Metadata, behind whichever database.
pub(crate) trait Store: Send {
    /// Keeps an entry of `run` durably.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the entry is kept then.
    fn keep(&mut self, run: RunId, entry: &Entry) -> Result<(), StoreError>;

    /// Runs that have not ended, oldest first.
    fn unfinished(&self) -> Result<Vec<RunRow>, StoreError>;

    /// Checkpoints of a run, newest first.
    fn checkpoints(&self, run: RunId) -> Result<Vec<CheckpointRow>, StoreError>;

    /// The ledger of a run from `first` on, in order.
    fn rounds(&self, run: RunId, first: Round) -> Result<Vec<Commit>, StoreError>;

    /// Evaluations of a run, in order.
    fn evaluations(&self, run: RunId) -> Result<Vec<Point>, StoreError>;

    /// Partners of a run that have brought samples of their own.
    fn holdings(&self, run: RunId) -> Result<Vec<Holding>, StoreError>;

    /// Updates that are spooled for rounds of a run from `first` on, in order.
    fn spooled(&self, run: RunId, first: Round) -> Result<Vec<SpoolRow>, StoreError>;

    /// Blobs that some checkpoint or spooled update names.
    fn blobs(&self) -> Result<Vec<Digest>, StoreError>;
}

/// Why state cannot be read or kept.
#[derive(Clone, Debug, Error)]
pub(crate) enum StoreError {
    /// Another process holds the folder.
    #[error("the state folder {folder} is in use by another coordinator; stop it, or choose another folder")]
    Locked { folder: String },
    /// The database is of a later release.
    #[error(
        "the state in {file} has schema version {found}, this program knows {known}; use the release that wrote it"
    )]
    Newer { file: String, found: i64, known: i64 },
    /// What is there is not state of ours, or no longer.
    #[error("{what}; restore the folder from a copy, or start with an empty one")]
    Damaged { what: String },
    /// A later coordinator has taken over.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// There is no room.
    #[error("the disk with the state is full ({why}); make room, the run goes on by itself")]
    Full { why: String },
    /// Reading or writing failed.
    #[error("the state cannot be read or written: {doing}: {why}; look after the disk, then start again")]
    Io { doing: String, why: String },
}

impl StoreError {
    /// What kind of trouble it is to whoever writes.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Full { .. } => Trouble::Full,
            Self::Locked { .. } | Self::Newer { .. } | Self::Damaged { .. } | Self::Fenced(_) | Self::Io { .. } => {
                Trouble::Broken
            }
        }
    }

    fn io(doing: &str, why: &std::io::Error) -> Self {
        match why.kind() == std::io::ErrorKind::StorageFull {
            true => Self::Full { why: why.to_string() },
            false => Self::Io { doing: doing.to_owned(), why: why.to_string() },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Locked { .. } => Code::StateInUse,
            StoreError::Newer { .. } => Code::StateNewer,
            StoreError::Damaged { .. } => Code::StateDamaged,
            StoreError::Fenced(_) => Code::Fenced,
            StoreError::Full { .. } | StoreError::Io { .. } => Code::StateUnwritable,
        };
        Self::new(code, error.to_string())
    }
}
