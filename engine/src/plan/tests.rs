use std::collections::BTreeSet;

use super::*;
use crate::id::PartnerName;
use crate::spec::{DataSpec, Evaluation, ModelSpec, OptimizerSpec, Partition, PartnerData, Quorum, Schedule, TestData};

pub(crate) fn spec(algorithm: Algorithm) -> RunSpec {
    RunSpec {
        name: "test".into(),
        seed: 7,
        model: ModelSpec::Mlp { inputs: 4, hidden: vec![], classes: 2 },
        data: DataSpec::Synthetic { samples: 100, inputs: 4, classes: 2, partition: Partition::Iid {} },
        algorithm,
        optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
        schedule: Schedule::Constant {},
        update_bits: Default::default(),
        quorum: Quorum::default(),
        evaluation: Evaluation::default(),
        numerics: Default::default(),
        checkpoint: Default::default(),
        durability: Default::default(),
        archive: Default::default(),
    }
}

fn sync_sgd(epochs: u32, units: u32, unit_samples: u32) -> Algorithm {
    Algorithm::SyncSgd { epochs, units, unit_samples }
}

fn fedavg(local_epochs: Option<u32>, local_steps: Option<u32>) -> Algorithm {
    Algorithm::Fedavg {
        rounds: 2,
        units: 3,
        local_epochs,
        local_steps,
        local_batch: 10,
        proximal: 0.0,
        local_optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
    }
}

#[test]
fn shards_are_even_unless_they_are_said_to_be_others() {
    let spec = spec(sync_sgd(1, 7, 5));
    let plan = Plan::new(&spec, 100).expect("a plan");
    assert!((0..7).all(|unit| (14..=15).contains(&plan.shard_len(Unit(unit)))));
    assert_eq!((plan.samples(), plan.units(), plan.uneven_shards()), (100, 7, None));
    let sizes = [1, 94, 1, 1, 1, 1, 1];
    let uneven = Plan::with_shards(&spec, &sizes).expect("a plan");
    assert_eq!((uneven.samples(), uneven.uneven_shards()), (100, Some(sizes.to_vec())));
    assert_eq!(Plan::with_shards(&spec, &[14, 14, 14, 15, 14, 14, 15]), Ok(plan), "what an even cut has too");
    for foreign in [&[50, 50][..], &[14, 14, 14, 15, 14, 0, 29], &[1; 8], &[u32::MAX; 7], &[]] {
        let refused = Plan::with_shards(&spec, foreign);
        assert_eq!(refused, Err(PlanError::ForeignShards { shards: foreign.len() as u64, units: 7 }));
    }
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
    let epochs = spec(fedavg(Some(2), None));
    let plan = Plan::new(&epochs, 100).expect("a plan");
    assert_eq!((0..3).map(|unit| plan.weight(Unit(unit))).sum::<u32>(), 100);
    assert_eq!((plan.samples_in_round(), plan.rounds()), (200, 2));
    let uneven = Plan::with_shards(&epochs, &[70, 10, 20]).expect("a plan");
    assert_eq!((0..3).map(|unit| uneven.weight(Unit(unit))).collect::<Vec<_>>(), [70, 10, 20]);
}

#[test]
fn private_samples_are_the_shards_that_the_spec_says_whoever_says_otherwise() {
    let of = |(partner, samples)| PartnerData { partner: PartnerName::parse(partner).expect("a name"), samples };
    let partners = [("a", 70), ("b", 10), ("c", 20)].map(of).to_vec();
    let data = DataSpec::Private { inputs: 4, classes: 2, partners, test: TestData::None };
    let private = RunSpec { data, ..spec(fedavg(Some(1), None)) };
    let plan = Plan::new(&private, 0).expect("a plan");
    assert_eq!((plan.samples(), plan.weight(Unit(0)), plan.weight(Unit(2))), (100, 70, 20));
    assert_eq!(Plan::with_shards(&private, &[70, 10, 20]), Ok(plan));
    let other = Plan::with_shards(&private, &[10, 70, 20]);
    assert_eq!(other, Err(PlanError::ForeignShards { shards: 3, units: 3 }));
}

#[test]
fn a_unit_of_local_steps_weighs_its_shard_and_passes_its_batches() {
    let plan = Plan::with_shards(&spec(fedavg(None, Some(7))), &[70, 10, 20]).expect("a plan");
    assert_eq!(plan.work(), Work::LocalSteps { steps: 7, batch: 10 });
    assert_eq!((plan.weight(Unit(0)), plan.weight(Unit(1)), plan.samples_in_round()), (70, 10, 210));
}

#[test]
fn a_unit_ends_after_epochs_or_after_steps_and_not_after_both() {
    for (epochs, steps) in [(Some(1), Some(1)), (None, None)] {
        let refused = spec(fedavg(epochs, steps)).check().expect_err("it needs one of them");
        assert_eq!(refused.key, "algorithm.local_steps");
    }
    assert_eq!(spec(fedavg(None, Some(3))).check(), Ok(()));
}

#[test]
fn what_cannot_be_planned_is_refused() {
    let few = Plan::new(&spec(sync_sgd(1, 7, 5)), 6);
    assert_eq!(few, Err(PlanError::TooFewSamples { samples: 6, units: 7 }));
    let many = Plan::new(&spec(sync_sgd(10_000_000, 1, 1)), 1 << 30);
    assert!(matches!(many, Err(PlanError::TooManyRounds { .. })));
}
