//! The cut of the training samples into shards: a function of a few words of the spec and of what is known about the
//! samples.
//!
//! Every sample is in exactly one shard, and no shard is empty. All that is drawn comes from our own generator, and the
//! Gamma distribution is sampled with libm's functions, so a cut is the same on every machine.

mod draw;
mod labels;
mod people;

use crate::id::Unit;
use crate::plan::{Plan, PlanError, even_bounds};
use crate::random::{Purpose, Stream};
use crate::spec::{Partition, RunSpec};

/// What a cut may go by.
#[derive(Clone, Copy, Debug)]
pub struct Population<'a> {
    /// The label of every sample, in the order of the dataset.
    pub labels: &'a [u8],
    /// Whose each sample is; empty if that is not known.
    pub origins: &'a [Origin],
}

/// Whose a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The institution, or whether its index is even or odd.
    pub group: u32,
    /// The writer, or the sample itself.
    pub writer: u32,
}

/// Training samples in shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Indices of all samples, shard after shard.
    order: Vec<u32>,
    /// Where each shard ends in the order, after a 0.
    bounds: Vec<u32>,
}

impl Cut {
    /// Cuts a population into the shards of so many units.
    ///
    /// # Errors
    /// [`PlanError`] when a shard would be empty, or what the partition goes by is not known.
    pub fn new(partition: &Partition, seed: u64, units: u32, population: Population<'_>) -> Result<Self, PlanError> {
        let Population { labels, origins } = population;
        let samples = labels.len() as u32;
        if samples < units {
            return Err(PlanError::TooFewSamples { samples, units });
        }
        match *partition {
            Partition::Iid {} => Ok(Self { order: seeded_order(seed, samples), bounds: even_bounds(samples, units) }),
            Partition::Contiguous {} => Ok(Self { order: (0..samples).collect(), bounds: even_bounds(samples, units) }),
            Partition::Quantity { alpha } => {
                let sizes = draw::sizes(&mut drawn(seed, Draw::Sizes, 0), alpha, samples, units);
                Ok(Self { order: seeded_order(seed, samples), bounds: sizes })
            }
            Partition::Shards { shards_per_unit } => labels::shards(seed, labels, units, shards_per_unit),
            Partition::Dirichlet { alpha } => Ok(labels::dirichlet(seed, labels, units, alpha)),
            Partition::Parity {} | Partition::Institution {} => people::by_group(seed, known(samples, origins)?, units),
            Partition::Writer {} => people::by_writer(seed, known(samples, origins)?, units),
        }
    }

    /// The samples of partners one after another, so many of each: nobody cuts what belongs to somebody.
    #[must_use]
    pub fn of_owners(sizes: &[u32]) -> Self {
        let mut end = 0;
        let ends = sizes.iter().map(|size| {
            end += size;
            end
        });
        let bounds: Vec<u32> = std::iter::once(0).chain(ends).collect();
        Self { order: (0..bounds[sizes.len()]).collect(), bounds }
    }

    fn of_shards(shards: Vec<Vec<u32>>) -> Self {
        let mut bounds = vec![0];
        let mut order = Vec::new();
        for shard in shards {
            order.extend(shard);
            bounds.push(order.len() as u32);
        }
        Self { order, bounds }
    }

    /// The samples of shard `unit`, as indices into the dataset.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn shard(&self, unit: Unit) -> &[u32] {
        let at = unit.0 as usize;
        &self.order[self.bounds[at] as usize..self.bounds[at + 1] as usize]
    }

    /// Samples of each shard.
    #[must_use]
    pub fn sizes(&self) -> Vec<u32> {
        self.bounds.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// The plan of `spec` over these shards.
    ///
    /// # Errors
    /// [`PlanError`] when the cut is one of another spec, or there would be too many rounds.
    pub fn plan(&self, spec: &RunSpec) -> Result<Plan, PlanError> {
        Plan::with_shards(spec, &self.sizes())
    }
}

/// What is drawn for an uneven cut; part of its stream's coordinates.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
enum Draw {
    Sizes = 0,
    Pieces = 1,
    ClassOrder = 2,
    Tastes = 3,
    Deal = 4,
    WriterOrder = 5,
}

fn drawn(seed: u64, draw: Draw, of: u32) -> Stream {
    Stream::new(seed, Purpose::Partition, &[draw as u64, u64::from(of)])
}

fn seeded_order(seed: u64, samples: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..samples).collect();
    Stream::new(seed, Purpose::Shards, &[]).shuffle(&mut order);
    order
}

fn known(samples: u32, origins: &[Origin]) -> Result<&[Origin], PlanError> {
    match origins.len() == samples as usize {
        true => Ok(origins),
        false => Err(PlanError::UnknownOrigins { known: origins.len() as u32, samples }),
    }
}

#[cfg(test)]
mod tests;
