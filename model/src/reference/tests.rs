use std::path::{Path, PathBuf};

use syngrad_engine::spec::{Algorithm, DataSpec, ModelSpec, OptimizerSpec, Partition, UpdateBits};

use super::*;
use crate::train::tests::spec as blank;

fn mnist_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist")
}

fn adam() -> OptimizerSpec {
    OptimizerSpec::Adam { learning_rate: 0.005, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
}

fn sync() -> Algorithm {
    Algorithm::SyncSgd { epochs: 6, units: 4, unit_samples: 16 }
}

fn fedavg() -> Algorithm {
    let (local_epochs, local_steps, proximal) = (Some(2), None, 0.0);
    let local_optimizer = adam();
    Algorithm::Fedavg { rounds: 5, units: 4, local_epochs, local_steps, local_batch: 16, proximal, local_optimizer }
}

fn small(algorithm: Algorithm, seed: u64) -> RunSpec {
    let model = ModelSpec::Mlp { inputs: 20, hidden: vec![24], classes: 5 };
    let mut spec = blank(model, algorithm);
    spec.seed = seed;
    spec.data = DataSpec::Synthetic { samples: 1000, inputs: 20, classes: 5, partition: Partition::Iid {} };
    spec.optimizer = match spec.algorithm {
        Algorithm::SyncSgd { .. } => adam(),
        Algorithm::Fedavg { .. } => OptimizerSpec::Sgd { learning_rate: 1.0, momentum: 0.0, nesterov: false },
    };
    spec
}

fn run(spec: &RunSpec) -> Outcome {
    // The data's own seed is fixed, so that only the run's differs.
    let dataset = Dataset::load(&spec.data, 1, &mnist_dir()).expect("it is synthetic");
    train(spec, &dataset, Device::Flex, |_| {}).expect("the run ends")
}

#[test]
fn both_algorithms_learn_at_every_width() {
    for algorithm in [sync(), fedavg()] {
        for bits in [UpdateBits::ThirtyTwo, UpdateBits::Sixteen, UpdateBits::Eight] {
            let spec = RunSpec { update_bits: bits, ..small(algorithm.clone(), 3) };
            let outcome = run(&spec);
            let accuracy = outcome.evaluation.accuracy;
            assert!(accuracy > 0.94, "{accuracy} with {bits:?} and {algorithm:?}");
        }
    }
}

#[test]
fn a_seed_fixes_the_bits() {
    for algorithm in [sync(), fedavg()] {
        let digest = |seed| run(&small(algorithm.clone(), seed)).params_digest;
        assert_eq!(digest(3), digest(3));
        assert_ne!(digest(3), digest(4));
    }
}

#[test]
fn rounds_are_reported_as_they_are_committed() {
    let spec = small(sync(), 3);
    let dataset = Dataset::load(&spec.data, 1, &mnist_dir()).expect("it is synthetic");
    let mut reports = Vec::new();
    let outcome = train(&spec, &dataset, Device::Flex, |report| reports.push(report.clone())).expect("the run ends");
    assert_eq!(reports.len(), outcome.rounds as usize);
    assert!(reports.iter().enumerate().all(|(index, report)| report.round.0 as usize == index));
    let last = reports.last().expect("there are rounds");
    assert_eq!((last.params_digest, last.samples), (outcome.params_digest, outcome.samples));
    assert_eq!(last.evaluation.as_ref(), Some(&outcome.evaluation));
    assert_eq!(reports.iter().filter(|report| report.evaluation.is_some()).count(), 6);
    assert!(last.loss < reports[0].loss / 4.0, "from {} to {}", reports[0].loss, last.loss);
    assert_eq!(Digest::of_params(&outcome.params), outcome.params_digest);
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let dataset = Dataset::load(&small(sync(), 3).data, 1, &mnist_dir()).expect("it is synthetic");
    let refused =
        |spec: &RunSpec| train(spec, &dataset, Device::Flex, |_| {}).expect_err("it does not fit").to_string();
    let mut spec = small(sync(), 3);
    spec.model = ModelSpec::Mlp { inputs: 21, hidden: vec![], classes: 5 };
    assert!(refused(&spec).contains("model.inputs"));
    spec = small(Algorithm::SyncSgd { epochs: 1, units: 1001, unit_samples: 1 }, 3);
    assert!(refused(&spec).contains("1001 shards"));
}

#[test]
fn one_pass_over_mnist_is_most_of_the_way() {
    let model = ModelSpec::Mlp { inputs: 784, hidden: vec![128, 128], classes: 10 };
    let mut spec = blank(model, Algorithm::SyncSgd { epochs: 1, units: 8, unit_samples: 16 });
    spec.data = DataSpec::Mnist { limit: None, partition: Partition::Iid {} };
    spec.optimizer = OptimizerSpec::Adam { learning_rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let dataset = Dataset::load(&spec.data, spec.seed, &mnist_dir()).expect("the checkout has MNIST");
    let outcome = train(&spec, &dataset, Device::Flex, |_| {}).expect("the run ends");
    assert!(outcome.evaluation.accuracy > 0.93, "{}", outcome.evaluation.accuracy);
    assert_eq!(outcome.saturated, 0);
}
