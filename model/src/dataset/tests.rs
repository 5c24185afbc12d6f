use std::path::PathBuf;

use super::*;

pub(crate) fn mnist_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist")
}

#[test]
fn mnist_is_the_published_one() {
    let whole = Dataset::load(&DataSpec::Mnist { limit: None }, 0, &mnist_dir()).expect("the checkout has MNIST");
    assert_eq!((whole.train.len(), whole.test.len(), whole.train.inputs(), whole.classes()), (60_000, 10_000, 784, 10));
    assert_eq!(whole.train.histogram(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(whole.test.histogram(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert!((whole.train.mean() - 0.130_660).abs() < 5e-7, "{}", whole.train.mean());
    assert!((whole.test.mean() - 0.132_515).abs() < 5e-7, "{}", whole.test.mean());
}

#[test]
fn a_limit_takes_a_seeded_part_of_the_training_samples() {
    let spec = DataSpec::Mnist { limit: Some(1000) };
    let part = |seed| Dataset::load(&spec, seed, &mnist_dir()).expect("the checkout has MNIST");
    let first = part(1);
    assert_eq!((first.train.len(), first.test.len()), (1000, 10_000));
    assert_eq!(first.train, part(1).train);
    assert_ne!(first.train, part(2).train);
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
