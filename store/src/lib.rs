//! What outlives the coordinator's process: its identity, its runs, the ledger of their rounds, and checkpoints.
//!
//! ```text
//!   driver ──Order──► keeper (a thread) ──► Store      metadata: one transaction an order
//!      ▲                   │                Blobs      training states and spooled updates by content, durable before
//!      │                   │                           a row names them
//!      └────── Kept ───────┘
//!   governance ───────────────► Register   who takes part, and the log of acts: one transaction a decision
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
mod receipts;
mod sqlite;
#[cfg(test)]
mod tests;

use std::time::Duration;

use syngrad_common::wire::receipt::SignedHead;
use syngrad_common::{Code, Failure};
use syngrad_engine::keeping::{Fenced, Trouble};
use syngrad_engine::receipt::Receipt;
use syngrad_engine::run::{Caught, Counters, Participation};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, PartnerName, Round, RunId, Unit};
use thiserror::Error;

pub use folder::{EndedRun, Folder, LastServed, Left, MAX_EVALUATIONS, MAX_HISTORY, Resumption, Spooled, Unfinished};
pub use keeper::{Bulk, Keeper, Kept, Order, ToSpool, Told};
pub use receipts::{Archived, Chain, Cutting, Logged, Reader, Records, ToArchive};
pub use sqlite::{Founding, Recalled, Register};

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Which run.
    pub run: RunId,
    /// The name in its spec.
    pub name: String,
    /// The run spec as text.
    pub spec: String,
    /// The digest of its spec.
    pub spec_digest: Digest,
}

/// A training state that was kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The round that it opens.
    pub round: Round,
    /// Digest of its bytes, which is the blob's name.
    pub blob: Digest,
}

/// An update of private samples that was made durable before it was acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolRow {
    /// The round it is for.
    pub round: Round,
    /// The unit it is of.
    pub unit: Unit,
    /// Digest of its payload, which is the blob's name.
    pub blob: Digest,
    /// What its worker says of it.
    pub report: Report,
    /// The contribution to its round, encoded; empty where there are no receipts.
    pub contribution: Vec<u8>,
}

/// What a worker says of an update beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Entries that were clamped to the grid's limit.
    pub saturated: u64,
    /// Summed training loss, and the samples behind it.
    pub loss: (f64, u64),
}

/// A partner with samples of its own, and the digest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Whose samples.
    pub partner: PartnerName,
    /// Digest of the samples.
    pub data: Digest,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Which of the three ends.
    pub phase: EndPhase,
    /// In words.
    pub reason: String,
}

/// The phases in which a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndPhase {
    /// All rounds are committed.
    Completed,
    /// The operator ended it.
    Stopped,
    /// A round could not be closed.
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
pub struct RoundRow {
    /// What was committed.
    pub commit: Commit,
    /// From its opening to its commit.
    pub took: Duration,
}

/// One evaluation, for the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The round whose params were evaluated.
    pub round: Round,
    /// The part of the test samples that were classified correctly.
    pub accuracy: f64,
    /// Mean loss over the test samples.
    pub loss: f64,
    /// Since the first round opened.
    pub at: Duration,
}

/// What was counted beside the engine's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Entries that were clamped to a grid's limit.
    pub saturated: u64,
    /// Bytes of params that were sent to workers.
    pub params_bytes_sent: u64,
    /// Bytes of updates that workers sent.
    pub update_bytes_received: u64,
    /// Bytes of shards that were sent to workers.
    pub shard_bytes_sent: u64,
}

/// Times of the rounds so far, from opening to commit, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundTimes {
    /// Half of the rounds took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// How far a run had come when it was last kept; the newest gives way to the next. What was counted since is lost in a
/// crash: these are observations, and nobody observed them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Training samples that there are.
    pub train_samples: u32,
    /// Rounds committed.
    pub committed: u32,
    /// Digest of the params that came out of the last one.
    pub params: Digest,
    /// Digest over all of them.
    pub chain: Digest,
    /// Mean training loss of the last round; none before the first.
    pub loss: Option<f64>,
    /// Time from the first round's opening to the last commit, without the time in which no coordinator ran.
    pub train_time: Duration,
    /// What the engine counted.
    pub counters: Counters,
    /// Whose units were used, late or missing.
    pub participation: Vec<(PartnerName, Participation)>,
    /// Whose updates audits have shown to be wrong.
    pub caught: Vec<Caught>,
    /// What was counted beside that.
    pub traffic: Traffic,
    /// Workers of another numerics class that were let in.
    pub foreign_numerics: u32,
    /// How long rounds took.
    pub round_times: RoundTimes,
    /// Of the newest evaluation, row by row.
    pub confusion: Vec<u64>,
}

