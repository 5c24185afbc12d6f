//! The baseline: the same run with sums in f32, unit after unit. Nothing else in syngrad adds floating-point numbers of
//! different units.

use syngrad_dataset::{Dataset, Samples};
use syngrad_engine::optimizer::Optimizer;
use syngrad_engine::plan::Sampler;
use syngrad_engine::schedule::learning_rate;
use syngrad_engine::{Cut, Round, RunSpec, Unit};
use syngrad_model::{Device, Evaluator, Trainer, initial_params};

use super::Trained;
use crate::failure::Failure;

pub(super) fn train(spec: &RunSpec, dataset: &Dataset, device: Device) -> Result<Trained, Failure> {
    let cut = dataset.cut(spec).map_err(|why| Failure::failed(&why))?;
    let plan = cut.plan(spec).map_err(|why| Failure::failed(&why))?;
    let mut params = initial_params(&spec.model, spec.seed);
    let mut optimizer = Optimizer::new(&spec.optimizer, params.len());
    let mut trainer = Trainer::new(spec, device);
    let mut shards = shards(spec, &cut, &dataset.train);
    let mut unit_result = vec![0.0f32; params.len()];
    let mut sum = vec![0.0f32; params.len()];
    for round in (0..plan.rounds()).map(Round) {
        trainer.load(&params).map_err(|why| Failure::failed(&why))?;
        sum.fill(0.0);
        let mut weight = 0.0f32;
        for (unit, sampler, shard) in &mut shards {
            trainer
                .unit(plan.work(), *unit, round, sampler, shard, &mut unit_result)
                .map_err(|why| Failure::failed(&why))?;
            weight += plan.weight(*unit) as f32;
            for (total, value) in sum.iter_mut().zip(&unit_result) {
                *total += value;
            }
        }
        for total in &mut sum {
            *total /= weight;
        }
        let rate = learning_rate(spec.optimizer.learning_rate(), &spec.schedule, round, plan.rounds());
        optimizer.step(rate, &sum, &mut params);
    }
    let evaluation =
        Evaluator::new(&spec.model, device).evaluate(&params, &dataset.test).map_err(|why| Failure::failed(&why))?;
    let bytes = (params.len() * size_of::<f32>()) as u64 * u64::from(plan.rounds());
    Ok(Trained { accuracy: evaluation.accuracy, saturated: 0, entries: 0, bytes })
}

fn shards(spec: &RunSpec, cut: &Cut, train: &Samples) -> Vec<(Unit, Sampler, Samples)> {
    let shard = |unit: Unit| {
        let samples = train.select(cut.shard(unit));
        (unit, Sampler::new(spec.seed, unit, samples.len() as u32), samples)
    };
    (0..spec.algorithm.units()).map(Unit).map(shard).collect()
}
