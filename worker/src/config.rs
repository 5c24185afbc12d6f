//! What a worker is told at its start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use syngrad_common::limits::{HEARTBEAT, SILENCE};
use syngrad_common::transport::{Address, ClientSecurity};
use syngrad_common::{BUILD, Code, Failure};
use syngrad_dataset::{PrivateData, PrivateDataError};
use syngrad_engine::session::SessionConfig;
use syngrad_engine::{PartnerName, WorkerId};
use syngrad_model::Device;

use crate::guard::{PolicyInForce, StatePlace};
use crate::reading::Keys;

/// What a worker is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the coordinator is.
    pub address: Address,
    /// How the connection is protected.
    pub security: ClientSecurity,
    /// Whose worker this is.
    pub partner: PartnerName,
    /// This process.
    pub worker: WorkerId,
    /// What computes.
    pub device: Device,
    /// Release and commit, for people.
    pub build: String,
    /// How long it waits for what.
    pub patience: Patience,
    /// The partner's own samples, for runs on private data.
    pub data: Option<Arc<PrivateData>>,
    /// What the partner lets this worker do.
    pub policy: PolicyInForce,
    /// The consortium in whose name the coordinator's certificate was issued, if the connection is protected.
    pub consortium: Option<String>,
    /// Where it keeps its journal, its account, its control socket and what it has seen of logs.
    pub state: StatePlace,
    /// Bytes of samples that are kept for the run; the ones used longest ago go first.
    pub cache_bytes: u64,
    /// What it signs with, and checks the run's log against; none where nobody has keys.
    pub keys: Option<Keys>,
}

/// A partner's own samples in `folder`.
///
/// # Errors
/// [`Failure`] that names the file and what is wrong with it.
pub fn read_data(folder: &Path) -> Result<PrivateData, Failure> {
    PrivateData::load(folder).map_err(|error| {
        let code = match &error {
            PrivateDataError::Missing { .. } => Code::DataMissing,
            PrivateDataError::Io { .. } => Code::LocalFile,
            PrivateDataError::Form { .. }
            | PrivateDataError::TooLarge { .. }
            | PrivateDataError::Pair { .. }
            | PrivateDataError::Empty { .. } => Code::DataCorrupt,
        };
        Failure::new(code, error.to_string())
    })
}

/// How long a worker waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The longest wait before the first try to connect again; each further try doubles it.
    pub backoff_min: Duration,
    /// The longest wait before any try.
    pub backoff_max: Duration,
    /// Silence after which the coordinator counts as dead, until it names its own.
    pub silence: Duration,
    /// The longest a drain waits for the tasks in hand.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(15),
            silence: SILENCE,
            drain: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// A worker with a new identity and the usual limits.
    ///
    /// # Errors
    /// [`Failure`] if the system gives no random bytes.
    pub fn new(address: Address, security: ClientSecurity, partner: PartnerName) -> Result<Self, Failure> {
        let mut identity = [0; 16];
        getrandom::fill(&mut identity)
            .map_err(|error| Failure::new(Code::LocalFile, format!("the system gives no random bytes: {error}")))?;
        Ok(Self {
            address,
            security,
            partner,
            worker: WorkerId(identity),
            device: Device::default(),
            build: BUILD.to_owned(),
            patience: Patience::default(),
            data: None,
            policy: PolicyInForce::default(),
            consortium: None,
            state: StatePlace::default(),
            cache_bytes: 4 << 30,
            keys: None,
        })
    }

    /// The same worker with the samples in `folder` as its partner's own.
    ///
    /// # Errors
    /// [`Failure`] that names the file and what is wrong with it.
    pub fn with_data(self, folder: &Path) -> Result<Self, Failure> {
        Ok(Self { data: Some(Arc::new(read_data(folder)?)), ..self })
    }

    pub(crate) fn session(&self) -> SessionConfig {
        let (seed, _) = self.worker.0.split_first_chunk().expect("an identity has sixteen bytes");
        SessionConfig {
            seed: u64::from_le_bytes(*seed),
            heartbeat: HEARTBEAT,
            silence: self.patience.silence,
            backoff_min: self.patience.backoff_min,
            backoff_max: self.patience.backoff_max,
            drain: self.patience.drain,
        }
    }
}
