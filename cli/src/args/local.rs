use std::path::PathBuf;

use clap::{Args, Subcommand};
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
