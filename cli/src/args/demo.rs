use clap::{Args, ValueEnum};
use syngrad_model::Device;

/// Of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Worker processes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// What is trained.
    #[command(flatten)]
    pub spec: SpecFlags,
    /// What is killed with SIGKILL while it works. With a single worker a new one takes its place.
    #[arg(long, value_enum, default_value_t)]
    pub kill: Kill,
    /// What trains, evaluates and predicts.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// The coordinator's port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Keep the coordinator up after training, until Ctrl-C.
    #[arg(long)]
    pub keep_serving: bool,
}

/// The demo's run, and how it may differ from its default.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct SpecFlags {
    /// The seed of everything that is drawn.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Passes over the training samples.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// How the workers train together.
    #[arg(long, value_enum)]
    pub algorithm: Option<AlgorithmName>,
    /// The width of a worker's sum on the wire: 32, 16 or 8.
    #[arg(long, value_name = "BITS")]
    pub update_bits: Option<u8>,
}

/// How workers train together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AlgorithmName {
    /// The sum of all gradients makes each step.
    #[default]
    SyncSgd,
    /// Each unit trains by itself for an epoch, then the params are averaged.
    Fedavg,
}

/// What the demo kills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kill {
    /// Nothing.
    None,
    /// One worker, in the middle of the run.
    #[default]
    Worker,
    /// The coordinator, which is started again.
    Coordinator,
    /// A worker and the coordinator.
    Both,
}
