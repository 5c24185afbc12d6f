//! Runs of real processes to which a seed does its worst: SIGKILL, SIGSTOP and new starts of coordinator and workers.
//! Each must end at the digests of a run that nothing happened to.

mod schedule;
mod world;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use thiserror::Error;

use crate::cluster::{Cluster, Trouble, undisturbed};
use crate::processes::{Program, Scene};
use crate::report::{Format, Report, percentile};
use schedule::Schedule;
use world::{Tally, World};

/// So often is each world struck by SIGKILL at least.
const KILLS: u32 = 3;

/// How much longer than usual a run may be made for a machine so fast that it is over before the kills.
const STRETCHES: [u32; 5] = [1, 2, 4, 8, 16];

/// Which worlds to live through.
#[derive(Args, Debug)]
pub struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed only
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// The release program; built if absent
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Why not all worlds ended as they must.
#[derive(Debug, Error)]
pub enum Failure {
    /// The program is not there.
    #[error("the release program cannot be had: {0}")]
    Program(io::Error),
    /// A world could not be set up.
    #[error("a folder for a world cannot be made: {0}")]
    Scene(io::Error),
    /// A run did not go as it must.
    #[error(
        "seed {seed}: {why}\nits logs and its state are in {}; the same schedule again: cargo xtask chaos --seed {seed}",
        folder.display()
    )]
    World {
        /// The seed.
        seed: u64,
        /// What went wrong.
        why: String,
        /// Where everything about it is.
        folder: PathBuf,
    },
    /// However long the run was made, it was over too early.
    #[error("seed {seed}: the run was over before {KILLS} kills could happen, even at {} times its length", STRETCHES[STRETCHES.len() - 1])]
    TooFast {
        /// The seed.
        seed: u64,
    },
    /// The report itself could not be written.
    #[error("standard output is closed: {0}")]
    Output(#[from] io::Error),
}

/// The result.
#[derive(Debug, Serialize)]
struct Summary {
    seeds: u64,
    first_seed: u64,
    /// All of them ended at the digests of undisturbed runs, with each round once in the ledger.
    seeds_at_the_right_digest: u64,
    kills: u32,
    fewest_kills_of_a_seed: u32,
    #[serde(flatten)]
    tally: Tally,
    recoveries_measured: usize,
    recovery_ms_p50: f64,
    recovery_ms_p99: f64,
    recovery_ms_max: f64,
    seconds: f64,
}

/// Lives through the worlds and writes what happened in them to `out`.
///
/// # Errors
/// The first [`Failure`].
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let program = Program::find(arguments.program.as_deref()).map_err(Failure::Program)?;
    let (first, count) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let began = Instant::now();
    let (mut total, mut fewest) = (Tally::default(), u32::MAX);
    for seed in first..first.saturating_add(count) {
        let tally = world(&program, seed)?;
        fewest = fewest.min(tally.kills());
        total.add(&tally);
    }
    let summary = summary((first, count), total, fewest, began.elapsed());
    Ok(arguments.output.write(&summary, out)?)
}

/// Lives through the world of `seed`; a run that was over before the kills is made again, and longer.
fn world(program: &Program, seed: u64) -> Result<Tally, Failure> {
    for stretch in STRETCHES {
        let tally = stretched(program, (seed, stretch))?;
        if tally.kills() >= KILLS {
            return Ok(tally);
        }
    }
    Err(Failure::TooFast { seed })
}

fn stretched(program: &Program, (seed, stretch): (u64, u32)) -> Result<Tally, Failure> {
    let schedule = Schedule::draw(seed, stretch);
    let scene = Scene::new(&format!("chaos-{seed}")).map_err(Failure::Scene)?;
    let cluster = Cluster::new(program, scene, &schedule.spec, schedule.workers).map_err(Failure::Scene)?;
    let failed = |cluster: Cluster, why: &Trouble| {
        let (why, mut scene) = (why.to_string(), cluster.scene);
        scene.tell(&why);
        Failure::World { seed, why, folder: scene.keep() }
    };
    let expected = match undisturbed(program, &cluster.scene.file("spec.toml")) {
        Ok(expected) => expected,
        Err(why) => return Err(failed(cluster, &why)),
    };
    let mut world = World::new(cluster, &expected, &schedule);
    world.live().map_err(|why| failed(world.cluster, &why))
}

fn summary((first_seed, seeds): (u64, u64), mut tally: Tally, fewest: u32, took: Duration) -> Summary {
    tally.recoveries.sort_unstable();
    let ms = |share: f64| percentile(&tally.recoveries, share).as_secs_f64() * 1000.0;
    Summary {
        seeds,
        first_seed,
        seeds_at_the_right_digest: seeds,
        kills: tally.kills(),
        fewest_kills_of_a_seed: fewest,
        recoveries_measured: tally.recoveries.len(),
        recovery_ms_p50: ms(0.5),
        recovery_ms_p99: ms(0.99),
        recovery_ms_max: ms(1.0),
        seconds: took.as_secs_f64(),
        tally,
    }
}

impl Report for Summary {}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(
            f,
            "{} seeds from {} in {:.1} s: all ended at the digest of an undisturbed run, every round once in the ledger",
            self.seeds, self.first_seed, self.seconds
        )?;
        for (count, what) in [
            (u64::from(tally.coordinator_kills), "coordinators killed"),
            (u64::from(tally.worker_kills), "workers killed"),
            (u64::from(tally.coordinator_stops), "coordinators stopped for a while"),
            (u64::from(tally.worker_stops), "workers stopped for a while"),
            (u64::from(tally.restarts), "processes started again"),
            (u64::from(self.fewest_kills_of_a_seed), "kills in the seed with the fewest"),
            (tally.rounds_recomputed, "rounds computed again"),
            (self.recoveries_measured as u64, "recoveries measured"),
            (u64::from(tally.recoveries_disturbed), "recoveries in which something else struck"),
        ] {
            writeln!(f, "{count:>12} {what}")?;
        }
        writeln!(
            f,
            "from the start of a coordinator to its first committed round: {:.0} ms median, {:.0} ms p99, {:.0} ms at most",
            self.recovery_ms_p50, self.recovery_ms_p99, self.recovery_ms_max
        )
    }
}
