//! Samples in memory, and where they come from: MNIST and who wrote it, a partner's own files, synthetic ones, shards
//! from a coordinator, and pictures.
//!
//! Nothing here knows a network or a tensor library, so that whatever only reads samples builds in seconds.
//!
//! A feature is a byte, and the networks see it as byte / 255 ([`widen`]): that scaling is part of a model's input
//! contract.

#[cfg(feature = "fetch")]
pub mod fetch;
pub mod idx;
pub mod mnist;
mod payload;
#[cfg(feature = "picture")]
pub mod picture;
pub mod private;
pub mod qmnist;
pub mod shard;
pub mod synthetic;

use std::collections::BTreeMap;
use std::path::Path;

use pulp::{Arch, NullaryFnOnce};
use syngrad_engine::partition::{Origin, Population};
use syngrad_engine::plan::PlanError;
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::{DataSpec, Partition, PartnerData, TestData};
use syngrad_engine::{Cut, PartnerName, RunSpec};
use thiserror::Error;

pub use mnist::DataError;
pub use private::{PrivateData, PrivateDataError, PrivateMismatch};

/// Labelled samples in one contiguous buffer: features as bytes, row-major, and one label a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    inputs: usize,
    classes: usize,
    features: Vec<u8>,
    labels: Vec<u8>,
}

/// Why buffers are not samples.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SamplesError {
    /// A sample needs at least one feature, and a label names one of up to 256 classes.
    #[error("samples of {inputs} features in {classes} classes are not possible; there are 1 or more and 2 to 256")]
    Shape {
        /// Features of a sample.
        inputs: usize,
        /// Classes.
        classes: usize,
    },
    /// The features are not those of as many samples as there are labels.
    #[error("{labels} labels need {labels} × {inputs} features, found {features}")]
    Length {
        /// Labels there are.
        labels: usize,
        /// Features of a sample.
        inputs: usize,
        /// Features there are.
        features: usize,
    },
    /// A label names no class.
    #[error("sample {index} has label {label}; there are {classes} classes, from 0")]
    Label {
        /// The sample.
        index: usize,
        /// Its label.
        label: u8,
        /// Classes.
        classes: usize,
    },
}

impl Samples {
    /// Samples of `inputs` features in `classes` classes; `features` holds them one after another.
    ///
    /// # Errors
    /// [`SamplesError`] when the lengths do not fit or a label is out of range.
    pub fn new(inputs: usize, classes: usize, features: Vec<u8>, labels: Vec<u8>) -> Result<Self, SamplesError> {
        if inputs == 0 || !(2..=256).contains(&classes) {
            return Err(SamplesError::Shape { inputs, classes });
        }
        if labels.len().checked_mul(inputs) != Some(features.len()) {
            return Err(SamplesError::Length { labels: labels.len(), inputs, features: features.len() });
        }
        let wrong = labels.iter().position(|&label| usize::from(label) >= classes);
        match wrong {
            Some(index) => Err(SamplesError::Label { index, label: labels[index], classes }),
            None => Ok(Self { inputs, classes, features, labels }),
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Features of a sample.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Classes that a label may name.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All features, row-major `[len, inputs]`.
    #[must_use]
    pub fn features(&self) -> &[u8] {
        &self.features
    }

    /// All labels.
    #[must_use]
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The features of one sample.
    ///
    /// # Panics
    /// If there is no such sample.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.features[index * self.inputs..(index + 1) * self.inputs]
    }

    /// The label of one sample.
    ///
    /// # Panics
    /// If there is no such sample.
    #[must_use]
    pub fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    /// Samples of each class.
    #[must_use]
    pub fn histogram(&self) -> Vec<u64> {
        let mut counts = vec![0; self.classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Mean of all features, as the networks see them: 0 to 1.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let sum: u64 = self.features.iter().map(|&feature| u64::from(feature)).sum();
        sum as f64 / 255.0 / self.features.len().max(1) as f64
    }

    /// The samples at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is that of no sample.
    #[must_use]
    pub fn select(&self, indices: &[u32]) -> Self {
        let mut features = Vec::with_capacity(indices.len() * self.inputs);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            features.extend_from_slice(self.image(index as usize));
            labels.push(self.label(index as usize));
        }
        Self { inputs: self.inputs, classes: self.classes, features, labels }
    }

    /// Makes `out` the features of samples, as the networks see them, row-major.
    pub fn widen(&self, indices: impl ExactSizeIterator<Item = usize>, out: &mut Vec<f32>) {
        out.resize(indices.len() * self.inputs, 0.0);
        for (index, row) in indices.zip(out.chunks_exact_mut(self.inputs)) {
            widen(self.image(index), row);
        }
    }
}

/// Writes bytes as the networks see them: byte / 255, by multiplication with the nearest f32.
pub fn widen(bytes: &[u8], out: &mut [f32]) {
    Arch::new().dispatch(Widen { bytes, out });
}

/// Compiled for every vector width and chosen at run time: at the narrowest, this loop is 7 % of a training step.
struct Widen<'a> {
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl NullaryFnOnce for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        const SCALE: f32 = 1.0 / 255.0;
        for (out, &byte) in self.out.iter_mut().zip(self.bytes) {
            *out = f32::from(byte) * SCALE;
        }
    }
}

/// Samples to train on, and others to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What is trained on.
    pub train: Samples,
    /// What is never trained on.
    pub test: Samples,
    /// Whose each sample to train on is; empty unless the spec's partition goes by it.
    pub origins: Vec<Origin>,
}

