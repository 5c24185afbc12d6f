//! What a coordinator says.

use std::time::Duration;

use bytes::Bytes;
use syngrad_engine::layout::MAX_TENSORS;
use syngrad_engine::receipt::Notice;
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::spec::check::MAX_UNITS;
use syngrad_engine::{Digest, LeaseId, Round, RunId, Unit};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::session_response::Message;

use super::{ResumeToken, WireError, field, receipt};
use crate::error::Code;
use crate::limits::{MAX_PAYLOAD, MAX_SHARD, MAX_SILENCE, MAX_SPEC};

/// A message from the coordinator to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// The worker is known now.
    Welcome(Welcome),
    /// The worker is not wanted; the session ends.
    Refused(Refused),
    /// A run is open.
    RunOpened(RunOpened),
    /// Params of a round, which follow in frames.
    RoundOpened(RoundOpened),
    /// A piece of the params that were announced last.
    Frame(Bytes),
    /// Units of the round for this worker.
    Leased(Leased),
    /// What became of an update.
    Answer(Answer),
    /// A run is over.
    RunClosed(RunClosed),
    /// A sign of life.
    Heartbeat,
    /// The run's log has grown, or is so long.
    Receipt(Box<Notice>),
}

/// The terms of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol number of this session.
    pub protocol: u32,
    /// Release and commit of the coordinator, for people.
    pub build: String,
    /// Lets this worker replace this connection.
    pub resume: ResumeToken,
    /// Each side says something at least this often, in whole milliseconds.
    pub heartbeat: Duration,
    /// Silence after which the other side counts as dead, in whole milliseconds.
    pub silence: Duration,
    /// Which opening of which state is speaking; none if nothing is kept.
    pub fence: Option<Fence>,
}

/// Tells an older coordinator from the one that has taken its state over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The coordinator: the same as long as its state is.
    pub coordinator: [u8; 16],
    /// How often the state has been opened, at least 1.
    pub epoch: u64,
}

/// Why a worker is not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The stable code.
    pub code: Code,
    /// The reason, in words.
    pub why: String,
    /// Whether the reason may pass.
    pub retry: bool,
}

/// A run, and what a worker needs to build its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOpened {
    /// The run.
    pub run: RunId,
    /// The run spec as canonical JSON.
    pub spec: Bytes,
    /// Its digest.
    pub spec_digest: Digest,
    /// Digest of the model's layout.
    pub layout: Digest,
    /// Training samples of the run.
    pub samples: u32,
    /// Samples of each shard; none if the shards are even.
    pub shard_samples: Option<Vec<u32>>,
}

/// A round, and the params it starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundOpened {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: Round,
    /// Digest of the params.
    pub params: Digest,
    /// Bytes of the params.
    pub params_bytes: u64,
    /// Width of a sum's entries.
    pub bits: UpdateBits,
    /// Scale exponent of each tensor.
    pub exponents: Vec<i16>,
}

/// A grant of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: Round,
    /// The lease to answer.
    pub lease: LeaseId,
    /// The units, in index order.
    pub units: Vec<LeasedUnit>,
    /// Time after which the units may be given to others as well, in whole milliseconds; none if never.
    pub deadline: Option<Duration>,
}

/// A unit, and the samples it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedUnit {
    /// The unit.
    pub unit: Unit,
    /// Where its samples are.
    pub source: Source,
}

/// Where the samples of a unit are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// At the coordinator.
    Shard(ShardRef),
    /// At the worker, and nowhere else.
    Own,
}

/// A shard that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRef {
    /// Its content.
    pub digest: Digest,
    /// Bytes of its encoding.
    pub bytes: u64,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The lease that the update named.
    pub lease: LeaseId,
    /// The verdict.
    pub verdict: Verdict,
}

