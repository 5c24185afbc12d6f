//! The one owner of who is connected and of the current run.
//!
//! ```text
//!   sessions ─┐                          ┌─► outboxes
//!   operator ─┼─► Message ─► Driver ─────┼─► run status (watch)
//!   evaluator ┘      │  ▲     Run::handle└─► served model (watch)
//!                    ▼  │ actions
//!                 TrainingState, Aggregate
//! ```
//!
//! One task, one queue: what happens to a run has one order, and no lock. It never waits for a worker: what it sends
//! goes into bounded outboxes, and a full one is an event like any other.

mod admission;
mod audits;
mod keeping;
mod message;
mod operator;
mod receipts;
mod rounds;
mod sessions;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use syngrad_common::limits::DRIVER_QUEUE;
use syngrad_common::wire::Fence;
use syngrad_common::{Code, Failure};
use syngrad_engine::keeping::{Keeping, Storage};
use syngrad_engine::run::{Action, Event};
use syngrad_engine::{LeaseId, MemberId, RunId, Time};
use syngrad_store::{Folder, Keeper, Left, Told};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub(crate) use message::{Arrival, Delivery, Message, Reply, Seated, ShardRequest, StartRun};

use crate::active::{ActiveRun, Intake};
use crate::config::Config;
use crate::governance::Standing;
use crate::prepare::Cache;
use crate::recall;
use crate::receipts::Publication;
use crate::roster::Roster;
use crate::served::ServedModel;
use crate::status::{RunStatus, RunWatch};
use operator::Preparing;

/// Time for the open round to be committed when the process is to end.
const DRAIN: Duration = Duration::from_secs(5);

/// How far away the timer is set when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What the rest of the coordinator has of the driver.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    /// Where messages go.
    pub(crate) inbox: mpsc::Sender<Message>,
    /// What updates are held to now.
    pub(crate) intake: watch::Receiver<Intake>,
    /// The model that is served.
    pub(crate) served: watch::Receiver<Option<Arc<ServedModel>>>,
}

impl Handle {
    /// Hands the driver a message; waits while its queue is full.
    ///
    /// # Errors
    /// [`Failure`] when the coordinator is shutting down.
    pub(crate) async fn tell(&self, message: Message) -> Result<(), Failure> {
        self.inbox.send(message).await.map_err(|_| shutting_down())
    }
}

/// Whether runs may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As usual.
    Serving,
    /// The open round may be committed until then; nothing new begins.
    Draining { until: Instant },
    /// Everyone has been told.
    Over,
}

