//! What a run spec may say: every number has a range, and an error names the key, the value and the range.

use thiserror::Error;

use std::collections::BTreeSet;

use super::{
    Algorithm, Checkpoint, DataSpec, Evaluation, ModelSpec, Numerics, Partition, PartnerData, Quorum, RunSpec,
    Schedule, TestData,
};
use crate::layout::MAX_PARAMS;

/// The most units a round may have.
pub const MAX_UNITS: u32 = 1024;
/// The longest run name, in bytes.
pub const MAX_NAME: usize = 64;
/// The most samples of a forward and backward pass.
pub const MAX_BATCH: u32 = 65_536;
/// The most hidden layers.
pub const MAX_LAYERS: usize = 64;
/// The most epochs, rounds or local epochs.
pub const MAX_ROUNDS: u32 = 10_000_000;
/// The strongest pull towards the round's params.
pub const MAX_PROXIMAL: f64 = 1e6;
/// The longest round deadline, in seconds.
pub const MAX_DEADLINE: f64 = 7.0 * 86_400.0;
/// The most bytes that the training samples of a synthetic dataset may take.
pub const MAX_SAMPLE_BYTES: u64 = 1 << 30;
/// The most samples a dataset may have.
pub const MAX_SAMPLES: u32 = 1 << 30;

/// What is wrong with a run spec.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{key} is {found}; {expected}")]
pub struct SpecError {
    /// The dotted key.
    pub key: String,
    /// What the spec says.
    pub found: String,
    /// What it may say.
    pub expected: String,
}

#[allow(clippy::needless_pass_by_value, reason = "values and format_args! read the same at the call")]
pub(super) fn require(
    fits: bool,
    key: impl ToString,
    found: impl ToString,
    expected: impl ToString,
) -> Result<(), SpecError> {
    match fits {
        true => Ok(()),
        false => Err(SpecError { key: key.to_string(), found: found.to_string(), expected: expected.to_string() }),
    }
}

pub(super) fn count(value: u32, most: u32, key: &str) -> Result<(), SpecError> {
    require((1..=most).contains(&value), key, value, format_args!("it may be 1 to {most}"))
}

pub(super) fn fraction(value: f64, key: impl ToString) -> Result<(), SpecError> {
    require((0.0..=1.0).contains(&value), key, format_args!("{value:?}"), "it may be 0 to 1")
}

pub(super) fn decay(value: f64, key: impl ToString) -> Result<(), SpecError> {
    require((0.0..1.0).contains(&value), key, format_args!("{value:?}"), "it may be 0 up to, not including, 1")
}

pub(super) fn positive(value: f64, most: f64, key: impl ToString) -> Result<(), SpecError> {
    require(
        value > 0.0 && value <= most,
        key,
        format_args!("{value:?}"),
        format_args!("it may be above 0, up to {most}"),
    )
}

impl RunSpec {
    /// Checks every value against its range, and the parts against each other.
    ///
    /// # Errors
    /// The first [`SpecError`] found.
    pub fn check(&self) -> Result<(), SpecError> {
        let named = !self.name.is_empty() && self.name.len() <= MAX_NAME && !self.name.chars().any(char::is_control);
        require(named, "name", format_args!("{:?}", self.name), "it may be 1 to 64 bytes of printable text")?;
        self.model.check()?;
        self.data.check()?;
        self.algorithm.check()?;
        self.optimizer.check("optimizer")?;
        self.schedule.check()?;
        self.quorum.check(self.algorithm.units())?;
        self.check_partners()?;
        self.check_audits()?;
        self.evaluation.check()?;
        self.checkpoint.check()?;
        self.check_shapes()
    }

    /// Partners with samples of their own are a unit each, and none of them weighs more than it may.
    fn check_partners(&self) -> Result<(), SpecError> {
        let DataSpec::Private { partners, .. } = &self.data else { return Ok(()) };
        let (units, most) = (self.algorithm.units(), self.quorum.max_partner_weight);
        let expected = format_args!("data.partners has {}, and each is a unit", partners.len()).to_string();
        require(units as usize == partners.len(), "algorithm.units", units, expected)?;
        let expected = format_args!("data.partners has {}", partners.len()).to_string();
        let found = self.quorum.min_partners;
        require(found as usize <= partners.len(), "quorum.min_partners", found, expected)?;
        let is_tested = !matches!(self.data, DataSpec::Private { test: TestData::None, .. });
        let found = self.evaluation.target_accuracy.unwrap_or_default();
        let expected = "nothing is evaluated where data.test is none";
        require(is_tested || self.evaluation.target_accuracy.is_none(), "evaluation.target_accuracy", found, expected)?;
        let total: u64 = partners.iter().map(|of| u64::from(of.samples)).sum();
        let heaviest = partners.iter().max_by_key(|of| of.samples);
        heaviest.map_or(Ok(()), |PartnerData { partner, samples }| {
            let weight = f64::from(*samples) / total as f64;
            let expected = format_args!("partner {partner} has {samples} of {total} samples").to_string();
            require(weight <= most, "quorum.max_partner_weight", most, expected)
        })
    }