/// Whether an update counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Accepted,
    /// Its units had been counted.
    Duplicate {
        /// The stable code.
        code: Code,
        /// In words.
        why: String,
    },
    /// Its round had been committed.
    Late {
        /// The stable code.
        code: Code,
        /// In words.
        why: String,
    },
    /// It does not, for another reason.
    Rejected {
        /// The stable code.
        code: Code,
        /// In words.
        why: String,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunClosed {
    /// The run.
    pub run: RunId,
    /// In words.
    pub how: String,
}

impl From<ToWorker> for v1::SessionResponse {
    fn from(message: ToWorker) -> Self {
        let message = match message {
            ToWorker::Welcome(welcome) => Message::Welcome(welcome.into()),
            ToWorker::Refused(refused) => Message::Refused(v1::Refused {
                code: refused.code.as_str().to_owned(),
                why: field::clean(&refused.why),
                retry: refused.retry,
            }),
            ToWorker::RunOpened(opened) => Message::RunOpened(opened.into()),
            ToWorker::RoundOpened(opened) => Message::RoundOpened(opened.into()),
            ToWorker::Frame(payload) => Message::ParamsFrame(v1::Frame { payload }),
            ToWorker::Leased(leased) => Message::Leased(leased.into()),
            ToWorker::Answer(answer) => Message::Answer(answer.into()),
            ToWorker::RunClosed(closed) => Message::RunClosed(v1::RunClosed {
                run: Bytes::copy_from_slice(&closed.run.0),
                how: field::clean(&closed.how),
            }),
            ToWorker::Heartbeat => Message::Heartbeat(v1::Heartbeat {}),
            ToWorker::Receipt(notice) => Message::Receipt(receipt::encode_notice(*notice)),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::SessionResponse> for ToWorker {
    type Error = WireError;

    fn try_from(response: v1::SessionResponse) -> Result<Self, WireError> {
        Ok(match field::present("SessionResponse.message", response.message)? {
            Message::Welcome(welcome) => Self::Welcome(welcome.try_into()?),
            Message::Refused(refused) => Self::Refused(Refused {
                code: field::code("Refused.code", &refused.code)?,
                why: field::text("Refused.why", refused.why)?,
                retry: refused.retry,
            }),
            Message::RunOpened(opened) => Self::RunOpened(opened.try_into()?),
            Message::RoundOpened(opened) => Self::RoundOpened(opened.try_into()?),
            Message::ParamsFrame(frame) => Self::Frame(field::frame("Frame.payload", frame.payload)?),
            Message::Leased(leased) => Self::Leased(leased.try_into()?),
            Message::Answer(answer) => Self::Answer(answer.try_into()?),
            Message::RunClosed(closed) => Self::RunClosed(RunClosed {
                run: field::run_id("RunClosed.run", &closed.run)?,
                how: field::text("RunClosed.how", closed.how)?,
            }),
            Message::Heartbeat(v1::Heartbeat {}) => Self::Heartbeat,
            Message::Receipt(notice) => Self::Receipt(Box::new(receipt::decode_notice(&notice)?)),
        })
    }
}

impl From<Welcome> for v1::Welcome {
    fn from(welcome: Welcome) -> Self {
        Self {
            protocol: welcome.protocol,
            build: field::clean(&welcome.build),
            resume: welcome.resume.to_bytes(),
            heartbeat_ms: field::to_millis(welcome.heartbeat),
            silence_ms: field::to_millis(welcome.silence),
            coordinator: welcome.fence.map_or_else(Bytes::new, |fence| Bytes::copy_from_slice(&fence.coordinator)),
            epoch: welcome.fence.map_or(0, |fence| fence.epoch),
        }
    }
}

impl TryFrom<v1::Welcome> for Welcome {
    type Error = WireError;

    fn try_from(welcome: v1::Welcome) -> Result<Self, WireError> {
        let silence = field::millis("Welcome.silence_ms", welcome.silence_ms, MAX_SILENCE)?;
        let fence = match welcome.coordinator.is_empty() {
            true => None,
            false => Some(Fence {
                coordinator: field::uuid("Welcome.coordinator", &welcome.coordinator)?,
                epoch: field::within("Welcome.epoch", welcome.epoch, 1..=u64::MAX)?,
            }),
        };
        Ok(Self {
            fence,
            protocol: field::within("Welcome.protocol", welcome.protocol, 1..=u32::MAX)?,
            build: field::text("Welcome.build", welcome.build)?,
            resume: field::token("Welcome.resume", &welcome.resume)?,
            heartbeat: field::millis("Welcome.heartbeat_ms", welcome.heartbeat_ms, silence)?,
            silence,
        })
    }
}

impl From<RunOpened> for v1::RunOpened {
    fn from(opened: RunOpened) -> Self {
        Self {
            run: Bytes::copy_from_slice(&opened.run.0),
            spec: opened.spec,
            spec_digest: Bytes::copy_from_slice(&opened.spec_digest.0),
            layout_digest: Bytes::copy_from_slice(&opened.layout.0),
            samples: opened.samples,
            shard_samples: opened.shard_samples.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::RunOpened> for RunOpened {
    type Error = WireError;

    fn try_from(opened: v1::RunOpened) -> Result<Self, WireError> {
        field::within("RunOpened.spec", opened.spec.len(), 1..=MAX_SPEC)?;
        field::within("RunOpened.shard_samples", opened.shard_samples.len(), 0..=MAX_UNITS as usize)?;
        let shard_samples = (!opened.shard_samples.is_empty()).then_some(opened.shard_samples);
        if let Some(sizes) = &shard_samples {
            let sum: u64 = sizes.iter().copied().map(u64::from).sum();
            let samples = u64::from(opened.samples);
            field::within("RunOpened.shard_samples", sum, samples..=samples)?;
            sizes
                .iter()
                .try_for_each(|&size| field::within("RunOpened.shard_samples", size, 1..=u32::MAX).map(|_| ()))?;
        }
        Ok(Self {
            run: field::run_id("RunOpened.run", &opened.run)?,
            spec: opened.spec,
            spec_digest: field::digest("RunOpened.spec_digest", &opened.spec_digest)?,
            layout: field::digest("RunOpened.layout_digest", &opened.layout_digest)?,
            samples: field::within("RunOpened.samples", opened.samples, 1..=u32::MAX)?,
            shard_samples,
        })
    }
}

impl From<RoundOpened> for v1::RoundOpened {
    fn from(opened: RoundOpened) -> Self {
        Self {
            run: Bytes::copy_from_slice(&opened.run.0),
            round: opened.round.0,
            params_digest: Bytes::copy_from_slice(&opened.params.0),
            params_bytes: opened.params_bytes,
            update_bits: u32::from(u8::from(opened.bits)),
            exponents: opened.exponents.into_iter().map(i32::from).collect(),
        }
    }
}

impl TryFrom<v1::RoundOpened> for RoundOpened {
    type Error = WireError;

    fn try_from(opened: v1::RoundOpened) -> Result<Self, WireError> {
        let bits = u8::try_from(opened.update_bits).ok().and_then(|bits| UpdateBits::try_from(bits).ok());
        let exponent = |exponent: i32| {
            let range = i32::from(i16::MIN)..=i32::from(i16::MAX);
            field::within("RoundOpened.exponents", exponent, range).map(|exponent| exponent as i16)
        };
        field::within("RoundOpened.exponents", opened.exponents.len(), 1..=MAX_TENSORS)?;
        Ok(Self {
            run: field::run_id("RoundOpened.run", &opened.run)?,
            round: Round(opened.round),
            params: field::digest("RoundOpened.params_digest", &opened.params_digest)?,
            params_bytes: field::within("RoundOpened.params_bytes", opened.params_bytes, 1..=MAX_PAYLOAD)?,
            bits: bits.ok_or_else(|| field::wrong("RoundOpened.update_bits", "8, 16 or 32", opened.update_bits))?,
            exponents: opened.exponents.into_iter().map(exponent).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Leased> for v1::Leased {
    fn from(leased: Leased) -> Self {
        let unit = |LeasedUnit { unit, source }: LeasedUnit| match source {
            Source::Shard(ShardRef { digest, bytes }) => {
                v1::LeasedUnit { unit: unit.0, shard_digest: Bytes::copy_from_slice(&digest.0), shard_bytes: bytes }
            }
            Source::Own => v1::LeasedUnit { unit: unit.0, shard_digest: Bytes::new(), shard_bytes: 0 },
        };
        Self {
            run: Bytes::copy_from_slice(&leased.run.0),
            round: leased.round.0,
            lease: leased.lease.0,
            units: leased.units.into_iter().map(unit).collect(),
            deadline_ms: leased
                .deadline
                .map_or(0, |deadline| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX).max(1)),
        }
    }
}

impl TryFrom<v1::Leased> for Leased {
    type Error = WireError;

    fn try_from(leased: v1::Leased) -> Result<Self, WireError> {
        let indices: Vec<u32> = leased.units.iter().map(|unit| unit.unit).collect();
        field::units("Leased.units", &indices)?;
        let unit = |unit: v1::LeasedUnit| {
            let source = match (unit.shard_digest.is_empty(), unit.shard_bytes) {
                (true, 0) => Source::Own,
                (_, bytes) => Source::Shard(ShardRef {
                    digest: field::digest("LeasedUnit.shard_digest", &unit.shard_digest)?,
                    bytes: field::within("LeasedUnit.shard_bytes", bytes, 1..=MAX_SHARD)?,
                }),
            };
            Ok(LeasedUnit { unit: Unit(unit.unit), source })
        };
        Ok(Self {
            run: field::run_id("Leased.run", &leased.run)?,
            round: Round(leased.round),
            lease: LeaseId(leased.lease),
            units: leased.units.into_iter().map(unit).collect::<Result<_, _>>()?,
            deadline: (leased.deadline_ms > 0).then(|| Duration::from_millis(leased.deadline_ms)),
        })
    }
}

impl From<Answer> for v1::Answer {
    fn from(answer: Answer) -> Self {
        let (verdict, code, why) = match answer.verdict {
            Verdict::Accepted => (v1::Verdict::Accepted, String::new(), String::new()),
            Verdict::Duplicate { code, why } => (v1::Verdict::Duplicate, code.as_str().to_owned(), why),
            Verdict::Late { code, why } => (v1::Verdict::Late, code.as_str().to_owned(), why),
            Verdict::Rejected { code, why } => (v1::Verdict::Rejected, code.as_str().to_owned(), why),
        };
        Self { lease: answer.lease.0, verdict: verdict.into(), code, why: field::clean(&why) }
    }
}

impl TryFrom<v1::Answer> for Answer {
    type Error = WireError;

    fn try_from(answer: v1::Answer) -> Result<Self, WireError> {
        let code = || field::code("Answer.code", &answer.code);
        let why = || field::text("Answer.why", answer.why.clone());
        let unknown = || field::wrong("Answer.verdict", "a verdict that this build knows", answer.verdict);
        let verdict = match v1::Verdict::try_from(answer.verdict).map_err(|_| unknown())? {
            v1::Verdict::Unspecified => return Err(unknown()),
            v1::Verdict::Accepted => Verdict::Accepted,
            v1::Verdict::Duplicate => Verdict::Duplicate { code: code()?, why: why()? },
            v1::Verdict::Late => Verdict::Late { code: code()?, why: why()? },
            v1::Verdict::Rejected => Verdict::Rejected { code: code()?, why: why()? },
        };
        Ok(Self { lease: LeaseId(answer.lease), verdict })
    }
}
