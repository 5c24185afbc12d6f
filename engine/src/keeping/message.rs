//! What goes into [`Keeping`](super::Keeping) and what comes out of it.

use std::time::Duration;

use super::HistoryDiffers;
use crate::id::{LeaseId, MemberId, Round, RunId};
use crate::plan::Plan;
use crate::spec::{Archive, Durability, RunSpec};
use crate::state::Commit;

/// Whether anything outlives the coordinator's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// State is kept.
    Durable,
    /// All is forgotten when the process ends.
    Absent,
}

/// How often a run is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Rounds in the run; after the last one the state is always kept whole.
    pub rounds: u32,
    /// Units of a round that is complete.
    pub units: u32,
    /// Rounds from one checkpoint to the next, at least 1.
    pub checkpoint_rounds: u32,
    /// Time from one checkpoint to the next.
    pub checkpoint_time: Duration,
    /// What a round waits for.
    pub durability: Durability,
    /// When rows that wait for no checkpoint are due.
    pub rows: Rows,
}

/// When rows that wait for no checkpoint are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// From time to time, many rounds together.
    Paced,
    /// Those of each round at once: what goes out with them would fill the memory.
    EachRound,
}

impl Cadence {
    /// The cadence that `spec` asks for.
    #[must_use]
    pub fn new(spec: &RunSpec, plan: &Plan) -> Self {
        // An update of private samples may have cost hours. Its worker forgets it when the next round opens, so that must
        // wait until it is kept; and what is spooled for later rounds shall not pile up.
        let is_private = spec.data.private_samples().is_some();
        Self {
            rounds: plan.rounds(),
            units: plan.units(),
            checkpoint_rounds: if is_private { 1 } else { spec.checkpoint.rounds },
            checkpoint_time: Duration::try_from_secs_f64(spec.checkpoint.seconds).unwrap_or(Duration::MAX),
            durability: if is_private { Durability::EveryRound } else { spec.durability },
            rows: match spec.archive {
                Archive::None => Rows::Paced,
                Archive::Updates => Rows::EachRound,
            },
        }
    }
}

/// A run begins here, or goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// How often it is kept.
    pub cadence: Cadence,
    /// The round that it opens first.
    pub next: Round,
    /// What the ledger has of that round and later ones, in order.
    pub ledger: Vec<Commit>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a run comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An operator asked for it and waits for an answer.
    Asked,
    /// An earlier process left it.
    Resumed,
}

/// How a run ended, as far as its state is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Its state is that of its last committed round.
    Orderly,
    /// Its state is of no use.
    Failed,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A run can open its first round.
    Begun(Begun),
    /// A round was committed in memory; the run has not been told.
    Committed(Commit),
    /// An update of private samples was counted; its member has not been told.
    Counted(Counted),
    /// A model of the run was evaluated: the params that came out of this round.
    Evaluated {
        /// The round.
        round: Round,
    },
    /// The run is over for this process.
    Ended(RunEnd),
    /// The oldest order is durable.
    Kept,
    /// There is no room for the oldest order; it is tried again by itself.
    Delayed {
        /// Why, in words.
        why: String,
    },
    /// The oldest order cannot be kept, nor can anything after it.
    Lost,
}

/// What an order is to make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Rows.
    Rows,
    /// Rows, and the update that was counted last.
    Update,
    /// Rows, and the training state as it is now.
    Whole,
}

/// An update that counts, and who waits to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The member.
    pub member: MemberId,
    /// The lease that it answered.
    pub lease: LeaseId,
}

/// Something the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Order this to be kept; then say [`Event::Kept`], [`Event::Delayed`] or [`Event::Lost`].
    Keep {
        /// Whether the state goes with it.
        contents: Contents,
        /// The rounds whose rows are due, in order. Rows of another kind that have come up since the last order go with
        /// them.
        rounds: Vec<Commit>,
    },
    /// Tell the operator who asked for the run that it has begun.
    Acknowledge {
        /// The run.
        run: RunId,
    },
    /// Tell the member that its update is accepted: it will not be asked for it again.
    Accept(Counted),
    /// Serve the model that came out of this round: its number is kept, if anything is.
    Serve {
        /// The round.
        round: Round,
    },
    /// Tell whoever watches that the run is over, the oldest that is and was not told of.
    Tell,
    /// Tell the run that its round is committed.
    Step {
        /// The round.
        round: Round,
    },
    /// End the run: it is not the one that the ledger tells of.
    Contradict(HistoryDiffers),
    /// End the coordinator: nothing more may be acknowledged.
    GiveUp,
}

/// What keeping looks like from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepingView {
    /// Why the run waits for the disk, if it does.
    pub paused: Option<String>,
    /// Rounds that are still to be computed again after a restart.
    pub again: usize,
}
