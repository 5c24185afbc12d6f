//! The reading half of a worker's connection: handshake, whole and verified updates, limits on time and size.
//!
//! One task a connection. Whatever is expensive about an update (assembly, its digest) happens here, beside the other
//! connections and the driver. A session has at most one update with the driver, and assembles no other before that
//! one is dealt with, so a fast sender is slowed by flow control and memory stays bounded.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use syngrad_common::codec::{Assembler, CodecError};
use syngrad_common::limits::{PROTOCOL_MAX, PROTOCOL_MIN};
use syngrad_common::wire::{Hello, Refused, Signed, ToCoordinator, ToWorker, Update, WireError};
use syngrad_common::{Code, Failure};
use syngrad_engine::PartnerName;
use syngrad_engine::digest::Domain;
use syngrad_engine::receipt::Statement;
use syngrad_engine::run::UpdateHeader;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::access::{Caller, Paces, partner};
use crate::active::Intake;
use crate::config::Patience;
use crate::driver::{Arrival, Delivery, Handle, Message, Seated};
use crate::outbox::Outbox;
use crate::receipts::{Attested, Signer};
use crate::roster::SessionId;

/// Why the next message of a stream cannot be had.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is there and makes no sense.
    Unreadable(Failure),
    /// The connection is gone.
    Lost {
        /// What happened, in words.
        why: String,
    },
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        Self::Unreadable(error.into())
    }
}

/// Why a session ends.
#[derive(Debug)]
enum End {
    /// The driver has given the seat up, or is gone.
    Released,
    /// The worker is gone.
    Gone { why: String },
    /// The worker broke the protocol.
    Broken { failure: Failure },
}

impl End {
    fn unexpected(found: &ToCoordinator, place: &str) -> Self {
        let failure = Failure::new(Code::UnexpectedMessage, format!("{} came {place}", name(found)));
        Self::Broken { failure }
    }
}

/// Who is at the other end of a connection.
pub(crate) struct Peer<F> {
    pub(crate) caller: Caller,
    /// What partners may send.
    pub(crate) paces: Paces,
    /// What the worker signs with, once it has said which it is; none where workers have no keys.
    pub(crate) signer: F,
}

/// Reads a connection until it ends.
pub(crate) async fn run<S>(
    mut inbound: S,
    outbox: Outbox,
    driver: Handle,
    patience: Patience,
    peer: Peer<impl FnOnce(&Hello) -> Option<Arc<Signer>>>,
) where
    S: Stream<Item = Result<ToCoordinator, Trouble>> + Unpin,
{
    let hello = match handshake(&mut inbound, patience).await {
        Ok(hello) => hello,
        Err(Trouble::Lost { why }) => return tracing::debug!(why, "a connection ended before its Hello"),
        Err(Trouble::Unreadable(failure)) => return refuse(&outbox, &driver, failure).await,
    };
    let (reply, seated) = oneshot::channel();
    let Peer { caller, paces, signer } = peer;
    let signer = signer(&hello);
    let arrival = Arrival { caller: caller.clone(), hello, signer: signer.clone(), outbox, reply };
    if driver.tell(Message::Arrived(arrival)).await.is_err() {
        return;
    }
    // No seat means that the driver has said so to the worker.
    let Ok(Seated { session, tether }) = seated.await else { return };
    let pace = partner(&caller).cloned().map(|partner| (paces, partner));
    let in_flight = Arc::new(Semaphore::new(1));
    let reader = Reader { inbound, session, driver, patience, pace, signer, in_flight };
    reader.run(tether).await;
}

async fn refuse(outbox: &Outbox, driver: &Handle, failure: Failure) {
    tracing::warn!(code = %failure.code, why = %failure, "a handshake was refused");
    let retry = failure.code == Code::HandshakeTimeout;
    let Failure { code, message } = failure;
    // A connection that does not take this ends all the same.
    let _ = outbox.send(ToWorker::Refused(Refused { code, why: message, retry }));
    let _ = driver.tell(Message::HandshakeRefused).await;
}

