//! What goes into a worker's [`Session`](super::Session) and what comes out of it.

use std::fmt;
use std::time::Duration;

use crate::digest::Digest;
use crate::id::{LeaseId, Round, RunId, Time, Units};

/// What a session is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionConfig {
    /// The seed of the jitter: workers of different seeds do not come back all at once.
    pub seed: u64,
    /// How often to say something, until [`Event::Welcomed`] says otherwise.
    pub heartbeat: Duration,
    /// How long a silent coordinator counts as alive, until [`Event::Welcomed`] says otherwise. Also the longest that
    /// bringing up a link and being welcomed may take.
    pub silence: Duration,
    /// The longest wait before the first try to reconnect; each further try doubles it.
    pub backoff_min: Duration,
    /// The longest wait before any try. A link that lasted so long makes the next wait short again.
    pub backoff_max: Duration,
    /// How long a drain waits for the tasks in hand and the answers to their updates.
    pub drain: Duration,
}

/// One piece of work, as the coordinator leased it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: Round,
    /// The lease to answer.
    pub lease: LeaseId,
    /// The units to compute.
    pub units: Units,
    /// Digest of the round's params.
    pub params: Digest,
}

/// Something that happened to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The link is up; nothing has been said yet.
    Connected,
    /// The link is down, or could not be brought up. `why` in words.
    Disconnected {
        /// What happened.
        why: String,
    },
    /// The coordinator knows this worker now.
    Welcomed {
        /// Either side says something at least this often.
        heartbeat: Duration,
        /// Either side takes the other for dead after so long of nothing.
        silence: Duration,
    },
    /// The coordinator does not want this worker.
    Refused {
        /// Why, in words.
        why: String,
        /// Whether it makes sense to come back.
        retry: Retry,
    },
    /// A run is open to this worker.
    RunOpened {
        /// The run.
        run: RunId,
    },
    /// The model of the run is built; the worker can take leases.
    Prepared {
        /// The run.
        run: RunId,
    },
    /// This machine cannot take part in the run.
    Unfit {
        /// The run.
        run: RunId,
        /// Why, in words.
        why: String,
    },
    /// Units were leased, and the round's params are complete.
    Leased(Task),
    /// The sum of a task's units is ready.
    Computed {
        /// The task.
        task: Task,
        /// Digest of the packed sum.
        update: Digest,
    },
    /// A task could not be computed.
    Failed {
        /// The task.
        task: Task,
        /// Why, in words.
        why: String,
    },
    /// The coordinator answered an update.
    Answered {
        /// The lease of the update.
        lease: LeaseId,
        /// What it said.
        answer: Answer,
    },
    /// The run is over.
    RunClosed {
        /// The run.
        run: RunId,
        /// How it ended, in words.
        how: String,
    },
    /// Something arrived: the coordinator is alive.
    Heard,
    /// Time has come to [`Session::deadline`](super::Session::deadline).
    Tick,
    /// The system wants the worker to end: it finishes what it has within the drain's time and leaves; the second time,
    /// at once.
    Drain,
    /// The worker's partner wants it to answer what it has in hand, however long that takes, and then to leave.
    Finish,
    /// The worker's partner wants it to leave at once.
    Leave,
    /// There is a reason to take no work for now; there may be several at a time.
    Pause(Cause),
    /// A reason to take no work is gone.
    Resume(Cause),
}

/// Why a worker takes no work for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Somebody at its partner asked for it.
    Asked,
    /// The hours of its partner's policy are over.
    Hours,
    /// The bytes that its partner's policy lets out in a day are used up.
    Spent,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "its partner asked for it",
            Self::Hours => "the hours of its partner's policy are over",
            Self::Spent => "the bytes that its partner's policy lets out in a day are used up",
        })
    }
}

/// Whether a refused worker should come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The reason may pass.
    Later,
    /// It will be the same the next time.
    Never,
}

/// What the coordinator says of an update.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It counts.
    Accepted,
    /// Its units had been counted.
    Duplicate,
    /// Its round had been committed.
    Late,
    /// It does not count.
    Rejected {
        /// Why, in words.
        why: String,
    },
}

/// Something the worker's shell is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Bring the link up, then say [`Event::Connected`], or [`Event::Disconnected`] if it cannot be done.
    Connect,
    /// Take the link down; no event of this link follows.
    Disconnect,
    /// Say hello.
    SendHello,
    /// Build the run's model.
    Prepare {
        /// The run.
        run: RunId,
    },
    /// Say that leases can come.
    SendReady {
        /// The run.
        run: RunId,
    },
    /// Say that this machine cannot take part, or not now.
    SendDeclined {
        /// The run.
        run: RunId,
        /// Why, in words.
        why: String,
    },
    /// Compute a task. It goes on when the link is lost: if the same units of the same params are leased again
    /// meanwhile, no second word comes, and what the shell still waits for (samples, say) it must ask for again.
    Compute(Task),
    /// Stop working on this task if possible, and drop its sum: it was answered, or nobody wants it any more. Until
    /// this comes the sum may be asked for again.
    Forget {
        /// The lease that [`Action::Compute`] named.
        lease: LeaseId,
    },
    /// Send the sum of a task's units. The shell still has it, perhaps from an earlier lease of the same units: it is
    /// found by its digest.
    SendUpdate {
        /// The task, with the lease to name.
        task: Task,
        /// Digest of the packed sum.
        update: Digest,
    },
    /// Say that the link is alive.
    SendHeartbeat,
    /// Say that this worker leaves.
    SendLeave,
    /// Tell the person, once each time it changes.
    Report(Report),
    /// End the process.
    Exit(Exit),
}

/// What a worker tells the person who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// Connected and known.
    Connected,
    /// The link is down; the next try comes at `again`.
    Unreachable {
        /// Why, in words.
        why: String,
        /// When it tries again.
        again: Time,
    },
    /// Refused.
    Refused {
        /// Why, in words.
        why: String,
    },
    /// Working for a run.
    Working {
        /// The run.
        run: RunId,
    },
    /// Cannot take part in a run.
    Unfit {
        /// The run.
        run: RunId,
        /// Why, in words.
        why: String,
    },
    /// An update was not counted.
    Rejected {
        /// Why, in words.
        why: String,
    },
    /// Takes no work for now.
    Paused {
        /// Why: the latest of the reasons.
        cause: Cause,
    },
    /// Takes work again: no reason not to is left.
    Resumed,
    /// A run is over.
    RunClosed {
        /// The run.
        run: RunId,
        /// How it ended, in words.
        how: String,
    },
}

/// Why a worker ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It was asked to.
    Drained,
    /// It is not wanted, for good.
    Refused {
        /// Why, in words.
        why: String,
    },
}

/// What a session is at, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Whether the coordinator knows this worker.
    pub connected: bool,
    /// The run that it works for.
    pub run: Option<RunId>,
    /// The newest round of which something was leased on this link.
    pub newest: Option<Round>,
    /// Leases that are owed an update, or whose answer is awaited.
    pub in_hand: usize,
    /// Why it takes no work; empty if it does.
    pub pauses: Vec<Cause>,
    /// Whether it leaves when nothing is in hand.
    pub leaving: bool,
}