/// A run's last status, and where it is told.
type Ending = (watch::Sender<Arc<RunStatus>>, Arc<RunStatus>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Driver {
    config: Config,
    /// Who takes part; nobody is asked where the coordinator is not protected.
    standing: Standing,
    inbox: mpsc::Receiver<Message>,
    /// For the tasks that the driver starts, which report back.
    own_inbox: mpsc::WeakSender<Message>,
    origin: Instant,
    mode: Mode,
    roster: Roster,
    refused_sessions: u64,
    next_member: u64,
    first_lease: LeaseId,
    /// Who this coordinator is, for workers; none if nothing is kept.
    fence: Option<Fence>,
    active: Option<ActiveRun>,
    preparing: Option<Preparing>,
    cache: Cache,
    /// Finished runs, newest first.
    history: VecDeque<RunWatch>,
    intake: watch::Sender<Intake>,
    served: watch::Sender<Option<Arc<ServedModel>>>,
    models_served: u64,
    /// Last states of runs whose end is not kept yet, oldest first.
    endings: VecDeque<Ending>,
    /// Models that are evaluated and wait for their number, oldest first.
    unnumbered: VecDeque<ServedModel>,
    /// What keeps the state; none if it is not kept.
    keeper: Option<Keeper>,
    /// What is ordered of it, and when.
    keeping: Keeping,
    /// Records that go out once they are durable, of each order that is not kept yet, oldest first.
    unpublished: VecDeque<(RunId, Vec<Publication>)>,
    /// Who hears that a run is kept.
    starting: BTreeMap<RunId, Reply<RunId>>,
    /// Why the coordinator cannot go on.
    failure: Option<Failure>,
    events: VecDeque<Event>,
    actions: Vec<Action>,
}

impl Driver {
    /// A driver without a run, and what the others need of it.
    pub(crate) fn new(config: Config, standing: Standing) -> (Self, Handle) {
        let (sender, inbox) = mpsc::channel(DRIVER_QUEUE);
        let (intake, intake_reader) = watch::channel(Intake::default());
        let (served, served_reader) = watch::channel(None);
        let driver = Self {
            config,
            standing,
            inbox,
            own_inbox: sender.downgrade(),
            origin: Instant::now(),
            mode: Mode::Serving,
            roster: Roster::default(),
            refused_sessions: 0,
            next_member: 0,
            first_lease: LeaseId::default(),
            fence: None,
            active: None,
            preparing: None,
            cache: Cache::default(),
            history: VecDeque::new(),
            intake,
            served,
            models_served: 0,
            endings: VecDeque::new(),
            unnumbered: VecDeque::new(),
            keeper: None,
            keeping: Keeping::new(Storage::Absent),
            unpublished: VecDeque::new(),
            starting: BTreeMap::new(),
            failure: None,
            events: VecDeque::new(),
            actions: Vec::new(),
        };
        (driver, Handle { inbox: sender, intake: intake_reader, served: served_reader })
    }

    /// Keeps its state in `folder` from now on: tells of the runs that ended, serves the model that was served, and goes
    /// on with the run that is unfinished.
    ///
    /// # Errors
    /// If the run's spec cannot be read, or the system gives no thread.
    pub(crate) fn keep_in(&mut self, folder: Folder, left: Left) -> Result<(), Failure> {
        self.first_lease = folder.first_lease();
        self.fence = Some(folder.fence());
        let driver = self.own_inbox.clone();
        let tell = move |kept| {
            let is_heard = driver.upgrade().is_some_and(|driver| driver.blocking_send(Message::Kept(kept)).is_ok());
            if is_heard { Told::Heard } else { Told::Nobody }
        };
        let keeper = Keeper::start(folder, tell)
            .map_err(|why| Failure::new(Code::Internal, format!("the keeper's thread cannot start: {why}")))?;
        self.keeper = Some(keeper);
        self.keeping = Keeping::new(Storage::Durable);
        let Left { unfinished, ended, served } = left;
        self.history.extend(recall::ended(ended));
        if let Some(model) = served.as_ref().and_then(recall::served) {
            self.served.send_replace(Some(Arc::new(model)));
        }
        unfinished.map_or(Ok(()), |unfinished| self.resume(unfinished))
    }

    /// Works until it is drained or nobody is left to send messages; then waits until all is kept.
    ///
    /// # Errors
    /// Why it could not go on, if that is why it ends.
    pub(crate) async fn work(mut self) -> Result<(), Failure> {
        self.go_round().await;
        if let Some(keeper) = self.keeper.take() {
            // Messages of the keeper, which nobody reads any more, must not hold it up.
            self.inbox.close();
            let finished = tokio::task::spawn_blocking(|| keeper.finish()).await;
            debug_assert!(finished.is_ok(), "waiting for a thread does not panic");
            if let Ok(Err(why)) = finished {
                self.failure.get_or_insert(why.into());
            }
        }
        self.failure.map_or(Ok(()), Err)
    }

    async fn go_round(&mut self) {
        let timer = sleep_until(self.origin + IDLE);
        tokio::pin!(timer);
        while self.mode != Mode::Over {
            let due = self.due();
            // Deadlines move with every message, nearly always further away: the timer is moved only for a nearer one,
            // and looks again when it fires.
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                () = &mut timer => self.tick(),
            }
            self.leave_if_drained();
        }
    }

    /// When something is due without a message.
    fn due(&self) -> Instant {
        let run = self.active.as_ref().and_then(ActiveRun::deadline).map(|time| self.instant(time));
        let drain = match self.mode {
            Mode::Draining { until } => Some(until),
            Mode::Serving | Mode::Over => None,
        };
        run.into_iter().chain(drain).min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn tick(&mut self) {
        let now = self.now();
        if self.active.as_ref().and_then(ActiveRun::deadline).is_some_and(|deadline| deadline <= now) {
            self.feed(Event::Tick);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Arrived(arrival) => self.arrived(arrival),
            Message::HandshakeRefused => self.count_refusal(),
            Message::Ready { session, ready } => self.ready(session, &ready),
            Message::Declined { session, declined } => self.declined(session, &declined),
            Message::Update(delivery) => self.delivered(delivery),
            Message::Malformed { session, update, why } => self.malformed(session, &update, why),
            Message::Expelled { session, failure } => self.expelled(session, failure),
            Message::Heard(session) => self.heard(session),
            Message::Barred(bar) => self.barred(&bar),
            Message::CountWorkers { reply } => self.count_workers(reply),
            Message::Gone { session, why } => self.gone(session, &why),
            Message::FetchShard(request) => self.fetch_shard(request),
            Message::Judged(judged) => self.judged(judged),
            Message::Evaluated(verdict) => self.evaluated(verdict),
            Message::Prepared(outcome) => self.prepared(outcome),
            Message::Kept(kept) => self.kept(kept),
            Message::Start(start) => self.start(*start),
            Message::Stop { run, reply } => self.stop(run, reply),
            Message::Find { run, reply } => self.look_up(run, reply),
            Message::List { reply } => self.list(reply),
            Message::Drain => self.drain(),
        }
    }

    /// Gives the open round, if there is one, [`DRAIN`] to be committed; nothing new begins.
    fn drain(&mut self) {
        if self.mode == Mode::Serving {
            self.mode = Mode::Draining { until: Instant::now() + DRAIN };
        }
    }

    /// Says goodbye to everyone once a drain has nothing left to wait for, or has waited long enough.
    fn leave_if_drained(&mut self) {
        let Mode::Draining { until } = self.mode else { return };
        let is_collecting = self.active.as_ref().is_some_and(ActiveRun::is_collecting);
        if is_collecting && Instant::now() < until {
            return;
        }
        self.feed(Event::Stop);
        self.mode = Mode::Over;
        self.dismiss_everyone();
    }

    fn now(&self) -> Time {
        Time::default().after(self.origin.elapsed())
    }

    fn instant(&self, time: Time) -> Instant {
        self.origin + time.since(Time::default())
    }

    fn new_member(&mut self) -> MemberId {
        self.next_member += 1;
        MemberId(self.next_member)
    }
}

/// What anyone hears who asks for something now.
pub(crate) fn shutting_down() -> Failure {
    Failure::new(Code::ShuttingDown, "the coordinator is shutting down")
}
