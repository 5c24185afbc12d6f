//! What a worker says.

use bytes::Bytes;
use syngrad_engine::receipt::Signature;
use syngrad_engine::run::UpdateHeader;
use syngrad_engine::{Digest, LeaseId, PartnerName, Round, RunId, WorkerId};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::session_request::Message;

use super::{ResumeToken, WireError, field};
use crate::limits::MAX_PAYLOAD;

/// A message from a worker to the coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum ToCoordinator {
    /// The first message of a session.
    Hello(Hello),
    /// The run's model is built.
    Ready(Ready),
    /// This machine cannot take part in a run.
    Declined(Declined),
    /// A sum of units; its payload follows in frames.
    Update(Update),
    /// A piece of the payload that was announced last.
    Frame(Bytes),
    /// A sign of life.
    Heartbeat,
    /// The worker leaves.
    Leave {
        /// Why, in words.
        why: String,
    },
}

/// Who a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The lowest protocol number it speaks.
    pub protocol_min: u32,
    /// The highest protocol number it speaks.
    pub protocol_max: u32,
    /// Release and commit, for people.
    pub build: String,
    /// Its identity over all its connections.
    pub worker: WorkerId,
    /// Its partner.
    pub partner: PartnerName,
    /// The token of its last Welcome.
    pub resume: Option<ResumeToken>,
}

/// A worker can take leases of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The run.
    pub run: RunId,
    /// Digest of the layout of the model it built.
    pub layout: Digest,
    /// Its numerics on the run's unit shape.
    pub fingerprint: Digest,
    /// Units a second that it measured, in thousandths; 0 if it did not.
    pub milli_units_per_second: u64,
    /// Digest of its own samples in this run; none if the run is not on private samples.
    pub data: Option<Digest>,
}

/// A worker cannot take part in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// The run.
    pub run: RunId,
    /// Why, in words.
    pub why: String,
}

/// Announces the sum of a lease's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The run.
    pub run: RunId,
    /// What the run decides on.
    pub header: UpdateHeader,
    /// Bytes of the payload.
    pub payload_bytes: u64,
    /// Entries that were clamped to the grid's limit.
    pub saturated: u64,
    /// Summed loss over the samples of the units.
    pub loss_sum: f64,
    /// Samples of the units.
    pub samples: u64,
    /// What the worker stands for with its key; none where workers have no keys.
    pub signed: Option<Signed>,
}

/// A worker's word for an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Digest of the params that the sum was computed from.
    pub params: Digest,
    /// The signature over the update's [`Statement`](syngrad_engine::receipt::Statement).
    pub signature: Signature,
}

