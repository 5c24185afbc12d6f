//! The slim coordinator: what `syngrad coordinator serve` is, with nothing else beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syngrad_common::telemetry::Format;
use syngrad_common::transport::{self, DEFAULT_ADDRESS, ServerSecurity};
use syngrad_common::{Code, Failure, bug, telemetry};
use syngrad_coordinator::{Config, State, serve};
use syngrad_model::Device;
use tokio::signal::unix::{SignalKind, signal};

/// One for the driver and one for the connections: a round is a conversation, not a crowd.
const WORKER_THREADS: usize = 2;

/// Coordinates training runs and serves the models that come out of them.
#[derive(Debug, Parser)]
#[command(name = "syngrad-coordinator", version)]
struct Args {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, env = "SYNGRAD_BIND", default_value = DEFAULT_ADDRESS)]
    bind: SocketAddr,
    /// Serve without protection, to this machine only.
    #[arg(long, required = true)]
    insecure: bool,
    /// Where MNIST's files lie.
    #[arg(long, env = "SYNGRAD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where runs are kept; in this user's own state folder if absent.
    #[arg(long = "state", alias = "state-dir", env = "SYNGRAD_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Keep nothing: runs are forgotten when the process ends.
    #[arg(long, conflicts_with = "state_dir")]
    no_state: bool,
    /// What evaluates and predicts.
    #[arg(long, env = "SYNGRAD_DEVICE", default_value_t)]
    device: Device,
}

fn main() -> ExitCode {
    bug::ends_the_process();
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(&Failure::new(Code::Internal, format!("no runtime: {error}"))),
    };
    if let Err(error) = telemetry::init(Format::Compact, "info") {
        return end(&Failure::new(Code::Usage, error.to_string()));
    }
    let state = match args.no_state {
        true => Ok(State::forgotten()),
        false => State::open_named_or_own(args.state_dir.as_deref()),
    };
    match state.and_then(|state| runtime.block_on(run(args, state))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure),
    }
}

async fn run(args: Args, state: State) -> Result<(), Failure> {
    let listener = transport::listen(args.bind, &ServerSecurity::InsecureLoopback).await?;
    let defaults = Config::default();
    let data_dir = args.data_dir.unwrap_or(defaults.data_dir.clone());
    let config = Config { data_dir, device: args.device, ..defaults };
    let no_signals = |error| Failure::new(Code::Internal, format!("signals cannot be waited for: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    serve(listener, config, state, async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
    .await
}

fn end(failure: &Failure) -> ExitCode {
    let Failure { code, message } = failure;
    tracing::error!(%code, "{message}; see `syngrad explain {code}`");
    ExitCode::from(code.exit() as u8)
}
