//! How training samples are cut into shards, as a spec names it. [`crate::partition`] cuts.

use serde::{Deserialize, Serialize};

use super::check::{SpecError, count, require};

/// The most shards of labels that a unit may get.
pub(super) const MAX_SHARDS_PER_UNIT: u32 = 1024;
/// The smallest concentration: below it a unit has one class only, whatever the seed.
pub(super) const MIN_ALPHA: f64 = 1e-3;
/// The largest concentration: above it the cut is an even one.
pub(super) const MAX_ALPHA: f64 = 1e6;

/// How the training samples are cut into as many shards as a round has units. What has no constants has braces all the
/// same: serde refuses unknown keys only in them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Partition {
    /// Evenly, in a seeded order: every shard looks like the whole.
    Iid {},
    /// Evenly, in the order of the file.
    Contiguous {},
    /// By label: the samples, sorted by label, are cut evenly into units times `shards_per_unit` pieces, and each unit
    /// gets so many, drawn at random (McMahan et al. 2017, arXiv 1602.05629).
    Shards {
        /// Pieces of a unit.
        shards_per_unit: u32,
    },
    /// Evenly, with classes as skewed as a Dirichlet distribution draws them for each unit (Hsu et al. 2019, arXiv
    /// 1909.06335).
    Dirichlet {
        /// Concentration: near 0 a unit has one class, at 100 nearly the whole's mixture.
        alpha: f64,
    },
    /// In a seeded order, with sizes that a Dirichlet distribution draws.
    Quantity {
        /// Concentration: below 1 a few units have most samples, at 100 all have nearly as many.
        alpha: f64,
    },
    /// Samples of even index to some units, of odd index to others. In MNIST's training file these are nearly its two
    /// institutions.
    Parity {},
    /// By institution: no unit has samples of two, and within one no two units have samples of the same writer. Unit 0
    /// begins with the employees of the Census Bureau, the last ones are high-school students. Needs QMNIST's labels.
    Institution {},
    /// By writer: no two units have samples of the same one. Needs QMNIST's labels.
    Writer {},
}

impl Default for Partition {
    fn default() -> Self {
        Self::Iid {}
    }
}

impl Partition {
    /// The partitions that need labels only.
    pub(super) const OF_ANYTHING: &'static str = "iid, contiguous, shards, dirichlet, quantity or parity";

    /// Whether it is what a spec that says nothing means.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it depends on who wrote a sample.
    #[must_use]
    pub fn needs_origins(&self) -> bool {
        match self {
            Self::Institution {} | Self::Writer {} => true,
            Self::Iid {}
            | Self::Contiguous {}
            | Self::Shards { .. }
            | Self::Dirichlet { .. }
            | Self::Quantity { .. }
            | Self::Parity {} => false,
        }
    }

    /// Its kind in a spec.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Iid {} => "iid",
            Self::Contiguous {} => "contiguous",
            Self::Shards { .. } => "shards",
            Self::Dirichlet { .. } => "dirichlet",
            Self::Quantity { .. } => "quantity",
            Self::Parity {} => "parity",
            Self::Institution {} => "institution",
            Self::Writer {} => "writer",
        }
    }

    /// Checks its numbers against their ranges.
    ///
    /// # Errors
    /// [`SpecError`] naming the number.
    pub fn check(&self) -> Result<(), SpecError> {
        match self {
            Self::Shards { shards_per_unit } => {
                count(*shards_per_unit, MAX_SHARDS_PER_UNIT, "data.partition.shards_per_unit")
            }
            Self::Dirichlet { alpha } | Self::Quantity { alpha } => require(
                (MIN_ALPHA..=MAX_ALPHA).contains(alpha),
                "data.partition.alpha",
                format_args!("{alpha:?}"),
                format_args!("it may be {MIN_ALPHA} to {MAX_ALPHA}"),
            ),
            Self::Iid {} | Self::Contiguous {} | Self::Parity {} | Self::Institution {} | Self::Writer {} => Ok(()),
        }
    }
}
