//! A first figure for how fast this machine is, before it has worked for the run.

use std::time::{Duration, Instant};

use syngrad_dataset::Samples;
use syngrad_engine::plan::{Sampler, Work};
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::RunSpec;
use syngrad_engine::{Plan, Round, Unit};
use syngrad_model::{Trainer, initial_params};

/// Time after which no further measurement is begun.
const BUDGET: Duration = Duration::from_millis(40);
/// The most measurements.
const MOST: u32 = 8;
/// The most samples of one measurement; larger units are computed from it.
const SAMPLES: u32 = 256;

/// Units a second, in thousandths; 0 if that cannot be told.
pub(super) fn measure(spec: &RunSpec, plan: &Plan, trainer: &mut Trainer) -> u64 {
    let (probe, samples, times) = probe(plan);
    let Some(shard) = invent(spec, samples) else { return 0 };
    if trainer.load(&initial_params(&spec.model, spec.seed)).is_err() {
        return 0;
    }
    let mut sampler = Sampler::new(spec.seed, Unit(0), samples);
    let mut values = vec![0.0; trainer.layout().params()];
    let began = Instant::now();
    let mut best = None;
    for _ in 0..MOST {
        let start = Instant::now();
        if trainer.unit(probe, Unit(0), Round(0), &mut sampler, &shard, &mut values).is_err() {
            return 0;
        }
        let took = start.elapsed();
        best = Some(best.map_or(took, |best: Duration| best.min(took)));
        if began.elapsed() >= BUDGET {
            break;
        }
    }
    best.map_or(0, |best| (1e3 / (best.as_secs_f64().max(1e-9) * times)) as u64)
}

/// A piece of a unit's work, the samples it takes, and how many such pieces a unit is.
fn probe(plan: &Plan) -> (Work, u32, f64) {
    match plan.work() {
        Work::Gradient { samples } => {
            let part = samples.min(SAMPLES);
            (Work::Gradient { samples: part }, part, f64::from(samples) / f64::from(part))
        }
        Work::LocalEpochs { epochs, batch } => {
            let part = batch.min(SAMPLES);
            let shard = f64::from(plan.shard_len(Unit(0)));
            let work = Work::LocalEpochs { epochs: 1, batch: part };
            (work, part, f64::from(epochs) * shard / f64::from(part))
        }
        Work::LocalSteps { steps, batch } => {
            let part = batch.min(SAMPLES);
            let work = Work::LocalSteps { steps: 1, batch: part };
            (work, part, f64::from(steps) * f64::from(batch) / f64::from(part))
        }
    }
}

/// Samples of the run's shape that mean nothing.
fn invent(spec: &RunSpec, samples: u32) -> Option<Samples> {
    let (inputs, classes) = spec.data.shape();
    let mut stream = Stream::new(spec.seed, Purpose::Samples, &[]);
    let features = (0..samples as usize * inputs).map(|_| stream.below(256) as u8).collect();
    let labels = (0..samples).map(|_| stream.below(classes as u64) as u8).collect();
    Samples::new(inputs, classes, features, labels).ok()
}
