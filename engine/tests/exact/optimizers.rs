//! The optimisers against PyTorch's and those of two papers: golden vectors from `golden/optimizers.py`.

use std::collections::BTreeMap;

use syngrad_engine::optimizer::{Optimizer, OptimizerState};
use syngrad_engine::spec::OptimizerSpec;

const PARAMS: usize = 37;
const STEPS: usize = 20;

fn golden() -> BTreeMap<String, Vec<f32>> {
    let rows = include_str!("../golden/optimizers.txt").lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, values) = words.split_at(words.len() - PARAMS);
        (name.join(" "), values.iter().map(|value| value.parse().expect("a number")).collect())
    });
    rows.collect()
}

fn adam(learning_rate: f64) -> OptimizerSpec {
    OptimizerSpec::Adam { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
}

fn cases() -> [(&'static str, OptimizerSpec); 11] {
    let sgd = |momentum, nesterov| OptimizerSpec::Sgd { learning_rate: 0.05, momentum, nesterov };
    let rmsprop = |momentum| OptimizerSpec::Rmsprop { learning_rate: 0.01, alpha: 0.99, epsilon: 1e-8, momentum };
    let adamw =
        OptimizerSpec::Adamw { learning_rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    let adagrad =
        |epsilon, initial_accumulator| OptimizerSpec::Adagrad { learning_rate: 0.05, epsilon, initial_accumulator };
    let (beta1, beta2, epsilon, initial_accumulator) = (0.9, 0.99, 1e-3, 1e-6);
    let fedadam = OptimizerSpec::Fedadam { learning_rate: 0.05, beta1, beta2, epsilon, initial_accumulator };
    let yogi = OptimizerSpec::Yogi { learning_rate: 0.05, beta1, beta2, epsilon, initial_accumulator };
    [
        ("sgd", sgd(0.0, false)),
        ("sgd-momentum", sgd(0.9, false)),
        ("sgd-nesterov", sgd(0.9, true)),
        ("adam", adam(0.01)),
        ("adamw", adamw),
        ("rmsprop", rmsprop(0.0)),
        ("rmsprop-momentum", rmsprop(0.9)),
        ("adagrad", adagrad(1e-10, 0.0)),
        ("adagrad-server", adagrad(epsilon, initial_accumulator)),
        ("fedadam", fedadam),
        ("yogi", yogi),
    ]
}

fn step(optimizer: &mut Optimizer, spec: &OptimizerSpec, gradient: &[f32], params: &mut [f32]) {
    optimizer.step(spec.learning_rate() as f32, gradient, params);
}

#[test]
fn twenty_steps_agree_with_others_to_a_millionth() {
    let golden = golden();
    for (name, spec) in cases() {
        let mut optimizer = Optimizer::new(&spec, PARAMS);
        let mut params = golden["init"].clone();
        let mut compared = 0;
        for at in 1..=STEPS {
            step(&mut optimizer, &spec, &golden[&format!("gradient {at}")], &mut params);
            let Some(expected) = golden.get(&format!("params {name} {at}")) else { continue };
            for (index, (found, expected)) in params.iter().zip(expected).enumerate() {
                let error = (found - expected).abs() / expected.abs().max(1.0);
                assert!(error <= 1e-6, "{name}, step {at}, param {index}: {found}, the other has {expected}");
            }
            compared += 1;
        }
        assert_eq!(compared, 4, "{name}");
    }
}

#[test]
fn a_reset_optimizer_is_a_new_one() {
    let golden = golden();
    for (name, spec) in cases() {
        let mut optimizer = Optimizer::new(&spec, PARAMS);
        step(&mut optimizer, &spec, &golden["gradient 1"], &mut golden["init"].clone());
        assert_ne!(optimizer, Optimizer::new(&spec, PARAMS), "{name}");
        optimizer.reset();
        assert_eq!(optimizer, Optimizer::new(&spec, PARAMS), "{name}");
    }
}

#[test]
fn an_optimizer_goes_on_from_its_state() {
    let golden = golden();
    for (name, spec) in cases() {
        let mut optimizer = Optimizer::new(&spec, PARAMS);
        let mut params = golden["init"].clone();
        step(&mut optimizer, &spec, &golden["gradient 1"], &mut params);
        let restored = Optimizer::from_state(&spec, PARAMS, optimizer.state().clone());
        let (mut restored, mut again) = (restored.expect("its own state"), params.clone());
        step(&mut optimizer, &spec, &golden["gradient 2"], &mut params);
        step(&mut restored, &spec, &golden["gradient 2"], &mut again);
        assert_eq!((&restored, &again), (&optimizer, &params), "{name}");
    }
    let foreign = OptimizerState { steps: 1, first: vec![0.0; PARAMS], second: Vec::new() };
    let error = Optimizer::from_state(&adam(0.1), PARAMS, foreign).expect_err("Adam has two moments");
    assert!(error.to_string().contains("second moment has 0 values where 37 are needed"), "{error}");
}

/// What an element becomes must not depend on which lane of which vector it is in.
#[test]
fn an_element_has_the_same_bits_wherever_it_lies() {
    let golden = golden();
    let (init, gradient) = (&golden["init"], &golden["gradient 3"]);
    for (name, spec) in cases() {
        let mut whole = init.clone();
        step(&mut Optimizer::new(&spec, PARAMS), &spec, gradient, &mut whole);
        for (index, expected) in whole.iter().enumerate() {
            let mut single = [init[index]];
            step(&mut Optimizer::new(&spec, 1), &spec, &gradient[index..=index], &mut single);
            assert_eq!(single[0].to_bits(), expected.to_bits(), "{name}, param {index}");
        }
    }
}

#[test]
fn a_very_long_run_still_moves() {
    let spec = adam(0.5);
    let state = OptimizerState { steps: u32::MAX, first: vec![1.0], second: vec![1.0] };
    let mut optimizer = Optimizer::from_state(&spec, 1, state).expect("a state of Adam");
    let mut params = [1.0];
    step(&mut optimizer, &spec, &[1.0], &mut params);
    assert!((params[0] - 0.5).abs() < 1e-6, "{params:?}");
}
