use std::thread;

use syngrad_engine::spec::{Algorithm, ModelSpec, OptimizerSpec};

use super::*;
use crate::train::tests::spec;

fn model() -> ModelSpec {
    ModelSpec::Mlp { inputs: 6, hidden: vec![16], classes: 3 }
}

fn sync(unit_samples: u32) -> Algorithm {
    Algorithm::SyncSgd { epochs: 1, units: 2, unit_samples }
}

fn fedavg(units: u32, local_batch: u32) -> Algorithm {
    let local_optimizer = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false };
    let (local_epochs, local_steps, proximal) = (Some(1), None, 0.0);
    Algorithm::Fedavg { rounds: 1, units, local_epochs, local_steps, local_batch, proximal, local_optimizer }
}

/// A plan of 48 samples in even shards.
fn plan(spec: &RunSpec) -> Plan {
    Plan::new(spec, 48).expect("more samples than units")
}

fn of(model: ModelSpec, algorithm: Algorithm) -> Digest {
    let spec = spec(model, algorithm);
    fingerprint(&spec, &plan(&spec), Device::Flex)
}

#[test]
fn a_fingerprint_is_that_of_the_model_and_the_unit_shape() {
    let found = of(model(), sync(16));
    assert_eq!(found, of(model(), sync(16)));
    assert_ne!(found, of(model(), sync(32)));
    assert_ne!(found, of(ModelSpec::Mlp { inputs: 6, hidden: vec![17], classes: 3 }, sync(16)));
    let noop = of(ModelSpec::Noop { params: 5 }, sync(16));
    assert_eq!(noop, of(ModelSpec::Noop { params: 5 }, sync(32)));
}

#[test]
fn a_fingerprint_does_not_depend_on_how_many_threads_compute() {
    let of = || of(model(), sync(16));
    let expected = of();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(of)).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), expected);
        }
    });
}

/// 48 samples in 5 shards are 9 or 10 each: with batches of 4, the last of a pass has 1 or 2.
#[test]
fn every_shape_of_a_local_step_is_taken() {
    let even = |algorithm| batches(&plan(&spec(model(), algorithm))).into_iter().collect::<Vec<_>>();
    assert_eq!(even(sync(16)), [16]);
    assert_eq!(even(fedavg(5, 4)), [1, 2, 4]);
    assert_eq!(even(fedavg(6, 4)), [4]);
    let uneven = |batch, sizes: &[u32]| {
        let plan = Plan::with_shards(&spec(model(), fedavg(sizes.len() as u32, batch)), sizes).expect("a plan");
        batches(&plan).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(uneven(4, &[7, 21, 10, 4, 6]), [1, 2, 3, 4]);
    assert_eq!(
        uneven(60_000, &[9, 50_000, 59_999, 59_998, 5]),
        [5, 9, 50_000, 59_998, 60_000],
        "all would be too many"
    );
}
