use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ExportArgs;

/// `syngrad run …`
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Start a run.
    Start(StartArgs),
    /// Follow a run until it is over. Exits 0 if it completed, 1 if it was stopped or failed.
    Watch(RunName),
    /// Say everything about a run.
    Describe(RunName),
    /// List the coordinator's runs.
    List(Coordinator),
    /// End a run. What it has committed stays.
    Stop(RunName),
    /// Write a run's archive, with which anybody can verify it (`syngrad verify`).
    Export(ExportArgs),
    /// Say what each partner gave, from the run's receipts.
    Ledger(RunName),
}

/// Which coordinator.
#[derive(Clone, Debug, Args)]
pub struct Coordinator {
    /// The coordinator's address, if it is another than the credentials say.
    #[arg(long = "coordinator", env = "SYNGRAD_COORDINATOR", value_name = "ADDRESS")]
    pub address: Option<String>,
    /// Call without TLS a coordinator that was started without it. Loopback addresses only.
    #[arg(long, env = "SYNGRAD_INSECURE", value_parser = clap::builder::BoolishValueParser::new())]
    pub insecure: bool,
    /// The state folder with the credentials. If absent, `$XDG_STATE_HOME/syngrad/coordinator` or
    /// `~/.local/state/syngrad/coordinator`.
    #[arg(long = "state", alias = "state-dir", env = "SYNGRAD_STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
}

/// Of `run start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The run spec, a TOML or JSON file.
    pub spec: PathBuf,
    /// Where it runs.
    #[command(flatten)]
    pub coordinator: Coordinator,
    /// Open no round before so many workers are ready.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), value_name = "WORKERS")]
    pub wait_for_workers: u32,
    /// Follow the run until it is over.
    #[arg(long)]
    pub watch: bool,
}

/// One run of a coordinator.
#[derive(Debug, Args)]
pub struct RunName {
    /// The run's id; the newest run if absent.
    pub run: Option<uuid::Uuid>,
    /// Where it runs.
    #[command(flatten)]
    pub coordinator: Coordinator,
}

/// Of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Pictures of one digit each: PNG, JPEG, BMP or GIF.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Who is asked.
    #[command(flatten)]
    pub coordinator: Coordinator,
    /// The served model.
    #[arg(long, default_value = "mnist")]
    pub model: String,
}
