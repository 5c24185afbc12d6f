//! Every durable step of a coordinator, crashed for real: `strace` kills it, or fails the call, at the K-th write, sync,
//! rename, … on a file of its state. Whatever the step, the run must end as if nothing had happened, and nothing that
//! was acknowledged may be lost.
//!
//! A point is a scenario, a fault, a system call, a file of the state folder, and K: the K-th such call that a thread
//! makes on that file since `strace` took hold, which it does at the process's start (`opening`) or when it listens
//! (`serving`). Calls on sockets and logs are none of these.

mod samples;
mod scenario;
mod strace;
mod summary;
mod trial;

use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::{Args, ValueEnum as _};
use tempfile::TempDir;
use thiserror::Error;

use crate::cluster::{Trouble, undisturbed};
use crate::ledger::Expected;
use crate::processes::Program;
use crate::report::Format;
use scenario::{Scenario, Start};
use strace::{Fault, Hold, Step};
use summary::{Summary, Tried};
use trial::Trial;

/// Which points to try.
#[derive(Args, Debug)]
pub struct Arguments {
    /// So many points, evenly spread over all; all of them if absent
    #[arg(long)]
    sample: Option<usize>,
    /// Only points whose name contains this, as a failure names them
    #[arg(long, value_name = "TEXT")]
    point: Option<String>,
    /// Points tried at a time; twice the cores if absent, because most of them wait for a disk or a timer
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// The release program; built if absent
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Why not all points ended as they must.
#[derive(Debug, Error)]
pub enum Failure {
    /// The program is not there.
    #[error("the release program cannot be had: {0}")]
    Program(io::Error),
    /// There is no strace.
    #[error("strace cannot be run ({0}); install it, or leave this level out")]
    Strace(io::Error),
    /// Not even the undisturbed run went well.
    #[error("counting the steps of {scenario}: {why}")]
    Count {
        /// The scenario.
        scenario: &'static str,
        /// What went wrong.
        why: String,
    },
    /// No point has such a name.
    #[error("there is no such point; without --point, a result in JSON counts what there is")]
    NoPoint,
    /// Runs that did not end as they must; the result names them.
    #[error("{count} points failed; each is named above with what to do to see it again")]
    Points {
        /// How many.
        count: usize,
    },
    /// The report itself could not be written.
    #[error("standard output is closed: {0}")]
    Output(#[from] io::Error),
}

/// A scenario that is ready to be crashed.
struct Stage {
    scenario: Scenario,
    expected: Expected,
    /// The state that it begins with.
    template: TempDir,
    steps: Vec<Step>,
}

/// See the module.
#[derive(Clone)]
struct Point<'a> {
    stage: &'a Stage,
    fault: Fault,
    step: &'a Step,
}

impl Point<'_> {
    fn name(&self) -> String {
        let Step { hold, call, file, count } = self.step;
        format!("{}:{hold}:{}:{call}:{count}:{file}", self.stage.scenario.name, self.fault)
    }
}

/// Tries the points and writes what came of them to `out`.
///
/// # Errors
/// [`Failure`], after the result if that names points.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let began = Instant::now();
    std::process::Command::new("strace").arg("--version").output().map_err(Failure::Strace)?;
    let program = Program::find(arguments.program.as_deref()).map_err(Failure::Program)?;
    let stages: Vec<Stage> =
        scenario::all().into_iter().map(|scenario| stage(&program, scenario)).collect::<Result<_, _>>()?;
    let all = points(&stages);
    let chosen = choose(&all, arguments);
    if chosen.is_empty() {
        return Err(Failure::NoPoint);
    }
    let jobs = arguments.jobs.or_else(|| thread::available_parallelism().ok()?.checked_mul(NonZero::new(2)?));
    let tried = try_all(&program, &chosen, jobs.map_or(1, NonZero::get));
    let summary = Summary::new(all.len(), &tried, began.elapsed());
    arguments.output.write(&summary, out)?;
    match summary.failures() {
        0 => Ok(()),
        count => Err(Failure::Points { count }),
    }
}

