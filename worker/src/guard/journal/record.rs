//! What is written down of a message: everything in it but payloads, which have their digest, and secrets.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use syngrad_common::wire::{FetchShard, Hello, Ready, Signed, ToCoordinator, Update};
use syngrad_engine::{Layout, LeaseId, Round, RunId};

/// A message that left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970-01-01 00:00 UTC by this machine's clock.
    pub at: u64,
    /// Bytes of the message as it is encoded, without the framing of gRPC, HTTP/2 and TLS around it.
    pub bytes: u64,
    /// What it was.
    #[serde(flatten)]
    pub sent: Sent,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Sent {
    /// Who this worker is.
    Hello {
        /// Its partner.
        partner: String,
        /// Its identity.
        worker: String,
        /// Release and commit.
        build: String,
        /// Whether the token of an earlier connection was in it.
        resumes: bool,
    },
    /// That it can work for a run.
    Ready {
        /// The run.
        run: String,
        /// Digest of the model's layout.
        layout: String,
        /// Digest of its numerics.
        fingerprint: String,
        /// Units a second, in thousandths.
        milli_units_per_second: u64,
        /// A digest of the partner's own samples, with the run's id and a bound on the norm mixed in.
        data: Option<String>,
    },
    /// That it takes no part in a run, or not now.
    Declined {
        /// The run.
        run: String,
        /// The reason.
        why: String,
    },
    /// The announcement of an update; its payload follows in frames.
    Update(Box<UpdateRecord>),
    /// A part of an update's payload.
    Frame {
        /// The run.
        run: String,
        /// The round.
        round: u32,
        /// The lease that the update answers.
        lease: u64,
    },
    /// A sign of life.
    Heartbeat {},
    /// That it leaves.
    Leave {
        /// The reason.
        why: String,
    },
    /// A request for samples that the coordinator has.
    FetchShard {
        /// The run.
        run: String,
        /// The digest of the samples.
        shard: String,
    },
    /// A request for the proof that a run's log of receipts only grew.
    GetHead {
        /// The run.
        run: String,
        /// Records of the log that this worker has seen.
        seen: u64,
        /// Records in the log that the proof is for.
        size: u64,
    },
}

/// An update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// The run.
    pub run: String,
    /// The round.
    pub round: u32,
    /// The lease that it answers.
    pub lease: u64,
    /// Bytes of the payload, in frames that follow.
    pub payload_bytes: u64,
    /// Digest of the payload.
    pub digest: String,
    /// Tensors in the payload.
    pub tensors: u64,
    /// Params in the payload.
    pub params: u64,
    /// Samples that were trained on.
    pub samples: u64,
    /// Summed loss over them.
    pub loss_sum: f64,
    /// Entries that were clamped to the grid.
    pub saturated: u64,
    /// What is summed in it.
    pub units: Vec<UnitNorm>,
    /// The worker's signature over it and over the params that it was computed from, if it has a key.
    pub signature: Option<String>,
}

/// A unit in an update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitNorm {
    /// Its number.
    pub unit: u32,
    /// Its weight in the mean.
    pub weight: u32,
    /// The L2 norm of its mean result as it was computed.
    pub norm: f64,
    /// The same after it was scaled to the policy's bound, and before it was rounded to the grid.
    pub clipped: f64,
}

/// How many messages of a kind, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Messages.
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// A [`Total`] for each kind of message.
pub type Totals = BTreeMap<String, Total>;

/// The update whose frames are being cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameOf {
    pub(crate) run: RunId,
    pub(crate) round: Round,
    pub(crate) lease: LeaseId,
}

