use std::path::PathBuf;

use clap::{Args, Subcommand};
use syngrad_model::Device;

use super::DataDir;

/// `syngrad bench …`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The time of a round in which nothing is computed, over real processes and gRPC.
    Round(RoundArgs),
    /// Samples a second: in one process, across 1, 2 and 3 workers, and of two processes that do not cooperate.
    Train(ThroughputArgs),
    /// Exact aggregation beside a plain f32 sum and a copy.
    Aggregate(AggregateArgs),
    /// Test accuracy of exact aggregation beside a plain f32 sum, over five seeds.
    Exactness(ExactnessArgs),
    /// Test accuracy and bytes of federated algorithms on even and skewed data, and what two institutions gain by
    /// training together. Takes minutes; needs QMNIST's labels.
    Federated(FederatedArgs),
    /// Whether the coordinator's memory stays flat over many rounds, with its state on disk. Linux only.
    Soak(SoakArgs),
    /// Memory and round time of a coordinator with more and more workers. Linux only.
    Scale(ScaleArgs),
    /// Rounds a second with state kept as specs ask for it, beside none at all.
    Durability(DurabilityArgs),
}

/// Of `bench round`.
#[derive(Debug, Args)]
pub struct RoundArgs {
    /// Worker processes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Params of the model, each an f32.
    #[arg(long, default_value_t = 118_282)]
    pub params: u32,
    /// Rounds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rounds: u32,
    /// The width of a worker's sum on the wire: 32, 16 or 8.
    #[arg(long, default_value_t = 32, value_name = "BITS")]
    pub update_bits: u8,
    /// The chance that an update is audited, 0 to 1: each worker is another partner's.
    #[arg(long, default_value_t = 0.0, value_name = "RATE")]
    pub audit_rate: f64,
}

/// Of `bench train`.
#[derive(Debug, Args)]
pub struct ThroughputArgs {
    /// Samples of a round; half of them in each of two units.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub global_batch: u32,
    /// Passes over the training samples, each time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// The width of a worker's sum on the wire: 32, 16 or 8.
    #[arg(long, default_value_t = 32, value_name = "BITS")]
    pub update_bits: u8,
    /// What trains.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// Where the samples are.
    #[command(flatten)]
    pub data: DataDir,
}

/// Of `bench aggregate`.
#[derive(Debug, Args)]
pub struct AggregateArgs {
    /// Params of the small case, which stays in the cache.
    #[arg(long, default_value_t = 118_282)]
    pub params: u32,
    /// Params of the large case, which does not.
    #[arg(long, default_value_t = 1_200_000)]
    pub large_params: u32,
    /// Updates added in the small case; eight times as many in the large one.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=128))]
    pub updates: u32,
}

/// Of `bench exactness`.
#[derive(Debug, Args)]
pub struct ExactnessArgs {
    /// Seeds, from 0.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Passes over the training samples; the demo's if absent.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Write the table into this Markdown file, between its markers.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// What trains.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// Where the samples are.
    #[command(flatten)]
    pub data: DataDir,
}

/// Of `bench federated`.
#[derive(Debug, Args)]
pub struct FederatedArgs {
    /// Seeds, from 0.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Rounds of each run.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Training samples of the runs that compare algorithms, in a seeded order. Others are held out to choose constants by.
    #[arg(long, default_value_t = 12_000, value_parser = clap::value_parser!(u32).range(1_000..=55_000))]
    pub samples: u32,
    /// Write the tables into this Markdown file, between its markers.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// What trains.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// Where the samples are.
    #[command(flatten)]
    pub data: DataDir,
}

/// Of `bench soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// Rounds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub rounds: u32,
    /// Worker processes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Params of the model, each an f32.
    #[arg(long, default_value_t = 118_282)]
    pub params: u32,
}

/// Of `bench scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// Numbers of workers, each a task of one process.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 64, 256],
        value_parser = clap::value_parser!(u32).range(1..=512))]
    pub workers: Vec<u32>,
    /// Rounds with each.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub rounds: u32,
    /// Params of the model, each an f32.
    #[arg(long, default_value_t = 1_000)]
    pub params: u32,
}

/// Of `bench durability`.
#[derive(Debug, Args)]
pub struct DurabilityArgs {
    /// Rounds of each run.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub rounds: u32,
    /// Runs of each kind, one after another in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repetitions: u32,
    /// Worker processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Params of the model, each an f32.
    #[arg(long, default_value_t = 118_282)]
    pub params: u32,
    /// A folder on the disk to measure; a folder of its own is made in it and deleted. The user's own state folder if
    /// absent.
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}
