//! One seed, lived through by real processes.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::schedule::{Schedule, Strike, Target, What, When};
use crate::cluster::{Cluster, News, Status, Trouble};
use crate::ledger::{Expected, Kept};
use crate::processes::Process;

/// What happened to one world or to several.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) coordinator_kills: u32,
    pub(crate) worker_kills: u32,
    pub(crate) coordinator_stops: u32,
    pub(crate) worker_stops: u32,
    /// Processes started again.
    pub(crate) restarts: u32,
    /// Rounds that were committed before a kill and computed again after it.
    pub(crate) rounds_recomputed: u64,
    /// From the start of a coordinator on the state of a killed one to its first committed round, where nothing else
    /// struck meanwhile.
    #[serde(skip)]
    pub(crate) recoveries: Vec<Duration>,
    /// Those in which something else struck.
    pub(crate) recoveries_disturbed: u32,
}

impl Tally {
    pub(crate) fn kills(&self) -> u32 {
        self.coordinator_kills + self.worker_kills
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.coordinator_kills += other.coordinator_kills;
        self.worker_kills += other.worker_kills;
        self.coordinator_stops += other.coordinator_stops;
        self.worker_stops += other.worker_stops;
        self.restarts += other.restarts;
        self.rounds_recomputed += other.rounds_recomputed;
        self.recoveries.extend(&other.recoveries);
        self.recoveries_disturbed += other.recoveries_disturbed;
    }
}

/// What is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Restart(Target),
    Continue(Target),
}

/// A coordinator that was started on the state of a killed one, and has committed nothing yet.
#[derive(Clone, Copy, Debug)]
struct Recovery {
    began: Instant,
    /// The round that it goes on with.
    from: u32,
    undisturbed: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) cluster: Cluster,
    expected: &'a Expected,
    strikes: std::vec::IntoIter<Strike>,
    next: Option<Strike>,
    last_strike: Instant,
    due: Vec<(Instant, Due)>,
    recovery: Option<Recovery>,
    tally: Tally,
}

impl<'a> World<'a> {
    pub(crate) fn new(cluster: Cluster, expected: &'a Expected, schedule: &Schedule) -> Self {
        let mut strikes = schedule.strikes.clone().into_iter();
        let (next, last_strike) = (strikes.next(), Instant::now());
        let (due, recovery, tally) = (Vec::new(), None, Tally::default());
        Self { cluster, expected, strikes, next, last_strike, due, recovery, tally }
    }

    /// Lives through the schedule, as far as the run lasts; what happened, if all is as it should be.
    pub(crate) fn live(&mut self) -> Result<Tally, Trouble> {
        self.cluster.start_coordinator(|command| command)?;
        while !self.is_over()? {
            self.do_what_is_due()?;
        }
        self.cluster.end()?;
        self.cluster.kept()?.check(self.expected)?;
        Ok(self.tally.clone())
    }

    /// Waits for what happens next; whether it is that the run is over.
    fn is_over(&mut self) -> Result<bool, Trouble> {
        let due = self.due.iter().map(|(time, _)| *time).chain(self.strike_time()).min();
        match self.cluster.next(due)? {
            News::Listening => {
                if self.cluster.run.is_none() {
                    (0..self.cluster.workers.len()).try_for_each(|index| self.cluster.start_worker(index))?;
                }
                self.cluster.watch()?;
            }
            News::Status(status) => {
                self.note_recovery(&status);
                if status.is_over() {
                    status.check(self.expected)?;
                    return Ok(true);
                }
            }
            // The run may have ended just before the coordinator was killed: then nobody knows it but the ledger.
            News::WatchEnded(_) => return Ok(self.cluster.kept()?.is_completed()),
            News::CoordinatorEnded => return Err(Trouble::Ended("coordinator".to_owned())),
            News::WorkerEnded(index) => return Err(Trouble::Ended(format!("worker {index}"))),
            News::Started | News::Time => {}
        }
        Ok(false)
    }

    fn note_recovery(&mut self, status: &Status) {
        let Some(recovery) = self.recovery.filter(|recovery| status.rounds_committed > recovery.from) else { return };
        let took = recovery.began.elapsed();
        self.cluster.scene.tell(&format!("the first round after the restart is committed, {took:?} after it"));
        match recovery.undisturbed {
            true => self.tally.recoveries.push(took),
            false => self.tally.recoveries_disturbed += 1,
        }
        self.recovery = None;
    }

