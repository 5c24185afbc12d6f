//! One run with a fault at one step: what the coordinator did about it, and whether the run ended as it must.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use serde::Serialize;
use serde_json::Value;

use super::samples;
use super::scenario::{Scenario, Start, copy};
use super::strace::{Attached, Fault, Hold, Step, Strace};
use crate::cluster::{Cluster, News, Trouble};
use crate::ledger::{Expected, Kept};
use crate::processes::{Program, Scene};

/// SIGKILL's number.
const SIGKILL: i32 = 9;

/// What a coordinator says that ends because its state cannot be written.
const UNWRITABLE: &str = "E0604";

/// In the reason of a run that waits for room on the disk.
const PAUSED: &str = "disk with the state is full";

/// What came of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The coordinator was dead, and its successor ended the run.
    Killed,
    /// The coordinator ended with E0604, and its successor ended the run.
    Ended,
    /// The run said that it waits for the disk, and went on by itself.
    Paused,
    /// Nothing: what failed is of no consequence.
    Unnoticed,
    /// The step was not reached this time.
    NotReached,
}

/// Where a run of `scenario` ends to which nothing is done. Samples that partners keep are nowhere together, so that this
/// takes real workers.
pub(crate) fn learn(program: &Program, scenario: &Scenario) -> Result<Expected, Trouble> {
    let mut cluster = cluster(program, scenario, Scene::new("undisturbed")?)?;
    cluster.start_coordinator(|command| command)?;
    loop {
        match cluster.next(None)? {
            News::Listening => {
                start_workers(&mut cluster)?;
                cluster.watch()?;
            }
            News::Status(status) if status.is_over() => break,
            News::CoordinatorEnded => return Err(Trouble::Ended("coordinator".to_owned())),
            News::WorkerEnded(index) => return Err(Trouble::Ended(format!("worker {index}"))),
            News::WatchEnded(envelope) => {
                return Err(Trouble::Broken(format!("the run did not start: {}", envelope.unwrap_or_default())));
            }
            News::Status(_) | News::Started | News::Time => {}
        }
    }
    cluster.end()?;
    cluster.kept()?.end().ok_or_else(|| Trouble::Broken("the undisturbed run did not complete".to_owned()))
}

fn cluster(program: &Program, scenario: &Scenario, scene: Scene) -> io::Result<Cluster> {
    let mut cluster = Cluster::new(program, scene, &scenario.spec, scenario.workers())?;
    for (index, &count) in scenario.partners.iter().enumerate() {
        let folder = cluster.scene.file(&format!("samples-{index}"));
        samples::write(&folder, count, index as u64)?;
        cluster.samples.push(folder);
    }
    Ok(cluster)
}

/// Starts the workers that are not there.
fn start_workers(cluster: &mut Cluster) -> Result<(), Trouble> {
    let missing: Vec<usize> = (0..cluster.workers.len()).filter(|&index| cluster.workers[index].is_none()).collect();
    missing.into_iter().try_for_each(|index| cluster.start_worker(index))
}

/// The rounds of all leases in a worker's log.
fn leases(log: &Path) -> io::Result<Vec<u32>> {
    let log = match fs::read_to_string(log) {
        Ok(log) => log,
        // It was never started.
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why),
    };
    let round = |line: &str| {
        let fields = &serde_json::from_str::<Value>(line).ok()?["fields"];
        let round = fields["round"].as_u64().filter(|_| fields["message"] == "leased")?;
        u32::try_from(round).ok()
    };
    Ok(log.lines().filter_map(round).collect())
}

/// A run with a fault.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    pub(crate) cluster: Cluster,
    scenario: &'a Scenario,
    expected: &'a Expected,
    strace: Strace,
    hold: Hold,
    attached: Option<Attached>,
    /// The steps up to the line that says that it listens.
    opening: BTreeSet<Step>,
    paused: bool,
    /// Accepted updates of partners' own samples, beyond the checkpoint, that a successor did not ask for again.
    pub(crate) reused: usize,
    /// Whether the fault had happened when the coordinator was asked to end.
    struck_while_working: bool,
}