/// Params that get a number before they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The round that they came out of.
    pub round: Round,
    /// Their digest.
    pub params: Digest,
}

/// A model that was served, and whose params are in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServedRow {
    /// The run it came out of.
    pub run: RunId,
    /// The checkpoint that its params open.
    pub checkpoint: CheckpointRow,
    /// Which params.
    pub version: Version,
    /// Its model version.
    pub number: u64,
    /// None for a network that does not classify.
    pub accuracy: Option<f64>,
}

/// What is kept in one step: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Only with the first entry of a run.
    pub begun: Option<RunRow>,
    /// Rounds of the ledger.
    pub rounds: Vec<RoundRow>,
    /// How far the run has come.
    pub progress: Option<Box<Progress>>,
    /// Evaluations since the last entry.
    pub evaluations: Vec<Point>,
    /// Params that get a number.
    pub version: Option<Version>,
    /// Partners that have come with samples of their own.
    pub holdings: Vec<Holding>,
    /// An update whose blob is durable.
    pub spooled: Option<SpoolRow>,
    /// What is spooled for rounds before the oldest checkpoint that is kept goes with it.
    pub checkpoint: Option<CheckpointRow>,
    /// Only with the last entry of a run.
    pub ending: Option<Ending>,
    /// Only with the first entry of a run that has receipts.
    pub cutting: Option<Cutting>,
    /// Receipts of the rounds, if any are made.
    pub receipts: Vec<Receipt>,
    /// Signed heads of the log with these receipts.
    pub heads: Vec<SignedHead>,
    /// Certificates that the receipts name and that are not kept yet.
    pub certificates: Vec<Chain>,
    /// Updates of the rounds, to be kept with their receipts.
    pub updates: Vec<ToArchive>,
    /// Where these updates are.
    pub archived: Vec<Archived>,
}

impl Entry {
    /// Whether it says something that nothing kept later or computed again could say once more.
    fn is_lasting(&self) -> bool {
        self.begun.is_some() || self.version.is_some() || self.ending.is_some()
    }
}

/// Metadata, behind whichever database.
pub trait Store: Send {
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

    /// What a run's log has, and its newest head; none if it has no log.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    fn log(&self, run: RunId) -> Result<Option<Logged>, StoreError>;

    /// Blobs that give way to others: those of checkpoints and spooled updates.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    fn replaceable(&self) -> Result<Vec<Digest>, StoreError>;

    /// Whether a row names this blob.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    fn names(&self, blob: Digest) -> Result<bool, StoreError>;

    /// Blobs that some checkpoint, spooled update or archive names.
    fn blobs(&self) -> Result<Vec<Digest>, StoreError>;
}

/// Why state cannot be read or kept.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// Another process holds the folder.
    #[error("the state folder {folder} is in use by another coordinator; stop it, or choose another folder")]
    Locked {
        /// The folder.
        folder: String,
    },
    /// The database is of a later release.
    #[error(
        "the state in {file} has schema version {found}, this program knows {known}; use the release that wrote it"
    )]
    Newer {
        /// The database.
        file: String,
        /// Its schema's version.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
    /// What is there is not state of ours, or no longer.
    #[error("{what}; restore the folder from a copy, or start with an empty one")]
    Damaged {
        /// What is damaged, and how that shows.
        what: String,
    },
    /// A later coordinator has taken over.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// There is no room.
    #[error("the disk with the state is full ({why}); make room, the run goes on by itself")]
    Full {
        /// What the system says.
        why: String,
    },
    /// Reading or writing failed.
    #[error("the state cannot be read or written: {doing}: {why}; look after the disk, then start again")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system says.
        why: String,
    },
}

impl StoreError {
    /// What kind of trouble it is to whoever writes.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
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
