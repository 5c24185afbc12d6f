//! A coordinator's lives: it begins, keeps what the real [`Keeping`] says, dies at any moment, and goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breach::Breach;
use super::coordinator::{Coordinator, Standing};
use super::disk::{Bulk, Entry, Resumed, Saved, Spooled};
use super::keeper::Keeper;
use super::network::Down;
use super::scenario::Scenario;
use super::world::{Happening, World};
use crate::digest::Digest;
use crate::id::{Round, RunId, Units};
use crate::keeping::{Action, Begun, Contents, Counted, Epoch, Event, Keeping, Origin, Storage, settled};
use crate::run::{self, Outcome, Run, RunConfig};
use crate::session::Answer;
use crate::spec::OnMissing;

/// Time between two attempts to start a coordinator that finds its disk full.
const START_AGAIN: Duration = Duration::from_millis(500);

/// How a coordinator ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Its process is killed; the system closes its links.
    Killed,
    /// Its machine loses power: nobody is told.
    PowerCut,
    /// It is taken for dead and cut off from its workers, but goes on writing after a while.
    Zombie { late: Duration },
}

/// The state that round 0 starts from.
const BLANK: Saved = Saved { round: Round(0), params: Digest([0; 32]), chain: Digest([0; 32]) };

/// The run that an operator starts for the `nth` time.
fn run_id(nth: u8) -> RunId {
    RunId([nth; 16])
}

/// The units of each round that nobody needs to compute again.
fn spooled_units(spooled: &[Spooled]) -> BTreeMap<Round, Units> {
    let mut units: BTreeMap<Round, Units> = BTreeMap::new();
    for update in spooled {
        units.entry(update.round).or_default().extend(&update.units);
    }
    units
}

impl Coordinator {
    /// The first process, before it has opened the store.
    pub(super) fn unborn(scenario: &Scenario) -> Self {
        let run = Run::new(scenario.run.clone());
        let keeping = Keeping::new(Storage::Absent);
        let mut unborn = Self::new(Epoch(0), run_id(0), run, keeping, BLANK);
        unborn.standing = Standing::Down;
        unborn
    }
}

impl World {
    /// A process starts: it goes on with what the store has, or is asked for a run.
    pub(super) fn coordinator_starts(&mut self) -> Result<(), Breach> {
        // A run whose end was kept is not gone on with.
        if self.coordinator.is_up() || self.finished.is_some() {
            return Ok(());
        }
        if self.scenario.storage == Storage::Durable && self.now < self.disk.full_until {
            self.schedule(START_AGAIN, Happening::CoordinatorStarts);
            return Ok(());
        }
        let epoch = self.disk.open();
        self.keepers.insert(epoch, Keeper::new());
        self.totals.restarts += u64::from(epoch != Epoch(1));
        let found = match self.disk.unfinished() {
            None => None,
            Some(run) => Some((run, self.disk.resume(run).map_err(|_| Breach::NothingToGoOnFrom)?)),
        };
        self.notary.resumes(found.as_ref().map(|(run, resumed)| (*run, resumed)), &self.disk)?;
        let origin = if found.is_some() { Origin::Resumed } else { Origin::Asked };
        let (id, resumed) = found.unwrap_or_else(|| {
            self.asked += 1;
            self.notary.forget_run();
            (run_id(self.asked), Resumed { state: None, ledger: Vec::new(), spooled: Vec::new(), fell_back: false })
        });
        self.totals.fallbacks += u64::from(resumed.fell_back);
        self.trace(|| format!("coordinator of epoch {} starts: {origin:?} {id}, {:?}", epoch.0, resumed.state));
        self.begin_run(epoch, id, resumed, origin)
    }

    fn begin_run(&mut self, epoch: Epoch, id: RunId, resumed: Resumed, origin: Origin) -> Result<(), Breach> {
        let Resumed { state, ledger, spooled, .. } = resumed;
        let state = state.unwrap_or(BLANK);
        self.totals.rounds_again += u64::from(self.reached.saturating_sub(state.round.0));
        // Whoever a run waited for at its beginning may be gone when it goes on.
        let min_members = if origin == Origin::Resumed { 1 } else { self.scenario.run.min_members };
        let config = RunConfig { min_members, ..self.scenario.run.clone() };
        let next = state.round;
        self.referee.restart(config.clone(), next);
        let settled = settled(&ledger);
        let run = Run::new(config).with_bug(self.bug).resumed(next, epoch.first_lease(), settled);
        let run = run.with_spooled(spooled_units(&spooled));
        let keeping = Keeping::new(self.scenario.storage).with_bug(self.bug);
        self.coordinator = Coordinator::new(epoch, id, run, keeping, state);
        self.coordinator.settled = settled;
        self.coordinator.spooled = spooled;
        self.coordinator.begins = origin == Origin::Asked;
        let cadence = self.scenario.cadence;
        self.keep(Event::Begun(Begun { run: id, cadence, next, ledger, origin }))?;
        // The model of the last round was served before, and is again.
        if let Some(last) = next.0.checked_sub(1) {
            self.evaluate(Round(last));
        }
        Ok(())
    }

