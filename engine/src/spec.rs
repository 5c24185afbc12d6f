//! The run spec: everything that fixes a run's bits, written once by the operator, immutable and hashed.
//!
//! Two runs with equal specs and equal data end with equal params. What may differ between them (how many workers,
//! how fast, over which network) is not in here.

pub mod check;
mod optimizer;
mod partition;

use serde::{Deserialize, Serialize};

use crate::id::PartnerName;

pub use check::SpecError;
pub use optimizer::OptimizerSpec;
pub use partition::Partition;

/// A whole run spec. See `examples/mnist-mlp.toml` for one with every key explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// A name for people.
    pub name: String,
    /// The seed of initial params, shards, sample order and stochastic rounding.
    #[serde(default)]
    pub seed: u64,
    /// The network.
    pub model: ModelSpec,
    /// The samples.
    pub data: DataSpec,
    /// What a unit computes.
    pub algorithm: Algorithm,
    /// How the mean update becomes a step.
    pub optimizer: OptimizerSpec,
    /// How the server's learning rate moves over the run.
    #[serde(default)]
    pub schedule: Schedule,
    /// The width of a worker's sum on the wire.
    #[serde(default)]
    pub update_bits: UpdateBits,
    /// When a round may close.
    #[serde(default)]
    pub quorum: Quorum,
    /// When the params are evaluated.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// How often the whole state is kept.
    #[serde(default)]
    pub checkpoint: Checkpoint,
    /// What a round waits for before the next one opens.
    #[serde(default)]
    pub durability: Durability,
    /// What happens to a worker of another numerics class.
    #[serde(default)]
    pub numerics: Numerics,
    /// What is kept of each round beside its receipt.
    #[serde(default, skip_serializing_if = "Archive::is_default")]
    pub archive: Archive,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelSpec {
    /// Fully connected layers with ReLU between them, trained with softmax cross-entropy.
    Mlp {
        /// Features of a sample.
        inputs: usize,
        /// Width of each hidden layer; none makes a linear classifier.
        hidden: Vec<usize>,
        /// Classes, the width of the output.
        classes: usize,
    },
    /// No computation: one tensor, and a fixed update of it. It measures the round and nothing else.
    Noop {
        /// Number of params.
        params: usize,
    },
}

/// Where samples come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataSpec {
    /// The MNIST handwritten digits: 60,000 training and 10,000 test images of 28 × 28.
    Mnist {
        /// Train on the first so many of the training samples, in a seeded order; all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// How the samples are cut into shards.
        #[serde(default, skip_serializing_if = "Partition::is_default")]
        partition: Partition,
    },
    /// Samples drawn from the seed: a noisy cluster per class. For tests and benchmarks.
    Synthetic {
        /// Training samples; a quarter as many more are for the test.
        samples: u32,
        /// Features of a sample.
        inputs: usize,
        /// Classes.
        classes: usize,
        /// How the samples are cut into shards.
        #[serde(default, skip_serializing_if = "Partition::is_default")]
        partition: Partition,
    },
    /// Samples that their partners keep: nobody else ever sees them, and nobody else computes with them. Unit `u` of
    /// every round is the work of partner `u`.
    Private {
        /// Features of a sample.
        inputs: usize,
        /// Classes.
        classes: usize,
        /// Whose samples they are, in the order of units.
        partners: Vec<PartnerData>,
        /// What the coordinator evaluates the params on.
        #[serde(default)]
        test: TestData,
    },
}

/// The samples of one partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerData {
    /// Whose they are.
    pub partner: PartnerName,
    /// How many there are: the weight of the partner's update. Assigned here, where everybody sees it; a worker that
    /// has another number of samples does not take part.
    pub samples: u32,
}

/// Test samples of a coordinator that has no samples to train on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestData {
    /// None: the params are served without having been evaluated.
    #[default]
    None,
    /// The 10,000 test images of MNIST.
    Mnist,
}

/// What a unit computes, and how many there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Algorithm {
    /// Synchronous data-parallel SGD: a unit is the summed gradient of the next few samples of its shard.
    SyncSgd {
        /// Passes over the data.
        epochs: u32,
        /// Units in a round, and so shards of the data.
        units: u32,
        /// Samples of a unit; the global batch is `units · unit_samples`.
        unit_samples: u32,
    },
    /// Federated averaging (McMahan et al. 2017, arXiv 1602.05629): a unit is the weighted params delta after local
    /// steps on its shard. With `proximal` it is FedProx, with a FedOpt optimiser on the server FedOpt, and with AdamW
    /// in the units and Nesterov momentum on the server DiLoCo (Douillard et al. 2023, arXiv 2311.08105).
    Fedavg {
        /// Rounds.
        rounds: u32,
        /// Units in a round, and so shards of the data.
        units: u32,
        /// Passes over the shard before it reports. Either this or `local_steps`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local_epochs: Option<u32>,
        /// Local steps before it reports, whatever the shard's size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local_steps: Option<u32>,
        /// Samples of a local step.
        local_batch: u32,
        /// How strongly local steps are drawn back to the round's params: μ of FedProx (Li et al. 2020, arXiv
        /// 1812.06127). 0 is not at all.
        #[serde(default, skip_serializing_if = "is_zero")]
        proximal: f64,
        /// The optimiser of the local steps; its state begins anew in every unit.
        local_optimizer: OptimizerSpec,
    },
}

