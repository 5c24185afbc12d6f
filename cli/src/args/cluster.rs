use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use syngrad_common::transport::DEFAULT_ADDRESS;
use syngrad_model::Device;

use super::InitArgs;
use super::guard::{InspectArgs, PreflightArgs, Sovereignty, WorkerAt};

/// `syngrad coordinator …`
#[derive(Debug, Subcommand)]
pub enum CoordinatorCommand {
    /// Found a consortium: its authority, its first operator's credentials, and its state.
    Init(InitArgs),
    /// Serve workers, operators and clients until SIGTERM or Ctrl-C.
    ///
    /// With `-o json` or `-o jsonl` the first line on standard output is
    /// `{"event":"listening","address":"…"}`.
    Serve(ServeArgs),
}

/// `syngrad worker …`
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Join a consortium with a ticket, and work for its coordinator until SIGTERM or Ctrl-C.
    ///
    /// The key is made here and never leaves. With `--insecure`, work for a coordinator of this machine that asks nobody
    /// who comes.
    Join(JoinArgs),
    /// Work again for the coordinator that was joined, until SIGTERM or Ctrl-C.
    Serve(WorkArgs),
    /// Say how a worker of this machine is.
    Status(WorkerAt),
    /// Have a worker take no work until it is resumed; it stays connected, and its units go to others.
    Pause(WorkerAt),
    /// Have a paused worker work again.
    Resume(WorkerAt),
    /// Have a worker answer what it has in hand, however long that takes, and then leave.
    Finish(WorkerAt),
    /// Have a worker leave at once.
    Leave(WorkerAt),
    /// Show every message that left this machine, from a worker's journal; also when it does not run.
    Inspect(InspectArgs),
    /// Look at what a worker needs, before it joins.
    Doctor(PreflightArgs),
}

/// Of `coordinator serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = DEFAULT_ADDRESS, env = "SYNGRAD_BIND")]
    pub bind: SocketAddr,
    /// Serve without TLS and without asking who comes. Loopback addresses only.
    #[arg(long)]
    pub insecure: bool,
    /// Where the four MNIST files are; found by itself if absent.
    #[arg(long, env = "SYNGRAD_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Where runs, their rounds and checkpoints are kept: a coordinator that is started again on the same folder goes on
    /// where the last one was killed. If absent, in `$XDG_STATE_HOME/syngrad/coordinator` or
    /// `~/.local/state/syngrad/coordinator`.
    #[arg(long = "state", alias = "state-dir", env = "SYNGRAD_STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// Keep nothing: runs are forgotten when the process ends.
    #[arg(long, conflicts_with = "state_dir")]
    pub no_state: bool,
    /// What evaluates and predicts.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// Be scheduled as batch work: for a coordinator that shares its machine with workers, which are batch work always.
    /// Linux only.
    #[arg(long)]
    pub batch: bool,
    /// Silence, in milliseconds, after which a worker counts as dead; each side says something four times as often.
    /// Shorter finds a dead link sooner, longer bears a worse one.
    #[arg(long, env = "SYNGRAD_SILENCE_MS", value_name = "MILLISECONDS", default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(500..=3_600_000))]
    pub silence_ms: u64,
    /// See [`StdinWatch`].
    #[command(flatten)]
    pub stdin: StdinWatch,
}

/// Of `worker join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The ticket; `-` reads it from standard input. If absent, it is taken from `SYNGRAD_TICKET`. With --insecure, the
    /// coordinator's address.
    pub ticket: Option<String>,
    /// A file with the ticket and nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ticket", "insecure"])]
    pub ticket_file: Option<PathBuf>,
    /// Take part on the terms that are shown, without being asked.
    #[arg(long)]
    pub accept: bool,
    /// Connect without TLS. Loopback addresses only.
    #[arg(long, requires = "ticket", requires = "partner")]
    pub insecure: bool,
    /// The partner that this worker works for, with --insecure; a ticket says it itself.
    #[arg(long, env = "SYNGRAD_PARTNER", value_name = "NAME")]
    pub partner: Option<String>,
    /// The identity of this worker process, with --insecure; drawn at random if absent.
    #[arg(long, value_name = "UUID", requires = "insecure")]
    pub identity: Option<uuid::Uuid>,
    /// How it works.
    #[command(flatten)]
    pub work: WorkArgs,
}

/// How a worker works: of `worker join` and `worker serve`.
#[derive(Debug, Args)]
pub struct WorkArgs {
    /// The partner's own samples, for runs on private data: a folder with train-images-idx3-ubyte and
    /// train-labels-idx1-ubyte, compressed or not. They never leave this machine.
    #[arg(long, env = "SYNGRAD_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// What trains.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
    /// What the partner holds it to.
    #[command(flatten)]
    pub own: Sovereignty,
    /// Stay on one core, counted from 0 among those that this process may use: two workers on two cores then never
    /// share one. Linux only.
    #[arg(long, value_name = "NUMBER")]
    pub core: Option<usize>,
    /// See [`StdinWatch`].
    #[command(flatten)]
    pub stdin: StdinWatch,
}

/// For processes that a parent starts: the parent's death closes their standard input, whatever killed it.
#[derive(Clone, Copy, Debug, Args)]
pub struct StdinWatch {
    /// End when standard input is closed.
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
}