async fn handshake<S>(inbound: &mut S, patience: Patience) -> Result<Hello, Trouble>
where
    S: Stream<Item = Result<ToCoordinator, Trouble>> + Unpin,
{
    let bad = |code, why: String| Err(Trouble::Unreadable(Failure::new(code, why)));
    let Ok(first) = timeout(patience.handshake, inbound.next()).await else {
        let why = format!("no Hello came within {:?}", patience.handshake);
        return bad(Code::HandshakeTimeout, why);
    };
    match first {
        None => Err(Trouble::Lost { why: "the worker hung up".into() }),
        Some(Err(Trouble::Unreadable(Failure { message, .. }))) => {
            bad(Code::BadHandshake, format!("the first message is no Hello: {message}"))
        }
        Some(Err(lost)) => Err(lost),
        Some(Ok(ToCoordinator::Hello(hello))) => {
            if hello.protocol_max < PROTOCOL_MIN || hello.protocol_min > PROTOCOL_MAX {
                let Hello { protocol_min, protocol_max, .. } = hello;
                let ours = format!("this coordinator speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}");
                return bad(
                    Code::ProtocolVersion,
                    format!("the worker speaks protocol {protocol_min} to {protocol_max}; {ours}"),
                );
            }
            Ok(hello)
        }
        Some(Ok(other)) => bad(Code::BadHandshake, format!("the first message is {}, not Hello", name(&other))),
    }
}

struct Reader<S> {
    inbound: S,
    session: SessionId,
    driver: Handle,
    patience: Patience,
    /// What the worker's partner may send, if it has proved to be one.
    pace: Option<(Paces, PartnerName)>,
    signer: Option<Arc<Signer>>,
    in_flight: Arc<Semaphore>,
}

