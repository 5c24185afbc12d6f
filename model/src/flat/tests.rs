use syngrad_engine::Digest;

use super::*;
use crate::architecture::Network;
use crate::device::Device as Choice;

fn mlp(inputs: usize, hidden: &[usize], classes: usize) -> ModelSpec {
    ModelSpec::Mlp { inputs, hidden: hidden.into(), classes }
}

fn names_and_shapes(layout: &Layout) -> Vec<(String, Vec<usize>)> {
    layout.tensors().iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
}

/// What is written here is on the wire and in every checkpoint: it never changes.
#[test]
fn the_layout_is_stable() {
    let layout = layout(&mlp(784, &[128, 128], 10));
    let expected = [
        ("layers.0.weight", vec![784, 128]),
        ("layers.0.bias", vec![128]),
        ("layers.1.weight", vec![128, 128]),
        ("layers.1.bias", vec![128]),
        ("layers.2.weight", vec![128, 10]),
        ("layers.2.bias", vec![10]),
    ];
    assert_eq!(names_and_shapes(&layout), expected.map(|(name, shape)| (name.to_owned(), shape)));
    assert_eq!(layout.params(), 118_282);
    assert_eq!(names_and_shapes(&super::layout(&ModelSpec::Noop { params: 7 })), [("noop".to_owned(), vec![7])]);
}

#[test]
fn burn_traverses_a_network_in_the_layouts_order() {
    for model in [mlp(784, &[128, 128], 10), mlp(3, &[], 2), mlp(3, &[4; 12], 2)] {
        let network = Network::new(&model, Choice::Flex.open()).expect("a network");
        assert_eq!(network.tensors(), names_and_shapes(&layout(&model)));
    }
}

/// The identity network: rows come out as they went in if, and only if, every param lands in its place.
#[test]
fn params_land_where_the_layout_says() {
    let model = mlp(2, &[], 2);
    let mut network = Network::new(&model, Choice::Flex.open()).expect("a network");
    network.load(&[1.0, 2.0, 3.0, 4.0, 10.0, 20.0]);
    assert_eq!(network.logits(vec![1.0, 0.0, 0.0, 1.0]), [11.0, 22.0, 13.0, 24.0]);
}

#[test]
fn initial_params_are_those_of_their_seed_and_within_the_bound() {
    let model = mlp(784, &[128, 128], 10);
    let params = initial_params(&model, 0);
    assert_eq!(params, initial_params(&model, 0));
    assert_ne!(params, initial_params(&model, 1));
    let layout = layout(&model);
    for (range, inputs) in layout.ranges().zip([784.0, 784.0, 128.0, 128.0, 128.0, 128.0]) {
        let bound = 1.0 / f32::sqrt(inputs);
        let tensor = &params[range];
        assert!(tensor.iter().all(|param| param.abs() <= bound));
        let widest = tensor.iter().fold(0f32, |widest, param| widest.max(param.abs()));
        assert!(widest > 0.7 * bound, "the whole range is used: {widest} of {bound}");
    }
    let mean = params.iter().map(|&param| f64::from(param)).sum::<f64>() / params.len() as f64;
    assert!(mean.abs() < 1e-3, "{mean}");
}

/// A run's digests begin here, so a change of any bit would orphan every recorded run.
#[test]
fn the_initial_bits_are_pinned() {
    let digest = Digest::of_params(&initial_params(&mlp(784, &[128, 128], 10), 0));
    assert_eq!(digest.short(), "2a796045");
}
