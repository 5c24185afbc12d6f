//! The training state of a run: params, server optimiser, scales and round, and the one way in which they move on.
//!
//! The coordinator and a local run both commit rounds through [`TrainingState::commit`], so their params agree by
//! construction.

mod encoding;

use std::sync::Arc;

use thiserror::Error;

pub use encoding::DecodeError;

use crate::aggregate::Aggregate;
use crate::digest::{Digest, Domain, Hasher, ParamsHasher};
use crate::id::{Round, Unit};
use crate::layout::Layout;
use crate::optimizer::Optimizer;
use crate::plan::Plan;
use crate::quantize::{Grid, all_finite, first_not_finite, limit};
use crate::scale::{Measured, first_exponent, next_exponent};
use crate::schedule::learning_rate;
use crate::spec::{RunSpec, Schedule, UpdateBits};

/// Everything that the next round's bits depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    layout: Arc<Layout>,
    course: Course,
    round: Round,
    grid: Grid,
    params: Arc<Vec<f32>>,
    params_digest: Digest,
    chain: Digest,
    optimizer: Optimizer,
}

/// What of the run spec the state needs in every round.
#[derive(Clone, Debug, PartialEq)]
struct Course {
    rounds: u32,
    update_bits: UpdateBits,
    /// The limit of a unit's entry at `update_bits`.
    limit: i32,
    learning_rate: f64,
    schedule: Schedule,
}

/// A committed round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The round that was committed.
    pub round: Round,
    /// Digest of the params that came out of it.
    pub params_digest: Digest,
    /// Units counted.
    pub units: u32,
    /// Examples behind the mean.
    pub weight: u64,
    /// Entries that were clamped to the grid's limit.
    pub saturated: u64,
    /// Digest of this and all earlier commits, in order.
    pub chain: Digest,
}

/// Why a run cannot begin.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum StateError {
    /// The width has no room for so many units.
    #[error(
        "a sum of {units} units does not fit update_bits = {bits}; \
         lower algorithm.units to {most} or choose a larger width"
    )]
    TooManyUnits {
        /// Units of a round.
        units: u32,
        /// The spec's width.
        bits: u8,
        /// The most units the width has room for.
        most: u32,
    },
    /// There are more or fewer params than the layout has.
    #[error("there are {found} initial params, but the layout has {expected}; they belong to another model")]
    WrongLength {
        /// Params given.
        found: usize,
        /// Params of the layout.
        expected: usize,
    },
    /// An initial param is NaN or infinite.
    #[error("initial param {index} of tensor {tensor:?} is {value}; start from params that are finite")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// The param's index in the tensor, row-major.
        index: usize,
        /// The param.
        value: f32,
    },
}

/// Why a round was not committed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CommitError {
    /// Nothing was counted; the state is unchanged.
    #[error("round {round} has counted no units; it can only be abandoned")]
    Empty {
        /// The open round.
        round: Round,
    },
    /// The aggregate is not one of the open round; the state is unchanged.
    #[error("the aggregate was summed on another grid than round {round} opened with; clear it when a round opens")]
    OtherGrid {
        /// The open round.
        round: Round,
    },
    /// The step led to a param that is not finite. The state is of no further use: go back to a checkpoint.
    #[error(
        "after round {round}, param {index} of tensor {tensor:?} is {value}: training diverged; lower the learning rate"
    )]
    Diverged {
        /// The round whose step it was.
        round: Round,
        /// The tensor's name.
        tensor: String,
        /// The param's index in the tensor, row-major.
        index: usize,
        /// The param.
        value: f32,
    },
}

impl TrainingState {
    /// The state in which round 0 of `spec` opens, from initial `params` in layout order.
    ///
    /// # Errors
    /// [`StateError`] when the params do not fit the layout or the units do not fit the width.
    pub fn new(spec: &RunSpec, plan: &Plan, layout: Arc<Layout>, params: Vec<f32>) -> Result<Self, StateError> {
        let (found, expected) = (params.len(), layout.params());
        if found != expected {
            return Err(StateError::WrongLength { found, expected });
        }
        if let Some((tensor, index, value)) = first_not_finite(&layout, &params) {
            return Err(StateError::NotFinite { tensor, index, value });
        }
        let course = Course::new(spec, plan)?;
        let params_digest = Digest::of_params(&params);
        let mut chain = Hasher::new(Domain::Chain);
        chain.update(&spec.seed.to_le_bytes()).update(layout.digest().as_ref()).update(params_digest.as_ref());
        Ok(Self {
            round: Round(0),
            grid: first_grid(plan, &layout)?,
            params_digest,
            chain: chain.finish(),
            optimizer: Optimizer::new(&spec.optimizer, expected),
            layout,
            course,
            params: Arc::new(params),
        })
    }

    /// The open round: the params are those it starts from.
    #[must_use]
    pub fn round(&self) -> Round {
        self.round
    }

