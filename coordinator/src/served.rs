//! The model that is served: what the driver hands to serving after each evaluation.

use std::sync::Arc;

use syngrad_engine::spec::{DataSpec, ModelSpec};
use syngrad_engine::{Digest, Round, RunId};

/// One evaluated set of params with its provenance: everything an answer to a client names.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// Flat params, f32 in layout order.
    pub params: Arc<Vec<f32>>,
    /// Digest of the params.
    pub params_digest: Digest,
    /// The run that made them.
    pub run: RunId,
    /// The round that they came out of.
    pub round: Round,
    /// Counts up from 1 over all models this coordinator has served; never names two different models.
    pub model_version: String,
    /// The network.
    pub model: ModelSpec,
    /// The samples it was trained on.
    pub data: DataSpec,
    /// Accuracy on the test samples (0 to 1); absent for a network that does not classify.
    pub accuracy: Option<f64>,
}
