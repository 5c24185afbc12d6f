//! What the demo found out.

use serde::Serialize;

use crate::client::RunStatus;
use crate::output::Report;
use crate::table::{facts, percent, thousands};

/// The demo's result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DemoReport {
    /// Digest of the trained params.
    pub params_digest: String,
    /// Their accuracy on the 10,000 test images, 0 to 1.
    pub test_accuracy: f64,
    /// Rounds committed.
    pub rounds: u32,
    /// Samples passed through the network.
    pub samples: u64,
    /// From the first round's opening to the last commit.
    pub train_seconds: f64,
    /// From the demo's start to its result.
    pub wall_seconds: f64,
    /// Samples a second while training.
    pub samples_per_second: f64,
    /// The median round, from opened to committed.
    pub round_ms_p50: f64,
    /// The round that 99 % were not slower than.
    pub round_ms_p99: f64,
    /// Worker processes that were asked for.
    pub workers: u32,
    /// Processes that were killed.
    pub killed: u32,
    /// Units that were leased again because their holder was gone or late.
    pub units_released: u64,
    /// Updates of units that had been counted.
    pub duplicates: u64,
    /// From the demo's start to the first evaluation of 97 % or more; null if there was none.
    pub seconds_to_97: Option<f64>,
}

/// What the demo itself saw, beside the run's own status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) workers: u32,
    pub(super) killed: u32,
    pub(super) wall_seconds: f64,
    pub(super) seconds_to_97: Option<f64>,
}

impl DemoReport {
    pub(super) fn new(status: &RunStatus, seen: Seen) -> Self {
        Self {
            params_digest: status.params_digest.clone(),
            // The last round is always evaluated.
            test_accuracy: status.accuracy().unwrap_or_default(),
            rounds: status.rounds_committed,
            samples: status.samples,
            train_seconds: status.train_seconds,
            wall_seconds: seen.wall_seconds,
            samples_per_second: status.samples_per_second(),
            round_ms_p50: status.round_times.p50_ms,
            round_ms_p99: status.round_times.p99_ms,
            workers: seen.workers,
            killed: seen.killed,
            units_released: status.counters.units_released,
            duplicates: status.counters.duplicates,
            seconds_to_97: seen.seconds_to_97,
        }
    }
}

impl Report for DemoReport {
    fn text(&self) -> String {
        let killed = match self.killed {
            0 => "none".to_owned(),
            killed => format!("{killed}, {} units leased again", self.units_released),
        };
        let to_97 = self.seconds_to_97.map_or_else(|| "not reached".to_owned(), |seconds| format!("{seconds:.2} s"));
        facts(&[
            ("test accuracy", percent(self.test_accuracy)),
            ("97 % after", to_97),
            ("rounds", thousands(self.rounds.into())),
            ("round", format!("{:.2} ms median, {:.2} ms p99", self.round_ms_p50, self.round_ms_p99)),
            (
                "training",
                format!("{:.2} s, {} samples/s", self.train_seconds, thousands(self.samples_per_second as u64)),
            ),
            ("whole demo", format!("{:.2} s", self.wall_seconds)),
            ("workers", self.workers.to_string()),
            ("killed", killed),
            ("params", self.params_digest.clone()),
        ])
    }
}