    /// When the next strike falls by time.
    fn strike_time(&self) -> Option<Instant> {
        let strike = self.next.filter(|strike| self.is_there(strike.target))?;
        match strike.when {
            When::After(delay) => Some(self.last_strike + delay),
            When::Round(_) => None,
        }
    }

    fn strike_is_due(&self) -> Option<Strike> {
        let strike = self.next.filter(|strike| self.is_there(strike.target))?;
        let due = match strike.when {
            When::After(delay) => self.last_strike.elapsed() >= delay,
            // What was seen of a coordinator that is gone says nothing of the one that is there.
            When::Round(round) => self.recovery.is_none() && self.cluster.status.rounds_committed >= round,
        };
        due.then_some(strike)
    }

    /// Whether there is a process to strike at.
    fn is_there(&self, target: Target) -> bool {
        let process = match target {
            Target::Coordinator => &self.cluster.coordinator,
            Target::Worker(index) => &self.cluster.workers[index],
        };
        process.as_ref().is_some_and(|process| !process.is_stopped())
    }

    fn do_what_is_due(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = self.due.iter().copied().partition(|(time, _)| *time <= now);
        self.due = later;
        for (_, due) in due {
            match due {
                Due::Restart(target) => self.restart(target)?,
                Due::Continue(target) => self.go_on(target)?,
            }
        }
        match self.strike_is_due() {
            Some(strike) => self.strike(strike),
            None => Ok(()),
        }
    }

    fn strike(&mut self, strike: Strike) -> Result<(), Trouble> {
        self.next = self.strikes.next();
        self.last_strike = Instant::now();
        if let Some(recovery) = &mut self.recovery {
            recovery.undisturbed = false;
        }
        let seen = self.cluster.status.rounds_committed;
        self.cluster.scene.tell(&format!("{strike:?} at round {seen}"));
        let due = match (strike.what, strike.target) {
            (What::Kill { .. }, Target::Coordinator) => {
                self.tally.coordinator_kills += 1;
                let kept = self.cluster.kill_coordinator()?;
                self.coordinator_died(seen, kept.as_ref())?;
                Due::Restart(strike.target)
            }
            (What::Kill { .. }, Target::Worker(index)) => {
                self.tally.worker_kills += 1;
                self.cluster.workers[index].take().map(Process::kill).transpose()?;
                Due::Restart(strike.target)
            }
            (What::Stop { .. }, target) => {
                match target {
                    Target::Coordinator => self.tally.coordinator_stops += 1,
                    Target::Worker(_) => self.tally.worker_stops += 1,
                }
                self.process(target).map_or(Ok(()), Process::stop)?;
                Due::Continue(target)
            }
        };
        let (What::Kill { away } | What::Stop { away }) = strike.what;
        self.due.push((self.last_strike + away, due));
        Ok(())
    }

    /// Notes what a killed coordinator leaves to its successor: the rounds that it had committed beyond its checkpoint
    /// are computed again.
    fn coordinator_died(&mut self, seen: u32, kept: Option<&Kept>) -> Result<(), Trouble> {
        let kept = kept.ok_or_else(|| Trouble::Broken("the run was started, but is not in the state".to_owned()))?;
        kept.check_chain()?;
        if self.recovery.take().is_some() {
            self.tally.recoveries_disturbed += 1;
        }
        let from = kept.checkpoint();
        let again = seen.max(kept.rounds()).saturating_sub(from);
        self.tally.rounds_recomputed += u64::from(again);
        self.cluster.scene.tell(&format!("{} rounds in the ledger, the checkpoint opens round {from}", kept.rounds()));
        // What the next watch says counts from there.
        self.cluster.status.rounds_committed = from;
        Ok(())
    }

    fn restart(&mut self, target: Target) -> Result<(), Trouble> {
        self.tally.restarts += 1;
        match target {
            Target::Worker(index) => self.cluster.start_worker(index),
            Target::Coordinator => {
                let (began, from) = (Instant::now(), self.cluster.status.rounds_committed);
                self.recovery = Some(Recovery { began, from, undisturbed: true });
                self.cluster.start_coordinator(|command| command)
            }
        }
    }

    fn go_on(&mut self, target: Target) -> Result<(), Trouble> {
        self.cluster.scene.tell(&format!("{target:?} goes on"));
        Ok(self.process(target).map_or(Ok(()), Process::go_on)?)
    }

    fn process(&mut self, target: Target) -> Option<&mut Process> {
        match target {
            Target::Coordinator => self.cluster.coordinator.as_mut(),
            Target::Worker(index) => self.cluster.workers[index].as_mut(),
        }
    }
}
