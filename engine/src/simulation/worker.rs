//! A worker process: a real session in a shell that computes tiny sums.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::breach::Breach;
use super::coordinator::{partner, unit_value};
use super::fault::Identity;
use super::network::{Down, LinkId, Up};
use super::world::{Happening, World};
use crate::digest::{Digest, Domain};
use crate::id::{LeaseId, PartnerName, Time, WorkerId};
use crate::run::UpdateHeader;
use crate::session::{Action, Event, Exit, Session, SessionConfig, Task};

/// How much later than due a worker may act.
const SLACK: Duration = Duration::from_millis(1);

pub(super) struct Worker {
    pub(super) identity: WorkerId,
    pub(super) partner: PartnerName,
    pub(super) pace: Duration,
    /// Counts the process's lives; what was meant for an earlier one is lost.
    pub(super) life: u32,
    session: Option<Session>,
    timer: Option<Time>,
    pub(super) link: Option<LinkId>,
    /// The last link on which it was welcomed.
    token: Option<LinkId>,
    pub(super) stalled_until: Time,
    /// Added to the time of the next task.
    pub(super) hangs: Duration,
    /// Updates still to be damaged.
    pub(super) damages: u32,
    pub(super) sent_last: Option<(UpdateHeader, u64)>,
    busy_until: Time,
    sums: BTreeMap<LeaseId, (Digest, u64)>,
    forgotten: BTreeSet<LeaseId>,
    granted: BTreeSet<LeaseId>,
    welcome: bool,
    pub(super) paused: bool,
    said: Time,
    heard: Time,
}

impl Worker {
    fn new(identity: WorkerId, partner: PartnerName, pace: Duration) -> Self {
        Self {
            identity,
            partner,
            pace,
            life: 0,
            session: None,
            timer: None,
            link: None,
            token: None,
            stalled_until: Time(0),
            hangs: Duration::ZERO,
            damages: 0,
            sent_last: None,
            busy_until: Time(0),
            sums: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            granted: BTreeSet::new(),
            welcome: false,
            paused: false,
            said: Time(0),
            heard: Time(0),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.session.is_some()
    }

    /// The process ends and takes what it knew with it.
    pub(super) fn die(&mut self) {
        let Self { identity, partner, pace, life, .. } = self;
        *self = Self { life: *life + 1, ..Self::new(*identity, partner.clone(), *pace) };
    }

    fn disconnect(&mut self) -> Option<LinkId> {
        self.granted.clear();
        self.welcome = false;
        self.link.take()
    }

    /// Whether the session keeps the times that it promised.
    fn check_times(&self, now: Time, index: usize, heartbeat: Duration, silence: Duration) -> Result<(), Breach> {
        if !self.welcome {
            return Ok(());
        }
        if self.said.max(self.stalled_until).after(heartbeat).after(SLACK) < now {
            return Err(Breach::HeartbeatMissed { worker: index });
        }
        if self.heard.max(self.stalled_until).after(silence).after(SLACK) < now {
            return Err(Breach::SilenceUnnoticed { worker: index });
        }
        Ok(())
    }
}

impl World {
    /// Adds a process and starts it.
    pub(super) fn add_worker(&mut self, identity: WorkerId, pace: Duration) -> Result<(), Breach> {
        let index = self.workers.len();
        let partner = partner(index as u64 % u64::from(self.scenario.partners));
        self.workers.push(Worker::new(identity, partner, pace));
        self.start(index, Identity::Same)
    }

    pub(super) fn start(&mut self, index: usize, identity: Identity) -> Result<(), Breach> {
        if self.workers[index].is_running() {
            return Ok(());
        }
        let new = self.new_identity();
        let seed = self.dice.between(0, u64::MAX - 1);
        let worker = &mut self.workers[index];
        match identity {
            Identity::Same => {}
            Identity::New => worker.identity = new,
        }
        let silence = self.scenario.run.silence;
        let config = SessionConfig {
            seed,
            heartbeat: self.scenario.heartbeat,
            silence,
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(2_000),
            drain: Duration::from_millis(2_500),
        };
        worker.session = Some(Session::new(config).with_bug(self.bug));
        self.session_handles(index, Event::Tick)
    }