    /// The layout of the params.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The params, in layout order. A clone that outlives the round costs its commit a copy.
    #[must_use]
    pub fn params(&self) -> &Arc<Vec<f32>> {
        &self.params
    }

    /// Digest of the params.
    #[must_use]
    pub fn params_digest(&self) -> Digest {
        self.params_digest
    }

    /// Digest of the beginning and of all commits so far.
    #[must_use]
    pub fn chain(&self) -> Digest {
        self.chain
    }

    /// The grid of the open round. Round 0 travels at 32 bits whatever the spec says: its scales are bounds, not
    /// measurements, and only 32 bits have room for that.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Commits the open round: mean, server step, next scales, next round.
    ///
    /// # Errors
    /// [`CommitError`] when the aggregate is not one of the open round, is empty, or leads to params that are not
    /// finite.
    pub fn commit(&mut self, aggregate: &Aggregate) -> Result<Commit, CommitError> {
        let (round, tally) = (self.round, aggregate.tally());
        if tally.units.is_empty() || tally.weight == 0 {
            return Err(CommitError::Empty { round });
        }
        if aggregate.grid() != &self.grid || aggregate.sums().len() != self.params.len() {
            return Err(CommitError::OtherGrid { round });
        }
        self.step(aggregate)?;
        self.round = round.next();
        Ok(self.record(round, aggregate))
    }

    /// Takes the server step along the aggregate's mean, and with it the digest and the scales that follow. Block by
    /// block, so that each is fetched from memory once: every pass over all params would fetch them again.
    fn step(&mut self, aggregate: &Aggregate) -> Result<(), CommitError> {
        let Course { learning_rate: rate, schedule, rounds, .. } = &self.course;
        let step = self.optimizer.begin(learning_rate(*rate, schedule, self.round, *rounds));
        let params = Arc::make_mut(&mut self.params).as_mut_slice();
        let mut hasher = ParamsHasher::new();
        let mut finite = true;
        let measured = aggregate.read(|first, mean| {
            let block = &mut params[first..first + mean.len()];
            self.optimizer.apply(&step, first, mean, block);
            finite &= all_finite(block);
            hasher.update(block);
        });
        if !finite && let Some((tensor, index, value)) = first_not_finite(&self.layout, &self.params) {
            return Err(CommitError::Diverged { round: self.round, tensor, index, value });
        }
        self.params_digest = hasher.finish();
        self.grid = self.course.next_grid(&measured, &self.layout);
        Ok(())
    }

    /// Appends the round to the chain.
    fn record(&mut self, round: Round, aggregate: &Aggregate) -> Commit {
        let tally = aggregate.tally();
        let mut chain = Hasher::new(Domain::Chain);
        chain.update(self.chain.as_ref()).update(&round.0.to_le_bytes()).update(self.params_digest.as_ref());
        // What workers claim (saturation) stays out: a chain holds only what the params prove.
        chain.update(&tally.weight.to_le_bytes());
        for unit in &tally.units {
            chain.update(&unit.0.to_le_bytes());
        }
        self.chain = chain.finish();
        Commit {
            round,
            params_digest: self.params_digest,
            units: tally.units.len() as u32,
            weight: tally.weight,
            saturated: tally.saturated,
            chain: self.chain,
        }
    }
}

impl Course {
    fn new(spec: &RunSpec, plan: &Plan) -> Result<Self, StateError> {
        Ok(Self {
            rounds: plan.rounds(),
            update_bits: spec.update_bits,
            limit: limit_or_refusal(spec.update_bits, plan.units())?,
            learning_rate: spec.optimizer.learning_rate(),
            schedule: spec.schedule.clone(),
        })
    }

    fn next_grid(&self, measured: &[Measured], layout: &Layout) -> Grid {
        let exponents = measured.iter().map(|&last| next_exponent(last, self.update_bits, self.limit)).collect();
        Grid::validated(self.update_bits, self.limit, exponents, layout).expect("the scale rule stays in its ranges")
    }
}

fn first_grid(plan: &Plan, layout: &Layout) -> Result<Grid, StateError> {
    let bits = UpdateBits::ThirtyTwo;
    let limit = limit_or_refusal(bits, plan.units())?;
    let weight = (0..plan.units()).map(|unit| plan.weight(Unit(unit))).max().unwrap_or(1);
    let exponents = vec![first_exponent(limit, weight); layout.tensors().len()];
    Ok(Grid::validated(bits, limit, exponents, layout).expect("the first scales are in their ranges"))
}

fn limit_or_refusal(bits: UpdateBits, units: u32) -> Result<i32, StateError> {
    limit(bits, units).ok_or_else(|| {
        let most = limit(bits, 1).unwrap_or(1).unsigned_abs();
        StateError::TooManyUnits { units, bits: bits.into(), most }
    })
}
