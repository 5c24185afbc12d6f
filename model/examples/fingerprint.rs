//! Prints the numerics fingerprints of this machine, one line for each device and unit shape:
//! `DEVICE UNIT_SAMPLES FINGERPRINT`. Two machines with equal lines end runs of these shapes with the same bits.
//!
//! `cargo xtask numerics` runs it natively and under emulated CPUs, and compares the lines.

use syngrad_engine::spec::{Algorithm, DataSpec, ModelSpec, OptimizerSpec, Partition};
use syngrad_engine::{Plan, RunSpec};
use syngrad_model::{Device, fingerprint};

/// The unit shapes: those of the shipped run specs, and odd ones that end a kernel's tile early.
const UNIT_SAMPLES: [u32; 10] = [1, 8, 16, 25, 32, 50, 64, 100, 128, 256];

fn spec(unit_samples: u32) -> RunSpec {
    RunSpec {
        name: "fingerprint".into(),
        seed: 0,
        model: ModelSpec::Mlp { inputs: 784, hidden: vec![128, 128], classes: 10 },
        data: DataSpec::Mnist { limit: None, partition: Partition::Iid {} },
        algorithm: Algorithm::SyncSgd { epochs: 1, units: 1, unit_samples },
        optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
        schedule: Default::default(),
        update_bits: Default::default(),
        quorum: Default::default(),
        evaluation: Default::default(),
        numerics: Default::default(),
        checkpoint: Default::default(),
        durability: Default::default(),
        archive: Default::default(),
    }
}

#[allow(clippy::print_stdout, reason = "printing is what this program is for")]
fn main() {
    for device in Device::ALL {
        for unit_samples in UNIT_SAMPLES {
            let spec = spec(unit_samples);
            let plan = Plan::new(&spec, 60_000).expect("there are more samples than units");
            println!("{device} {unit_samples} {}", fingerprint(&spec, &plan, device));
        }
    }
}
