//! Small run specs: synthetic samples, so that a whole run takes about a second in a debug build.

use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::{
    Algorithm, Checkpoint, DataSpec, Durability, Evaluation, ModelSpec, Numerics, OptimizerSpec, Quorum, RunSpec,
    Schedule, UpdateBits,
};

/// Synchronous SGD with Adam: many short rounds of six units.
///
/// # Panics
/// Never: the spec is a constant but for its seed.
#[must_use]
pub fn sync_sgd(seed: u64) -> CanonicalSpec {
    let spec = RunSpec {
        name: "small".to_owned(),
        seed,
        model: ModelSpec::Mlp { inputs: 32, hidden: vec![24], classes: 4 },
        data: DataSpec::Synthetic { samples: 1_200, inputs: 32, classes: 4 },
        algorithm: Algorithm::SyncSgd { epochs: 100, units: 6, unit_samples: 20 },
        optimizer: OptimizerSpec::Adam { learning_rate: 0.002, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        schedule: Schedule::Constant,
        update_bits: UpdateBits::Sixteen,
        quorum: Quorum::default(),
        evaluation: Evaluation { every_rounds: Some(200), target_accuracy: None },
        numerics: Numerics::Strict,
        checkpoint: Checkpoint::default(),
        durability: Durability::default(),
    };
    CanonicalSpec::new(spec).expect("every value is in its range")
}

/// Federated averaging of the same network.
///
/// # Panics
/// Never: the spec is a constant but for its seed.
#[must_use]
pub fn fedavg(seed: u64) -> CanonicalSpec {
    let local_optimizer = OptimizerSpec::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: false };
    let spec = RunSpec {
        name: "small-fedavg".to_owned(),
        algorithm: Algorithm::Fedavg { rounds: 300, units: 6, local_epochs: 2, local_batch: 20, local_optimizer },
        optimizer: OptimizerSpec::Sgd { learning_rate: 1.0, momentum: 0.0, nesterov: false },
        update_bits: UpdateBits::ThirtyTwo,
        ..sync_sgd(seed).spec().clone()
    };
    CanonicalSpec::new(spec).expect("every value is in its range")
}