impl From<ToCoordinator> for v1::SessionRequest {
    fn from(message: ToCoordinator) -> Self {
        let message = match message {
            ToCoordinator::Hello(hello) => Message::Hello(hello.into()),
            ToCoordinator::Ready(ready) => Message::Ready(ready.into()),
            ToCoordinator::Declined(declined) => Message::Declined(v1::Declined {
                run: Bytes::copy_from_slice(&declined.run.0),
                why: field::clean(&declined.why),
            }),
            ToCoordinator::Update(update) => Message::Update(update.into()),
            ToCoordinator::Frame(payload) => Message::UpdateFrame(v1::Frame { payload }),
            ToCoordinator::Heartbeat => Message::Heartbeat(v1::Heartbeat {}),
            ToCoordinator::Leave { why } => Message::Leave(v1::Leave { why: field::clean(&why) }),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::SessionRequest> for ToCoordinator {
    type Error = WireError;

    fn try_from(request: v1::SessionRequest) -> Result<Self, WireError> {
        Ok(match field::present("SessionRequest.message", request.message)? {
            Message::Hello(hello) => Self::Hello(hello.try_into()?),
            Message::Ready(ready) => Self::Ready(ready.try_into()?),
            Message::Declined(declined) => Self::Declined(Declined {
                run: field::run_id("Declined.run", &declined.run)?,
                why: field::text("Declined.why", declined.why)?,
            }),
            Message::Update(update) => Self::Update(update.try_into()?),
            Message::UpdateFrame(frame) => Self::Frame(field::frame("Frame.payload", frame.payload)?),
            Message::Heartbeat(v1::Heartbeat {}) => Self::Heartbeat,
            Message::Leave(leave) => Self::Leave { why: field::text("Leave.why", leave.why)? },
        })
    }
}

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            protocol_min: hello.protocol_min,
            protocol_max: hello.protocol_max,
            build: field::clean(&hello.build),
            worker: Bytes::copy_from_slice(&hello.worker.0),
            partner: hello.partner.to_string(),
            resume: hello.resume.map_or_else(Bytes::new, ResumeToken::to_bytes),
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = WireError;

    fn try_from(hello: v1::Hello) -> Result<Self, WireError> {
        let protocol_min = field::within("Hello.protocol_min", hello.protocol_min, 1..=u32::MAX)?;
        Ok(Self {
            protocol_min,
            protocol_max: field::within("Hello.protocol_max", hello.protocol_max, protocol_min..=u32::MAX)?,
            build: field::text("Hello.build", hello.build)?,
            worker: field::worker_id("Hello.worker", &hello.worker)?,
            partner: field::partner("Hello.partner", &hello.partner)?,
            resume: match hello.resume.is_empty() {
                true => None,
                false => Some(field::token("Hello.resume", &hello.resume)?),
            },
        })
    }
}

impl From<Ready> for v1::Ready {
    fn from(ready: Ready) -> Self {
        Self {
            run: Bytes::copy_from_slice(&ready.run.0),
            layout_digest: Bytes::copy_from_slice(&ready.layout.0),
            fingerprint: Bytes::copy_from_slice(&ready.fingerprint.0),
            milli_units_per_second: ready.milli_units_per_second,
            data_digest: ready.data.map_or_else(Bytes::new, |data| Bytes::copy_from_slice(&data.0)),
        }
    }
}

impl TryFrom<v1::Ready> for Ready {
    type Error = WireError;

    fn try_from(ready: v1::Ready) -> Result<Self, WireError> {
        Ok(Self {
            run: field::run_id("Ready.run", &ready.run)?,
            layout: field::digest("Ready.layout_digest", &ready.layout_digest)?,
            fingerprint: field::digest("Ready.fingerprint", &ready.fingerprint)?,
            milli_units_per_second: ready.milli_units_per_second,
            data: match ready.data_digest.is_empty() {
                true => None,
                false => Some(field::digest("Ready.data_digest", &ready.data_digest)?),
            },
        })
    }
}

impl From<Update> for v1::Update {
    fn from(update: Update) -> Self {
        Self {
            run: Bytes::copy_from_slice(&update.run.0),
            round: update.header.round.0,
            lease: update.header.lease.0,
            units: update.header.units.iter().map(|unit| unit.0).collect(),
            digest: Bytes::copy_from_slice(&update.header.digest.0),
            payload_bytes: update.payload_bytes,
            saturated: update.saturated,
            loss_sum: update.loss_sum,
            samples: update.samples,
            params_digest: update.signed.map_or_else(Bytes::new, |signed| Bytes::copy_from_slice(&signed.params.0)),
            signature: update.signed.map_or_else(Bytes::new, |signed| Bytes::copy_from_slice(&signed.signature.0)),
        }
    }
}

impl TryFrom<v1::Update> for Update {
    type Error = WireError;

    fn try_from(update: v1::Update) -> Result<Self, WireError> {
        let header = UpdateHeader {
            round: Round(update.round),
            lease: LeaseId(update.lease),
            units: field::units("Update.units", &update.units)?,
            digest: field::digest("Update.digest", &update.digest)?,
        };
        Ok(Self {
            run: field::run_id("Update.run", &update.run)?,
            header,
            payload_bytes: field::within("Update.payload_bytes", update.payload_bytes, 1..=MAX_PAYLOAD)?,
            saturated: update.saturated,
            loss_sum: field::finite("Update.loss_sum", update.loss_sum)?,
            samples: update.samples,
            signed: match (update.params_digest.is_empty(), update.signature.is_empty()) {
                (true, true) => None,
                (_, _) => Some(Signed {
                    params: field::digest("Update.params_digest", &update.params_digest)?,
                    signature: field::signature("Update.signature", &update.signature)?,
                }),
            },
        })
    }
}