/// How the server's learning rate moves over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// The same rate in every round. The braces let serde refuse unknown keys.
    Constant {},
    /// From the rate down to `final_fraction` of it in equal steps, after a linear warm-up.
    Linear {
        /// The rate of the last round, as a fraction of the optimiser's.
        #[serde(default)]
        final_fraction: f64,
        /// Rounds of warm-up.
        #[serde(default)]
        warmup_rounds: u32,
    },
    /// The same along half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983), after a linear warm-up.
    Cosine {
        /// The rate of the last round, as a fraction of the optimiser's.
        #[serde(default)]
        final_fraction: f64,
        /// Rounds of warm-up.
        #[serde(default)]
        warmup_rounds: u32,
    },
}

/// The width of a worker's sum on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum UpdateBits {
    /// One byte an entry, rounded stochastically.
    Eight,
    /// Two bytes an entry, rounded stochastically.
    Sixteen,
    /// Four bytes an entry, rounded to nearest, ties to even.
    #[default]
    ThirtyTwo,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// When a round may close, and what is looked at before it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quorum {
    /// Partners that must be present for a round to open.
    pub min_partners: u32,
    /// Units that must have been counted for a round to close; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_units: Option<u32>,
    /// Seconds after which units that have not been answered are missing; with `re-lease` others are asked earlier, once it is
    /// known how long a member takes.
    pub round_deadline_seconds: f64,
    /// The largest part of a round's units that one partner may hold.
    pub max_partner_weight: f64,
    /// What happens to missing units.
    pub on_missing: OnMissing,
    /// The chance that an update is audited: another partner's worker computes its units again before the round closes.
    #[serde(skip_serializing_if = "is_zero")]
    pub audit_rate: f64,
}

/// What happens to units that are missing at the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The round stays open until their holders answer or leave.
    Wait,
    /// Others may compute them too; the first answer counts.
    #[default]
    ReLease,
    /// The round closes without them if `min_units` were counted, and the run fails if not.
    Skip,
}

/// When the params are evaluated on the test samples, and what counts as success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Rounds between evaluations; absent means once an epoch (every round for federated averaging). The last round
    /// is always evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_rounds: Option<u32>,
    /// The test accuracy (0 to 1) that the run must reach to have succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_accuracy: Option<f64>,
}

/// What happens to a worker whose numerics fingerprint is not the coordinator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numerics {
    /// It is refused: its bits would differ.
    #[default]
    Strict,
    /// It may work, and the run says so.
    Record,
}

/// How often a coordinator that keeps state keeps all of it: whichever comes first. The last round is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Rounds from one checkpoint to the next.
    pub rounds: u32,
    /// Seconds from one checkpoint to the next.
    pub seconds: f64,
}

/// What is kept of each round beside its receipt. It changes no bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// Nothing.
    #[default]
    None,
    /// Every update that was accepted, so that whoever has the archive can compute every round again.
    Updates,
}

impl Archive {
    /// Specs that say nothing of it keep their encoding.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_default(&self) -> bool {
        *self == Self::None
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { rounds: 100, seconds: 10.0 }
    }
}

/// What a round waits for before the next one opens. The bits are the same: what is lost is computed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing: a crash costs the rounds since the last checkpoint.
    #[default]
    Checkpoint,
    /// Its own checkpoint: a crash costs the open round.
    EveryRound,
}

impl Default for Quorum {
    fn default() -> Self {
        Self {
            min_partners: 1,
            min_units: None,
            round_deadline_seconds: 30.0,
            max_partner_weight: 1.0,
            on_missing: OnMissing::ReLease,
            audit_rate: 0.0,
        }
    }
}

impl Quorum {
    /// The most of a round's `units` units that one partner may hold.
    #[must_use]
    pub fn partner_units(&self, units: u32) -> u32 {
        // The nearest f64 to a decimal part may lie a hair below it.
        (f64::from(units) * self.max_partner_weight + 1e-9).floor() as u32
    }
}

impl UpdateBits {
    /// Bytes of one entry.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
            Self::ThirtyTwo => 4,
        }
    }
}

impl From<UpdateBits> for u8 {
    fn from(bits: UpdateBits) -> Self {
        match bits {
            UpdateBits::Eight => 8,
            UpdateBits::Sixteen => 16,
            UpdateBits::ThirtyTwo => 32,
        }
    }
}

impl TryFrom<u8> for UpdateBits {
    type Error = String;

    fn try_from(bits: u8) -> Result<Self, Self::Error> {
        match bits {
            8 => Ok(Self::Eight),
            16 => Ok(Self::Sixteen),
            32 => Ok(Self::ThirtyTwo),
            other => Err(format!("update_bits is {other}; it may be 8, 16 or 32")),
        }
    }
}

impl DataSpec {
    /// Samples of all partners together, if partners keep them to themselves.
    #[must_use]
    pub fn private_samples(&self) -> Option<u32> {
        match self {
            Self::Mnist { .. } | Self::Synthetic { .. } => None,
            Self::Private { partners, .. } => Some(partners.iter().map(|of| of.samples).fold(0, u32::saturating_add)),
        }
    }
}

impl Algorithm {
    /// Units in a round, and so shards of the data.
    #[must_use]
    pub fn units(&self) -> u32 {
        match self {
            Self::SyncSgd { units, .. } | Self::Fedavg { units, .. } => *units,
        }
    }

    /// Samples of one forward and backward pass: the shape on which the numerics class depends.
    #[must_use]
    pub fn batch(&self) -> u32 {
        match self {
            Self::SyncSgd { unit_samples, .. } => *unit_samples,
            Self::Fedavg { local_batch, .. } => *local_batch,
        }
    }
}
