use std::thread;

use syngrad_engine::spec::{ModelSpec, OptimizerSpec};

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
    Algorithm::Fedavg { rounds: 1, units, local_epochs: 1, local_batch, local_optimizer }
}

#[test]
fn a_fingerprint_is_that_of_the_model_and_the_unit_shape() {
    let of = |model, algorithm| fingerprint(&spec(model, algorithm), Device::Flex);
    let found = of(model(), sync(16));
    assert_eq!(found, of(model(), sync(16)));
    assert_ne!(found, of(model(), sync(32)));
    assert_ne!(found, of(ModelSpec::Mlp { inputs: 6, hidden: vec![17], classes: 3 }, sync(16)));
    let noop = of(ModelSpec::Noop { params: 5 }, sync(16));
    assert_eq!(noop, of(ModelSpec::Noop { params: 5 }, sync(32)));
}

#[test]
fn a_fingerprint_does_not_depend_on_how_many_threads_compute() {
    let of = || fingerprint(&spec(model(), sync(16)), Device::Flex);
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
    let of = |algorithm| batches(&spec(model(), algorithm)).into_iter().collect::<Vec<_>>();
    assert_eq!(of(sync(16)), [16]);
    assert_eq!(of(fedavg(5, 4)), [1, 2, 4]);
    assert_eq!(of(fedavg(6, 4)), [4]);
}
