//! The whole run in one process: no network, no coordinator, and the same params digest after every round.
//!
//! It is what the distributed run is compared with, and short enough to read as the definition of one.

use std::sync::Arc;

use syngrad_engine::aggregate::{Aggregate, AggregateError, Tally};
use syngrad_engine::plan::{PlanError, Sampler};
use syngrad_engine::quantize::{Grid, UnitError, UnitSum};
use syngrad_engine::spec::SpecError;
use syngrad_engine::state::{CommitError, StateError, TrainingState};
use syngrad_engine::{Cut, Digest, Layout, Plan, Round, RunSpec, Unit, Units};
use thiserror::Error;

use crate::device::Device;
use crate::evaluate::{Evaluation, Evaluator};
use crate::flat;
use crate::shape::ShapeError;
use crate::train::{TrainError, Trainer};
use syngrad_dataset::{Dataset, Samples};

/// What a round came to.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundReport {
    /// The round.
    pub round: Round,
    /// Rounds of the run.
    pub rounds: u32,
    /// Digest of the params that came out of the round.
    pub params_digest: Digest,
    /// Mean cross-entropy of the training samples, each at the params it met.
    pub loss: f64,
    /// Training samples passed through the network, in this round and all before.
    pub samples: u64,
    /// Entries that were clamped to the grid's limit.
    pub saturated: u64,
    /// Bytes of the round's sum at the width it would travel in.
    pub bytes: usize,
    /// How the params do on the test samples, in rounds that evaluate.
    pub evaluation: Option<Evaluation>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The params, in layout order.
    pub params: Vec<f32>,
    /// Their digest.
    pub params_digest: Digest,
    /// Digest of the chain of committed rounds.
    pub chain: Digest,
    /// How they do on the test samples.
    pub evaluation: Evaluation,
    /// Rounds committed.
    pub rounds: u32,
    /// Training samples passed through the network.
    pub samples: u64,
    /// Entries clamped to a grid's limit, over the run.
    pub saturated: u64,
    /// Bytes of all sums at the width they would travel in.
    pub bytes: u64,
}

/// Why a run did not end.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// The spec is not valid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The spec does not fit the dataset.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run cannot begin.
    #[error(transparent)]
    State(#[from] StateError),
    /// The dataset does not fit the model.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A unit was not computed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A unit's result is not finite.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// A sum was not accepted.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// A round was not committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Trains `spec` on `dataset`, reporting every round as soon as it is committed.
///
/// # Errors
/// [`ReferenceError`] naming what did not fit or diverged.
pub fn train(
    spec: &RunSpec,
    dataset: &Dataset,
    device: Device,
    mut on_round: impl FnMut(&RoundReport),
) -> Result<Outcome, ReferenceError> {
    spec.check()?;
    let cut = dataset.cut(spec)?;
    let plan = cut.plan(spec)?;
    let layout = flat::layout(&spec.model);
    let params = flat::initial_params(&spec.model, spec.seed);
    let mut state = TrainingState::new(spec, &plan, Arc::clone(&layout), params)?;
    let all: Units = (0..plan.units()).map(Unit).collect();
    let mut worker = Worker::new(spec, &cut, layout, &dataset.train, device, &all);
    let mut evaluator = Evaluator::new(&spec.model, device);
    let mut aggregate = Aggregate::new(Arc::clone(state.layout()), state.grid());
    let mut total = Total::default();
    for round in (0..plan.rounds()).map(Round) {
        let open = OpenRound { round, params: state.params(), grid: state.grid() };
        let (tally, loss) = worker.round(&plan, open)?;
        aggregate.clear(state.grid());
        aggregate.add(&worker.packed, &tally)?;
        let commit = state.commit(&aggregate)?;
        total.samples += plan.samples_in_round();
        total.saturated += commit.saturated;
        total.bytes += worker.packed.len() as u64;
        if plan.evaluates(round) {
            total.evaluation = evaluator.evaluate(state.params(), &dataset.test)?;
        }
        on_round(&RoundReport {
            round,
            rounds: plan.rounds(),
            params_digest: commit.params_digest,
            loss: loss / plan.samples_in_round() as f64,
            samples: total.samples,
            saturated: commit.saturated,
            bytes: worker.packed.len(),
            evaluation: plan.evaluates(round).then(|| total.evaluation.clone()),
        });
    }
    Ok(Outcome {
        params: state.params().to_vec(),
        params_digest: state.params_digest(),
        chain: state.chain(),
        evaluation: total.evaluation,
        rounds: plan.rounds(),
        samples: total.samples,
        saturated: total.saturated,
        bytes: total.bytes,
    })
}

/// What a round begins with.
#[derive(Clone, Copy, Debug)]
pub struct OpenRound<'a> {
    /// The round.
    pub round: Round,
    /// Its params, in layout order.
    pub params: &'a [f32],
    /// What its updates are rounded to.
    pub grid: &'a Grid,
}

/// The packed sum that `units` of a round of `spec` give: what a worker's update of them has in it.
///
/// # Errors
/// [`ReferenceError`] naming what did not fit or diverged.
///
/// # Panics
/// If `cut` has no such units.
pub fn sum_of_units(
    spec: &RunSpec,
    (cut, dataset): (&Cut, &Dataset),
    device: Device,
    open: OpenRound<'_>,
    units: &Units,
) -> Result<Vec<u8>, ReferenceError> {
    let mut worker = Worker::new(spec, cut, flat::layout(&spec.model), &dataset.train, device, units);
    worker.round(&cut.plan(spec)?, open)?;
    Ok(worker.packed)
}

#[derive(Default)]
struct Total {
    samples: u64,
    saturated: u64,
    bytes: u64,
    evaluation: Evaluation,
}

/// The one worker, which holds all units, or those that somebody asks for.
struct Worker {
    seed: u64,
    trainer: Trainer,
    shards: Vec<(Unit, Sampler, Samples)>,
    sum: UnitSum,
    result: Vec<f32>,
    packed: Vec<u8>,
}

impl Worker {
    fn new(spec: &RunSpec, cut: &Cut, layout: Arc<Layout>, train: &Samples, device: Device, units: &Units) -> Self {
        let shard = |unit: Unit| {
            let samples = train.select(cut.shard(unit));
            (unit, Sampler::new(spec.seed, unit, samples.len() as u32), samples)
        };
        Self {
            seed: spec.seed,
            trainer: Trainer::new(spec, device),
            shards: units.iter().copied().map(shard).collect(),
            result: vec![0.0; layout.params()],
            sum: UnitSum::new(layout),
            packed: Vec::new(),
        }
    }

    /// Computes and packs its units of an open round; returns what stands behind the sum, and the summed loss.
    fn round(&mut self, plan: &Plan, open: OpenRound<'_>) -> Result<(Tally, f64), ReferenceError> {
        let OpenRound { round, params, grid } = open;
        self.trainer.load(params)?;
        self.sum.begin(self.seed, round, grid);
        let mut loss = 0.0;
        let mut weight = 0;
        for (unit, sampler, shard) in &mut self.shards {
            let report = self.trainer.unit(plan.work(), *unit, round, sampler, shard, &mut self.result)?;
            self.sum.add(*unit, &self.result)?;
            loss += report.loss_sum;
            weight += u64::from(plan.weight(*unit));
        }
        self.sum.pack(&mut self.packed);
        Ok((Tally { units: self.sum.units().clone(), weight, saturated: self.sum.saturated() }, loss))
    }
}

#[cfg(test)]
mod tests;