    /// Units can be computed again where somebody else may have their samples, and compared where equal units give equal
    /// bits.
    fn check_audits(&self) -> Result<(), SpecError> {
        let (rate, key) = (self.quorum.audit_rate, "quorum.audit_rate");
        fraction(rate, key)?;
        let assigned = self.data.private_samples().is_none();
        let because = "nobody but their owner can compute private samples: it must be 0";
        require(rate == 0.0 || assigned, key, format_args!("{rate:?}"), because)?;
        let strict = self.numerics == Numerics::Strict;
        let because = "numerics is record, where honest workers may differ in bits: it must be 0, or numerics strict";
        require(rate == 0.0 || strict, key, format_args!("{rate:?}"), because)
    }

    /// The model takes the samples that the data gives.
    fn check_shapes(&self) -> Result<(), SpecError> {
        let (inputs, classes) = self.data.shape();
        match &self.model {
            ModelSpec::Mlp { inputs: found, classes: outputs, .. } => {
                let expected = format!("the data has samples of {inputs} features");
                require(*found == inputs, "model.inputs", found, expected)?;
                require(*outputs == classes, "model.classes", outputs, format_args!("the data has {classes} classes"))
            }
            ModelSpec::Noop { .. } => Ok(()),
        }
    }
}

impl DataSpec {
    /// Features of a sample, and classes.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::Mnist { .. } => (784, 10),
            Self::Synthetic { inputs, classes, .. } | Self::Private { inputs, classes, .. } => (*inputs, *classes),
        }
    }

    /// How the samples are cut into shards.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        match self {
            Self::Mnist { partition, .. } | Self::Synthetic { partition, .. } => partition,
            // There is nothing to cut.
            Self::Private { .. } => &Partition::Iid {},
        }
    }

    fn check(&self) -> Result<(), SpecError> {
        match self {
            Self::Mnist { limit, partition } => {
                limit.map_or(Ok(()), |limit| count(limit, 60_000, "data.limit"))?;
                partition.check()
            }
            Self::Synthetic { samples, inputs, classes, partition } => {
                partition.check()?;
                let invented = format_args!("these samples are of nobody; it may be {}", Partition::OF_ANYTHING);
                require(!partition.needs_origins(), "data.partition", partition.name(), invented)?;
                count(*samples, MAX_SAMPLES, "data.samples")?;
                check_shape(*inputs, *classes)?;
                let bytes = u64::from(*samples) * *inputs as u64;
                let most = format!("samples times inputs may be up to {MAX_SAMPLE_BYTES}");
                require(bytes <= MAX_SAMPLE_BYTES, "data.samples", samples, most)
            }
            Self::Private { inputs, classes, partners, test } => {
                check_shape(*inputs, *classes)?;
                let fits = match test {
                    TestData::None => true,
                    TestData::Mnist => (*inputs, *classes) == (784, 10),
                };
                require(fits, "data.test", "mnist", "its samples have 784 features and 10 classes")?;
                check_partner_data(partners)
            }
        }
    }
}

fn check_shape(inputs: usize, classes: usize) -> Result<(), SpecError> {
    require((1..=65_536).contains(&inputs), "data.inputs", inputs, "it may be 1 to 65536")?;
    require((2..=256).contains(&classes), "data.classes", classes, "it may be 2 to 256")
}

fn check_partner_data(partners: &[PartnerData]) -> Result<(), SpecError> {
    let most = format!("there may be 1 to {MAX_UNITS} partners");
    require((1..=MAX_UNITS as usize).contains(&partners.len()), "data.partners", partners.len(), most)?;
    let mut seen = BTreeSet::new();
    let mut total = 0u32;
    for PartnerData { partner, samples } in partners {
        require(seen.insert(partner), "data.partners", partner, "each partner is there once")?;
        let room = MAX_SAMPLES - total;
        let expected = format!("it may be 1 or more, and all together {MAX_SAMPLES}");
        require((1..=room).contains(samples), "data.partners.samples", samples, expected)?;
        total += samples;
    }
    Ok(())
}