    /// Lets the real machine decide what is kept, and does what it says.
    pub(super) fn keep(&mut self, event: Event) -> Result<(), Breach> {
        self.trace(|| format!("keeping <- {event:?}"));
        let delayed = matches!(event, Event::Delayed { .. });
        let mut actions = Vec::new();
        self.coordinator.keeping.handle(self.now, event, &mut actions);
        for action in actions {
            self.trace(|| format!("keeping -> {action:?}"));
            self.keeping_wants(action)?;
        }
        if delayed && self.coordinator.is_up() && self.coordinator.held {
            self.totals.disk_pauses += 1;
            if self.coordinator.keeping.view().paused.is_none() {
                return Err(Breach::PausedWithoutReason);
            }
        }
        Ok(())
    }

    fn keeping_wants(&mut self, action: Action) -> Result<(), Breach> {
        let (epoch, id) = (self.coordinator.epoch, self.coordinator.id);
        match action {
            Action::Keep { contents, rounds } => {
                let view = self.coordinator.run.view();
                let ended = view.outcome.map(|outcome| self.outcome(&outcome));
                let begins = std::mem::take(&mut self.coordinator.begins);
                let entry = Entry { run: id, begins, rounds, checkpoint: None, spooled: None, ended };
                let bulk = match contents {
                    Contents::Rows => None,
                    Contents::Update => self.coordinator.counted.take().map(Bulk::Update),
                    Contents::Whole => Some(Bulk::State(self.coordinator.state)),
                };
                self.order(epoch, entry, bulk)
            }
            Action::Accept(Counted { member, lease }) => {
                if let Some((round, units)) = self.coordinator.unanswered.remove(&lease) {
                    self.notary.accepts(id, round, &units, &self.disk)?;
                }
                self.tell(member, Down::Answer { lease, answer: Answer::Accepted });
                Ok(())
            }
            Action::Acknowledge { run } => match self.scenario.storage {
                Storage::Durable => self.notary.acknowledges(run, &self.disk),
                Storage::Absent => Ok(()),
            },
            Action::Step { round } => {
                self.coordinator.held = false;
                self.run_handles(run::Event::Stepped { round, params: self.coordinator.state.params })
            }
            Action::Serve { round } => self.run_handles(run::Event::Evaluated { round }),
            // Nobody watches here; that an end is kept is seen on the disk.
            Action::Tell => Ok(()),
            Action::Contradict(differs) => {
                if !self.may_differ() {
                    return Err(Breach::DiffersWithoutReason(differs.round));
                }
                self.totals.contradictions += 1;
                let why = differs.to_string();
                self.coordinator.held = false;
                self.coordinator.broken = Some(Outcome::Failed { round: differs.round, why });
                self.run_handles(run::Event::Stop)
            }
            Action::GiveUp => {
                let back_after = self.dice.millis(10, 2_000);
                self.coordinator_dies(Death::Killed, back_after)
            }
        }
    }

    /// Whether a round that is computed again can come out otherwise: the machine computes wrongly, or the round's units
    /// were chosen by a deadline and the state that was kept with it is damaged, or a lie that nobody looked at is in it.
    fn may_differ(&self) -> bool {
        self.has_erred
            || self.referee.is_tainted()
            || self.scenario.run.quorum.on_missing == OnMissing::Skip && self.disk.rotted
    }

    /// A coordinator ends, whatever it is doing, and is started again.
    pub(super) fn coordinator_dies(&mut self, death: Death, back_after: Duration) -> Result<(), Breach> {
        if !self.coordinator.is_up() || self.finished.is_some() || self.scenario.storage == Storage::Absent {
            return Ok(());
        }
        let epoch = self.coordinator.epoch;
        self.trace(|| format!("coordinator of epoch {} dies: {death:?}", epoch.0));
        self.totals.coordinator_crashes += 1;
        self.totals.add_counters(&self.coordinator.run.view().counters);
        self.coordinator.standing = Standing::Down;
        self.reached = self.coordinator.state.round.0;
        let (late, noticed) = match death {
            Death::Killed => (None, 90),
            Death::PowerCut => (None, 0),
            Death::Zombie { late } => (Some(late), 0),
        };
        self.abandon_keeper(epoch, late)?;
        for link in self.network.cut_all() {
            if self.dice.percent(noticed) {
                let delay = self.dice.millis(0, 200);
                self.schedule(delay, Happening::WorkerSeesEnd { link });
            }
        }
        self.end = self.end.max(self.scenario.end_after(self.now.after(back_after)));
        self.schedule(back_after, Happening::CoordinatorStarts);
        Ok(())
    }
}