    pub(super) fn session_handles(&mut self, index: usize, event: Event) -> Result<(), Breach> {
        let now = self.now;
        self.trace(|| format!("worker {index} <- {event:?}"));
        let Some(session) = &mut self.workers[index].session else { return Ok(()) };
        let mut actions = Vec::new();
        session.handle(now, event, &mut actions);
        for action in actions {
            self.trace(|| format!("worker {index} -> {action:?}"));
            self.session_wants(index, action)?;
        }
        let (heartbeat, silence) = (self.scenario.heartbeat, self.scenario.run.silence);
        self.workers[index].check_times(now, index, heartbeat, silence)?;
        self.set_worker_timer(index);
        Ok(())
    }

    fn set_worker_timer(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let deadline = worker.session.as_ref().and_then(Session::deadline);
        if let Some(at) = deadline.filter(|at| worker.timer.is_none_or(|timer| *at < timer)) {
            worker.timer = Some(at);
            let life = worker.life;
            self.schedule_at(at, Happening::WorkerTimer { worker: index, life, at });
        }
    }

    pub(super) fn worker_timer(&mut self, index: usize, at: Time) -> Result<(), Breach> {
        let worker = &mut self.workers[index];
        if worker.timer == Some(at) {
            worker.timer = None;
        }
        let due = worker.session.as_ref().and_then(Session::deadline).is_some_and(|deadline| deadline <= self.now);
        match due {
            true => self.session_handles(index, Event::Tick),
            false => {
                self.set_worker_timer(index);
                Ok(())
            }
        }
    }

    pub(super) fn dialed(&mut self, index: usize) -> Result<(), Breach> {
        if self.dice.percent(5) || !self.coordinator.is_up() {
            return self.session_handles(index, Event::Disconnected { why: "connection refused".to_owned() });
        }
        let life = self.workers[index].life;
        let link = self.network.connect(index, life);
        self.workers[index].link = Some(link);
        self.session_handles(index, Event::Connected)
    }

    pub(super) fn worker_receives(&mut self, index: usize, link: LinkId, message: Down) -> Result<(), Breach> {
        let worker = &mut self.workers[index];
        worker.heard = self.now;
        let event = match message {
            Down::Welcome => {
                worker.token = Some(link);
                worker.welcome = true;
                let (heartbeat, silence) = (self.scenario.heartbeat, self.scenario.run.silence);
                Event::Welcomed { heartbeat, silence }
            }
            Down::Refused { why, retry } => Event::Refused { why, retry },
            Down::RunOpened { run } => Event::RunOpened { run },
            Down::Leased(task) => {
                worker.granted.insert(task.lease);
                Event::Leased(task)
            }
            Down::Answer { lease, answer } => Event::Answered { lease, answer },
            Down::RunClosed { run, how } => Event::RunClosed { run, how },
            Down::Heartbeat => Event::Heard,
        };
        self.session_handles(index, event)
    }

    pub(super) fn worker_sees_end(&mut self, index: usize) -> Result<(), Breach> {
        self.workers[index].disconnect();
        self.session_handles(index, Event::Disconnected { why: "connection reset".to_owned() })
    }

    /// The worker closes its end; the coordinator sees that after what was sent before.
    pub(super) fn worker_closes(&mut self, link: LinkId) {
        for at in self.network.end_up(&mut self.dice, self.now, link) {
            self.schedule_at(at, Happening::CoordinatorSeesEnd { link });
        }
    }

