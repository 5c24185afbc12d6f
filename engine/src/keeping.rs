//! Keeping: what of a run becomes durable, when, and what waits for it. The coordinator's shell feeds it events and does
//! what it says; rows and training states stay with the shell.
//!
//! ```text
//!   a run begins, goes on, ends ──► ┌─────────┐ ──► Keep: rows, or the whole state with them   ──► keeper ──► disk
//!   an update is counted        ──► │         │ ──► Acknowledge: whoever started the run hears of it         │
//!   a round is committed        ──► │ Keeping │ ──► Accept: whoever computed the update hears of it          │
//!   a model is evaluated        ──► │         │ ──► Serve: it has a number that outlives the process         │
//!                                   │         │ ──► Tell: the run is over, and that is kept                  │
//!   Kept, Delayed, Lost         ──► └─────────┘ ──► Step: the run goes on with the next round                │
//!             ▲                          └────────► Contradict, GiveUp: it must not                          │
//!             └──────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What makes a crash at any moment harmless:
//!
//! * Orders are carried out one after another, each in the steps of [`Writing`]: a state is durable before a row names it.
//! * An update of private samples is acknowledged when it is durable: a restart reuses it.
//! * A run is acknowledged when it is durable, and with [`Durability::EveryRound`] a round opens when the state that it
//!   starts from is.
//! * A round that is closed without some of its units cannot be computed again: its row goes out with its state. So the
//!   rounds that the ledger has beyond the last checkpoint are complete, and [`settled`] tells the run to keep them so.
//! * A coordinator that comes back goes on from the newest state that is whole ([`newest_whole`]), and what it computes
//!   again must come out as the ledger says ([`History`]).
//! * Each opening of the state draws an [`Epoch`]: it is compared in every write, and leases are numbered from it.

mod epoch;
mod history;
mod message;
mod recovery;
mod writing;

use std::collections::VecDeque;
use std::time::Duration;

pub use epoch::{Epoch, Fenced};
pub use history::{History, HistoryDiffers};
pub use message::*;
pub use recovery::{NoneWhole, newest_whole, settled};
pub use writing::{Setback, Step, Trouble, Writing};

use crate::id::{Round, RunId, Time};
use crate::planted::{Bug, Planted};
use crate::spec::Durability;
use crate::state::Commit;

/// Training states kept of a run: the newest, and one to fall back to.
pub const CHECKPOINTS: u32 = 2;

/// Orders that may wait for the disk while rounds go on.
const MAX_ORDERS: usize = 4;

/// Time between two writes of rounds that wait for no checkpoint.
const LEDGER_PACE: Duration = Duration::from_millis(100);

/// What is kept of a coordinator's runs, one run after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    storage: Storage,
    /// The run that is going on.
    run: Option<Current>,
    /// Who hears that an order is kept, of those that are not yet, oldest first.
    orders: VecDeque<Listener>,
    /// Why nothing is kept for now.
    obstacle: Option<String>,
    /// Whether nothing can be kept any more.
    lost: bool,
    planted: Planted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Nobody,
    /// The operator who asked for the run.
    Operator(RunId),
    /// The member whose update was counted.
    Member(Counted),
    /// Whoever watches the run: it is over once that is kept.
    Watchers,
    /// The clients of the model that came out of a round: it is not served without a number.
    Clients(Round),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Current {
    cadence: Cadence,
    history: History,
    /// The round after those that are committed.
    next: Round,
    /// The round that the last checkpoint opens, and when it was ordered.
    checkpointed: (Round, Time),
    /// Committed rounds that were not ordered yet.
    unkept: Vec<Commit>,
    /// When anything was ordered last.
    ordered: Time,
    /// The committed round that the run has not been told of: it waits for the disk.
    held: Option<Round>,
}