/// Runs `scenario` undisturbed, and counts its steps.
fn stage(program: &Program, scenario: Scenario) -> Result<Stage, Failure> {
    let failed = |why: Trouble| Failure::Count { scenario: scenario.name, why: why.to_string() };
    let template = TempDir::with_prefix("syngrad-template-").map_err(|why| failed(why.into()))?;
    let expected = expected(program, &scenario).map_err(failed)?;
    if scenario.start == Start::Interrupted {
        interrupt(program, &scenario, &expected, template.path()).map_err(failed)?;
    }
    let mut steps = Vec::new();
    for hold in [Hold::Opening, Hold::Serving] {
        steps.extend(count(program, &scenario, &expected, (template.path(), hold)).map_err(failed)?);
    }
    Ok(Stage { scenario, expected, template, steps })
}

fn expected(program: &Program, scenario: &Scenario) -> Result<Expected, Trouble> {
    if !scenario.partners.is_empty() {
        return trial::learn(program, scenario);
    }
    let spec = tempfile::NamedTempFile::with_suffix(".toml")?;
    std::fs::write(spec.path(), &scenario.spec)?;
    undisturbed(program, spec.path())
}

fn count(
    program: &Program,
    scenario: &Scenario,
    expected: &Expected,
    (template, hold): (&Path, Hold),
) -> Result<Vec<Step>, Trouble> {
    let mut trial = Trial::new(program, scenario, expected, template, (hold, None))?;
    let steps = trial.count()?;
    Ok(steps.into_iter().collect())
}

/// Leaves in `template` what a coordinator leaves that is killed as late in the run as it can be with rounds to go.
fn interrupt(program: &Program, scenario: &Scenario, expected: &Expected, template: &Path) -> Result<(), Trouble> {
    let empty = Scenario { start: Start::Empty, ..scenario.clone() };
    let steps = count(program, &empty, expected, (template, Hold::Serving))?;
    for step in steps.into_iter().rev().filter(|step| step.call == "pwrite64") {
        let fault = (Hold::Serving, Some((Fault::Kill, step)));
        let mut trial = Trial::new(program, &empty, expected, template, fault)?;
        if trial.interrupt()?.is_some() {
            return Ok(scenario::copy(&trial.cluster.scene.state(), template)?);
        }
    }
    Err(Trouble::Broken("no step leaves the run in the middle".to_owned()))
}

fn points(stages: &[Stage]) -> Vec<Point<'_>> {
    stages.iter().flat_map(points_of).collect()
}

fn points_of(stage: &Stage) -> impl Iterator<Item = Point<'_>> {
    Fault::value_variants().iter().flat_map(move |&fault| {
        let befallen = stage.steps.iter().filter(move |step| fault.befalls(&step.call));
        befallen.map(move |step| Point { stage, fault, step })
    })
}

fn choose<'a>(all: &[Point<'a>], arguments: &Arguments) -> Vec<Point<'a>> {
    let named = |point: &&Point<'_>| arguments.point.as_ref().is_none_or(|part| point.name().contains(part));
    let named: Vec<_> = all.iter().filter(named).cloned().collect();
    match arguments.sample.filter(|sample| *sample < named.len()) {
        Some(sample) => (0..sample).map(|index| named[index * named.len() / sample].clone()).collect(),
        None => named,
    }
}

fn try_all(program: &Program, points: &[Point<'_>], jobs: usize) -> Vec<Tried> {
    let (next, tried) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = try_one(program, point);
                    tried.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    tried.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn try_one(program: &Program, point: &Point<'_>) -> Tried {
    let Point { stage, fault, step } = point;
    let injection = (step.hold, Some((*fault, (*step).clone())));
    let trial = Trial::new(program, &stage.scenario, &stage.expected, stage.template.path(), injection);
    let mut reused = 0;
    let outcome = trial.map_err(|why| why.to_string()).and_then(|mut trial| {
        let outcome = trial.live();
        reused = trial.reused;
        outcome.map_err(|why| {
            let mut scene = trial.cluster.scene;
            scene.tell(&why.to_string());
            format!("{why}; its logs and its state are in {}", scene.keep().display())
        })
    });
    Tried { name: point.name(), fault: *fault, call: step.call.clone(), file: step.kind_of_file(), reused, outcome }
}
