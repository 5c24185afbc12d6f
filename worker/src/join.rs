//! The one task that owns a worker: it turns what happens into events, and executes what the session decides.

mod receipts;
mod receive;
mod wishes;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use syngrad_common::limits::{PROTOCOL_MAX, PROTOCOL_MIN};
use syngrad_common::transport;
use syngrad_common::wire::{Declined, Fence, Hello, LeasedUnit, Ready, ResumeToken, RunOpened, ToCoordinator};
use syngrad_common::{Code, Failure};
use syngrad_engine::session::{Action, Cause, Event, Exit, Session, Task};
use syngrad_engine::{Digest, LeaseId, Round, RunId, Time};

use tokio::sync::oneshot;

use crate::config::Config;
use crate::control::{Asked, Control, WorkerStatus};
use crate::data::{Assignment, Data, Fetched, Obstacle};
use crate::guard::{Border, Guard, Held, Ledger, StateFolder};
use crate::link::{Happening, Link};
use crate::reading::Reading;
use crate::report::{self, Reporter};
use crate::round::Rounds;
use crate::sums::Sums;
use crate::trainer::{Job, Owner, Prepared, Product, Trainer};

/// Time in which the last words must have gone out.
const FAREWELL: Duration = Duration::from_secs(1);

/// Works for the coordinator that `config` names until `shutdown` is done and the tasks in hand are answered.
/// Connections that fail are made again; `reporter` hears of it.
///
/// It belongs on a `current_thread` runtime; what computes has a thread of its own.
///
/// # Errors
/// [`Failure`] if the address is not allowed, the coordinator refuses this worker for good, or the worker is broken.
pub async fn join(config: Config, reporter: impl Reporter, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
    transport::permit(&config.address, &config.security)?;
    let mut worker = Worker::new(config, reporter)?;
    worker.begin();
    let journal = worker.border.journal.clone();
    let broken = journal.broken();
    tokio::pin!(shutdown, broken);
    let mut asked = false;
    let end = loop {
        let deadline = worker.session.deadline().map(|deadline| worker.clock.instant(deadline));
        let happened = tokio::select! {
            asked = worker.control.next() => Happened::Wished(asked),
            () = at(worker.look_again) => Happened::ClockMoved,
            failure = &mut broken => return Err(failure),
            happening = worker.link.next() => Happened::OnLink(happening),
            product = worker.trainer.next() => Happened::Made(product?),
            fetched = worker.data.next() => Happened::Fetched(fetched),
            proof = worker.reading.next() => Happened::Proved(proof),
            () = at(deadline) => Happened::Tick,
            () = &mut shutdown, if !asked => Happened::Asked,
        };
        asked |= matches!(happened, Happened::Asked);
        let reply = worker.take(happened)?;
        let end = worker.settle()?;
        if let Some(reply) = reply {
            // Whoever asked may not wait for the answer.
            let _ = reply.send(worker.status());
        }
        if let Some(end) = end {
            break end;
        }
    };
    worker.end(end).await
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

enum Happened {
    OnLink(Happening),
    Made(Product),
    Fetched(Fetched),
    Proved(Result<Vec<Digest>, Failure>),
    Tick,
    Asked,
    Wished(Asked),
    ClockMoved,
}

/// The session's time, counted from the start of the worker.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Time {
        Time(0).after(self.0.elapsed())
    }

    fn instant(self, time: Time) -> Instant {
        self.0 + time.since(Time(0))
    }
}

/// A run that is open to this worker.
struct Run {
    opened: RunOpened,
    prepared: Option<Box<Prepared>>,
    guard: Option<Guard>,
    /// Why this worker takes no part in it.
    objection: Option<Failure>,
}

/// Units of a lease, until the session asks for their sum.
struct Grant {
    lease: LeaseId,
    round: Round,
    units: Vec<LeasedUnit>,
}