impl Keeping {
    /// No run yet.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self { storage, run: None, orders: VecDeque::new(), obstacle: None, lost: false, planted: Planted::default() }
    }

    /// The same with a bug in it, to see whether the simulation finds it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn with_bug(self, bug: Option<Bug>) -> Self {
        Self { planted: Planted::new(bug), ..self }
    }

    /// Takes an event at `now` and appends what the shell is to do, in order, to `out`. `now` never goes back. After
    /// [`Action::GiveUp`] nothing follows.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.lost {
            return;
        }
        match event {
            Event::Begun(begun) => self.begun(now, begun, out),
            Event::Committed(commit) => self.committed(now, commit, out),
            Event::Counted(counted) => self.counted(counted, out),
            Event::Evaluated { round } => self.evaluated(now, round, out),
            Event::Ended(ending) => self.ended(ending, out),
            Event::Kept => self.kept(out),
            Event::Delayed { why } => self.obstacle = Some(why),
            Event::Lost => {
                self.lost = true;
                out.push(Action::GiveUp);
            }
        }
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn view(&self) -> KeepingView {
        let model_waits = self.orders.iter().any(|order| matches!(order, Listener::Clients(_)));
        let held = model_waits || self.run.as_ref().is_some_and(|run| run.held.is_some());
        KeepingView {
            paused: self.obstacle.clone().filter(|_| held),
            again: self.run.as_ref().map_or(0, |run| run.history.ahead_of(run.next)),
        }
    }

    /// Orders that are not kept yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.orders.len()
    }

    fn begun(&mut self, now: Time, begun: Begun, out: &mut Vec<Action>) {
        let Begun { run, cadence, next, ledger, origin } = begun;
        let history = History::new(ledger);
        let checkpointed = (next, now);
        self.run = Some(Current { cadence, history, next, checkpointed, unkept: Vec::new(), ordered: now, held: None });
        match (origin, self.storage) {
            (Origin::Resumed, Storage::Durable | Storage::Absent) => {}
            (Origin::Asked, Storage::Durable) if self.planted.has(Bug::AcknowledgedTooEarly) => {
                out.push(Action::Acknowledge { run });
                self.order(Contents::Rows, Vec::new(), Listener::Nobody, out);
            }
            (Origin::Asked, Storage::Durable) => {
                self.order(Contents::Rows, Vec::new(), Listener::Operator(run), out);
            }
            // Nothing is kept at all, and that was said when the coordinator started.
            (Origin::Asked, Storage::Absent) => out.push(Action::Acknowledge { run }),
        }
    }

    /// A round is committed in memory: it is kept when that is due, and the run waits for it if it must.
    fn committed(&mut self, now: Time, commit: Commit, out: &mut Vec<Action>) {
        let idle = self.orders.is_empty();
        let Some(run) = &mut self.run else { return };
        let planted = |bug| self.planted.has(bug);
        if let Err(differs) = run.history.check(&commit)
            && !planted(Bug::LedgerNotCompared)
        {
            if planted(Bug::ContradictionKept) {
                run.unkept.push(commit);
            }
            return out.push(Action::Contradict(differs));
        }
        let (round, units) = (commit.round, commit.units);
        run.next = round.next();
        if self.storage == Storage::Absent {
            return out.push(Action::Step { round });
        }
        run.unkept.push(commit);
        let rows_are_due = match run.cadence.rows {
            Rows::Paced => idle && now.since(run.ordered) >= LEDGER_PACE,
            Rows::EachRound => true,
        };
        let complete = units >= run.cadence.units || planted(Bug::SkippedUnitsForgotten);
        let contents = match run.checkpoint_is_due(now) || !complete {
            true => Some(Contents::Whole),
            false => rows_are_due.then_some(Contents::Rows),
        };
        run.held = Some(round);
        if let Some(contents) = contents {
            run.ordered = now;
            if contents == Contents::Whole {
                run.checkpointed = (run.next, now);
            }
            let rounds = std::mem::take(&mut run.unkept);
            self.order(contents, rounds, Listener::Nobody, out);
        }
        self.go_on(out);
    }

    /// Whoever computed it may forget it once it is kept.
    fn counted(&mut self, counted: Counted, out: &mut Vec<Action>) {
        match self.storage {
            Storage::Durable if self.planted.has(Bug::AcceptedTooEarly) => {
                self.order(Contents::Update, Vec::new(), Listener::Nobody, out);
                out.push(Action::Accept(counted));
            }
            Storage::Durable => self.order(Contents::Update, Vec::new(), Listener::Member(counted), out),
            Storage::Absent => out.push(Action::Accept(counted)),
        }
    }

    /// A model was evaluated: its number is kept at once, with the rounds so far, and it is served when that is done.
    fn evaluated(&mut self, now: Time, round: Round, out: &mut Vec<Action>) {
        match (self.storage, &mut self.run) {
            (Storage::Durable, Some(run)) => {
                run.ordered = now;
                let rounds = std::mem::take(&mut run.unkept);
                self.order(Contents::Rows, rounds, Listener::Clients(round), out);
            }
            (Storage::Absent, _) => out.push(Action::Serve { round }),
            // Of a run that is over nothing more is served.
            (Storage::Durable, None) => {}
        }
    }

    fn ended(&mut self, ending: RunEnd, out: &mut Vec<Action>) {
        let Some(run) = self.run.take() else { return };
        if self.storage == Storage::Absent || self.planted.has(Bug::EndNotKept) {
            return out.push(Action::Tell);
        }
        let contents = match ending {
            RunEnd::Orderly => Contents::Whole,
            // The state after a failure is of no use; what was kept before stays.
            RunEnd::Failed => Contents::Rows,
        };
        self.order(contents, run.unkept, Listener::Watchers, out);
    }

    fn kept(&mut self, out: &mut Vec<Action>) {
        let mut served = None;
        match self.orders.pop_front() {
            Some(Listener::Operator(run)) => out.push(Action::Acknowledge { run }),
            Some(Listener::Member(counted)) => out.push(Action::Accept(counted)),
            Some(Listener::Watchers) => out.push(Action::Tell),
            Some(Listener::Clients(round)) => served = Some(Action::Serve { round }),
            Some(Listener::Nobody) | None => {}
        }
        self.obstacle = None;
        // The run first: clients have a model to ask meanwhile.
        if !self.planted.has(Bug::HeldRoundForgotten) {
            self.go_on(out);
        }
        out.extend(served);
    }

    fn order(&mut self, contents: Contents, rounds: Vec<Commit>, listener: Listener, out: &mut Vec<Action>) {
        self.orders.push_back(listener);
        out.push(Action::Keep { contents, rounds });
    }

    /// Tells the run that its round is committed, as soon as it need not wait.
    fn go_on(&mut self, out: &mut Vec<Action>) {
        if !self.must_wait()
            && let Some(round) = self.run.as_mut().and_then(|run| run.held.take())
        {
            out.push(Action::Step { round });
        }
    }

    /// Whether the next round waits for what was ordered.
    fn must_wait(&self) -> bool {
        let most = match self.run.as_ref().map(|run| run.cadence.durability) {
            Some(Durability::EveryRound) if !self.planted.has(Bug::OpenedTooEarly) => 0,
            Some(Durability::EveryRound | Durability::Checkpoint) | None => MAX_ORDERS,
        };
        self.orders.len() > most
    }
}

impl Current {
    /// Whether the state that was just committed is to be kept whole.
    fn checkpoint_is_due(&self, now: Time) -> bool {
        let Cadence { rounds, units: _, checkpoint_rounds, checkpoint_time, durability, rows: _ } = self.cadence;
        let (round, at) = self.checkpointed;
        durability == Durability::EveryRound
            || self.next.0 >= rounds
            || self.next.0 - round.0 >= checkpoint_rounds
            || now.since(at) >= checkpoint_time
    }
}
