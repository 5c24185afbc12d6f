//! What came of the points.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::strace::Fault;
use super::trial::Outcome;
use crate::report::Report;

/// One point, and what came of it; or why that was wrong.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) fault: Fault,
    pub(super) call: String,
    /// The kind of file: one for all blobs.
    pub(super) file: &'static str,
    /// Accepted updates that a successor took from the state.
    pub(super) reused: usize,
    pub(super) outcome: Result<Outcome, String>,
}

/// Points of one fault at one kind of system call.
#[derive(Debug, Default, Serialize)]
struct Row {
    tried: usize,
    #[serde(flatten)]
    outcomes: BTreeMap<Outcome, usize>,
    failed: usize,
}

/// A point that did not end as it must.
#[derive(Debug, Serialize)]
struct Failed {
    point: String,
    why: String,
    replay: String,
}

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Distinct points that there are.
    points: usize,
    tried: usize,
    /// Of those, the ones at which the fault happened; the others were not reached this time.
    struck: usize,
    /// Accepted updates of partners' own samples, beyond the checkpoint, that no partner was asked for again.
    updates_reused: usize,
    by_fault: BTreeMap<Fault, BTreeMap<String, Row>>,
    /// Failed calls that had no consequence, by call and kind of file.
    unnoticed: BTreeMap<String, usize>,
    failures: Vec<Failed>,
    seconds: f64,
}

impl Summary {
    pub(super) fn new(points: usize, tried: &[Tried], took: Duration) -> Self {
        let mut by_fault = BTreeMap::<Fault, BTreeMap<String, Row>>::new();
        let (mut unnoticed, mut failures) = (BTreeMap::<String, usize>::new(), Vec::new());
        let mut struck = 0;
        for Tried { name, fault, call, file, reused: _, outcome } in tried {
            let row = by_fault.entry(*fault).or_default().entry(call.clone()).or_default();
            row.tried += 1;
            match outcome {
                Ok(outcome) => {
                    *row.outcomes.entry(*outcome).or_default() += 1;
                    struck += usize::from(*outcome != Outcome::NotReached);
                    if *outcome == Outcome::Unnoticed {
                        *unnoticed.entry(format!("{call} {file}")).or_default() += 1;
                    }
                }
                Err(why) => {
                    row.failed += 1;
                    let replay = format!("cargo xtask crashpoints --point '{name}'");
                    failures.push(Failed { point: name.clone(), why: why.clone(), replay });
                }
            }
        }
        let updates_reused = tried.iter().map(|tried| tried.reused).sum();
        Self {
            points,
            tried: tried.len(),
            struck,
            updates_reused,
            by_fault,
            unnoticed,
            failures,
            seconds: took.as_secs_f64(),
        }
    }

    pub(super) fn failures(&self) -> usize {
        self.failures.len()
    }
}

impl Report for Summary {}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {} points tried in {:.1} s, {} of them reached, {} failed",
            self.tried,
            self.points,
            self.seconds,
            self.struck,
            self.failures()
        )?;
        writeln!(f, "{} accepted updates of partners' own samples were not asked for again", self.updates_reused)?;
        writeln!(f, "  fault  at          tried  killed   ended  paused  unnoticed  not reached  failed")?;
        for (fault, rows) in &self.by_fault {
            for (call, Row { tried, outcomes, failed }) in rows {
                let of = |outcome| outcomes.get(&outcome).copied().unwrap_or(0);
                let [killed, ended, paused] = [Outcome::Killed, Outcome::Ended, Outcome::Paused].map(of);
                let [unnoticed, not_reached] = [Outcome::Unnoticed, Outcome::NotReached].map(of);
                let (fault, call) = (fault.to_string(), call.as_str());
                writeln!(
                    f,
                    "  {fault:6} {call:10} {tried:6} {killed:7} {ended:7} {paused:7} {unnoticed:10} {not_reached:12} {failed:7}"
                )?;
            }
        }
        for (what, count) in &self.unnoticed {
            writeln!(f, "  {count:6} unnoticed: {what}")?;
        }
        self.failures
            .iter()
            .try_for_each(|Failed { point, why, replay }| writeln!(f, "{point}: {why}\n  to see it again: {replay}"))
    }
}