impl Dataset {
    /// Loads what the spec names. MNIST is read from `mnist_dir`, and each of its files must be the original one. Of
    /// samples that partners keep there is nothing to train on here.
    ///
    /// # Errors
    /// [`DataError`] that names the file, what was expected of it and what was found.
    pub fn load(spec: &DataSpec, seed: u64, mnist_dir: &Path) -> Result<Self, DataError> {
        match spec {
            DataSpec::Mnist { limit, partition } => {
                let whole = mnist::load(mnist_dir)?;
                let origins = match partition.needs_origins() {
                    true => qmnist::origins(qmnist::QmnistFile::Train, mnist_dir)?,
                    false => by_index(partition, mnist::TRAIN),
                };
                let whole = Self { origins, ..whole };
                Ok(match limit {
                    Some(limit) => whole.limited(*limit, seed),
                    None => whole,
                })
            }
            DataSpec::Synthetic { samples, inputs, classes, partition } => {
                let whole = synthetic::dataset(*samples, *inputs, *classes, seed);
                Ok(Self { origins: by_index(partition, *samples), ..whole })
            }
            DataSpec::Private { inputs, classes, test, .. } => {
                let none = || Samples { inputs: *inputs, classes: *classes, features: Vec::new(), labels: Vec::new() };
                let test = match test {
                    TestData::None => none(),
                    TestData::Mnist => mnist::load(mnist_dir)?.test,
                };
                Ok(Self { train: none(), test, origins: Vec::new() })
            }
        }
    }

    /// The same with the samples of all partners of a run on private data, for whoever has them all: in the order of
    /// units.
    ///
    /// # Errors
    /// [`PrivateMismatch`] of the first partner whose samples are not those that the spec counts on.
    pub fn with_partners(
        mut self,
        data: &DataSpec,
        of: &BTreeMap<PartnerName, PrivateData>,
    ) -> Result<Self, PrivateMismatch> {
        let DataSpec::Private { partners, .. } = data else { return Ok(self) };
        for PartnerData { partner, .. } in partners {
            let samples = private::samples_of(data, partner, of.get(partner))?;
            self.train.features.extend_from_slice(samples.features());
            self.train.labels.extend_from_slice(samples.labels());
        }
        Ok(self)
    }

    /// The samples to train on, cut into the shards of `spec`.
    ///
    /// # Errors
    /// [`PlanError`] when a shard would be empty, or the dataset was loaded for another partition.
    pub fn cut(&self, spec: &RunSpec) -> Result<Cut, PlanError> {
        if let DataSpec::Private { partners, .. } = &spec.data {
            let (samples, units) = (self.train.len() as u32, spec.algorithm.units());
            return match spec.data.private_samples() == Some(samples) {
                true => Ok(Cut::of_owners(&partners.iter().map(|of| of.samples).collect::<Vec<_>>())),
                false => Err(PlanError::TooFewSamples { samples, units }),
            };
        }
        Cut::new(spec.data.partition(), spec.seed, spec.algorithm.units(), self.population())
    }

    /// What a cut of the samples to train on may go by.
    #[must_use]
    pub fn population(&self) -> Population<'_> {
        Population { labels: self.train.labels(), origins: &self.origins }
    }

    /// The first `limit` samples to train on in a seeded order: a prefix of the file order would be of one population.
    #[must_use]
    pub fn limited(&self, limit: u32, seed: u64) -> Self {
        let order = self.seeded_order(seed);
        let train = &order[..order.len().min(limit as usize)];
        Self { train: self.train.select(train), test: self.test.clone(), origins: self.origins_of(train) }
    }

    /// The same, and in place of the test samples up to `held_out` others that could have been trained on: to choose
    /// constants by, without a look at the test samples.
    #[must_use]
    pub fn validation(&self, limit: u32, held_out: u32, seed: u64) -> Self {
        let order = self.seeded_order(seed);
        let (train, rest) = order.split_at(order.len().min(limit as usize));
        let test = self.train.select(&rest[..rest.len().min(held_out as usize)]);
        Self { train: self.train.select(train), test, origins: self.origins_of(train) }
    }

    /// Only those samples to train on that are of `group`; none if the origins are not known.
    #[must_use]
    pub fn of_group(&self, group: u32) -> Self {
        let of = |(index, origin): (usize, &Origin)| (origin.group == group).then_some(index as u32);
        let train: Vec<u32> = self.origins.iter().enumerate().filter_map(of).collect();
        Self { train: self.train.select(&train), test: self.test.clone(), origins: self.origins_of(&train) }
    }

    fn seeded_order(&self, seed: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.train.len() as u32).collect();
        Stream::new(seed, Purpose::Samples, &[]).shuffle(&mut order);
        order
    }

    fn origins_of(&self, train: &[u32]) -> Vec<Origin> {
        train.iter().filter_map(|&index| self.origins.get(index as usize).copied()).collect()
    }

    /// Classes that a label may name.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.train.classes()
    }
}

/// Whose samples are as far as their index in the file says.
fn by_index(partition: &Partition, samples: u32) -> Vec<Origin> {
    match partition {
        Partition::Parity {} => (0..samples).map(|index| Origin { group: index % 2, writer: index }).collect(),
        Partition::Iid {}
        | Partition::Contiguous {}
        | Partition::Shards { .. }
        | Partition::Dirichlet { .. }
        | Partition::Quantity { .. }
        | Partition::Institution {}
        | Partition::Writer {} => Vec::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
