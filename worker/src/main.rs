//! The slim worker: what a partner needs on a machine, and nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syngrad_common::telemetry::{self, Format};
use syngrad_common::transport::{Address, ClientSecurity};
use syngrad_common::{Code, Failure, bug};
use syngrad_engine::PartnerName;
use syngrad_model::Device;
use syngrad_worker::{
    Config, Line, PolicyInForce, StatePlace, default_policy_file, default_state_root, join, read_policy,
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Work for a coordinator until SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "syngrad-worker", version)]
struct Arguments {
    /// The coordinator, as host:port.
    address: Address,
    /// Connect without encryption; allowed within this machine only.
    #[arg(long, required = true)]
    insecure: bool,
    /// The partner whose worker this is.
    #[arg(long, value_parser = PartnerName::parse)]
    partner: PartnerName,
    /// The partner's own samples, for runs on private data: a folder with train-images-idx3-ubyte and
    /// train-labels-idx1-ubyte. They never leave this machine.
    #[arg(long)]
    data: Option<PathBuf>,
    /// What this worker may do, whatever a coordinator asks. If absent, the user's own policy, if there is one.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Where the journal of what leaves, the account of what may leave and the control socket are. If absent, in the user's
    /// own state folder.
    #[arg(long)]
    state: Option<PathBuf>,
    /// What computes.
    #[arg(long, default_value_t)]
    device: Device,
}

fn main() -> ExitCode {
    bug::ends_the_process();
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(code = %failure.code, "{failure}; {}", failure.code.next_step());
            ExitCode::from(failure.code.exit() as u8)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(arguments: Arguments) -> Result<(), Failure> {
    telemetry::init(Format::Compact, "info").map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    let Arguments { address, insecure: _, partner, data, policy, state, device } = arguments;
    let policy = policy.or_else(|| default_policy_file().filter(|file| file.symlink_metadata().is_ok()));
    let policy = policy.map_or_else(|| Ok(PolicyInForce::default()), |file| read_policy(&file))?;
    let state = match (state, default_state_root()) {
        (Some(folder), _) => StatePlace::Folder(folder),
        (None, Some(root)) => StatePlace::Own { root, name: partner.to_string() },
        (None, None) => {
            let why = "neither XDG_STATE_HOME nor HOME names a folder; name one with --state";
            return Err(Failure::new(Code::Usage, why));
        }
    };
    let config = Config { device, policy, state, ..Config::new(address, ClientSecurity::InsecureLoopback, partner)? };
    let config = match data {
        Some(folder) => config.with_data(&folder)?,
        None => config,
    };
    let no_signals = |error: std::io::Error| Failure::new(Code::LocalFile, format!("no signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    join(config, |line: Line| tell(&line), asked).await
}

fn tell(line: &Line) {
    match (line.tone, line.code) {
        (syngrad_worker::Tone::Fine, _) => tracing::info!("{}", line.text),
        (syngrad_worker::Tone::Trouble, Some(code)) => tracing::warn!(%code, "{}", line.text),
        (syngrad_worker::Tone::Trouble, None) => tracing::warn!("{}", line.text),
    }
}
