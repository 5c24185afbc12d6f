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

use std::time::Duration;

use syngrad_common::{Code, Failure};
use syngrad_engine::keeping::{Fenced, Trouble};
use syngrad_engine::run::{Counters, Participation};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, PartnerName, Round, RunId, Unit};
use thiserror::Error;

pub(crate) use folder::{EndedRun, Folder, LastServed, Left, Spooled, Unfinished};
pub(crate) use keeper::{Bulk, Keeper, Kept, Order, ToSpool};

use crate::status::{Point, RoundTimes, Traffic};

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

impl EndPhase {
    /// The word for it in what is kept.
    fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    fn named(word: &str) -> Option<Self> {
        [Self::Completed, Self::Stopped, Self::Failed].into_iter().find(|phase| phase.word() == word)
    }
}

/// A round of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoundRow {
    pub(crate) commit: Commit,
    /// From its opening to its commit.
    pub(crate) took: Duration,
}

/// How far a run had come when it was last kept; the newest gives way to the next. What was counted since is lost in a
/// crash: these are observations, and nobody observed them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// Training samples that there are.
    pub(crate) train_samples: u32,
    pub(crate) committed: u32,
    pub(crate) params: Digest,
    pub(crate) chain: Digest,
    /// Mean training loss of the last round; none before the first.
    pub(crate) loss: Option<f64>,
    /// Time from the first round's opening to the last commit, without the time in which no coordinator ran.
    pub(crate) train_time: Duration,
    pub(crate) counters: Counters,
    /// Whose units were used, late or missing.
    pub(crate) participation: Vec<(PartnerName, Participation)>,
    pub(crate) traffic: Traffic,
    pub(crate) foreign_numerics: u32,
    pub(crate) round_times: RoundTimes,
    /// Of the newest evaluation, row by row.
    pub(crate) confusion: Vec<u64>,
}

/// Params that get a number before they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The round that they came out of.
    pub(crate) round: Round,
    pub(crate) params: Digest,
}

/// A model that was served, and whose params are in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ServedRow {
    pub(crate) run: RunId,
    pub(crate) checkpoint: CheckpointRow,
    pub(crate) version: Version,
    pub(crate) number: u64,
    /// None for a network that does not classify.
    pub(crate) accuracy: Option<f64>,
}

/// What is kept in one step: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// Only with the first entry of a run.
    pub(crate) begun: Option<RunRow>,
    pub(crate) rounds: Vec<RoundRow>,
    pub(crate) progress: Option<Box<Progress>>,
    pub(crate) evaluations: Vec<Point>,
    pub(crate) version: Option<Version>,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) spooled: Option<SpoolRow>,
    /// What is spooled for rounds before the oldest checkpoint that is kept goes with it.
    pub(crate) checkpoint: Option<CheckpointRow>,
    pub(crate) ending: Option<Ending>,
}

impl Entry {
    /// Whether it says something that nothing kept later or computed again could say once more.
    fn is_lasting(&self) -> bool {
        self.begun.is_some() || self.version.is_some() || self.ending.is_some()
    }
}

/// Metadata, behind whichever database.
pub(crate) trait Store: Send {
    /// Keeps an entry of `run` durably; the number of the version in it, if there is one: the one it had before, or the
    /// next that no version of any run has had.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the entry is kept then.
    fn keep(&mut self, run: RunId, entry: &Entry) -> Result<Option<u64>, StoreError>;

    /// A run.
    fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError>;

    /// Runs that have not ended, oldest first.
    fn unfinished(&self) -> Result<Vec<RunRow>, StoreError>;

    /// Checkpoints of a run, newest first.
    fn checkpoints(&self, run: RunId) -> Result<Vec<CheckpointRow>, StoreError>;

    /// The ledger of a run from `first` on, in order.
    fn rounds(&self, run: RunId, first: Round) -> Result<Vec<Commit>, StoreError>;

    /// How long the rounds before `end` took.
    fn round_times(&self, run: RunId, end: Round) -> Result<Vec<Duration>, StoreError>;

    /// The newest evaluations of a run, at most `most`, in order.
    fn evaluations(&self, run: RunId, most: usize) -> Result<Vec<Point>, StoreError>;

    /// How far a run had come; none if that was not kept.
    fn progress(&self, run: RunId) -> Result<Option<Progress>, StoreError>;

    /// Runs that have ended, at most `most`, newest first.
    fn ended(&self, most: usize) -> Result<Vec<(RunRow, Ending)>, StoreError>;

    /// Models that were served and whose params are in a checkpoint, newest first.
    fn served(&self) -> Result<Vec<ServedRow>, StoreError>;

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