    fn session_wants(&mut self, index: usize, action: Action) -> Result<(), Breach> {
        let Worker { life, paused, .. } = self.workers[index];
        match action {
            Action::Compute(_) | Action::SendUpdate { .. } if paused => {
                return Err(Breach::WorksThoughPaused { worker: index });
            }
            Action::Connect => {
                let delay = self.dice.millis(0, 20);
                self.schedule(delay, Happening::Dialed { worker: index, life });
            }
            Action::Disconnect => {
                if let Some(link) = self.workers[index].disconnect() {
                    self.worker_closes(link);
                }
            }
            Action::SendHello => {
                let Worker { identity, partner, token, .. } = &self.workers[index];
                let hello = Up::Hello { identity: *identity, partner: partner.clone(), resume: *token };
                self.worker_sends(index, hello);
            }
            Action::Prepare { run } => {
                let delay = self.dice.millis(1, 60);
                self.schedule(delay, Happening::Prepared { worker: index, life, run });
            }
            Action::SendReady { run } => {
                let pace = self.workers[index].pace.as_micros() as u64;
                let milli_units_per_second = if self.dice.percent(20) { 0 } else { 1_000_000_000 / pace.max(1) };
                self.worker_sends(index, Up::Ready { run, milli_units_per_second });
            }
            Action::Compute(task) => self.compute(index, task),
            Action::Forget { lease } => {
                let worker = &mut self.workers[index];
                worker.sums.remove(&lease);
                worker.forgotten.insert(lease);
                worker.busy_until = self.now;
            }
            Action::SendUpdate { task, update } => self.send_update(index, task, update)?,
            Action::SendHeartbeat => self.worker_sends(index, Up::Heartbeat),
            Action::SendLeave => self.worker_sends(index, Up::Leave),
            Action::SendDeclined { .. } => self.worker_sends(index, Up::Declined),
            Action::Report(_) => {}
            Action::Exit(Exit::Drained | Exit::Refused { .. }) => {
                if let Some(link) = self.workers[index].disconnect() {
                    self.worker_closes(link);
                }
                self.workers[index].die();
                let delay = self.dice.millis(1, 3_000);
                self.schedule(delay, Happening::Started { worker: index, identity: Identity::Same });
            }
        }
        Ok(())
    }

    fn worker_sends(&mut self, index: usize, message: Up) {
        self.workers[index].said = self.now;
        if let Some(link) = self.workers[index].link {
            self.send_up(link, message);
        }
    }

    fn compute(&mut self, index: usize, task: Task) {
        let percent = self.dice.small(60, 150);
        let worker = &mut self.workers[index];
        let units = u32::try_from(task.units.len()).unwrap_or(u32::MAX);
        let takes = worker.pace * units * percent / 100 + std::mem::take(&mut worker.hangs);
        worker.forgotten.remove(&task.lease);
        worker.busy_until = worker.busy_until.max(self.now).after(takes);
        let (at, life) = (worker.busy_until, worker.life);
        self.schedule_at(at, Happening::Computed { worker: index, life, task });
    }

    pub(super) fn finished(&mut self, index: usize, task: Task) -> Result<(), Breach> {
        let sum =
            task.units.iter().fold(0u64, |sum, unit| sum.wrapping_add(unit_value(task.params, task.round, *unit)));
        let sum = self.reported(index, sum);
        let update = Digest::of(Domain::Update, &sum.to_le_bytes());
        let worker = &mut self.workers[index];
        if worker.forgotten.contains(&task.lease) {
            // The word to forget it crossed its result, or it was stopped in time.
            let crossed = self.dice.percent(50);
            return if crossed { self.session_handles(index, Event::Computed { task, update }) } else { Ok(()) };
        }
        worker.sums.insert(task.lease, (update, sum));
        self.session_handles(index, Event::Computed { task, update })
    }

    /// What the worker says that the sum is: nothing, what it sent last, twice the sum or anything else, if it lies.
    fn reported(&mut self, index: usize, sum: u64) -> u64 {
        let Worker { partner, sent_last, .. } = &self.workers[index];
        match &self.scenario.liars {
            Some((liar, percent)) if liar == partner && self.dice.percent(*percent) => {
                let last = sent_last.as_ref().map_or(1, |(_, sum)| *sum);
                self.dice.pick(&[0, last, sum.wrapping_mul(2), !sum])
            }
            Some(_) | None => sum,
        }
    }

    fn send_update(&mut self, index: usize, task: Task, update: Digest) -> Result<(), Breach> {
        let worker = &mut self.workers[index];
        if !worker.granted.contains(&task.lease) {
            return Err(Breach::SentUnderOldLease { worker: index, lease: task.lease });
        }
        let held = worker.sums.values().find(|(digest, _)| *digest == update);
        let &(_, sum) = held.ok_or(Breach::SumForgotten { worker: index })?;
        let header = UpdateHeader { round: task.round, lease: task.lease, units: task.units, digest: update };
        worker.sent_last = Some((header.clone(), sum));
        let damaged = worker.damages > 0;
        worker.damages = worker.damages.saturating_sub(1);
        self.totals.forgeries += u64::from(damaged);
        self.worker_sends(index, Up::Update { header, sum: if damaged { !sum } else { sum } });
        Ok(())
    }
}