impl<'a> Trial<'a> {
    /// Sets up a run of `scenario`, on a copy of the state in `template` if it begins with one.
    pub(crate) fn new(
        program: &Program,
        scenario: &'a Scenario,
        expected: &'a Expected,
        template: &Path,
        fault: (Hold, Option<(Fault, Step)>),
    ) -> io::Result<Self> {
        let scene = Scene::new("crashpoint")?;
        let (hold, injection) = fault;
        if scenario.start == Start::Interrupted {
            copy(template, &scene.state())?;
        }
        let strace = Strace { state: scene.state().canonicalize()?, log: scene.file("strace.log"), injection };
        let cluster = cluster(program, scenario, scene)?;
        let (attached, opening, paused, struck_while_working) = (None, BTreeSet::new(), false, false);
        Ok(Self {
            cluster,
            scenario,
            expected,
            strace,
            hold,
            attached,
            opening,
            paused,
            reused: 0,
            struck_while_working,
        })
    }

    /// Lives through it; what came of the fault, if nothing is lost.
    pub(crate) fn live(&mut self) -> Result<Outcome, Trouble> {
        let status = self.first_life()?;
        let end = self.end_of(status)?;
        if matches!(end, Outcome::Killed | Outcome::Ended) {
            let kept = self.cluster.bury_coordinator()?;
            self.check_promises(kept.as_ref())?;
            let (accepted, leases) = (self.cluster.accepted.clone(), self.leases()?);
            let from = kept.as_ref().map_or(0, Kept::checkpoint);
            self.second_life(kept)?;
            self.check_spool(&accepted, &leases)?;
            let private = accepted.iter().filter(|_| !self.scenario.partners.is_empty());
            self.reused = private.map(|rounds| rounds.range(from..).count()).sum();
        }
        self.cluster.kept()?.check(self.expected)?;
        Ok(end)
    }

    /// Counts the steps of a run in which nothing goes wrong.
    pub(crate) fn count(&mut self) -> Result<BTreeSet<Step>, Trouble> {
        let status = self.first_life()?;
        if !status.success() {
            return Err(Trouble::Exit(status));
        }
        self.cluster.kept()?.check(self.expected)?;
        Ok(match self.hold {
            Hold::Opening => std::mem::take(&mut self.opening),
            Hold::Serving => self.strace.steps(self.hold)?,
        })
    }

    /// Runs until the coordinator dies of the fault; what it left. None if it left no run in the middle.
    pub(crate) fn interrupt(&mut self) -> Result<Option<Kept>, Trouble> {
        self.first_life()?;
        let kept = self.cluster.bury_coordinator()?;
        Ok(kept.filter(|kept| kept.rounds() > 0 && kept.checkpoint() > 0 && kept.rounds() < self.expected.rounds))
    }

    /// The coordinator that meets the fault, up to its end: by the fault, or in order once the run is over.
    fn first_life(&mut self) -> Result<ExitStatus, Trouble> {
        let strace = self.strace.clone();
        match self.hold {
            Hold::Opening => self.cluster.start_coordinator(|command| strace.around(&command))?,
            Hold::Serving => self.cluster.start_coordinator(|command| command)?,
        }
        let status = loop {
            match self.cluster.next(None)? {
                News::Listening => {
                    self.take_hold()?;
                    start_workers(&mut self.cluster)?;
                    self.follow()?;
                }
                News::Status(status) => {
                    if status.reason.contains(PAUSED) {
                        self.paused = true;
                        // A second attempt has a thread of its own, where strace would count anew: it lets go.
                        self.attached.take().map(Attached::let_go).transpose()?;
                    }
                    if status.is_over() {
                        status.check(self.expected)?;
                        self.struck_while_working = self.strace.has_struck()?;
                        break self.cluster.end_coordinator()?;
                    }
                }
                News::CoordinatorEnded => break self.cluster.wait_for_coordinator()?,
                News::WorkerEnded(index) => return Err(Trouble::Ended(format!("worker {index}"))),
                // The coordinator's own end follows.
                News::WatchEnded(_) | News::Started | News::Time => {}
            }
        };
        self.attached.take().map(Attached::wait).transpose()?;
        Ok(status)
    }

    fn take_hold(&mut self) -> Result<(), Trouble> {
        match (self.hold, &self.cluster.coordinator) {
            (Hold::Serving, Some(coordinator)) => self.attached = Some(self.strace.attach(coordinator.id())?),
            (Hold::Opening, Some(_)) => self.opening = self.strace.steps(self.hold)?,
            (Hold::Serving | Hold::Opening, None) => {}
        }
        Ok(())
    }

    /// Starts the run, or follows the one that goes on by itself.
    fn follow(&mut self) -> Result<(), Trouble> {
        if self.scenario.start == Start::Interrupted {
            self.cluster.run = Some(self.cluster.kept()?.run);
        }
        self.cluster.watch()
    }

