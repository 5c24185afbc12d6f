//! Whether a coordinator's memory stays flat: many rounds in which nothing is computed, with state kept, evaluations and
//! served models, and the coordinator's resident set as the system counts it.

use serde::Serialize;

use super::cluster;
use super::memory::{median, mib, resident};
use super::round::{NOOP, Noop};
use crate::args::SoakArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::{Fleet, FleetConfig};
use crate::output::{Output, Report};
use crate::runtime;
use crate::table::{facts, thousands};

/// The last tenth of the rounds may take so much more memory than the second; the first one is the start.
const BAR: f64 = 1.05;
/// Rounds between evaluations, each of which serves another model.
const EVALUATE_EVERY: u32 = 100;

#[derive(Serialize)]
struct SoakReport {
    workers: u32,
    params: u64,
    rounds: u32,
    train_seconds: f64,
    /// The median resident set of each tenth of the rounds, in bytes.
    tenths: Vec<u64>,
    /// The last tenth beside the second.
    growth: f64,
    bar: f64,
}

pub(super) fn run(args: &SoakArgs, output: Output) -> Result<Exit, Failure> {
    let evaluate_every = Some(EVALUATE_EVERY);
    let (params, workers, rounds) = (args.params, args.workers, args.rounds);
    let spec = Noop { params, workers, rounds, evaluate_every, ..NOOP }.spec()?;
    let state = tempfile::tempdir().map_err(|why| Failure::io("making a folder for the coordinator's state", &why))?;
    let state_dir = Some(state.path().to_owned());
    let config = FleetConfig { state_dir, ..FleetConfig::of_this_program(syngrad_model::Device::default())? };
    let mut samples: Vec<(u32, u64)> = Vec::new();
    let status = runtime::light()?.block_on(async {
        let mut fleet = Fleet::start(config).await?;
        fleet.add_workers(workers).await?;
        let coordinator = fleet.coordinator_id();
        resident(coordinator)?;
        let seen = |status: &crate::client::RunStatus| {
            // A process that has ended is what the fleet reports.
            samples.extend(resident(coordinator).ok().map(|bytes| (status.rounds_committed, bytes)));
        };
        let status = cluster::train(&mut fleet, &spec, workers, output, seen).await?;
        fleet.end().await;
        Ok::<_, Failure>(status)
    })?;
    let tenths = tenths(&samples, rounds);
    let growth = tenths[9] as f64 / tenths[1].max(1) as f64;
    let train_seconds = status.train_seconds;
    let report = SoakReport { workers, params: status.params, rounds, train_seconds, tenths, growth, bar: BAR };
    if growth > BAR {
        let why = format!("the last tenth takes {growth:.3} × the memory of the second; at most {BAR} is asked for");
        return Ok(output.failed_result(&report, &Failure::bar_missed(&why)));
    }
    output.result(&report);
    Ok(Exit::Ok)
}

/// The median of the samples in each tenth of the rounds. A tenth without any is like the one before.
fn tenths(samples: &[(u32, u64)], rounds: u32) -> Vec<u64> {
    let mut tenths: Vec<u64> = Vec::new();
    for tenth in 0..10 {
        let of_tenth = |round: u32| u64::from(round.min(rounds - 1)) * 10 / u64::from(rounds) == tenth;
        let here: Vec<u64> = samples.iter().filter(|(round, _)| of_tenth(*round)).map(|&(_, bytes)| bytes).collect();
        let last = tenths.last().copied().unwrap_or_default();
        tenths.push(if here.is_empty() { last } else { median(&here) });
    }
    tenths
}

impl Report for SoakReport {
    fn text(&self) -> String {
        let tenths: Vec<String> = self.tenths.iter().map(|&bytes| mib(bytes)).collect();
        facts(&[
            ("workers", self.workers.to_string()),
            ("params", thousands(self.params)),
            ("rounds", thousands(self.rounds.into())),
            ("training", format!("{:.1} s", self.train_seconds)),
            ("memory, tenth by tenth", tenths.join(", ")),
            ("last beside second", format!("{:.3} (at most {})", self.growth, self.bar)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_put_into_tenths_of_the_rounds() {
        let samples = [(0, 1), (9, 3), (10, 10), (11, 12), (19, 11), (99, 90), (100, 92)];
        assert_eq!(tenths(&samples, 100), [1, 11, 11, 11, 11, 11, 11, 11, 11, 90]);
    }
}
