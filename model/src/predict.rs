//! Probabilities from params.

use syngrad_engine::spec::ModelSpec;
use thiserror::Error;

use crate::architecture::Network;
use crate::device::Device;
use crate::flat;
use crate::loss;
use crate::shape::ShapeError;
use syngrad_dataset::widen;

/// Rows of one forward pass: past this many a larger one is no faster.
const BATCH: usize = 64;

/// A model with fixed params that answers; shared by as many threads as there are.
#[derive(Debug)]
pub struct Predictor {
    network: Network,
}

/// Why there is no prediction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PredictError {
    /// The params or the rows do not fit the model.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The model computes nothing.
    #[error("a no-op model predicts nothing; it is there to measure rounds")]
    Noop,
}

impl Predictor {
    /// A predictor of `model` with `params`.
    ///
    /// # Errors
    /// [`PredictError`] when the params do not fit, or the model computes nothing.
    pub fn new(model: &ModelSpec, device: Device, params: &[f32]) -> Result<Self, PredictError> {
        ShapeError::check("params", flat::layout(model).params(), params.len())?;
        let mut network = Network::new(model, device.open()).ok_or(PredictError::Noop)?;
        network.load(params);
        Ok(Self { network })
    }

    /// Features of a row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.network.inputs()
    }

    /// Classes, the width of an answer.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.network.classes()
    }

    /// Probabilities `[n, classes]` of rows `[n, inputs]`, both row-major. A feature is 0 to 1, as the networks were
    /// trained: byte / 255.
    ///
    /// # Errors
    /// [`ShapeError`] unless the values are whole rows.
    pub fn predict(&self, rows: &[f32]) -> Result<Vec<f32>, ShapeError> {
        self.answer(rows, |rows| rows.to_vec())
    }

    /// The same for rows of bytes.
    ///
    /// # Errors
    /// [`ShapeError`] unless the bytes are whole rows.
    pub fn predict_bytes(&self, rows: &[u8]) -> Result<Vec<f32>, ShapeError> {
        self.answer(rows, |rows| {
            let mut wide = vec![0.0; rows.len()];
            widen(rows, &mut wide);
            wide
        })
    }

    fn answer<T>(&self, rows: &[T], features: impl Fn(&[T]) -> Vec<f32>) -> Result<Vec<f32>, ShapeError> {
        let rest = rows.len() % self.inputs();
        if rest > 0 {
            return Err(ShapeError { what: "features in the last row", expected: self.inputs(), found: rest });
        }
        let mut answer = Vec::with_capacity(rows.len() / self.inputs() * self.classes());
        for batch in rows.chunks(BATCH * self.inputs()) {
            let mut logits = self.network.logits(features(batch));
            for row in logits.chunks_exact_mut(self.classes()) {
                loss::softmax(row);
            }
            answer.extend_from_slice(&logits);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
