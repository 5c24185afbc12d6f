//! The six RPCs: thin, each a lookup in what is served and a call of what does the work.

use std::sync::Arc;

use syngrad_common::status;
use syngrad_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use syngrad_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::answer::{self, Frame};
use super::error::InferError;
use super::metadata;
use super::pool::Pool;
use super::request::{self, Query};
use super::signature::{MODEL_NAMES, Signature};
use crate::served::ServedModel;

/// The inference service over whatever `models` holds at the moment of a request.
#[derive(Debug)]
pub(super) struct Inference {
    models: watch::Receiver<Option<Arc<ServedModel>>>,
    pool: Pool,
}

/// A served model and how to ask it.
struct Servable {
    model: Arc<ServedModel>,
    signature: Signature,
}

impl Inference {
    pub(super) fn new(models: watch::Receiver<Option<Arc<ServedModel>>>, pool: Pool) -> Self {
        Self { models, pool }
    }

    fn current(&self) -> Option<Servable> {
        let model = self.models.borrow().clone()?;
        let signature = Signature::of(&model.model, &model.data)?;
        Some(Servable { model, signature })
    }

    fn find(&self, name: &str, version: &str) -> Result<Servable, InferError> {
        find(self.current(), name, version)
    }

    async fn answer(&self, mut request: ModelInferRequest) -> Result<ModelInferResponse, InferError> {
        let Servable { model, signature } = self.find(&request.model_name, &request.model_version)?;
        let id = std::mem::take(&mut request.id);
        let Query { rows, count, outputs, encoding } = request::parse(request, &signature)?;
        let probabilities = self.pool.predict(Arc::clone(&model), rows, count).await?;
        Ok(answer::build(&model, &signature, Frame { id, outputs, encoding }, &probabilities))
    }
}

/// The model that `name` and `version` ask for, given the one that is served; an empty version is any.
fn find(current: Option<Servable>, name: &str, version: &str) -> Result<Servable, InferError> {
    match current {
        Some(servable) if servable.signature.name == name => {
            let served = &servable.model.model_version;
            match version.is_empty() || version == served {
                true => Ok(servable),
                false => Err(InferError::UnknownVersion {
                    name: servable.signature.name,
                    version: version.to_owned(),
                    served: served.clone(),
                }),
            }
        }
        None if MODEL_NAMES.contains(&name) => Err(InferError::NotReady { name: name.to_owned() }),
        current => Err(InferError::UnknownModel {
            name: name.to_owned(),
            served: current.map(|servable| servable.signature.name),
        }),
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.current().is_some() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        Ok(Response::new(ModelReadyResponse { ready: self.find(&name, &version).is_ok() }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(metadata::server()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let Servable { model, signature } = self.find(&name, &version).map_err(|error| status::of(&(&error).into()))?;
        Ok(Response::new(metadata::model(&signature, &model.model_version)))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        self.answer(request.into_inner()).await.map(Response::new).map_err(|error| status::of(&(&error).into()))
    }
}