    /// What came of the fault, if the coordinator may end like this.
    fn end_of(&self, status: ExitStatus) -> Result<Outcome, Trouble> {
        let wrong = |what: &str| Err(Trouble::Broken(format!("the coordinator ended with {status}, {what}")));
        let struck = self.strace.has_struck()?;
        let Some((fault, step)) = self.strace.injection.as_ref().filter(|_| struck) else {
            return if status.success() { Ok(Outcome::NotReached) } else { wrong("but nothing was done to it") };
        };
        if status.signal() == Some(SIGKILL) {
            return if *fault == Fault::Kill { Ok(Outcome::Killed) } else { wrong("but nobody killed it") };
        }
        if !status.success() {
            let code = self.cluster.last_words.as_ref().map_or(&Value::Null, |words| &words["error"]["code"]);
            return if code == UNWRITABLE {
                Ok(Outcome::Ended)
            } else {
                wrong(&format!("saying {code}, not {UNWRITABLE}"))
            };
        }
        match (self.paused, step.is_sync() && self.struck_while_working && !step.is_folder()) {
            (true, _) => Ok(Outcome::Paused),
            (false, true) => wrong("and took a failed sync for success"),
            (false, false) => Ok(Outcome::Unnoticed),
        }
    }

    /// Checks that what was acknowledged before the coordinator died is in what it left.
    fn check_promises(&self, kept: Option<&Kept>) -> Result<(), Trouble> {
        if let Some(run) = &self.cluster.run
            && kept.is_none_or(|kept| kept.run != *run)
        {
            return Err(Trouble::Broken(format!(
                "the start of run {run} was acknowledged, but it is not in the state"
            )));
        }
        let (Some(kept), Some(opened)) = (kept, self.newest_lease()?) else { return Ok(()) };
        kept.check_chain()?;
        match self.scenario.every_round && kept.rounds().min(kept.checkpoint()) < opened {
            true => Err(Trouble::Broken(format!(
                "round {opened} was open, but the ledger has {} rounds and the checkpoint opens round {}",
                kept.rounds(),
                kept.checkpoint()
            ))),
            false => Ok(()),
        }
    }

    /// The newest round that a worker had a lease of: proof from the other side that the one before was over.
    fn newest_lease(&self) -> io::Result<Option<u32>> {
        Ok(self.leases()?.concat().into_iter().max())
    }

    /// The rounds of all leases of each worker, in their order.
    fn leases(&self) -> io::Result<Vec<Vec<u32>>> {
        (0..self.scenario.workers()).map(|worker| leases(&self.cluster.worker_log(worker))).collect()
    }

    /// Checks that no partner was asked again for an update that it had been told was accepted.
    fn check_spool(&self, accepted: &[BTreeSet<u32>], before: &[Vec<u32>]) -> Result<(), Trouble> {
        let is_private = !self.scenario.partners.is_empty();
        for (worker, leases) in self.leases()?.iter().enumerate().filter(|_| is_private) {
            if let Some(round) = leases[before[worker].len()..].iter().find(|round| accepted[worker].contains(round)) {
                let what = format!("worker {worker} was leased round {round} again, its update of which was accepted");
                return Err(Trouble::Broken(what));
            }
        }
        Ok(())
    }

    /// A successor to which nothing is done: it ends the run.
    fn second_life(&mut self, kept: Option<Kept>) -> Result<(), Trouble> {
        let completed = kept.as_ref().is_some_and(Kept::is_completed);
        // A start that was not acknowledged may have been kept all the same; if it was not, it is made again.
        self.cluster.run = kept.map(|kept| kept.run);
        self.cluster.start_coordinator(|command| command)?;
        loop {
            match self.cluster.next(None)? {
                News::Listening if completed => break,
                News::Listening => {
                    start_workers(&mut self.cluster)?;
                    self.cluster.watch()?;
                }
                News::Status(status) if status.is_over() => {
                    status.check(self.expected)?;
                    break;
                }
                News::CoordinatorEnded => return Err(Trouble::Ended("coordinator's successor".to_owned())),
                News::WorkerEnded(index) => return Err(Trouble::Ended(format!("worker {index}"))),
                News::WatchEnded(envelope) => {
                    let said = envelope.unwrap_or_default();
                    return Err(Trouble::Broken(format!("the operator could not follow the run: {said}")));
                }
                News::Status(_) | News::Started | News::Time => {}
            }
        }
        self.cluster.end()
    }
}
