//! Predictions over the Open Inference Protocol v2, for any of its clients.
//!
//! ```text
//!   ModelInfer ─► request::parse ─► pool (predict-0, predict-1) ─► answer::build
//!                      ▲                      │
//!        watch ── ServedModel ── one for the whole of a request, so an answer's digest
//!                                is of the params that made it
//! ```
//!
//! The model is `mnist` (`synthetic` for synthetic data). Its input is `image` (`features`): FP32 `[-1,784]`, 0 to 1, or
//! UINT8 `[-1,28,28]`, 0 to 255, which is divided by 255 here. Its outputs are `probabilities`, FP32 `[-1,10]`, and
//! `label`, INT64 `[-1]`. The parameters of each answer name the `run`, `round`, `params_digest` and `model_version`.

mod answer;
mod contents;
mod deadline;
mod error;
mod metadata;
mod oversize;
mod pool;
mod request;
mod service;
mod signature;

use std::sync::Arc;

use syngrad_common::{Code, Failure, limits};
use syngrad_model::Device;
use syngrad_proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use tokio::sync::watch;
use tonic::service::RoutesBuilder;

use crate::served::ServedModel;
use deadline::Deadline;
use oversize::Oversize;
use pool::Pool;
use service::Inference;

/// Adds `inference.GRPCInferenceService` to `routes`. It answers with whatever `models` holds when a request comes.
///
/// # Errors
/// When the threads that predict cannot be started.
pub(crate) fn add_to(
    routes: &mut RoutesBuilder,
    models: watch::Receiver<Option<Arc<ServedModel>>>,
    device: Device,
) -> Result<(), Failure> {
    let pool = Pool::start(device).map_err(|error| {
        Failure::new(Code::Internal, format!("the threads that predict cannot be started: {error}"))
    })?;
    let inference = Inference::new(models, pool);
    let service = GrpcInferenceServiceServer::new(inference)
        .max_decoding_message_size(limits::MAX_MESSAGE)
        .max_encoding_message_size(limits::MAX_MESSAGE);
    routes.add_service(Deadline::new(Oversize::new(service)));
    Ok(())
}

#[cfg(test)]
mod tests;