struct Worker<R> {
    config: Config,
    clock: Clock,
    session: Session,
    reporter: R,
    link: Link,
    trainer: Trainer,
    border: Border,
    control: Control,
    /// When the hours and the bytes of the day are looked at next.
    look_again: Option<Instant>,
    rounds: Rounds,
    data: Data,
    sums: Sums,
    reading: Reading,
    resume: Option<ResumeToken>,
    run: Option<Run>,
    grant: Option<Grant>,
    /// The last thing that went wrong, for the code of the report that follows.
    trouble: Option<Failure>,
    /// The latest coordinator heard of.
    fence: Option<Fence>,
    /// When another worker was first said to have this one's identity.
    identity_taken: Option<Time>,
    events: VecDeque<Event>,
}

impl<R: Reporter> Worker<R> {
    fn new(config: Config, reporter: R) -> Result<Self, Failure> {
        let border = Border::new(config.policy.clone(), StateFolder::open(&config.state)?)?;
        Ok(Self {
            clock: Clock(Instant::now()),
            session: Session::new(config.session()),
            reporter,
            link: Link::new(config.address.clone(), config.security.clone(), border.journal.clone()),
            trainer: Trainer::start(
                config.device,
                Owner { partner: config.partner.clone(), data: config.data.clone() },
                border.restraint(),
            )?,
            control: Control::open(border.folder())?,
            look_again: None,
            rounds: Rounds::default(),
            data: Data::new(border.cache(config.cache_bytes)),
            sums: Sums::default(),
            reading: Reading::new(
                config.worker,
                config.keys.clone(),
                border.folder().map(|folder| folder.path().to_owned()),
            ),
            resume: None,
            run: None,
            grant: None,
            trouble: None,
            fence: None,
            identity_taken: None,
            events: VecDeque::new(),
            border,
            config,
        })
    }

    /// Takes what happened; gives where the worker's status goes, if somebody asked for it.
    fn take(&mut self, happened: Happened) -> Result<Option<oneshot::Sender<WorkerStatus>>, Failure> {
        match happened {
            Happened::OnLink(Happening::Connected) => self.events.push_back(Event::Connected),
            Happened::OnLink(Happening::Message(message)) => {
                if let Err(failure) = self.receive(message) {
                    self.lose(failure);
                }
            }
            Happened::OnLink(Happening::Lost(failure)) => self.lose(failure),
            Happened::Made(product) => self.made(product),
            Happened::Fetched(fetched) => self.fetched(fetched)?,
            Happened::Proved(proof) => self.proved(proof),
            Happened::Tick => self.events.push_back(Event::Tick),
            Happened::Asked => self.events.push_back(Event::Drain),
            Happened::Wished(Asked { wish, reply }) => {
                self.wished(wish);
                return Ok(Some(reply));
            }
            Happened::ClockMoved => self.look_at_clock(),
        }
        Ok(None)
    }

    /// Lets the session decide until there is nothing left to decide.
    fn settle(&mut self) -> Result<Option<Exit>, Failure> {
        let mut actions = Vec::new();
        while let Some(event) = self.events.pop_front() {
            self.session.handle(self.clock.now(), event, &mut actions);
            for action in actions.drain(..) {
                if let Some(exit) = self.act(action)? {
                    return Ok(Some(exit));
                }
            }
        }
        Ok(None)
    }

    async fn end(mut self, exit: Exit) -> Result<(), Failure> {
        self.reading.interrupt();
        let Self { link, trouble, border, .. } = self;
        if exit == Exit::Drained {
            // What has not gone out by then would not have gone out later either.
            let _ = tokio::time::timeout(FAREWELL, link.finish()).await;
        }
        border.close();
        match exit {
            Exit::Drained => Ok(()),
            Exit::Refused { why } => {
                let code = trouble.map_or(Code::NotAuthorized, |failure| failure.code);
                Err(Failure::new(code, why))
            }
        }
    }

