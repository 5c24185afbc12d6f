use syngrad_engine::spec::{DataSpec, ModelSpec, OptimizerSpec, Partition};

use super::*;
use crate::flat::initial_params;
use syngrad_dataset::synthetic;

const INPUTS: usize = 6;
const CLASSES: usize = 3;

pub(crate) fn spec(model: ModelSpec, algorithm: Algorithm) -> RunSpec {
    RunSpec {
        name: "test".into(),
        seed: 5,
        model,
        data: DataSpec::Synthetic { samples: 48, inputs: INPUTS, classes: CLASSES, partition: Partition::Iid {} },
        algorithm,
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

fn mlp() -> ModelSpec {
    ModelSpec::Mlp { inputs: INPUTS, hidden: vec![5, 4], classes: CLASSES }
}

fn sync(unit_samples: u32) -> Algorithm {
    Algorithm::SyncSgd { epochs: 1, units: 2, unit_samples }
}

fn fedavg() -> Algorithm {
    drawn_back(0.0)
}

/// Federated averaging with so strong a pull to the round's params.
fn drawn_back(proximal: f64) -> Algorithm {
    let local_optimizer = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false };
    let (local_epochs, local_steps) = (Some(2), None);
    Algorithm::Fedavg { rounds: 1, units: 2, local_epochs, local_steps, local_batch: 5, proximal, local_optimizer }
}

fn shard(len: u32) -> Samples {
    synthetic::dataset(len, INPUTS, CLASSES, 9).train
}

fn trainer(spec: &RunSpec) -> Trainer {
    let mut trainer = Trainer::new(spec, Device::Flex);
    trainer.load(&initial_params(&spec.model, spec.seed)).expect("the params fit");
    trainer
}

/// Computes a unit on `shard` with a fresh sampler.
fn unit(trainer: &mut Trainer, work: Work, unit: u32, round: u32, shard: &Samples) -> (Vec<f32>, UnitReport) {
    let mut out = vec![f32::NAN; trainer.layout().params()];
    let mut sampler = Sampler::new(5, Unit(unit), shard.len() as u32);
    let report = trainer.unit(work, Unit(unit), Round(round), &mut sampler, shard, &mut out);
    (out, report.expect("the unit can be computed"))
}

/// The summed cross-entropy in f64, written out by hand.
fn loss(params: &[f64], samples: &Samples, batch: &[u32]) -> f64 {
    let widths = [INPUTS, 5, 4, CLASSES];
    let one = |&index: &u32| {
        let mut row: Vec<f64> = samples.image(index as usize).iter().map(|&byte| f64::from(byte) / 255.0).collect();
        let mut rest = params;
        for (layer, pair) in widths.windows(2).enumerate() {
            let (weight, tail) = rest.split_at(pair[0] * pair[1]);
            let (bias, tail) = tail.split_at(pair[1]);
            rest = tail;
            let output = |column: usize| {
                let sum: f64 = row.iter().enumerate().map(|(i, value)| value * weight[i * pair[1] + column]).sum();
                sum + bias[column]
            };
            let outputs: Vec<f64> = (0..pair[1]).map(output).collect();
            row = match layer + 2 == widths.len() {
                true => outputs,
                false => outputs.iter().map(|value| value.max(0.0)).collect(),
            };
        }
        row.iter().map(|logit| logit.exp()).sum::<f64>().ln() - row[usize::from(samples.label(index as usize))]
    };
    batch.iter().map(one).sum()
}

#[test]
fn a_unit_is_the_summed_gradient_of_its_samples() {
    let spec = spec(mlp(), sync(7));
    let shard = shard(24);
    let mut trainer = trainer(&spec);
    let (gradient, report) = unit(&mut trainer, Work::Gradient { samples: 7 }, 1, 2, &shard);
    let mut batch = Vec::new();
    Sampler::new(5, Unit(1), 24).batch(Round(2), 7, &mut batch);
    let mut params: Vec<f64> = initial_params(&spec.model, spec.seed).into_iter().map(f64::from).collect();
    assert!((report.loss_sum - loss(&params, &shard, &batch)).abs() < 1e-5, "{report:?}");
    for index in 0..params.len() {
        let at = params[index];
        let mut probe = |offset: f64| {
            params[index] = at + offset;
            loss(&params, &shard, &batch)
        };
        let difference = (probe(1e-6) - probe(-1e-6)) / 2e-6;
        params[index] = at;
        let found = f64::from(gradient[index]);
        assert!((found - difference).abs() < 1e-5 + 1e-4 * difference.abs(), "param {index}: {found} and {difference}");
    }
}

#[test]
fn local_steps_are_plain_steps_from_the_loaded_params() {
    for proximal in [0.0, 2.5] {
        local_steps_are_written_out(proximal);
    }
}

/// Two epochs of momentum steps, with the pull μ(w - w_round) added to each gradient.
fn local_steps_are_written_out(proximal: f32) {
    let spec = spec(mlp(), drawn_back(f64::from(proximal)));
    let shard = shard(12);
    let mut trainer = trainer(&spec);
    let (delta, report) = unit(&mut trainer, Work::LocalEpochs { epochs: 2, batch: 5 }, 0, 3, &shard);
    assert_eq!(report.samples, 24);

    let before = initial_params(&spec.model, spec.seed);
    let (mut params, mut velocity) = (before.clone(), vec![0.0; before.len()]);
    let mut sampler = Sampler::new(5, Unit(0), 12);
    let gradient_spec = self::spec(mlp(), sync(5));
    let mut reference = Trainer::new(&gradient_spec, Device::Flex);
    for pass in 6..8 {
        for chunk in sampler.pass(pass).to_vec().chunks(5) {
            reference.load(&params).expect("the params fit");
            let part = shard.select(chunk);
            let mut gradient = vec![0.0; before.len()];
            let Kernel::Network { network, .. } = &mut reference.kernel else { panic!("the model is a network") };
            let all: Vec<u32> = (0..part.len() as u32).collect();
            super::gradient(network, &part, &all, &mut gradient);
            for (((param, velocity), gradient), before) in
                params.iter_mut().zip(&mut velocity).zip(gradient).zip(&before)
            {
                *velocity = 0.9 * *velocity + gradient / chunk.len() as f32 + proximal * (*param - before);
                *param -= 0.1 * *velocity;
            }
        }
    }
    for ((found, before), after) in delta.iter().zip(before).zip(params) {
        assert!((found - 12.0 * (before - after)).abs() < 1e-5, "{found} and {}", 12.0 * (before - after));
    }
}

/// 12 samples in batches of 4: three steps are one pass, so the same units come of epochs and of counted steps.
#[test]
fn counted_local_steps_walk_the_same_passes_as_epochs() {
    let shard = shard(12);
    let mut trainer = trainer(&spec(mlp(), fedavg()));
    for round in [0, 3] {
        let epochs = unit(&mut trainer, Work::LocalEpochs { epochs: 2, batch: 4 }, 1, round, &shard);
        let steps = unit(&mut trainer, Work::LocalSteps { steps: 6, batch: 4 }, 1, round, &shard);
        assert_eq!(steps, epochs, "round {round}");
    }
    let (_, report) = unit(&mut trainer, Work::LocalSteps { steps: 7, batch: 5 }, 1, 2, &shard);
    assert_eq!(report.samples, 35, "every step has its whole batch, whatever the shard's size");
}

#[test]
fn a_unit_depends_on_nothing_that_was_computed_before_it() {
    let shard = shard(24);
    for (algorithm, work) in
        [(sync(8), Work::Gradient { samples: 8 }), (fedavg(), Work::LocalEpochs { epochs: 2, batch: 5 })]
    {
        let spec = spec(mlp(), algorithm);
        let alone = unit(&mut trainer(&spec), work, 1, 0, &shard);
        let mut busy = trainer(&spec);
        for other in [0, 1, 0] {
            unit(&mut busy, work, other, 4, &shard);
        }
        let (found, report) = unit(&mut busy, work, 1, 0, &shard);
        assert_eq!(found, alone.0);
        assert_eq!(report, alone.1);
        assert_ne!(found, unit(&mut busy, work, 1, 1, &shard).0);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let spec = spec(mlp(), sync(8));
    let mut trainer = trainer(&spec);
    let params = trainer.layout().params();
    assert_eq!(trainer.load(&[0.0]), Err(ShapeError { what: "params", expected: params, found: 1 }));
    let other = synthetic::dataset(24, INPUTS + 1, CLASSES, 9).train;
    let mut sampler = Sampler::new(5, Unit(0), 24);
    let mut run = |work, shard: &Samples, len| {
        let result = trainer.unit(work, Unit(0), Round(0), &mut sampler, shard, &mut vec![0.0; len]);
        result.expect_err("it does not fit").to_string()
    };
    let gradient = Work::Gradient { samples: 8 };
    assert!(run(gradient, &other, params).contains("the model takes 6, found 7"));
    assert!(run(gradient, &shard(24), params - 1).contains("output of a unit"));
    assert!(run(Work::LocalEpochs { epochs: 1, batch: 1 }, &shard(24), params).contains("run's own plan"));
}

#[test]
fn a_loss_that_is_not_finite_is_refused() {
    let spec = spec(mlp(), sync(8));
    let mut trainer = trainer(&spec);
    let params = trainer.layout().params();
    trainer.load(&vec![f32::NAN; params]).expect("the params fit");
    let mut sampler = Sampler::new(5, Unit(0), 24);
    let work = Work::Gradient { samples: 8 };
    let result = trainer.unit(work, Unit(0), Round(3), &mut sampler, &shard(24), &mut vec![0.0; params]);
    assert!(matches!(result, Err(TrainError::Diverged { round: Round(3), .. })), "{result:?}");
}

#[test]
fn a_model_that_computes_nothing_gives_the_same_small_vector() {
    let spec = spec(ModelSpec::Noop { params: 1000 }, sync(8));
    let mut trainer = Trainer::new(&spec, Device::Flex);
    let work = Work::Gradient { samples: 8 };
    let (first, report) = unit(&mut trainer, work, 0, 0, &shard(24));
    assert_eq!((report.samples, report.loss_sum), (8, 0.0));
    assert!(first.iter().all(|value| value.abs() <= 0.5) && first.iter().any(|&value| value != first[0]));
    assert_eq!(first, unit(&mut trainer, work, 1, 7, &shard(24)).0);
}
