//! Logs: to standard error, because standard output is data.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// The environment variable that says what is logged, as in `SYNGRAD_LOG=info,syngrad_worker=debug`.
pub const FILTER_VARIABLE: &str = "SYNGRAD_LOG";

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: one short line an event.
    #[default]
    Compact,
    /// For machines: one JSON object an event.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "{FILTER_VARIABLE} is {text:?}, which is no log filter: {why}; try \"info\" or \"warn,syngrad_worker=debug\""
    )]
    Filter {
        /// What it says.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Logging was set up before in this process.
    #[error("logging is set up already: {0}")]
    Twice(String),
}

/// Sends logs of this process to standard error. `default` applies where [`FILTER_VARIABLE`] is not set.
///
/// # Errors
/// [`TelemetryError`] if the filter is malformed or logging is set up already.
pub fn init(format: Format, default: &str) -> Result<(), TelemetryError> {
    let text = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|error| TelemetryError::Filter { text, why: error.to_string() })?;
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour);
    let outcome = match format {
        Format::Compact => builder.compact().with_target(false).try_init(),
        Format::Json => builder.json().try_init(),
    };
    outcome.map_err(|error| TelemetryError::Twice(error.to_string()))
}
