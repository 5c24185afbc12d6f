use std::path::PathBuf;

use clap::Args;
use syngrad_engine::PartnerName;
use syngrad_model::Device;

/// What a worker is held to by its partner, and where it keeps what it must not forget.
#[derive(Clone, Debug, Args)]
pub struct Sovereignty {
    /// What this worker may do, whatever a coordinator asks. If absent, `$XDG_CONFIG_HOME/syngrad/policy.toml` or
    /// `~/.config/syngrad/policy.toml`, if that is there.
    #[arg(long, env = "SYNGRAD_POLICY", value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Have no policy, even if there is one where it is looked for.
    #[arg(long, conflicts_with = "policy")]
    pub no_policy: bool,
    /// Where the journal of what leaves, the account of what may leave and the control socket are. If absent, in a folder
    /// named after the worker in `$XDG_STATE_HOME/syngrad/worker` or `~/.local/state/syngrad/worker`.
    #[arg(long = "state", env = "SYNGRAD_WORKER_STATE", value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Keep nothing: no journal, no account, no control socket.
    #[arg(long, conflicts_with = "state")]
    pub no_state: bool,
}

/// Which of this machine's workers is meant.
#[derive(Clone, Debug, Args)]
pub struct WorkerAt {
    /// The worker's state folder.
    #[arg(long = "state", env = "SYNGRAD_WORKER_STATE", value_name = "FOLDER", conflicts_with = "worker")]
    pub state: Option<PathBuf>,
    /// The name of its folder in `$XDG_STATE_HOME/syngrad/worker`; the only one that runs if absent.
    #[arg(long, value_name = "NAME")]
    pub worker: Option<String>,
}

/// Of `worker inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Only messages of this round.
    #[arg(long)]
    pub round: Option<u32>,
    /// Only messages of the run whose id begins so.
    #[arg(long)]
    pub run: Option<String>,
    /// Only the last so many; 20 for people and all for programs if absent.
    #[arg(long, value_name = "NUMBER")]
    pub last: Option<usize>,
    /// Which worker.
    #[command(flatten)]
    pub at: WorkerAt,
}

/// Of `worker doctor`.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// The coordinator to try; without it nothing is sent anywhere.
    pub address: Option<String>,
    /// Connect without TLS. Loopback addresses only.
    #[arg(long)]
    pub insecure: bool,
    /// Who to say that it is, at the coordinator.
    #[arg(long, env = "SYNGRAD_PARTNER", value_name = "NAME", default_value = "preflight", value_parser = PartnerName::parse)]
    pub partner: PartnerName,
    /// The partner's own samples, to be read.
    #[arg(long, env = "SYNGRAD_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// What trains.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// The policy and the state folder, to be tried.
    #[command(flatten)]
    pub own: Sovereignty,
}
