use std::path::PathBuf;

use syngrad_engine::spec::{Algorithm, ModelSpec, OptimizerSpec};

use super::*;

pub(crate) fn mnist_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist")
}

/// The folder of QMNIST's labels, which are not part of the repository: beside it, where there is one.
pub(crate) fn qmnist_dir() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/qmnist");
    let there = dir.is_dir();
    if !there {
        eprintln!("SKIPPED: {} is not there, so nothing of QMNIST was tested", dir.display());
    }
    there.then_some(dir)
}

#[test]
fn mnist_is_the_published_one() {
    let whole = Dataset::load(&DataSpec::Mnist { limit: None, partition: Partition::Iid {} }, 0, &mnist_dir())
        .expect("the checkout has MNIST");
    assert_eq!((whole.train.len(), whole.test.len(), whole.train.inputs(), whole.classes()), (60_000, 10_000, 784, 10));
    assert_eq!(whole.train.histogram(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(whole.test.histogram(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert!((whole.train.mean() - 0.130_660).abs() < 5e-7, "{}", whole.train.mean());
    assert!((whole.test.mean() - 0.132_515).abs() < 5e-7, "{}", whole.test.mean());
}

#[test]
fn a_limit_takes_a_seeded_part_of_the_training_samples() {
    let spec = DataSpec::Mnist { limit: Some(1000), partition: Partition::Parity {} };
    let part = |seed| Dataset::load(&spec, seed, &mnist_dir()).expect("the checkout has MNIST");
    let first = part(1);
    assert_eq!((first.train.len(), first.test.len()), (1000, 10_000));
    assert_eq!(first.train, part(1).train);
    assert_ne!(first.train, part(2).train);
    assert_eq!(first.origins.len(), 1000);
    let whole = Dataset::load(&DataSpec::Mnist { limit: None, partition: Partition::Iid {} }, 1, &mnist_dir());
    let whole = whole.expect("the checkout has MNIST").train;
    for (index, origin) in first.origins.iter().enumerate() {
        assert_eq!(
            first.train.image(index),
            whole.image(origin.writer as usize),
            "a sample keeps its place in the file"
        );
    }
}

#[test]
fn what_is_held_out_is_neither_trained_on_nor_of_the_test() {
    let spec = DataSpec::Mnist { limit: None, partition: Partition::Parity {} };
    let whole = Dataset::load(&spec, 0, &mnist_dir()).expect("the checkout has MNIST");
    let (limited, split) = (whole.limited(700, 5), whole.validation(700, 300, 5));
    assert_eq!((&split.train, &split.origins), (&limited.train, &limited.origins));
    assert_eq!((split.test.len(), limited.test.len()), (300, 10_000));
    let both = whole.limited(1000, 5).train;
    assert_eq!(split.test, both.select(&(700..1000).collect::<Vec<_>>()), "what comes next in the seeded order");
    let even = whole.of_group(0);
    assert_eq!((even.train.len(), even.origins.len()), (30_000, 30_000));
    assert_eq!(even.train.image(1), whole.train.image(2));
    assert!(whole.of_group(7).train.is_empty());
}

fn sizes(partition: Partition, units: u32, mnist_dir: &Path) -> Vec<u32> {
    let spec = RunSpec {
        name: "test".into(),
        seed: 5,
        model: ModelSpec::Noop { params: 1 },
        data: DataSpec::Mnist { limit: None, partition },
        algorithm: Algorithm::SyncSgd { epochs: 1, units, unit_samples: 1 },
        optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
        schedule: Default::default(),
        update_bits: Default::default(),
        quorum: Default::default(),
        evaluation: Default::default(),
        numerics: Default::default(),
        archive: Default::default(),
        checkpoint: Default::default(),
        durability: Default::default(),
    };
    let dataset = Dataset::load(&spec.data, spec.seed, mnist_dir).expect("the files are there");
    dataset.cut(&spec).expect("there are enough samples").sizes()
}

#[test]
fn mnist_is_cut_by_its_own_order_and_labels() {
    assert_eq!(sizes(Partition::Parity {}, 2, &mnist_dir()), [30_000; 2]);
    assert_eq!(sizes(Partition::Shards { shards_per_unit: 2 }, 100, &mnist_dir()), [600; 100]);
    assert_eq!(sizes(Partition::Dirichlet { alpha: 0.1 }, 8, &mnist_dir()), [7_500; 8]);
}

/// A folder of MNIST beside one of QMNIST, as a person would have them.
#[cfg(unix)]
#[test]
fn mnist_is_cut_by_who_wrote_it() {
    let Some(qmnist) = qmnist_dir() else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mnist = folder.path().join("mnist");
    std::os::unix::fs::symlink(mnist_dir(), &mnist).expect("a link can be made");
    std::os::unix::fs::symlink(qmnist, folder.path().join("qmnist")).expect("a link can be made");
    assert_eq!(sizes(Partition::Institution {}, 2, &mnist), [30_950, 29_050], "employees, then students");
    let five = sizes(Partition::Institution {}, 5, &mnist);
    assert_eq!((five[..3].iter().sum::<u32>(), five[3..].iter().sum::<u32>()), (30_950, 29_050));
    assert_eq!(sizes(Partition::Writer {}, 539, &mnist).len(), 539, "a unit of each writer");
}

#[test]
fn samples_are_checked_when_they_are_made() {
    let new = |inputs, classes, features: &[u8], labels: &[u8]| {
        Samples::new(inputs, classes, features.to_vec(), labels.to_vec())
    };
    assert!(new(2, 2, &[1, 2, 3, 4], &[0, 1]).is_ok());
    assert_eq!(new(0, 2, &[], &[]), Err(SamplesError::Shape { inputs: 0, classes: 2 }));
    assert_eq!(new(2, 1, &[], &[]), Err(SamplesError::Shape { inputs: 2, classes: 1 }));
    assert_eq!(new(2, 2, &[1], &[0]), Err(SamplesError::Length { labels: 1, inputs: 2, features: 1 }));
    assert_eq!(new(1, 2, &[1, 1], &[0, 2]), Err(SamplesError::Label { index: 1, label: 2, classes: 2 }));
}

#[test]
fn widening_covers_0_to_1_and_nothing_else() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut wide = vec![f32::NAN; 256];
    widen(&bytes, &mut wide);
    assert_eq!((wide[0], wide[255]), (0.0, 1.0));
    for (byte, value) in bytes.iter().zip(wide) {
        assert!((f64::from(value) - f64::from(*byte) / 255.0).abs() < 1e-7, "{byte} became {value}");
    }
}
