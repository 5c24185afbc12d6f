//! The plan of a run: how many rounds, what each unit works on, and with what weight.
//!
//! Assigned samples are cut once, in a seeded order, into as many shards as a round has units. Unit `u` of every
//! round works on shard `u`: a worker that holds the same units in the next round needs no new samples. In synchronous
//! SGD a unit takes the next `unit_samples` samples of its shard, whose order is drawn anew for every pass; the
//! sequence of passes has no gaps, so that every unit has its canonical size and a pass may end within a unit.
//! In federated averaging a unit takes the whole shard. If partners keep their samples to themselves, these are the
//! shards.

use std::ops::Range;

use thiserror::Error;

use crate::id::{Round, Unit};
use crate::random::{Purpose, Stream};
use crate::spec::{Algorithm, DataSpec, RunSpec};

/// The shape of a run over so many samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    seed: u64,
    samples: u32,
    units: u32,
    /// The samples of each partner, if they are private.
    private: Option<Vec<u32>>,
    rounds: u32,
    work: Work,
    evaluate_every: u32,
}

/// What one unit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// The summed gradient of the next `samples` samples of the shard.
    Gradient {
        /// Samples of a unit.
        samples: u32,
    },
    /// Local steps over the whole shard, `epochs` times, `batch` samples a step.
    LocalEpochs {
        /// Passes over the shard.
        epochs: u32,
        /// Samples of a local step; the last one of a pass may have fewer.
        batch: u32,
    },
}

/// Why a spec does not fit its data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A shard would be empty.
    #[error("{samples} training samples cannot be cut into {units} shards; lower algorithm.units")]
    TooFewSamples {
        /// Samples there are.
        samples: u32,
        /// Shards asked for.
        units: u32,
    },
    /// More rounds than a round number can count.
    #[error("the run would take {rounds} rounds, more than {max}; lower algorithm.epochs", max = u32::MAX)]
    TooManyRounds {
        /// Rounds asked for.
        rounds: u64,
    },
}

impl Plan {
    /// Plans `spec` over `samples` training samples.
    ///
    /// # Errors
    /// [`PlanError`] when the spec does not fit the number of samples.
    pub fn new(spec: &RunSpec, samples: u32) -> Result<Self, PlanError> {
        let units = spec.algorithm.units();
        if samples < units {
            return Err(PlanError::TooFewSamples { samples, units });
        }
        let (rounds, work, default_every) = match spec.algorithm {
            Algorithm::SyncSgd { epochs, unit_samples, .. } => {
                let per_round = u64::from(units) * u64::from(unit_samples);
                let rounds_in = |epochs: u32| (u64::from(epochs) * u64::from(samples)).div_ceil(per_round);
                let rounds = rounds_in(epochs);
                let rounds = u32::try_from(rounds).map_err(|_| PlanError::TooManyRounds { rounds })?;
                (rounds, Work::Gradient { samples: unit_samples }, rounds_in(1).max(1) as u32)
            }
            Algorithm::Fedavg { rounds, local_epochs, local_batch, .. } => {
                (rounds, Work::LocalEpochs { epochs: local_epochs, batch: local_batch }, 1)
            }
        };
        let evaluate_every = spec.evaluation.every_rounds.unwrap_or(default_every);
        let private = match &spec.data {
            DataSpec::Mnist { .. } | DataSpec::Synthetic { .. } => None,
            DataSpec::Private { partners, .. } => Some(partners.iter().map(|of| of.samples).collect()),
        };
        Ok(Self { seed: spec.seed, samples, units, private, rounds, work, evaluate_every })
    }

    /// Units in a round.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.units
    }

    /// Rounds in the run.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Training samples of the run.
    #[must_use]
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// What a unit does.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }

    /// Rounds between evaluations.
    #[must_use]
    pub fn evaluate_every(&self) -> u32 {
        self.evaluate_every
    }

    /// Whether the params that come out of `round` are evaluated.
    #[must_use]
    pub fn evaluates(&self, round: Round) -> bool {
        let done = round.0 + 1;
        done.is_multiple_of(self.evaluate_every) || done == self.rounds
    }

    /// Samples of shard `unit`. Those of assigned data differ by one at most.
    #[must_use]
    pub fn shard_len(&self, unit: Unit) -> u32 {
        if let Some(private) = &self.private {
            return private[unit.0 as usize];
        }
        let bounds = self.shard_bounds(unit);
        bounds.end - bounds.start
    }

    /// Examples behind one update of `unit`: its weight in the mean.
    #[must_use]
    pub fn weight(&self, unit: Unit) -> u32 {
        match self.work {
            Work::Gradient { samples } => samples,
            Work::LocalEpochs { .. } => self.shard_len(unit),
        }
    }

    /// Samples that a round passes through the network.
    #[must_use]
    pub fn samples_in_round(&self) -> u64 {
        match self.work {
            Work::Gradient { samples } => u64::from(samples) * u64::from(self.units),
            Work::LocalEpochs { epochs, .. } => u64::from(epochs) * u64::from(self.samples),
        }
    }

    /// The training set's indices in shard order: shard `unit` is the part [`Plan::shard_bounds`] names.
    #[must_use]
    pub fn shard_order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.samples).collect();
        Stream::new(self.seed, Purpose::Shards, &[]).shuffle(&mut order);
        order
    }

    /// Where shard `unit` lies in [`Plan::shard_order`].
    #[must_use]
    pub fn shard_bounds(&self, unit: Unit) -> Range<u32> {
        let at = |index: u32| (u64::from(self.samples) * u64::from(index) / u64::from(self.units)) as u32;
        at(unit.0)..at(unit.0 + 1)
    }
}

/// Finds a unit's samples; keeps the order of the last pass it needed, so that successive rounds are cheap.
#[derive(Clone, Debug)]
pub struct Sampler {
    seed: u64,
    unit: Unit,
    shard_len: u32,
    pass: Option<u64>,
    order: Vec<u32>,
}

impl Sampler {
    /// A sampler of shard `unit`, which holds `shard_len` samples.
    ///
    /// # Panics
    /// If the shard is empty: a plan has no such shard.
    #[must_use]
    pub fn new(seed: u64, unit: Unit, shard_len: u32) -> Self {
        assert!(shard_len > 0, "a shard has samples");
        Self { seed, unit, shard_len, pass: None, order: Vec::new() }
    }

    /// Positions in the shard of the `samples` samples that the unit takes in `round`, in order, into `out`.
    pub fn batch(&mut self, round: Round, samples: u32, out: &mut Vec<u32>) {
        out.clear();
        let start = u64::from(round.0) * u64::from(samples);
        let len = u64::from(self.shard_len);
        for position in start..start + u64::from(samples) {
            let order = self.pass(position / len);
            out.push(order[(position % len) as usize]);
        }
    }

    /// The order of the shard's samples in a pass over it: each position once.
    pub fn pass(&mut self, pass: u64) -> &[u32] {
        if self.pass != Some(pass) {
            self.order.clear();
            self.order.extend(0..self.shard_len);
            Stream::new(self.seed, Purpose::Epoch, &[u64::from(self.unit.0), pass]).shuffle(&mut self.order);
            self.pass = Some(pass);
        }
        &self.order
    }
}

#[cfg(test)]
mod tests;