impl<S> Reader<S>
where
    S: Stream<Item = Result<ToCoordinator, Trouble>> + Unpin,
{
    async fn run(mut self, tether: oneshot::Receiver<()>) {
        let end = tokio::select! {
            _ = tether => End::Released,
            end = self.read() => end,
        };
        let session = self.session;
        let last = match end {
            End::Released => return,
            End::Gone { why } => Message::Gone { session, why },
            End::Broken { failure } => Message::Expelled { session, failure },
        };
        // Without a driver there is nobody to tell.
        let _ = self.driver.tell(last).await;
    }

    async fn read(&mut self) -> End {
        loop {
            let message = match self.next(Instant::now() + self.patience.silence).await {
                Ok(message) => message,
                Err(end) => return end,
            };
            let outcome = match message {
                ToCoordinator::Update(update) => self.take(update).await,
                ToCoordinator::Ready(ready) => self.tell(Message::Ready { session: self.session, ready }).await,
                ToCoordinator::Declined(declined) => {
                    self.tell(Message::Declined { session: self.session, declined }).await
                }
                ToCoordinator::Heartbeat => self.tell(Message::Heard(self.session)).await,
                ToCoordinator::Leave { why } => Err(End::Gone { why: format!("it leaves: {why}") }),
                message @ ToCoordinator::Hello(_) => Err(End::unexpected(&message, "after the handshake")),
                message @ ToCoordinator::Frame(_) => Err(End::unexpected(&message, "without an update")),
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// The next message, unless `deadline` passes before it comes.
    async fn next(&mut self, deadline: Instant) -> Result<ToCoordinator, End> {
        match timeout_at(deadline, self.inbound.next()).await {
            Ok(Some(Ok(message))) => Ok(message),
            Ok(Some(Err(Trouble::Unreadable(failure)))) => Err(End::Broken { failure }),
            Ok(Some(Err(Trouble::Lost { why }))) => Err(End::Gone { why }),
            Ok(None) => Err(End::Gone { why: "its connection ended".into() }),
            Err(_) => {
                let why = format!("nothing came for {:?}", self.patience.silence);
                Err(End::Broken { failure: Failure::new(Code::Silent, why) })
            }
        }
    }

    /// Puts an update together, checks it and hands it to the driver.
    async fn take(&mut self, update: Update) -> Result<(), End> {
        let permit = self.in_flight.clone().acquire_owned().await.map_err(|_| End::Released)?;
        let session = self.session;
        let intake = *self.driver.intake.borrow();
        let broken = |error: CodecError| End::Broken { failure: error.into() };
        let assembler = Assembler::new(Domain::Update, update.header.digest, update.payload_bytes, intake.most);
        match self.assemble(assembler.map_err(broken)?).await? {
            Ok(payload) => {
                let attested = self.attest(&update, intake);
                self.tell(Message::Update(Delivery { session, update, payload, attested, permit })).await
            }
            // All bytes were read, so the stream is in step and can go on.
            Err(error) => self.tell(Message::Malformed { session, update, why: error.to_string() }).await,
        }
    }

    /// Whether the worker's key signed this update; that of another run is of no interest.
    fn attest(&self, update: &Update, intake: Intake) -> Attested {
        let Some(signer) = self.signer.as_ref().filter(|_| update.run == intake.run) else { return Attested::Unasked };
        let UpdateHeader { round, units, digest, lease: _ } = &update.header;
        let signs = |signed: Signed| {
            let (run, spec, params) = (intake.run, intake.spec, signed.params);
            let statement = Statement { run, round: *round, params, spec, units, payload: *digest };
            signer.key.verify(&statement.encode(), &signed.signature)
        };
        if update.signed.is_some_and(signs) { Attested::Holds } else { Attested::Fails }
    }

    async fn assemble(&mut self, mut assembler: Assembler) -> Result<Result<Bytes, CodecError>, End> {
        let began = Instant::now();
        let mut heard = began;
        while !assembler.is_complete() {
            let message = match self.next(began + self.patience.payload).await {
                Err(End::Broken { failure }) if failure.code == Code::Silent => {
                    let why = format!("the update was not complete after {:?}", self.patience.payload);
                    let failure = Failure::new(Code::PayloadTimeout, why);
                    return Err(End::Broken { failure });
                }
                next => next?,
            };
            match message {
                ToCoordinator::Frame(frame) => {
                    if let Some((paces, partner)) = &self.pace {
                        sleep_until(paces.read(Instant::now(), partner, frame.len())).await;
                    }
                    assembler.push(frame).map_err(|error| End::Broken { failure: error.into() })?;
                }
                ToCoordinator::Heartbeat => {}
                ToCoordinator::Leave { why } => return Err(End::Gone { why: format!("it leaves: {why}") }),
                message @ (ToCoordinator::Hello(_)
                | ToCoordinator::Ready(_)
                | ToCoordinator::Declined(_)
                | ToCoordinator::Update(_)) => return Err(End::unexpected(&message, "within an update")),
            }
            // A large update on a slow line is a sign of life that lasts.
            if heard.elapsed() >= self.patience.heartbeat {
                heard = Instant::now();
                self.tell(Message::Heard(self.session)).await?;
            }
        }
        Ok(assembler.finish())
    }

    async fn tell(&self, message: Message) -> Result<(), End> {
        self.driver.tell(message).await.map_err(|_| End::Released)
    }
}

fn name(message: &ToCoordinator) -> &'static str {
    match message {
        ToCoordinator::Hello(_) => "Hello",
        ToCoordinator::Ready(_) => "Ready",
        ToCoordinator::Declined(_) => "Declined",
        ToCoordinator::Update(_) => "Update",
        ToCoordinator::Frame(_) => "a frame",
        ToCoordinator::Heartbeat => "Heartbeat",
        ToCoordinator::Leave { .. } => "Leave",
    }
}