    fn act(&mut self, action: Action) -> Result<Option<Exit>, Failure> {
        match action {
            Action::Connect => self.link.dial(),
            Action::Disconnect => self.hang_up(),
            Action::SendHello => self.say(ToCoordinator::Hello(self.hello())),
            Action::SendHeartbeat => self.say(ToCoordinator::Heartbeat),
            Action::SendLeave => self.say(ToCoordinator::Leave { why: "this worker was asked to stop".to_owned() }),
            Action::Prepare { run } => self.prepare(run)?,
            Action::SendReady { run } => self.ready(run),
            Action::SendDeclined { run, why } => self.decline(run, why),
            Action::Compute(task) => self.compute(task)?,
            Action::Forget { lease } => {
                self.data.forget(lease);
                self.sums.forget(lease);
                self.trainer.forget(lease)?;
            }
            Action::SendUpdate { task, update } => self.send_update(&task, update),
            Action::Report(report) => {
                let line = report::put(report, self.clock.now(), self.trouble.as_ref(), &self.ledger());
                self.reporter.line(line);
            }
            Action::Exit(exit) => return Ok(Some(exit)),
        }
        Ok(None)
    }

    fn hello(&self) -> Hello {
        Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            build: self.config.build.clone(),
            worker: self.config.worker,
            partner: self.config.partner.clone(),
            resume: self.resume,
        }
    }

    fn say(&mut self, message: ToCoordinator) {
        if let Err(failure) = self.link.send(message) {
            self.lose(failure);
        }
    }

    /// The link is down, or of no more use.
    fn lose(&mut self, failure: Failure) {
        self.hang_up();
        tracing::debug!(code = %failure.code, why = %failure, "the link is lost");
        self.events.push_back(Event::Disconnected { why: failure.message.clone() });
        self.trouble = Some(failure);
    }

    fn hang_up(&mut self) {
        self.link.close();
        self.rounds.interrupt();
        self.data.interrupt();
        self.reading.interrupt();
        self.grant = None;
    }

    fn prepare(&mut self, run: RunId) -> Result<(), Failure> {
        let Some(known) = self.run.as_ref().filter(|known| known.opened.run == run) else { return Ok(()) };
        match self.border.admit(&known.opened, self.host(), self.config.data.as_deref()) {
            Ok(()) => self.trainer.prepare(known.opened.clone()),
            Err(failure) => {
                self.unfit(run, failure);
                Ok(())
            }
        }
    }

    fn decline(&mut self, run: RunId, why: String) {
        let objection =
            self.run.as_ref().filter(|known| known.opened.run == run).and_then(|run| run.objection.as_ref());
        let why = match objection {
            Some(failure) => format!("{}: {why}", failure.code),
            None => why,
        };
        self.say(ToCoordinator::Declined(Declined { run, why }));
    }

    fn ready(&mut self, run: RunId) {
        let Some(prepared) = self.prepared(run) else { return };
        let ready = Ready {
            run,
            layout: prepared.layout.digest(),
            fingerprint: prepared.fingerprint,
            milli_units_per_second: prepared.milli_units_per_second,
            data: prepared.own.as_ref().and(self.config.data.as_ref()).map(|own| self.border.digest_of(own, run)),
        };
        self.say(ToCoordinator::Ready(ready));
    }

    fn prepared(&self, run: RunId) -> Option<&Prepared> {
        self.run.as_ref().filter(|known| known.opened.run == run).and_then(|known| known.prepared.as_deref())
    }

    fn ledger(&self) -> Ledger {
        let guard = self.run.as_ref().and_then(|run| run.guard.as_ref());
        guard.map_or_else(Ledger::default, Guard::ledger)
    }

    fn compute(&mut self, task: Task) -> Result<(), Failure> {
        let open = self.rounds.open().filter(|open| open.digest == task.params).cloned();
        let grant = self.grant.take().filter(|grant| grant.lease == task.lease && grant.round == task.round);
        // The session asks for what it was just told of; a grant that is gone went with its link.
        let (Some(round), Some(grant)) = (open, grant) else { return Ok(()) };
        match self.data.take(Assignment { task, round, units: grant.units }) {
            Some(job) => self.order(job),
            None => {
                self.fetch_missing();
                Ok(())
            }
        }
    }

    fn order(&mut self, mut job: Job) -> Result<(), Failure> {
        job.memory = self.sums.memory();
        self.trainer.compute(job)
    }

    fn fetch_missing(&mut self) {
        let prepared = self.run.as_ref().and_then(|run| run.prepared.as_deref());
        if let (Some(client), Some(resume), Some(prepared)) = (self.link.client(), self.resume, prepared) {
            self.data.fetch_missing(&client, resume, &prepared.plan);
        }
    }

    fn send_update(&mut self, task: &Task, update: Digest) {
        let Some(known) = &mut self.run else { return };
        let (Some(guard), Some(sum)) = (&mut known.guard, self.sums.send(update, task.lease)) else { return };
        let released = guard.release(task, sum).map_err(Held::ForGood);
        let released = released.and_then(|mut released| {
            self.border.release(task, released.update.payload_bytes)?;
            let plan = known.prepared.as_deref().map(|prepared| &prepared.plan);
            released.sign(plan.and_then(|plan| self.reading.sign(task, &released.update, plan)));
            guard.sent(&released);
            Ok(released)
        });
        match released {
            Ok(released) => {
                if let Err(failure) = self.link.send_update(released) {
                    self.lose(failure);
                }
                if !self.border.has_room() {
                    self.events.push_back(Event::Pause(Cause::Spent));
                }
            }
            Err(Held::ForToday(failure)) => {
                self.trouble = Some(failure);
                self.events.push_back(Event::Pause(Cause::Spent));
            }
            Err(Held::ForGood(failure)) => self.unfit(task.run, failure),
        }
    }

    fn unfit(&mut self, run: RunId, failure: Failure) {
        let why = failure.message.clone();
        if let Some(known) = self.run.as_mut().filter(|known| known.opened.run == run) {
            known.objection = Some(failure.clone());
        }
        self.trouble = Some(failure);
        self.events.push_back(Event::Unfit { run, why });
    }

    fn made(&mut self, product: Product) {
        match product {
            Product::Prepared(run, prepared) => {
                if let Some(known) = self.run.as_mut().filter(|known| known.opened.run == run) {
                    self.reading.begin(run, &prepared);
                    known.guard = Some(Guard::new(run, prepared.layout.clone()));
                    self.data.own(prepared.own.clone());
                    known.prepared = Some(prepared);
                }
                self.events.push_back(Event::Prepared { run });
            }
            Product::Unfit(run, failure) => self.unfit(run, failure),
            Product::Computed(task, sum) => {
                let update = sum.digest;
                if let Some(guard) = self.run.as_mut().and_then(|run| run.guard.as_mut()) {
                    guard.computed(sum.units.len());
                }
                self.sums.keep(task.lease, task.round, *sum);
                self.events.push_back(Event::Computed { task, update });
            }
            Product::Failed(task, failure) => {
                let why = failure.message.clone();
                if let Some(known) = self.run.as_mut().filter(|known| known.opened.run == task.run) {
                    known.objection = Some(failure.clone());
                }
                self.trouble = Some(failure);
                self.events.push_back(Event::Failed { task, why });
            }
        }
    }

    fn fetched(&mut self, fetched: Fetched) -> Result<(), Failure> {
        let (shard, outcome) = fetched.into_parts();
        match outcome {
            Ok((samples, bytes)) => {
                if let Some(guard) = self.run.as_mut().and_then(|run| run.guard.as_mut()) {
                    guard.received_shard(bytes);
                }
                for job in self.data.arrived(shard, samples, bytes) {
                    self.order(job)?;
                }
                self.fetch_missing();
            }
            Err(Obstacle::Damaged(failure)) => {
                for task in self.data.unobtainable(shard) {
                    self.events.push_back(Event::Failed { task, why: failure.message.clone() });
                }
                self.trouble = Some(failure);
            }
            // A new link brings new leases, and with them the right to ask again.
            Err(Obstacle::Unavailable(failure)) => {
                self.data.missed(shard);
                self.lose(failure);
            }
        }
        Ok(())
    }
}
