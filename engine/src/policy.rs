//! What a partner lets its worker do, whatever a coordinator asks: the decisions behind a worker's `policy.toml`.
//!
//! ```text
//!   a run opens      Policy::admit(request)        the run is taken, or declined with every objection at once
//!   a unit is done   clip(values, bound)           before the grid: a private unit has one owner, so its bits stay its own
//!   an update goes   Allowance::release(parcel)    rounds of the run and bytes of the day, counted before anything leaves
//!   the hours turn   Hours::at(moment)             open or closed, and until when
//! ```
//!
//! Nothing here can be changed from outside the machine. Reading the file and the clock is the shell's.

mod admission;
mod allowance;
mod clip;
mod hours;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use admission::{AlgorithmKind, DatasetKind, Host, ModelKind, Objection, Request};
pub use allowance::{Allowance, DAY_SECONDS, Day, Limits, Parcel, Release, Spent};
pub use clip::{Clipping, clip, norm};
pub use hours::{Clock, Hours, Opening, Weekday, Window};

/// The longest list of names in a policy.
pub const MAX_NAMES: usize = 256;
/// The longest name of a coordinator, in bytes.
pub const MAX_NAME: usize = 256;
/// The most cores that a policy may name.
pub const MAX_CPU: f64 = 1024.0;
/// The longest rest between two units, however small the share of a core.
pub const LONGEST_REST: Duration = Duration::from_secs(86_400);
/// The most windows of a schedule.
pub const MAX_WINDOWS: usize = 64;

/// A partner's rules for its worker. What is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The coordinators that may give work: an address, an identity, or a consortium's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinators: Option<Vec<String>>,
    /// The networks that may be trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<ModelKind>>,
    /// What a unit may compute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<AlgorithmKind>>,
    /// What may be trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasets: Option<Vec<DatasetKind>>,
    /// Whether the partner's own samples may be trained on.
    pub private_data: Permission,
    /// Rounds of one run that updates may leave for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rounds: Option<u32>,
    /// Bytes of updates that may leave in a day, by UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_update_bytes_a_day: Option<u64>,
    /// Params of the largest model that may be trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_params: Option<u64>,
    /// Megabytes (2^20 bytes) of memory that the worker may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// The share of one core that computing may take; a worker computes on one core, so 1 and more are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// The largest L2 norm of a unit's mean result: Σ over its samples ÷ their number. Larger ones are scaled down to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f64>,
    /// Take no part in a run without secure aggregation.
    pub require_secure_aggregation: bool,
    /// Take no part in a run without a privacy budget.
    pub require_privacy_budget: bool,
    /// When to work; always if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Hours>,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// It is.
    #[default]
    Allow,
    /// It is not.
    Refuse,
}

/// A value that a policy cannot have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key} is {found}; it must be {expected}")]
pub struct PolicyError {
    /// The key.
    pub key: &'static str,
    /// What the policy says.
    pub found: String,
    /// What it may say.
    pub expected: String,
}

#[allow(clippy::needless_pass_by_value, reason = "values and format_args! read the same at the call")]
fn require(fits: bool, key: &'static str, found: impl ToString, expected: impl ToString) -> Result<(), PolicyError> {
    match fits {
        true => Ok(()),
        false => Err(PolicyError { key, found: found.to_string(), expected: expected.to_string() }),
    }
}

impl Policy {
    /// Checks every value.
    ///
    /// # Errors
    /// [`PolicyError`] of the first that is out of its range.
    pub fn check(&self) -> Result<(), PolicyError> {
        let names = self.coordinators.as_deref().unwrap_or_default();
        let count = format!("{MAX_NAMES} names at most");
        require(names.len() <= MAX_NAMES, "coordinators", names.len(), count)?;
        for name in names {
            let fits = !name.trim().is_empty() && name.len() <= MAX_NAME;
            require(fits, "coordinators", format_args!("{name:?}"), format_args!("names of 1 to {MAX_NAME} bytes"))?;
        }
        for (key, len) in [
            ("coordinators", self.coordinators.as_ref().map(Vec::len)),
            ("models", self.models.as_ref().map(Vec::len)),
            ("algorithms", self.algorithms.as_ref().map(Vec::len)),
            ("datasets", self.datasets.as_ref().map(Vec::len)),
        ] {
            require(len != Some(0), key, "an empty list", "left out, or name what is accepted")?;
        }
        for (key, value) in [
            ("max_rounds", self.max_rounds.map(u64::from)),
            ("max_update_bytes_a_day", self.max_update_bytes_a_day),
            ("max_params", self.max_params),
            ("memory_mb", self.memory_mb),
        ] {
            require(value != Some(0), key, 0, "1 or more, or left out")?;
        }
        let cpu = self.cpu.unwrap_or(1.0);
        require(cpu > 0.0 && cpu <= MAX_CPU, "cpu", cpu, format_args!("above 0, and {MAX_CPU} at most"))?;
        let norm = self.max_norm.unwrap_or(1.0);
        require(norm > 0.0 && norm.is_finite(), "max_norm", norm, "a finite number above 0")?;
        self.schedule.as_ref().map_or(Ok(()), Hours::check)
    }

    /// What may leave.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { rounds: self.max_rounds, bytes_a_day: self.max_update_bytes_a_day }
    }

    /// The share of a core that computing may take, in (0, 1].
    #[must_use]
    pub fn share(&self) -> f64 {
        self.cpu.map_or(1.0, |cpu| cpu.min(1.0))
    }

    /// How long a worker that takes `share` of a core rests after it has computed for `took`.
    #[must_use]
    pub fn rest(share: f64, took: Duration) -> Duration {
        Duration::try_from_secs_f64(took.as_secs_f64() * (1.0 / share - 1.0)).unwrap_or(LONGEST_REST).min(LONGEST_REST)
    }

    /// Bytes of memory that the worker may use.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        self.memory_mb.map(|megabytes| megabytes.saturating_mul(1 << 20))
    }
}

#[cfg(test)]
mod tests;
