//! Simulated worlds by the thousand: see `syngrad_engine::simulation`.

use std::io::{self, Write};
use std::ops::Range;
use std::time::Instant;

use clap::Args;
use syngrad_engine::simulation::{Totals, Trace, Violation, simulate};
use thiserror::Error;

/// Which worlds to live through.
#[derive(Args, Debug)]
pub struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed only
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Print every event and action of that seed
    #[arg(long, requires = "seed")]
    trace: bool,
}

/// Why not all worlds are as they should be.
#[derive(Debug, Error)]
pub enum Failure {
    /// A rule was broken.
    #[error("{0}\nreplay it with: cargo xtask sim --seed {seed} --trace", seed = .0.seed)]
    Violation(Box<Violation>),
    /// The report itself could not be written.
    #[error("standard output is closed: {0}")]
    Output(#[from] io::Error),
}

/// Lives through the worlds and writes what happened in them to `out`.
///
/// # Errors
/// The first [`Failure`].
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let trace = if arguments.trace { Trace::On } else { Trace::Off };
    let seeds =
        arguments.seed.map_or(arguments.from..arguments.from.saturating_add(arguments.seeds), |seed| seed..seed + 1);
    let (start, mut totals) = (Instant::now(), Totals::default());
    for seed in seeds.clone() {
        match simulate(seed, None, trace) {
            Ok(summary) => {
                totals.add(&summary.totals);
                write_trace(&summary.trace, out)?;
            }
            Err(violation) => {
                write_trace(&violation.trace, out)?;
                return Err(Failure::Violation(violation));
            }
        }
    }
    write_totals(&seeds, start, &totals, out)
}

fn write_trace(trace: &[String], out: &mut dyn Write) -> Result<(), Failure> {
    trace.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(Failure::Output)
}

fn write_totals(seeds: &Range<u64>, start: Instant, totals: &Totals, out: &mut dyn Write) -> Result<(), Failure> {
    let count = seeds.end - seeds.start;
    writeln!(
        out,
        "{count} worlds, {} events in {:.1} s: no rule was broken",
        totals.events,
        start.elapsed().as_secs_f64()
    )?;
    for (count, what) in [
        (totals.rounds, "rounds committed"),
        (totals.cuts, "links cut"),
        (totals.kills, "workers killed"),
        (totals.stalls, "workers stalled"),
        (totals.pauses, "workers paused"),
        (totals.forgeries, "updates forged, replayed or damaged"),
        (totals.accepted, "updates accepted"),
        (totals.duplicates, "duplicates refused"),
        (totals.late, "late updates refused"),
        (totals.rejected, "other updates refused"),
        (totals.units_released, "units leased again"),
        (totals.audits, "updates audited"),
        (totals.audits_failed, "audits that found a wrong update"),
        (totals.audits_lapsed, "audits that nobody could answer"),
        (totals.retractions, "wrong updates taken back"),
        (totals.coordinator_crashes, "coordinators died"),
        (totals.restarts, "coordinators started again"),
        (totals.rounds_again, "rounds computed again after that"),
        (totals.units_reused, "private units kept over that"),
        (totals.lost_writes, "writes lost at a crash"),
        (totals.torn_blobs, "training states torn by a crash"),
        (totals.damaged_blobs, "training states damaged later"),
        (totals.fallbacks, "coordinators that fell back to an older state"),
        (totals.disk_pauses, "waits for a full disk"),
        (totals.io_errors, "writes failed"),
        (totals.fenced, "writes of replaced coordinators fenced off"),
        (totals.contradictions, "runs ended by a ledger that says otherwise"),
    ] {
        writeln!(out, "{count:>12} {what}")?;
    }
    Ok(())
}
