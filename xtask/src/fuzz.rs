//! Fuzzing: every decoder and every state machine fed with anything, for as long as there is time.
//!
//! The targets are in `fuzz/`, laid out as cargo-fuzz has it. This builds them with cargo alone: libFuzzer comes as a crate,
//! and what instruments code for it are two flags of the compiler that every toolchain has. So CI installs nothing, and
//! needs no nightly. AddressSanitizer, which is what cargo-fuzz would add, would look for what cannot be here: the crates
//! forbid unsafe code. What it would be missed for is a limit of memory, and that is set on the process.

mod outcome;
mod programs;
mod tally;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use thiserror::Error;

use crate::report::{Format, Report};
use outcome::Outcome;
use programs::{Program, Programs};

/// The shortest time that a target gets, whatever the build has taken.
const LEAST: Duration = Duration::from_secs(2);

/// What to fuzz, and for how long.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Minutes in all, the build included; the targets share what it leaves
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    minutes: f64,
    /// This target only; may be repeated
    #[arg(long)]
    target: Vec<String>,
    /// Add what was executed to the table in docs/fuzzing.md
    #[arg(long)]
    write: bool,
    /// For whom the result is written
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.0..=1e6).contains(&minutes) => Ok(minutes),
        Ok(_) | Err(_) => Err("name a number of minutes, at least 0".to_owned()),
    }
}

/// Why fuzzing did not end well.
#[derive(Debug, Error)]
pub enum Failure {
    /// There is no such target.
    #[error("there is no target {name:?}; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The targets were not built.
    #[error("the targets were not built; what cargo said is above")]
    Build,
    /// Something of the system failed.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Inputs were found that a target does not survive.
    #[error("{} of {targets} targets failed; mend what they found, and add a test of it to the crate that had it", .found.len())]
    Found {
        /// The targets, each with what was found.
        found: Vec<String>,
        /// How many were run.
        targets: usize,
    },
    /// The report itself could not be written.
    #[error("standard output is closed: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Fuzzed {
    /// Seconds that the build took.
    build_seconds: f64,
    /// Seconds that each target had.
    target_seconds: f64,
    targets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    target: String,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Report for Fuzzed {}

impl fmt::Display for Fuzzed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { build_seconds, target_seconds, .. } = self;
        writeln!(f, "built in {build_seconds:.0} s, then {target_seconds:.0} s for each target")?;
        writeln!(
            f,
            "{:<12} {:>14} {:>10} {:>9} {:>8} {:>8}  found",
            "target", "executions", "a second", "features", "inputs", "MiB"
        )?;
        for Row { target, outcome } in &self.targets {
            let Outcome { executions, executions_per_second, features, inputs, peak_mib, found } = outcome;
            write!(
                f,
                "{target:<12} {executions:>14} {executions_per_second:>10} {features:>9} {inputs:>8} {peak_mib:>8}  "
            )?;
            match found {
                None => writeln!(f, "nothing")?,
                Some(found) => writeln!(f, "{found}")?,
            }
        }
        Ok(())
    }
}

/// Builds the targets, runs them and writes what came of it to `out`.
///
/// # Errors
/// [`Failure::Found`] when a target failed, with what reproduces it; the other [`Failure`]s when they could not be run.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let start = Instant::now();
    let chosen = choose(Programs::listed()?, &arguments.target)?;
    let programs = Programs::build()?;
    let built = start.elapsed();
    let lanes = thread::available_parallelism().map_or(1, usize::from).min(chosen.len()).max(1);
    let left = Duration::from_secs_f64(arguments.minutes * 60.0).saturating_sub(built);
    let turns = chosen.len().div_ceil(lanes).max(1);
    let each = (left / u32::try_from(turns).unwrap_or(u32::MAX)).max(LEAST);
    let targets = run_all(&programs, &chosen, lanes, each)?;
    let fuzzed = Fuzzed { build_seconds: built.as_secs_f64(), target_seconds: each.as_secs_f64(), targets };
    arguments.output.write(&fuzzed, out)?;
    if arguments.write {
        tally::add(&chosen, fuzzed.targets.iter().map(|row| &row.outcome))?;
    }
    let found =
        fuzzed.targets.iter().filter_map(|row| Some(format!("{}: {}", row.target, row.outcome.found.as_ref()?)));
    match found.collect::<Vec<_>>() {
        found if found.is_empty() => Ok(()),
        found => Err(Failure::Found { found, targets: chosen.len() }),
    }
}

fn choose(all: Vec<Program>, wanted: &[String]) -> Result<Vec<Program>, Failure> {
    if let Some(name) = wanted.iter().find(|name| all.iter().all(|program| program.name != **name)) {
        let known = all.iter().map(|program| program.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::Unknown { name: name.clone(), known });
    }
    Ok(all.into_iter().filter(|program| wanted.is_empty() || wanted.contains(&program.name)).collect())
}

/// Runs the targets in so many lanes side by side, each for so long.
fn run_all(programs: &Programs, chosen: &[Program], lanes: usize, each: Duration) -> Result<Vec<Row>, Failure> {
    let waiting: Mutex<VecDeque<&Program>> = Mutex::new(chosen.iter().collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut rows = Vec::new();
        while let Some(program) = next() {
            let outcome = programs.run(&program.name, each)?;
            rows.push(Row { target: program.name.clone(), outcome });
        }
        Ok(rows)
    };
    let lanes = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(work)).collect();
        let ended = lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic"));
        ended.collect::<Result<Vec<Vec<Row>>, Failure>>()
    })?;
    let mut rows: Vec<Row> = lanes.into_iter().flatten().collect();
    rows.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(rows)
}

/// The folder of the targets.
fn folder() -> PathBuf {
    crate::root().join("fuzz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name() {
        let all = || ["a", "b"].map(|name| Program { name: name.into(), what: String::new() }).to_vec();
        let names = |chosen: Vec<Program>| chosen.into_iter().map(|program| program.name).collect::<Vec<_>>();
        assert_eq!(names(choose(all(), &[]).expect("all")), ["a", "b"]);
        assert_eq!(names(choose(all(), &["b".into()]).expect("one")), ["b"]);
        let unknown = choose(all(), &["c".into()]).expect_err("there is none").to_string();
        assert_eq!(unknown, "there is no target \"c\"; there are a, b");
    }

    #[test]
    fn minutes_are_a_number() {
        assert_eq!(minutes("0.5"), Ok(0.5));
        assert!(["-1", "NaN", "inf", "soon"].iter().all(|text| minutes(text).is_err()));
    }
}
