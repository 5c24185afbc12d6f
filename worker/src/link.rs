//! The connection to the coordinator: dialled, then a stream in each direction.
//!
//! The only place of this crate that knows generated types.

mod outgoing;
mod receipts;
mod shard;

use std::pin::Pin;

use syngrad_common::limits::{MAX_MESSAGE, OUTBOX};
use syngrad_common::transport::{self, Address, ClientSecurity, failure_among, root_cause};
use syngrad_common::wire::{ToCoordinator, ToWorker};
use syngrad_common::{Code, Failure, status};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::training_service_client::TrainingServiceClient;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::guard::{Journal, Released};
use outgoing::{Item, Outgoing};
pub(crate) use receipts::proof;
pub(crate) use shard::fetch;

/// For calls beside the session.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    channel: Channel,
    stub: TrainingServiceClient<Channel>,
    journal: Journal,
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Something that happened on the link.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It is up.
    Connected,
    /// The coordinator says something.
    Message(ToWorker),
    /// It is down, or could not be brought up.
    Lost(Failure),
}

/// The link, in whatever state it is.
pub(crate) struct Link {
    address: Address,
    security: ClientSecurity,
    journal: Journal,
    state: State,
}

enum State {
    Down,
    Dialing(Pending<Result<Channel, Failure>>),
    Up { client: Box<Client>, outbox: mpsc::Sender<Item>, inbound: Inbound },
}

/// The coordinator may answer a call before it has read anything of it, or only after.
enum Inbound {
    Calling(Pending<Result<Streaming<v1::SessionResponse>, Status>>),
    Open(Box<Streaming<v1::SessionResponse>>),
}

impl Link {
    pub(crate) fn new(address: Address, security: ClientSecurity, journal: Journal) -> Self {
        Self { address, security, journal, state: State::Down }
    }

    /// Begins to connect; [`Link::next`] says how it went.
    pub(crate) fn dial(&mut self) {
        let (address, security) = (self.address.clone(), self.security.clone());
        self.state = State::Dialing(Box::pin(async move { Ok(transport::connect(&address, &security).await?) }));
    }

    /// Takes the link down at once, with what was not sent yet.
    pub(crate) fn close(&mut self) {
        self.state = State::Down;
    }

    /// Says nothing more and waits until everything has gone out and the coordinator has hung up.
    pub(crate) async fn finish(self) {
        let State::Up { outbox, mut inbound, .. } = self.state else { return };
        drop(outbox);
        while inbound.next().await.is_ok() {}
    }

    /// For calls beside the session, while the link is up.
    pub(crate) fn client(&self) -> Option<Client> {
        match &self.state {
            State::Up { client, .. } => Some(Client::clone(client)),
            State::Down | State::Dialing(_) => None,
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`Failure`] if the link is down or does not take what came before.
    pub(crate) fn send(&self, message: ToCoordinator) -> Result<(), Failure> {
        self.queue(Item::Message(Box::new(message)))
    }

    /// Queues an update with its payload.
    ///
    /// # Errors
    /// [`Failure`] if the link is down or does not take what came before.
    pub(crate) fn send_update(&self, released: Released) -> Result<(), Failure> {
        self.queue(Item::Update(Box::new(released)))
    }

    fn queue(&self, item: Item) -> Result<(), Failure> {
        let State::Up { outbox, .. } = &self.state else {
            return Err(Failure::new(Code::ConnectionLost, "the connection is down"));
        };
        outbox.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Code::Stalled, format!("the coordinator has not taken the last {OUTBOX} messages"))
            }
            mpsc::error::TrySendError::Closed(_) => Failure::new(Code::ConnectionLost, "the connection ended"),
        })
    }

    /// What happens next; nothing ever while the link is down. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Happening {
        match &mut self.state {
            State::Down => std::future::pending().await,
            State::Dialing(dialing) => match dialing.await {
                Ok(channel) => {
                    self.state = State::open(channel, self.journal.clone());
                    Happening::Connected
                }
                Err(failure) => self.lose(failure),
            },
            State::Up { inbound, .. } => match inbound.next().await {
                Ok(message) => Happening::Message(message),
                Err(failure) => self.lose(failure),
            },
        }
    }

    fn lose(&mut self, failure: Failure) -> Happening {
        self.close();
        Happening::Lost(failure)
    }
}

impl State {
    fn open(channel: Channel, journal: Journal) -> Self {
        let stub = TrainingServiceClient::new(channel.clone());
        let stub = stub.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
        let client = Client { channel, stub, journal };
        let (outbox, queued) = mpsc::channel(OUTBOX);
        let Client { mut stub, journal, .. } = client.clone();
        let calling = async move { Ok(stub.session(Outgoing::new(queued, journal)).await?.into_inner()) };
        Self::Up { client: Box::new(client), outbox, inbound: Inbound::Calling(Box::pin(calling)) }
    }
}

impl Inbound {
    async fn next(&mut self) -> Result<ToWorker, Failure> {
        if let Self::Calling(calling) = self {
            let stream = calling.await.map_err(|status| failure_of(&status))?;
            *self = Self::Open(Box::new(stream));
        }
        let Self::Open(stream) = self else {
            return Err(Failure::new(Code::Internal, "a call that was answered is not open"));
        };
        match stream.message().await {
            Ok(Some(response)) => Ok(response.try_into()?),
            Ok(None) => Err(Failure::new(Code::ConnectionLost, "the coordinator closed the connection")),
            Err(status) => Err(failure_of(&status)),
        }
    }
}

/// What a status means here: our own codes as they are, a broken connection as what broke it.
fn failure_of(status: &Status) -> Failure {
    if status::is_ours(status) {
        return status::read(status);
    }
    let source = std::error::Error::source(status);
    if let Some(failure) = source.and_then(failure_among) {
        return failure;
    }
    match source {
        Some(source) => Failure::new(Code::ConnectionLost, format!("the connection broke: {}", root_cause(source))),
        None => Failure::new(
            Code::BadMessage,
            format!("what answers is no coordinator of this protocol: {:?}, {}", status.code(), status.message()),
        ),
    }
}
