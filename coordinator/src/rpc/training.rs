//! `syngrad.v1.TrainingService`: the workers' side.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::Map;
use futures_util::{Stream, StreamExt as _, stream};
use syngrad_common::wire::{FetchShard, Hello, ToCoordinator, ToWorker, shard_frame};
use syngrad_common::{Code, Failure, codec, status};
use syngrad_engine::WorkerId;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::training_service_server::TrainingService;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, Streaming};

use crate::access::{Caller, Paces};
use crate::config::Patience;
use crate::driver::{Handle, Message, ShardRequest, shutting_down};
use crate::governance::Governance;
use crate::outbox::{Outgoing, outbox};
use crate::receipts::Signer;
use crate::session::{self, Trouble};

/// See the module.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) driver: Handle,
    pub(crate) patience: Patience,
    pub(crate) paces: Paces,
    pub(crate) signers: Arc<BTreeMap<WorkerId, Arc<Signer>>>,
    pub(crate) governance: Option<Governance>,
}

type Encode = fn(ToWorker) -> Result<v1::SessionResponse, Status>;

#[tonic::async_trait]
impl TrainingService for Training {
    type SessionStream = Map<Outgoing, Encode>;
    type FetchShardStream = Pin<Box<dyn Stream<Item = Result<v1::FetchShardResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbox, outgoing) = outbox(self.patience.heartbeat);
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or(Caller::Anonymous);
        if let (Some(principal), Some(governance)) = (caller.principal(), &self.governance) {
            governance.seen(principal.clone());
        }
        let shown = match &caller {
            Caller::Known(identity) => Signer::of(identity).map(Arc::new),
            Caller::Insecure | Caller::Anonymous => None,
        };
        let inbound = request.into_inner().map(decode);
        let (driver, patience, paces) = (self.driver.clone(), self.patience, self.paces.clone());
        let signers = Arc::clone(&self.signers);
        let signer = move |hello: &Hello| shown.or_else(|| signers.get(&hello.worker).cloned());
        tokio::spawn(session::run(inbound, outbox, driver, patience, session::Peer { caller, paces, signer }));
        let encode: Encode = |message| Ok(message.into());
        Ok(Response::new(outgoing.map(encode)))
    }

    async fn fetch_shard(
        &self,
        request: Request<v1::FetchShardRequest>,
    ) -> Result<Response<Self::FetchShardStream>, Status> {
        let request = FetchShard::try_from(request.into_inner()).map_err(|error| status::of(&error.into()))?;
        let (reply, answer) = oneshot::channel();
        let bytes = async {
            self.driver.tell(Message::FetchShard(ShardRequest { request, reply })).await?;
            answer.await.map_err(|_| shutting_down())?
        };
        let bytes = bytes.await.map_err(|failure: Failure| status::of(&failure))?;
        let frames = codec::frames(&bytes).map(|frame| Ok(shard_frame(frame)));
        Ok(Response::new(Box::pin(stream::iter(frames))))
    }
}

fn decode(message: Result<v1::SessionRequest, Status>) -> Result<ToCoordinator, Trouble> {
    match message {
        Ok(message) => Ok(message.try_into()?),
        // A status of the transport has a cause; one of the decoder, which saw what arrived, has none.
        Err(status) if status.source().is_none() && status.code() == tonic::Code::OutOfRange => {
            Err(Trouble::Unreadable(Failure::new(Code::PayloadTooLarge, status.message())))
        }
        Err(status) if status.source().is_none() && status.code() == tonic::Code::Internal => {
            Err(Trouble::Unreadable(Failure::new(Code::BadMessage, status.message())))
        }
        Err(status) => Err(Trouble::Lost { why: status.message().to_owned() }),
    }
}
