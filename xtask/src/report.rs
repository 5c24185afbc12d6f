//! How a chore's result is written.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// The version of the envelope around every result; a field may be added without a new one.
const SCHEMA_VERSION: u32 = 1;

/// For whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// People.
    #[default]
    Table,
    /// Programs: one object, in the envelope that `syngrad` has, too.
    Json,
}

/// A result that people and programs can read.
pub(crate) trait Report: Display + Serialize {}

#[derive(Serialize)]
struct Envelope<'a, R> {
    schema_version: u32,
    status: &'static str,
    data: &'a R,
}

impl Format {
    /// Writes the result of a chore that found nothing wrong.
    pub(crate) fn write<R: Report>(self, report: &R, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Table => write!(out, "{report}"),
            Self::Json => {
                let envelope = Envelope { schema_version: SCHEMA_VERSION, status: "ok", data: report };
                writeln!(out, "{}", serde_json::to_string(&envelope)?)
            }
        }
    }
}

/// The value below which a `share` of the sorted values lie (nearest rank); none of no values is 0.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        for (share, millis) in [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            assert_eq!(percentile(&values, share), Duration::from_millis(millis), "{share}");
        }
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
