//! What the driver is told. Every queue that leads here is bounded, and whoever sends waits when it is full.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use syngrad_common::Failure;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::wire::{Declined, FetchShard, Hello, Ready, Update};
use syngrad_engine::consortium::Bar;
use syngrad_engine::{PartnerName, RunId};
use syngrad_store::Kept;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::audits::Judged;
use crate::access::Caller;
use crate::evaluate::Evaluated;
use crate::outbox::Outbox;
use crate::prepare::Prepared;
use crate::receipts::{Attested, Signer};
use crate::roster::SessionId;
use crate::status::RunWatch;

/// Something for the driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// A worker said hello.
    Arrived(Arrival),
    /// A handshake ended before it named a worker; it has been answered.
    HandshakeRefused,
    /// A worker has built the run's model.
    Ready { session: SessionId, ready: Ready },
    /// A worker cannot take part.
    Declined { session: SessionId, declined: Declined },
    /// An update, whole, its digest verified.
    Update(Delivery),
    /// An update that is not what it says.
    Malformed { session: SessionId, update: Update, why: String },
    /// A worker broke the protocol or fell silent; the connection cannot go on.
    Expelled { session: SessionId, failure: Failure },
    /// A sign of life.
    Heard(SessionId),
    /// Somebody may not take part any more.
    Barred(Bar),
    /// The operator asks how many workers of each partner are connected.
    CountWorkers { reply: Reply<BTreeMap<PartnerName, u32>> },
    /// A connection ended.
    Gone { session: SessionId, why: String },
    /// A worker asks for a shard.
    FetchShard(ShardRequest),
    /// Units of an audit are computed.
    Judged(Judged),
    /// The evaluator is done with some params.
    Evaluated(Evaluated),
    /// A run's model and data are there, or cannot be had.
    Prepared(Result<Box<Prepared>, Failure>),
    /// What became of something that was to be kept.
    Kept(Kept),
    /// The operator wants a run.
    Start(Box<StartRun>),
    /// The operator ends a run; the newest if none is named.
    Stop { run: Option<RunId>, reply: Reply<RunWatch> },
    /// The operator asks for a run; the newest if none is named.
    Find { run: Option<RunId>, reply: Reply<RunWatch> },
    /// The operator asks for all runs, newest first.
    List { reply: Reply<Vec<RunWatch>> },
    /// The process ends: commit the open round if that takes no longer than it may, then say goodbye.
    Drain,
}

/// Where an answer to a request goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// A worker that said hello.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) caller: Caller,
    pub(crate) hello: Hello,
    /// What it signs with; none where workers have no keys.
    pub(crate) signer: Option<Arc<Signer>>,
    pub(crate) outbox: Outbox,
    /// Answered with the seat, or dropped after the refusal went into the outbox.
    pub(crate) reply: oneshot::Sender<Seated>,
}

/// A worker's place, for the task that reads its stream.
#[derive(Debug)]
pub(crate) struct Seated {
    pub(crate) session: SessionId,
    /// Ends when the driver gives the seat up.
    pub(crate) tether: oneshot::Receiver<()>,
}

/// A whole update.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) session: SessionId,
    pub(crate) update: Update,
    pub(crate) payload: Bytes,
    /// Whether its worker stands for it.
    pub(crate) attested: Attested,
    /// The session's only one: it assembles no other update before this one is dealt with.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A request for the samples of a shard.
#[derive(Debug)]
pub(crate) struct ShardRequest {
    pub(crate) request: FetchShard,
    pub(crate) reply: Reply<Bytes>,
}

/// A run to be started.
#[derive(Debug)]
pub(crate) struct StartRun {
    pub(crate) spec: CanonicalSpec,
    /// Open no round before so many workers are ready.
    pub(crate) min_members: u32,
    pub(crate) reply: Reply<RunId>,
}