impl ModelSpec {
    fn check(&self) -> Result<(), SpecError> {
        match self {
            Self::Noop { params } => {
                let most = format_args!("it may be 1 to {MAX_PARAMS}").to_string();
                require((1..=MAX_PARAMS).contains(params), "model.params", params, most)
            }
            Self::Mlp { inputs, hidden, classes } => {
                let most = format!("there may be up to {MAX_LAYERS} layers");
                require(hidden.len() <= MAX_LAYERS, "model.hidden", hidden.len(), most)?;
                require(hidden.iter().all(|&width| width > 0), "model.hidden", "0", "each layer needs a width")?;
                let widths: Vec<usize> = [&[*inputs], hidden.as_slice(), &[*classes]].concat();
                let params = widths.windows(2).try_fold(0usize, |sum, pair| {
                    pair[0].checked_add(1)?.checked_mul(pair[1])?.checked_add(sum).filter(|&sum| sum <= MAX_PARAMS)
                });
                let most = format!("the model may have up to {MAX_PARAMS} params");
                require(params.is_some(), "model.hidden", format_args!("{hidden:?}"), most)
            }
        }
    }
}

fn either(found: impl ToString) -> Result<(), SpecError> {
    require(
        false,
        "algorithm.local_steps",
        found,
        "a unit ends after local_epochs or after local_steps: give one of them",
    )
}

impl Algorithm {
    fn check(&self) -> Result<(), SpecError> {
        count(self.units(), MAX_UNITS, "algorithm.units")?;
        match self {
            Self::SyncSgd { epochs, unit_samples, .. } => {
                count(*epochs, MAX_ROUNDS, "algorithm.epochs")?;
                count(*unit_samples, MAX_BATCH, "algorithm.unit_samples")
            }
            Self::Fedavg { rounds, local_epochs, local_steps, local_batch, proximal, local_optimizer, .. } => {
                count(*rounds, MAX_ROUNDS, "algorithm.rounds")?;
                match (*local_epochs, *local_steps) {
                    (Some(epochs), None) => count(epochs, MAX_ROUNDS, "algorithm.local_epochs")?,
                    (None, Some(steps)) => count(steps, MAX_ROUNDS, "algorithm.local_steps")?,
                    (Some(_), Some(steps)) => either(format_args!("{steps} beside local_epochs"))?,
                    (None, None) => either("absent, and so is local_epochs")?,
                }
                count(*local_batch, MAX_BATCH, "algorithm.local_batch")?;
                let pull = (0.0..=MAX_PROXIMAL).contains(proximal);
                let most = format_args!("it may be 0 to {MAX_PROXIMAL}");
                require(pull, "algorithm.proximal", format_args!("{proximal:?}"), most)?;
                local_optimizer.check("algorithm.local_optimizer")
            }
        }
    }
}

impl Schedule {
    fn check(&self) -> Result<(), SpecError> {
        match self {
            Self::Constant {} => Ok(()),
            Self::Linear { final_fraction, .. } | Self::Cosine { final_fraction, .. } => {
                fraction(*final_fraction, "schedule.final_fraction")
            }
        }
    }
}

impl Quorum {
    fn check(&self, units: u32) -> Result<(), SpecError> {
        count(self.min_partners, MAX_UNITS, "quorum.min_partners")?;
        if let Some(min_units) = self.min_units {
            count(min_units, units, "quorum.min_units")?;
        }
        positive(self.round_deadline_seconds, MAX_DEADLINE, "quorum.round_deadline_seconds")?;
        positive(self.max_partner_weight, 1.0, "quorum.max_partner_weight")?;
        let least = format_args!("a partner must be able to hold one of the {units} units").to_string();
        require(self.partner_units(units) > 0, "quorum.max_partner_weight", self.max_partner_weight, least)
    }
}

impl Evaluation {
    fn check(&self) -> Result<(), SpecError> {
        if let Some(every) = self.every_rounds {
            count(every, MAX_ROUNDS, "evaluation.every_rounds")?;
        }
        self.target_accuracy.map_or(Ok(()), |target| fraction(target, "evaluation.target_accuracy"))
    }
}

impl Checkpoint {
    fn check(&self) -> Result<(), SpecError> {
        count(self.rounds, MAX_ROUNDS, "checkpoint.rounds")?;
        positive(self.seconds, MAX_DEADLINE, "checkpoint.seconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synthetic(samples: u32, inputs: usize) -> DataSpec {
        DataSpec::Synthetic { samples, inputs, classes: 10, partition: Partition::Iid {} }
    }

    #[test]
    fn a_partners_part_is_at_least_a_unit() {
        let quorum = |max_partner_weight| Quorum { max_partner_weight, ..Quorum::default() };
        assert!(quorum(0.2).check(4).is_err());
        assert_eq!(quorum(0.25).check(4), Ok(()));
        assert_eq!(quorum(0.29).partner_units(100), 29, "the product is a hair below 29");
    }

    #[test]
    fn samples_are_bounded_by_what_they_take_together() {
        assert_eq!(synthetic(1 << 20, 1 << 10).check(), Ok(()));
        let refused = synthetic((1 << 20) + 1, 1 << 10).check().expect_err("one sample more than may be");
        assert_eq!(refused.key, "data.samples");
        assert!(synthetic(MAX_SAMPLES, 65_536).check().is_err());
    }
}
