//! Virtual time: everything happens at a moment, in a fixed order.

use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::time::Duration;

use super::breach::Breach;
use super::coordinator::Coordinator;
use super::dice::Dice;
use super::disk::Disk;
use super::fault::{Fault, Identity};
use super::keeper::Keeper;
use super::network::{Down, LinkId, Network, Up};
use super::notary::Notary;
use super::referee::Referee;
use super::scenario::Scenario;
use super::worker::Worker;
use super::{Summary, Totals, Trace, Violation};
use crate::digest::Digest;
use crate::id::{LeaseId, Round, RunId, Time};
use crate::keeping::{self, Epoch};
use crate::planted::Bug;
use crate::run::{self, Outcome};
use crate::session::{self, Task};

/// How long a world goes on after its run is over: what is under way then must do no harm.
const AFTERMATH: Duration = Duration::from_millis(500);

/// What can happen at a moment. What is meant for a worker's process names the life it is meant for.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    ArrivesUp { link: LinkId, message: Up },
    ArrivesDown { link: LinkId, message: Down },
    WorkerSeesEnd { link: LinkId },
    CoordinatorSeesEnd { link: LinkId },
    Dialed { worker: usize, life: u32 },
    Prepared { worker: usize, life: u32, run: RunId },
    Computed { worker: usize, life: u32, task: Task },
    WorkerTimer { worker: usize, life: u32, at: Time },
    CoordinatorTimer { at: Time },
    CoordinatorBeats,
    CoordinatorStarts,
    Stepped { epoch: Epoch, round: Round, params: Digest, units: usize },
    Evaluated { epoch: Epoch, round: Round },
    Judged { epoch: Epoch, round: Round, lease: LeaseId, truth: Digest },
    Written { epoch: Epoch },
    WritesAgain { epoch: Epoch },
    Strikes(Fault),
    Resumes { worker: usize, life: u32 },
    Started { worker: usize, identity: Identity },
    KilledForGood { worker: usize },
}

pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) bug: Option<Bug>,
    pub(super) dice: Dice,
    pub(super) now: Time,
    queue: BTreeMap<(Time, u64), Happening>,
    scheduled: u64,
    pub(super) network: Network,
    pub(super) coordinator: Coordinator,
    pub(super) referee: Referee,
    pub(super) notary: Notary,
    pub(super) disk: Disk,
    /// The keeper of each coordinator that still writes.
    pub(super) keepers: BTreeMap<Epoch, Keeper>,
    mishaps: VecDeque<(u64, Fault)>,
    /// How often an operator asked for the run.
    pub(super) asked: u8,
    /// Rounds that were committed when the coordinator died last.
    pub(super) reached: u32,
    /// Wrong computations that are still to come, and whether there was one.
    pub(super) errors: u32,
    pub(super) has_erred: bool,
    /// When the run must be over.
    pub(super) end: Time,
    /// How the run ended, for good.
    pub(super) finished: Option<Outcome>,
    pub(super) workers: Vec<Worker>,
    pub(super) identities: u64,
    /// The payload of the update that the run judges.
    pub(super) payload: u64,
    pub(super) totals: Totals,
    trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(scenario: Scenario, bug: Option<Bug>, trace: Trace) -> Self {
        Self {
            dice: Dice::new(scenario.seed, 1),
            now: Time(0),
            queue: BTreeMap::new(),
            scheduled: 0,
            network: Network::new(scenario.order, scenario.delay),
            coordinator: Coordinator::unborn(&scenario),
            referee: Referee::new(scenario.run.clone()),
            notary: Notary::new(scenario.storage, scenario.cadence.durability),
            disk: Disk::new(bug),
            keepers: BTreeMap::new(),
            mishaps: scenario.mishaps.iter().copied().collect(),
            asked: 0,
            reached: 0,
            errors: 0,
            has_erred: false,
            end: scenario.end_by(),
            finished: None,
            workers: Vec::new(),
            identities: 0,
            payload: 0,
            totals: Totals::default(),
            trace: match trace {
                Trace::On => Some(Vec::new()),
                Trace::Off => None,
            },
            bug,
            scenario,
        }
    }

    /// Lets everything happen until the run is over.
    pub(super) fn live(mut self) -> Result<Summary, Box<Violation>> {
        let seed = self.scenario.seed;
        match self.live_on() {
            Err(breach) => {
                Err(Box::new(Violation { seed, at: self.now, breach, trace: self.trace.unwrap_or_default() }))
            }
            Ok(()) => {
                self.totals.add_counters(&self.coordinator.run.view().counters);
                let outcome = self.finished.expect("a world ends with its run");
                Ok(Summary { outcome, took: self.now, totals: self.totals, trace: self.trace.unwrap_or_default() })
            }
        }
    }

    fn live_on(&mut self) -> Result<(), Breach> {
        self.begin()?;
        let mut over = None;
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            if over.is_some_and(|over: Time| over.after(AFTERMATH) < at) {
                break;
            }
            if over.is_none() && at > self.end {
                return Err(Breach::NotOverInTime(self.coordinator.run.waiting_for().to_string()));
            }
            self.now = at;
            self.totals.events += 1;
            while let Some((_, fault)) = self.mishaps.pop_front_if(|(number, _)| *number <= self.totals.events) {
                self.strikes(fault)?;
            }
            self.happens(happening)?;
            if over.is_none() && self.finished.is_some() {
                over = Some(self.now);
                self.check_bits()?;
            }
        }
        self.check_bits()
    }

    fn begin(&mut self) -> Result<(), Breach> {
        self.coordinator_starts()?;
        for (at, fault) in self.scenario.faults.clone() {
            self.schedule_at(at, Happening::Strikes(fault));
        }
        self.schedule(self.scenario.heartbeat, Happening::CoordinatorBeats);
        for pace in self.scenario.paces.clone() {
            let identity = self.new_identity();
            self.add_worker(identity, pace)?;
        }
        Ok(())
    }

    fn strikes(&mut self, fault: Fault) -> Result<(), Breach> {
        self.trace(|| format!("fault {fault:?}"));
        self.strike(fault)
    }

    /// Whether the coordinator of `epoch` is the one that is there.
    fn is_present(&self, epoch: Epoch) -> bool {
        self.coordinator.is_up() && self.coordinator.epoch == epoch
    }

    pub(super) fn schedule(&mut self, delay: Duration, happening: Happening) {
        self.schedule_at(self.now.after(delay), happening);
    }

    pub(super) fn schedule_at(&mut self, at: Time, happening: Happening) {
        self.scheduled += 1;
        self.queue.insert((at.max(self.now), self.scheduled), happening);
    }

    pub(super) fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12} {}", self.now.0 / 1_000, line()));
        }
    }

    pub(super) fn send_up(&mut self, link: LinkId, message: Up) {
        let arrivals = self.network.up(&mut self.dice, self.now, link, &message);
        let copies = iter::repeat_n(message, arrivals.len());
        for (at, message) in arrivals.into_iter().zip(copies) {
            self.schedule_at(at, Happening::ArrivesUp { link, message });
        }
    }

    pub(super) fn send_down(&mut self, link: LinkId, message: Down) {
        let arrivals = self.network.down(&mut self.dice, self.now, link, &message);
        let copies = iter::repeat_n(message, arrivals.len());
        for (at, message) in arrivals.into_iter().zip(copies) {
            self.schedule_at(at, Happening::ArrivesDown { link, message });
        }
    }

    fn happens(&mut self, happening: Happening) -> Result<(), Breach> {
        let worker = match &happening {
            Happening::ArrivesDown { link, .. } | Happening::WorkerSeesEnd { link } => {
                let (worker, life) = (self.network.link(*link).worker, self.network.link(*link).life);
                Some((worker, life)).filter(|_| self.workers[worker].link == Some(*link))
            }
            Happening::Dialed { worker, life }
            | Happening::Prepared { worker, life, .. }
            | Happening::Computed { worker, life, .. }
            | Happening::Resumes { worker, life }
            | Happening::WorkerTimer { worker, life, .. } => Some((*worker, *life)),
            Happening::ArrivesUp { .. }
            | Happening::CoordinatorSeesEnd { .. }
            | Happening::CoordinatorTimer { .. }
            | Happening::CoordinatorBeats
            | Happening::CoordinatorStarts
            | Happening::Stepped { .. }
            | Happening::Evaluated { .. }
            | Happening::Judged { .. }
            | Happening::Written { .. }
            | Happening::WritesAgain { .. }
            | Happening::Strikes(_)
            | Happening::Started { .. }
            | Happening::KilledForGood { .. } => return self.happens_elsewhere(happening),
        };
        let Some((worker, _)) = worker.filter(|(worker, life)| self.workers[*worker].life == *life) else {
            return Ok(());
        };
        let wakes = self.workers[worker].stalled_until;
        match self.now < wakes {
            true => {
                self.schedule_at(wakes, happening);
                Ok(())
            }
            false => self.happens_to(worker, happening),
        }
    }

    fn happens_to(&mut self, worker: usize, happening: Happening) -> Result<(), Breach> {
        match happening {
            Happening::ArrivesDown { link, message } if !self.network.is_cut(link) => {
                self.worker_receives(worker, link, message)
            }
            Happening::WorkerSeesEnd { .. } => self.worker_sees_end(worker),
            Happening::Dialed { .. } => self.dialed(worker),
            Happening::Prepared { run, .. } => self.session_handles(worker, session::Event::Prepared { run }),
            Happening::Computed { task, .. } => self.finished(worker, task),
            Happening::Resumes { .. } => self.resumes(worker),
            Happening::WorkerTimer { at, .. } => self.worker_timer(worker, at),
            Happening::ArrivesDown { .. }
            | Happening::ArrivesUp { .. }
            | Happening::CoordinatorSeesEnd { .. }
            | Happening::CoordinatorTimer { .. }
            | Happening::CoordinatorBeats
            | Happening::CoordinatorStarts
            | Happening::Stepped { .. }
            | Happening::Evaluated { .. }
            | Happening::Judged { .. }
            | Happening::Written { .. }
            | Happening::WritesAgain { .. }
            | Happening::Strikes(_)
            | Happening::Started { .. }
            | Happening::KilledForGood { .. } => Ok(()),
        }
    }

    fn happens_elsewhere(&mut self, happening: Happening) -> Result<(), Breach> {
        match happening {
            Happening::ArrivesUp { link, message } if !self.network.is_cut(link) => {
                self.coordinator_receives(link, message)
            }
            Happening::CoordinatorSeesEnd { link } => self.coordinator_sees_end(link),
            Happening::CoordinatorTimer { at } => self.coordinator_timer(at),
            Happening::CoordinatorBeats => {
                self.schedule(self.scenario.heartbeat, Happening::CoordinatorBeats);
                self.beat();
                Ok(())
            }
            Happening::CoordinatorStarts => self.coordinator_starts(),
            Happening::Stepped { epoch, round, params, units } if self.is_present(epoch) => {
                self.stepped(round, params, units)
            }
            Happening::Evaluated { epoch, round } if self.is_present(epoch) => {
                self.keep(keeping::Event::Evaluated { round })
            }
            Happening::Judged { epoch, round, lease, truth } if self.is_present(epoch) => {
                self.run_handles(run::Event::Judged { round, lease, digest: truth })
            }
            Happening::Stepped { .. } | Happening::Evaluated { .. } | Happening::Judged { .. } => Ok(()),
            Happening::Written { epoch } => self.written(epoch),
            Happening::WritesAgain { epoch } => self.write(epoch),
            Happening::Strikes(fault) => self.strikes(fault),
            Happening::Started { worker, identity } => self.start(worker, identity),
            Happening::KilledForGood { worker } => {
                self.kill(worker);
                Ok(())
            }
            Happening::ArrivesUp { .. }
            | Happening::ArrivesDown { .. }
            | Happening::WorkerSeesEnd { .. }
            | Happening::Dialed { .. }
            | Happening::Prepared { .. }
            | Happening::Computed { .. }
            | Happening::Resumes { .. }
            | Happening::WorkerTimer { .. } => Ok(()),
        }
    }
}
