use std::collections::BTreeSet;

use super::*;
use crate::spec::{DataSpec, Evaluation, ModelSpec, OptimizerSpec, Quorum, Schedule};

pub(crate) fn spec(algorithm: Algorithm) -> RunSpec {
    RunSpec {
        name: "test".into(),
        seed: 7,
        model: ModelSpec::Mlp { inputs: 4, hidden: vec![], classes: 2 },
        data: DataSpec::Synthetic { samples: 100, inputs: 4, classes: 2 },
        algorithm,
        optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
        schedule: Schedule::Constant,
        update_bits: Default::default(),
        quorum: Quorum::default(),
        evaluation: Evaluation::default(),
        numerics: Default::default(),
        checkpoint: Default::default(),
        durability: Default::default(),
    }
}

fn sync_sgd(epochs: u32, units: u32, unit_samples: u32) -> Algorithm {
    Algorithm::SyncSgd { epochs, units, unit_samples }
}

#[test]
fn shards_cover_the_samples_once() {
    let plan = Plan::new(&spec(sync_sgd(1, 7, 5)), 100).expect("a plan");
    let order = plan.shard_order();
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 100);
    let mut next = 0;
    for unit in (0..7).map(Unit) {
        let bounds = plan.shard_bounds(unit);
        assert_eq!(bounds.start, next);
        assert!((14..=15).contains(&plan.shard_len(unit)));
        next = bounds.end;
    }
    assert_eq!(next, 100);
}

#[test]
fn every_pass_takes_every_sample_once_and_passes_differ() {
    let mut sampler = Sampler::new(1, Unit(3), 12);
    let mut batch = Vec::new();
    let mut taken = Vec::new();
    for round in (0..6).map(Round) {
        sampler.batch(round, 4, &mut batch);
        assert_eq!(batch.len(), 4);
        taken.extend_from_slice(&batch);
    }
    let (first, second) = taken.split_at(12);
    assert_ne!(first, second);
    for pass in [first, second] {
        assert_eq!(pass.iter().collect::<BTreeSet<_>>().len(), 12);
    }
}

#[test]
fn a_unit_may_span_two_passes_and_is_the_same_from_a_fresh_sampler() {
    let mut walked = Sampler::new(1, Unit(0), 10);
    let mut batch = Vec::new();
    for round in (0..5).map(Round) {
        walked.batch(round, 7, &mut batch);
        let mut fresh = Vec::new();
        Sampler::new(1, Unit(0), 10).batch(round, 7, &mut fresh);
        assert_eq!(batch, fresh);
    }
}

#[test]
fn rounds_cover_the_epochs() {
    let plan = Plan::new(&spec(sync_sgd(3, 2, 8)), 100).expect("a plan");
    assert_eq!(plan.rounds(), 19);
    assert_eq!(plan.samples_in_round(), 16);
    let evaluated: Vec<u32> = (0..19).filter(|&round| plan.evaluates(Round(round))).collect();
    assert_eq!(evaluated, [6, 13, 18]);
}

#[test]
fn weights_are_samples() {
    let fedavg = Algorithm::Fedavg {
        rounds: 2,
        units: 3,
        local_epochs: 2,
        local_batch: 10,
        local_optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
    };
    let plan = Plan::new(&spec(fedavg), 100).expect("a plan");
    assert_eq!((0..3).map(|unit| plan.weight(Unit(unit))).sum::<u32>(), 100);
    assert_eq!(plan.samples_in_round(), 200);
    assert_eq!(plan.rounds(), 2);
}

#[test]
fn what_cannot_be_planned_is_refused() {
    let few = Plan::new(&spec(sync_sgd(1, 7, 5)), 6);
    assert_eq!(few, Err(PlanError::TooFewSamples { samples: 6, units: 7 }));
    let many = Plan::new(&spec(sync_sgd(10_000_000, 1, 1)), 1 << 30);
    assert!(matches!(many, Err(PlanError::TooManyRounds { .. })));
}
