use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use syngrad_engine::PartnerName;
use syngrad_model::Device;

use super::SpecFlags;

/// Of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Train in this process. The only way so far: `run start` trains across workers.
    #[arg(long, required = true)]
    pub local: bool,
    /// The run spec, a TOML or JSON file; the demo's own if absent.
    pub spec: Option<PathBuf>,
    /// What differs from the spec.
    #[command(flatten)]
    pub flags: SpecFlags,
    /// What trains and evaluates.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// Where the samples are.
    #[command(flatten)]
    pub data: DataDir,
    /// The samples of a partner, for a run on private data; once for each partner.
    #[arg(long = "data", value_name = "PARTNER=FOLDER", value_parser = owned)]
    pub owned: Vec<(PartnerName, PathBuf)>,
}

fn owned(text: &str) -> Result<(PartnerName, PathBuf), String> {
    let (partner, folder) = text.split_once('=').ok_or("it has the form PARTNER=FOLDER")?;
    let partner = PartnerName::parse(partner).map_err(|why| why.to_string())?;
    Ok((partner, folder.into()))
}

/// Where the MNIST files are.
#[derive(Clone, Debug, Args)]
pub struct DataDir {
    /// The folder of the four MNIST files; found by itself if absent.
    #[arg(long, env = "SYNGRAD_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// `syngrad data …`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Download what is missing, and verify it.
    Fetch(DataDir),
    /// Check every byte of the four files.
    Verify(DataDir),
    /// Say what is in them.
    Info(DataDir),
    /// Cut the training samples into folders, as partners of an experiment would have them.
    Partition(PartitionArgs),
}

/// Of `data partition`.
#[derive(Debug, Args)]
pub struct PartitionArgs {
    /// What the cut goes by.
    #[arg(long, value_enum)]
    pub by: PartitionName,
    /// Folders, one for each partner.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub parts: u32,
    /// The folder that gets them, as part-0, part-1 and so on; new or empty. Each has MNIST's four files: a part of the
    /// training samples, and all test samples, so that partners' figures can be compared.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// The seed of what is drawn.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The concentration of `dirichlet` and `quantity`.
    #[arg(long, default_value_t = 0.1)]
    pub alpha: f64,
    /// The shards of sorted labels of each part, of `shards`.
    #[arg(long, default_value_t = 2)]
    pub shards_per_unit: u32,
    /// Where the samples are.
    #[command(flatten)]
    pub data: DataDir,
}

/// What a cut goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartitionName {
    /// Nothing: evenly, in a seeded order.
    Iid,
    /// The order of the file, evenly.
    Contiguous,
    /// Labels, in sorted shards.
    Shards,
    /// Labels, in mixtures drawn from a Dirichlet distribution.
    Dirichlet,
    /// Nothing, in sizes drawn from a Dirichlet distribution.
    Quantity,
    /// Whether the index in the file is even or odd.
    Parity,
    /// The writer's institution, and writers within it; needs QMNIST's labels.
    Institution,
    /// The writer; needs QMNIST's labels.
    Writer,
}

/// Of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// What is tried out.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// Where the samples should be.
    #[command(flatten)]
    pub data: DataDir,
}

/// Of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An error code such as E0302; all of them are listed if absent.
    pub code: Option<String>,
}

/// Of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}
