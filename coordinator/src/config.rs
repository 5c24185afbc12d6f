//! How a coordinator is set up.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use syngrad_common::transport::{AcceptLimits, ConnectionCounters, ServerSecurity};
use syngrad_common::{BUILD, limits};
use syngrad_dataset::mnist;
use syngrad_engine::WorkerId;
use syngrad_model::Device;

use crate::receipts::{LogKey, Signer};

/// What a coordinator is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// How connections are protected, and so which addresses are allowed.
    pub security: ServerSecurity,
    /// What bounds connections.
    pub connections: AcceptLimits,
    /// Counts connections; whoever keeps a clone reads it.
    pub counters: Arc<ConnectionCounters>,
    /// Where MNIST's files lie.
    pub data_dir: PathBuf,
    /// What evaluates, predicts, and gives the numerics class that workers must have.
    pub device: Device,
    /// Release and commit, for people.
    pub build: String,
    /// How patient it is with workers.
    pub patience: Patience,
    /// The key of the log: receipts are made where there is one and state is kept.
    pub log: Option<LogKey>,
    /// What workers sign with, where no certificate of their connection says it.
    pub signers: BTreeMap<WorkerId, Arc<Signer>>,
}

/// How long a worker may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From its connection to a whole Hello.
    pub handshake: Duration,
    /// From the announcement of an update to its last byte.
    pub payload: Duration,
    /// Between two messages of either side.
    pub heartbeat: Duration,
    /// Silence after which it counts as dead.
    pub silence: Duration,
}

impl Patience {
    /// Takes a worker for dead after `silence`; each side says something four times as often.
    #[must_use]
    pub fn with_silence(silence: Duration) -> Self {
        Self { heartbeat: silence / 4, silence, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            security: ServerSecurity::InsecureLoopback,
            connections: AcceptLimits::default(),
            counters: Arc::default(),
            data_dir: mnist::default_mnist_dir(),
            device: Device::default(),
            build: BUILD.to_owned(),
            patience: Patience::default(),
            log: None,
            signers: BTreeMap::new(),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: limits::HANDSHAKE_TIMEOUT,
            payload: limits::PAYLOAD_TIMEOUT,
            heartbeat: limits::HEARTBEAT,
            silence: limits::SILENCE,
        }
    }
}

/// The folder for state that the system gives this user: `$XDG_STATE_HOME/syngrad/coordinator`, or
/// `~/.local/state/syngrad/coordinator`. None if the environment names neither.
#[must_use]
pub fn default_state_dir() -> Option<PathBuf> {
    state_dir_of(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))
}

/// A relative path is as good as none: it would be another one wherever the program is started.
fn state_dir_of(state_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = absolute(state_home).or_else(|| absolute(home).map(|home| home.join(Path::new(".local/state"))));
    of_user.map(|folder| folder.join("syngrad/coordinator"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_where_the_system_wants_it() {
        let found = |state_home: &str, home: &str| {
            let variable = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
            state_dir_of(variable(state_home), variable(home)).map(|path| path.display().to_string())
        };
        assert_eq!(found("/state", "/users/me").as_deref(), Some("/state/syngrad/coordinator"));
        assert_eq!(found("", "/users/me").as_deref(), Some("/users/me/.local/state/syngrad/coordinator"));
        assert_eq!(found("state", "/users/me").as_deref(), Some("/users/me/.local/state/syngrad/coordinator"));
        assert_eq!(found("", ""), None);
    }
}
