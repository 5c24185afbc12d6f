//! Whether a run is one that the partner takes part in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Permission, Policy};
use crate::spec::{Algorithm, DataSpec, ModelSpec, RunSpec};
use crate::terms::Terms;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident of $spec:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl From<&$spec> for $name {
            fn from(spec: &$spec) -> Self {
                match spec {
                    $($spec::$variant { .. } => Self::$variant,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    )*};
}

kinds! {
    /// A kind of network, by the name that a run spec has for it.
    ModelKind of ModelSpec {
        /// Fully connected layers.
        Mlp = "mlp",
        /// No computation.
        Noop = "noop",
    }
    /// What a unit computes, by the name that a run spec has for it.
    AlgorithmKind of Algorithm {
        /// The summed gradient of the next few samples.
        SyncSgd = "sync-sgd",
        /// The weighted params delta after local steps.
        Fedavg = "fedavg",
    }
    /// Where samples come from, by the name that a run spec has for it.
    DatasetKind of DataSpec {
        /// The MNIST handwritten digits, which the coordinator has.
        Mnist = "mnist",
        /// Samples drawn from the seed.
        Synthetic = "synthetic",
        /// The partners' own samples.
        Private = "private",
    }
}

/// Who asks: what is known of a coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its address, as the worker was told.
    pub address: String,
    /// Its identity, if it keeps state.
    pub identity: Option<String>,
    /// The consortium in whose name its certificate was issued, if the connection is protected.
    pub consortium: Option<String>,
}

/// What a run asks of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who asks.
    pub host: Host,
    /// The network.
    pub model: ModelKind,
    /// What a unit computes.
    pub algorithm: AlgorithmKind,
    /// What is trained on.
    pub dataset: DatasetKind,
    /// Params of the network.
    pub params: u64,
    /// Rounds of the run.
    pub rounds: u32,
    /// Bytes of the largest update.
    pub update_bytes: u64,
    /// Bytes of memory that working for the run takes at the least.
    pub memory: u64,
}

impl Request {
    /// What a run of `spec` on `terms` asks, when `host` does the asking.
    #[must_use]
    pub fn new(host: Host, spec: &RunSpec, terms: &Terms, memory: u64) -> Self {
        let (first, later) = terms.update_bytes;
        Self {
            host,
            model: (&spec.model).into(),
            algorithm: (&spec.algorithm).into(),
            dataset: (&spec.data).into(),
            params: terms.params,
            rounds: terms.rounds,
            update_bytes: first.max(later),
            memory,
        }
    }
}

/// Why a partner's policy refuses a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Objection {
    /// The coordinator is not on the list.
    Coordinator {
        /// Who it is.
        host: Host,
    },
    /// A kind is not on its list.
    Kind {
        /// The policy's key.
        key: &'static str,
        /// What the run has.
        found: String,
        /// What the policy accepts.
        accepted: String,
    },
    /// The run is on the partner's own samples.
    PrivateData,
    /// A number of the run is over the policy's.
    Above {
        /// The policy's key.
        key: &'static str,
        /// What the number is of.
        what: &'static str,
        /// What the run has.
        found: u64,
        /// What the policy allows.
        most: u64,
    },
    /// Clipping would give units other bits than other workers compute for them.
    ClipsSharedUnits,
    /// The run has no secure aggregation.
    NoSecureAggregation,
    /// The run has no privacy budget.
    NoPrivacyBudget,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator { host } => write!(f, "coordinators does not name this one: {host}"),
            Self::Kind { key, found, accepted } => write!(f, "{key} accepts {accepted}, and the run has {found}"),
            Self::PrivateData => f.write_str("private_data refuses runs on the partner's own samples, and this is one"),
            Self::Above { key, what, found, most } => write!(f, "{key} is {most}, and the run asks for {found} {what}"),
            Self::ClipsSharedUnits => f.write_str(
                "max_norm changes what a unit comes to, and other workers may compute the same units of this run: it can \
                 be had on private samples only",
            ),
            Self::NoSecureAggregation => {
                f.write_str("require_secure_aggregation is set, and no run of this release has secure aggregation")
            }
            Self::NoPrivacyBudget => {
                f.write_str("require_privacy_budget is set, and no run of this release has a privacy budget")
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(identity) = &self.identity {
            write!(f, ", identity {identity}")?;
        }
        match &self.consortium {
            Some(consortium) => write!(f, ", consortium {consortium}"),
            None => Ok(()),
        }
    }
}

impl Host {
    /// Whether a name of a policy's list means this coordinator.
    fn is_named(&self, name: &str) -> bool {
        let names = [Some(&self.address), self.identity.as_ref(), self.consortium.as_ref()];
        names.into_iter().flatten().any(|known| known.eq_ignore_ascii_case(name.trim()))
    }
}

impl Policy {
    /// Whether the partner takes part in what is asked: every objection, so that a person mends all at once.
    ///
    /// # Errors
    /// The [`Objection`]s, at least one.
    pub fn admit(&self, request: &Request) -> Result<(), Vec<Objection>> {
        let mut objections = Vec::new();
        let listed = |names: &Vec<String>| names.iter().any(|name| request.host.is_named(name));
        if self.coordinators.as_ref().is_some_and(|names| !listed(names)) {
            objections.push(Objection::Coordinator { host: request.host.clone() });
        }
        objections.extend(unlisted("models", self.models.as_deref(), &request.model));
        objections.extend(unlisted("algorithms", self.algorithms.as_deref(), &request.algorithm));
        objections.extend(unlisted("datasets", self.datasets.as_deref(), &request.dataset));
        let is_private = request.dataset == DatasetKind::Private;
        if is_private && self.private_data == Permission::Refuse {
            objections.push(Objection::PrivateData);
        }
        objections.extend(above("max_rounds", "rounds", request.rounds.into(), self.max_rounds.map(u64::from)));
        objections.extend(above("max_params", "params", request.params, self.max_params));
        let bytes = self.max_update_bytes_a_day;
        objections.extend(above("max_update_bytes_a_day", "bytes in each update", request.update_bytes, bytes));
        let needed = request.memory.div_ceil(1 << 20);
        objections.extend(above("memory_mb", "MiB of memory at the least", needed, self.memory_mb));
        if self.max_norm.is_some() && !is_private {
            objections.push(Objection::ClipsSharedUnits);
        }
        if self.require_secure_aggregation {
            objections.push(Objection::NoSecureAggregation);
        }
        if self.require_privacy_budget {
            objections.push(Objection::NoPrivacyBudget);
        }
        if objections.is_empty() { Ok(()) } else { Err(objections) }
    }
}

fn unlisted<K: PartialEq + fmt::Display>(key: &'static str, accepted: Option<&[K]>, found: &K) -> Option<Objection> {
    let accepted = accepted.filter(|accepted| !accepted.contains(found))?;
    let accepted = accepted.iter().map(K::to_string).collect::<Vec<_>>().join(", ");
    Some(Objection::Kind { key, found: found.to_string(), accepted })
}

fn above(key: &'static str, what: &'static str, found: u64, most: Option<u64>) -> Option<Objection> {
    most.filter(|most| found > *most).map(|most| Objection::Above { key, what, found, most })
}
