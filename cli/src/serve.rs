//! `coordinator serve`: binds, says where, and serves until it is asked to end.

use std::time::Duration;

use serde::Serialize;
use syngrad_common::telemetry;
use syngrad_common::transport::{self, ServerSecurity};
use syngrad_coordinator::{Config, Patience, State};

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{runtime, scheduling, signals};

/// The first line of a coordinator, for the programs that start one.
#[derive(Serialize)]
struct Listening {
    event: &'static str,
    address: String,
}

pub(crate) fn run(args: &ServeArgs, output: Output) -> Result<Exit, Failure> {
    log(output, "info")?;
    if args.batch {
        scheduling::as_batch()?;
    }
    let mut state = match args.no_state {
        true => State::forgotten(),
        false => State::open_named_or_own(args.state_dir.as_deref())?,
    };
    let security = match args.insecure {
        true => ServerSecurity::InsecureLoopback,
        false => state.security()?,
    };
    let defaults = Config::default();
    let config = Config {
        security,
        data_dir: args.data_dir.clone().unwrap_or(defaults.data_dir.clone()),
        device: args.device,
        patience: Patience::with_silence(Duration::from_millis(args.silence_ms)),
        ..defaults
    };
    runtime::serving()?.block_on(async {
        let shutdown = signals::shutdown(args.stdin)?;
        let listener = transport::listen(args.bind, &config.security).await.map_err(syngrad_common::Failure::from)?;
        let address = listener.local_addr().map_err(|why| Failure::io("asking for the listener's address", &why))?;
        output.announcement(&Listening { event: "listening", address: address.to_string() });
        syngrad_coordinator::serve(listener, config, state, shutdown).await?;
        Ok(Exit::Ok)
    })
}

/// Logs go to standard error: for people unless results are for programs.
pub(crate) fn log(output: Output, default: &str) -> Result<(), Failure> {
    let format = if output.is_for_programs() { telemetry::Format::Json } else { telemetry::Format::Compact };
    telemetry::init(format, if output.is_quiet() { "error" } else { default }).map_err(|why| Failure::usage(&why))
}
