//! The plan of a run: how many rounds, what each unit works on, and with what weight.
//!
//! Assigned samples are cut once ([`crate::partition`]) into as many shards as a round has units. Unit `u` of every
//! round works on shard `u`: a worker that holds the same units in the next round needs no new samples. In synchronous
//! SGD a unit takes the next `unit_samples` samples of its shard, whose order is drawn anew for every pass; the
//! sequence of passes has no gaps, so that every unit has its canonical size and a pass may end within a unit.
//! In federated averaging a unit takes the whole shard so many times, or so many batches of it, again without gaps. If
//! partners keep their samples to themselves, these are the shards.

use thiserror::Error;

use crate::id::{Round, Unit};
use crate::random::{Purpose, Stream};
use crate::spec::{Algorithm, DataSpec, RunSpec};

/// The shape of a run over so many samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where each shard ends among all samples, after a 0.
    bounds: Vec<u32>,
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
    /// Local steps over the next samples of the shard, `steps` of them, `batch` samples each.
    LocalSteps {
        /// Local steps.
        steps: u32,
        /// Samples of a local step.
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
    /// A piece of a shard would be empty.
    #[error(
        "{samples} training samples cannot be cut into {pieces} pieces, data.partition.shards_per_unit for each unit; \
         lower that or algorithm.units"
    )]
    TooFewForPieces {
        /// Samples there are.
        samples: u32,
        /// Pieces asked for.
        pieces: u64,
    },
    /// A unit would have no writer.
    #[error("the training samples are of {writers} writers, too few for {units} units; lower algorithm.units")]
    TooFewWriters {
        /// Writers there are.
        writers: u32,
        /// Units asked for.
        units: u32,
    },
    /// A unit would have samples of two groups.
    #[error("the training samples are of {groups} groups, and a unit has samples of one; raise algorithm.units")]
    TooFewUnits {
        /// Groups there are: institutions, or even and odd.
        groups: u32,
    },
    /// Nobody said whose samples these are.
    #[error("the partition needs to know whose each sample is, and {known} of {samples} are known; choose another one")]
    UnknownOrigins {
        /// Samples whose origin is known.
        known: u32,
        /// Samples there are.
        samples: u32,
    },
    /// Sizes of shards that are not those of the spec's units.
    #[error("there are sizes of {shards} shards for {units} units, or one is 0; both ends must have the same spec")]
    ForeignShards {
        /// Sizes given.
        shards: u64,
        /// Units of the spec.
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
    /// Plans `spec` over `samples` training samples in shards that differ by one at most, or over those of its partners.
    ///
    /// # Errors
    /// [`PlanError`] when the spec does not fit the number of samples.
    pub fn new(spec: &RunSpec, samples: u32) -> Result<Self, PlanError> {
        let units = spec.algorithm.units();
        match private_shards(spec) {
            Some(sizes) => Self::with_shards(spec, &sizes),
            None if samples < units => Err(PlanError::TooFewSamples { samples, units }),
            None => Self::over(spec, even_bounds(samples, units)),
        }
    }

    /// Plans `spec` over shards of these sizes, in the order of units.
    ///
    /// # Errors
    /// [`PlanError`] when they are not shards of the spec's units, or need too many rounds.
    pub fn with_shards(spec: &RunSpec, sizes: &[u32]) -> Result<Self, PlanError> {
        let units = spec.algorithm.units();
        let mut end = 0u32;
        let ends = sizes.iter().map_while(|&size| {
            end = end.checked_add(size).filter(|_| size > 0)?;
            Some(end)
        });
        let bounds: Vec<u32> = std::iter::once(0).chain(ends).collect();
        let whole = bounds.len() == units as usize + 1 && sizes.len() == units as usize;
        match whole && private_shards(spec).is_none_or(|own| own == sizes) {
            true => Self::over(spec, bounds),
            false => Err(PlanError::ForeignShards { shards: sizes.len() as u64, units }),
        }
    }

    fn over(spec: &RunSpec, bounds: Vec<u32>) -> Result<Self, PlanError> {
        let samples = bounds.last().copied().unwrap_or(0);
        let (rounds, work, default_every) = match spec.algorithm {
            Algorithm::SyncSgd { epochs, units, unit_samples } => {
                let per_round = u64::from(units) * u64::from(unit_samples);
                let rounds_in = |epochs: u32| (u64::from(epochs) * u64::from(samples)).div_ceil(per_round);
                let rounds = rounds_in(epochs);
                let rounds = u32::try_from(rounds).map_err(|_| PlanError::TooManyRounds { rounds })?;
                (rounds, Work::Gradient { samples: unit_samples }, rounds_in(1).max(1) as u32)
            }
            Algorithm::Fedavg { rounds, local_epochs, local_steps, local_batch, .. } => {
                let work = match local_steps {
                    Some(steps) => Work::LocalSteps { steps, batch: local_batch },
                    // A spec has one of the two; `check` sees to it.
                    None => Work::LocalEpochs { epochs: local_epochs.unwrap_or(1), batch: local_batch },
                };
                (rounds, work, 1)
            }
        };
        let evaluate_every = spec.evaluation.every_rounds.unwrap_or(default_every);
        Ok(Self { bounds, rounds, work, evaluate_every })
    }

    /// Units in a round.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.bounds.len() as u32 - 1
    }

    /// Rounds in the run.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Training samples of the run.
    #[must_use]
    pub fn samples(&self) -> u32 {
        self.bounds.last().copied().unwrap_or(0)
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

    /// Samples of shard `unit`.
    ///
    /// # Panics
    /// If the plan has no such unit.
    #[must_use]
    pub fn shard_len(&self, unit: Unit) -> u32 {
        let at = unit.0 as usize;
        self.bounds[at + 1] - self.bounds[at]
    }

    /// Samples of each shard, where they differ by more than an even cut's: what a worker cannot know by itself.
    #[must_use]
    pub fn uneven_shards(&self) -> Option<Vec<u32>> {
        let units = self.units();
        let uneven = self.bounds != even_bounds(self.samples(), units);
        uneven.then(|| (0..units).map(|unit| self.shard_len(Unit(unit))).collect())
    }

    /// Examples behind one update of `unit`: its weight in the mean.
    #[must_use]
    pub fn weight(&self, unit: Unit) -> u32 {
        match self.work {
            Work::Gradient { samples } => samples,
            Work::LocalEpochs { .. } | Work::LocalSteps { .. } => self.shard_len(unit),
        }
    }

    /// Samples that a round passes through the network.
    #[must_use]
    pub fn samples_in_round(&self) -> u64 {
        let units = u64::from(self.units());
        match self.work {
            Work::Gradient { samples } => u64::from(samples) * units,
            Work::LocalEpochs { epochs, .. } => u64::from(epochs) * u64::from(self.samples()),
            Work::LocalSteps { steps, batch } => u64::from(steps) * u64::from(batch) * units,
        }
    }
}

/// Samples of each partner, if they are private: what the spec says, whoever else says something else.
fn private_shards(spec: &RunSpec) -> Option<Vec<u32>> {
    match &spec.data {
        DataSpec::Mnist { .. } | DataSpec::Synthetic { .. } => None,
        DataSpec::Private { partners, .. } => Some(partners.iter().map(|of| of.samples).collect()),
    }
}

/// Where the shards of an even cut end, after a 0; they differ by one at most.
pub(crate) fn even_bounds(samples: u32, units: u32) -> Vec<u32> {
    (0..=units).map(|unit| (u64::from(samples) * u64::from(unit) / u64::from(units)) as u32).collect()
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
        self.take(u64::from(round.0), samples, out);
    }

    /// Positions in the shard of batch number `batch` of all its passes, `samples` samples of it, into `out`. Passes
    /// follow without a gap, so that a batch may begin in one and end in the next.
    pub fn take(&mut self, batch: u64, samples: u32, out: &mut Vec<u32>) {
        out.clear();
        let start = batch * u64::from(samples);
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
