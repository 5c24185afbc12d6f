//! How good params are on samples they have not met.

use std::sync::Arc;

use syngrad_engine::Layout;
use syngrad_engine::spec::ModelSpec;

use crate::architecture::Network;
use crate::device::Device;
use crate::flat;
use crate::loss;
use crate::shape::ShapeError;
use syngrad_dataset::Samples;

/// Samples of one forward pass; nothing is gained past a few hundred.
const BATCH: usize = 256;

/// Evaluates params of one model; keeps its buffers, and may live in a thread of its own.
#[derive(Debug)]
pub struct Evaluator {
    layout: Arc<Layout>,
    network: Option<Network>,
}

/// What an evaluation found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy.
    pub loss: f64,
    /// Part of the samples whose most probable class is the true one, 0 to 1.
    pub accuracy: f64,
    /// Samples evaluated; none for a model that computes nothing.
    pub samples: u64,
    /// Samples by true class (outer) and most probable class (inner).
    pub confusion: Vec<Vec<u64>>,
}

/// How one class fares. A ratio with nothing to divide by is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassScore {
    /// Of the samples taken for the class, the part that are of it.
    pub precision: f64,
    /// Of the samples of the class, the part taken for it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Samples of the class.
    pub support: u64,
}

impl Evaluator {
    /// An evaluator of params of `model`.
    #[must_use]
    pub fn new(model: &ModelSpec, device: Device) -> Self {
        Self { layout: flat::layout(model), network: Network::new(model, device.open()) }
    }

    /// Evaluates `params` on all of `samples`.
    ///
    /// # Errors
    /// [`ShapeError`] when params or samples do not fit the model.
    pub fn evaluate(&mut self, params: &[f32], samples: &Samples) -> Result<Evaluation, ShapeError> {
        ShapeError::check("params", self.layout.params(), params.len())?;
        let Some(network) = &mut self.network else { return Ok(Evaluation::default()) };
        ShapeError::check("features of a sample", network.inputs(), samples.inputs())?;
        ShapeError::check("classes of the samples", network.classes(), samples.classes())?;
        network.load(params);
        let mut found =
            Evaluation { confusion: vec![vec![0; samples.classes()]; samples.classes()], ..Evaluation::default() };
        for start in (0..samples.len()).step_by(BATCH) {
            let batch = start..samples.len().min(start + BATCH);
            let rows = network.rows(|rows| samples.widen(batch.clone(), rows));
            let mut logits = network.logits(rows);
            for (row, index) in logits.chunks_exact_mut(samples.classes()).zip(batch) {
                found.count(row, usize::from(samples.label(index)));
            }
        }
        if found.samples > 0 {
            let all = found.samples as f64;
            found.loss /= all;
            found.accuracy =
                (0..samples.classes()).map(|class| found.confusion[class][class]).sum::<u64>() as f64 / all;
        }
        Ok(found)
    }
}

impl Evaluation {
    fn count(&mut self, logits: &mut [f32], truth: usize) {
        self.confusion[truth][loss::argmax(logits)] += 1;
        let logit = logits[truth];
        self.loss += f64::from(loss::softmax(logits) - logit);
        self.samples += 1;
    }

    /// The score of each class.
    #[must_use]
    pub fn classes(&self) -> Vec<ClassScore> {
        let score = |class: usize| {
            let hit = self.confusion[class][class];
            let support = self.confusion[class].iter().sum();
            let taken: u64 = self.confusion.iter().map(|row| row[class]).sum();
            ClassScore {
                precision: ratio(hit, taken),
                recall: ratio(hit, support),
                f1: ratio(2 * hit, support + taken),
                support,
            }
        };
        (0..self.confusion.len()).map(score).collect()
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

#[cfg(test)]
mod tests;
