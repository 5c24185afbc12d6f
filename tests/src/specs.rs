//! Small run specs: synthetic samples, so that a whole run takes about a second in a debug build.

use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::{
    Algorithm, Archive, Checkpoint, DataSpec, Durability, Evaluation, ModelSpec, Numerics, OptimizerSpec, Partition,
    Quorum, RunSpec, Schedule, UpdateBits,
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
        data: cut(Partition::Iid {}),
        algorithm: Algorithm::SyncSgd { epochs: 100, units: 6, unit_samples: 20 },
        optimizer: OptimizerSpec::Adam { learning_rate: 0.002, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        schedule: Schedule::Constant {},
        update_bits: UpdateBits::Sixteen,
        quorum: Quorum::default(),
        evaluation: Evaluation { every_rounds: Some(200), target_accuracy: None },
        numerics: Numerics::Strict,
        checkpoint: Checkpoint::default(),
        durability: Durability::default(),
        archive: Archive::default(),
    };
    CanonicalSpec::new(spec).expect("every value is in its range")
}

/// FedProx on skewed labels, with FedAdam on the server.
///
/// # Panics
/// Never: the spec is a constant but for its seed.
#[must_use]
pub fn fedprox(seed: u64) -> CanonicalSpec {
    let mut spec = fedavg(seed).spec().clone();
    if let Algorithm::Fedavg { rounds, proximal, .. } = &mut spec.algorithm {
        (*rounds, *proximal) = (150, 0.1);
    }
    let (beta1, beta2, epsilon, initial_accumulator) = (0.9, 0.99, 1e-3, 1e-6);
    spec.optimizer = OptimizerSpec::Fedadam { learning_rate: 0.02, beta1, beta2, epsilon, initial_accumulator };
    spec.data = cut(Partition::Dirichlet { alpha: 0.2 });
    CanonicalSpec::new(spec).expect("every value is in its range")
}

/// Shards of very different sizes, with FedYogi on the server.
///
/// # Panics
/// Never: the spec is a constant but for its seed.
#[must_use]
pub fn fedyogi(seed: u64) -> CanonicalSpec {
    let (beta1, beta2, epsilon, initial_accumulator) = (0.9, 0.99, 1e-3, 1e-6);
    let spec = RunSpec {
        optimizer: OptimizerSpec::Yogi { learning_rate: 0.02, beta1, beta2, epsilon, initial_accumulator },
        data: cut(Partition::Quantity { alpha: 0.5 }),
        update_bits: UpdateBits::Sixteen,
        ..fedavg(seed).spec().clone()
    };
    CanonicalSpec::new(spec).expect("every value is in its range")
}

/// DiLoCo: AdamW for a number of steps in the units, Nesterov momentum on the server.
///
/// # Panics
/// Never: the spec is a constant but for its seed.
#[must_use]
pub fn diloco(seed: u64) -> CanonicalSpec {
    let local_optimizer =
        OptimizerSpec::Adamw { learning_rate: 0.002, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
    let (local_epochs, local_steps, proximal) = (None, Some(7), 0.0);
    let spec = RunSpec {
        algorithm: Algorithm::Fedavg {
            rounds: 300,
            units: 6,
            local_epochs,
            local_steps,
            local_batch: 20,
            proximal,
            local_optimizer,
        },
        optimizer: OptimizerSpec::Sgd { learning_rate: 0.7, momentum: 0.9, nesterov: true },
        data: cut(Partition::Shards { shards_per_unit: 2 }),
        ..fedavg(seed).spec().clone()
    };
    CanonicalSpec::new(spec).expect("every value is in its range")
}

fn cut(partition: Partition) -> DataSpec {
    DataSpec::Synthetic { samples: 1_200, inputs: 32, classes: 4, partition }
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
        algorithm: Algorithm::Fedavg {
            rounds: 300,
            units: 6,
            local_epochs: Some(2),
            local_steps: None,
            local_batch: 20,
            proximal: 0.0,
            local_optimizer,
        },
        optimizer: OptimizerSpec::Sgd { learning_rate: 1.0, momentum: 0.0, nesterov: false },
        update_bits: UpdateBits::ThirtyTwo,
        ..sync_sgd(seed).spec().clone()
    };
    CanonicalSpec::new(spec).expect("every value is in its range")
}