/// This machine's clock, in milliseconds since 1970-01-01 00:00 UTC.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Record {
    /// A message of this moment, before it is encoded.
    pub(crate) fn now(sent: Sent) -> Self {
        Self { at: unix_millis(), bytes: 0, sent }
    }

    /// A message of the session, before it is encoded.
    pub(crate) fn of(message: &ToCoordinator, frame_of: Option<FrameOf>) -> Self {
        Self::now(match message {
            ToCoordinator::Hello(hello) => hello_of(hello),
            ToCoordinator::Ready(ready) => ready_of(ready),
            ToCoordinator::Declined(declined) => {
                Sent::Declined { run: declined.run.to_string(), why: declined.why.clone() }
            }
            ToCoordinator::Update(update) => Sent::Update(Box::new(UpdateRecord::of(update, None, Vec::new()))),
            ToCoordinator::Frame(_) => {
                let FrameOf { run, round, lease } = frame_of.unwrap_or_default();
                Sent::Frame { run: run.to_string(), round: round.0, lease: lease.0 }
            }
            ToCoordinator::Heartbeat => Sent::Heartbeat {},
            ToCoordinator::Leave { why } => Sent::Leave { why: why.clone() },
        })
    }

    /// A request for samples.
    pub(crate) fn of_fetch(request: &FetchShard, bytes: u64) -> Self {
        let sent = Sent::FetchShard { run: request.run.to_string(), shard: request.shard.to_string() };
        Self { bytes, ..Self::now(sent) }
    }

    /// A request for a proof.
    pub(crate) fn of_get_head(run: RunId, seen: u64, size: u64, bytes: u64) -> Self {
        Self { bytes, ..Self::now(Sent::GetHead { run: run.to_string(), seen, size }) }
    }

    /// The kind of message, as the journal names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.sent {
            Sent::Hello { .. } => "hello",
            Sent::Ready { .. } => "ready",
            Sent::Declined { .. } => "declined",
            Sent::Update(_) => "update",
            Sent::Frame { .. } => "frame",
            Sent::Heartbeat {} => "heartbeat",
            Sent::Leave { .. } => "leave",
            Sent::FetchShard { .. } => "fetch_shard",
            Sent::GetHead { .. } => "get_head",
        }
    }

    /// The run and the round that it is of, if it is of one.
    #[must_use]
    pub fn place(&self) -> (Option<&str>, Option<u32>) {
        match &self.sent {
            Sent::Hello { .. } | Sent::Heartbeat {} | Sent::Leave { .. } => (None, None),
            Sent::Ready { run, .. }
            | Sent::Declined { run, .. }
            | Sent::FetchShard { run, .. }
            | Sent::GetHead { run, .. } => (Some(run), None),
            Sent::Update(update) => (Some(&update.run), Some(update.round)),
            Sent::Frame { run, round, .. } => (Some(run), Some(*round)),
        }
    }
}

impl UpdateRecord {
    /// An update on `layout` of these units.
    pub(crate) fn of(update: &Update, layout: Option<&Layout>, units: Vec<UnitNorm>) -> Self {
        Self {
            run: update.run.to_string(),
            round: update.header.round.0,
            lease: update.header.lease.0,
            payload_bytes: update.payload_bytes,
            digest: update.header.digest.to_string(),
            tensors: layout.map_or(0, |layout| layout.tensors().len() as u64),
            params: layout.map_or(0, |layout| layout.params() as u64),
            samples: update.samples,
            loss_sum: update.loss_sum,
            saturated: update.saturated,
            units,
            signature: None,
        }
    }

    /// The worker stands for the update with its key.
    pub(crate) fn sign(&mut self, signed: Option<&Signed>) {
        let hex = |signed: &Signed| signed.signature.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.signature = signed.map(hex);
    }
}

fn hello_of(hello: &Hello) -> Sent {
    Sent::Hello {
        partner: hello.partner.to_string(),
        worker: hello.worker.to_string(),
        build: hello.build.clone(),
        resumes: hello.resume.is_some(),
    }
}

fn ready_of(ready: &Ready) -> Sent {
    Sent::Ready {
        run: ready.run.to_string(),
        layout: ready.layout.to_string(),
        fingerprint: ready.fingerprint.to_string(),
        milli_units_per_second: ready.milli_units_per_second,
        data: ready.data.map(|data| data.to_string()),
    }
}
