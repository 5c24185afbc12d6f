//! What one worker gave to a round, or tried to, and what became of it.

use std::fmt;

use super::bytes::{EncodingError, Reader, Writer};
use crate::digest::Digest;
use crate::id::{LeaseId, PartnerName, Round, RunId, Units, WorkerId};

/// The version of the encoding.
const VERSION: u8 = 1;
/// What the errors call it.
const WHAT: &str = "contribution";

/// What a worker's signature begins with, so that it can be taken for no other signature.
const SIGNED: &[u8] = b"syngrad v1 signed update";

/// An Ed25519 signature; all zero where there was none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; Signature::LEN]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;
    /// What stands where nothing was signed.
    pub const ABSENT: Self = Self([0; Self::LEN]);
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

/// Names a certificate: the SHA-256 of its DER, as everyone's tools show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; Fingerprint::LEN]);

impl Fingerprint {
    /// Length in bytes.
    pub const LEN: usize = 32;
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The number of a stable error code: 302 for E0302.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusalCode(u16);

impl RefusalCode {
    /// The code with this number; none if no code has it.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (1..=9999).contains(&number).then_some(Self(number))
    }

    /// The code that `text` names: `E` and four digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('E').filter(|digits| digits.len() == 4)?;
        let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())??;
        Self::new(number)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

/// What became of a contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is in the params.
    Accepted,
    /// It came after its round had closed.
    Late(RefusalCode),
    /// Its units had been counted.
    Duplicate(RefusalCode),
    /// It does not count, for another reason.
    Rejected(RefusalCode),
    /// It was asked for to check another's, and counts for nothing.
    Audited,
}

impl Verdict {
    /// The code of a refusal.
    #[must_use]
    pub fn code(self) -> Option<RefusalCode> {
        match self {
            Self::Accepted | Self::Audited => None,
            Self::Late(code) | Self::Duplicate(code) | Self::Rejected(code) => Some(code),
        }
    }

    /// One word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Late(_) => "late",
            Self::Duplicate(_) => "duplicate",
            Self::Rejected(_) => "rejected",
            Self::Audited => "audited",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Late(_) => 1,
            Self::Duplicate(_) => 2,
            Self::Rejected(_) => 3,
            Self::Audited => 4,
        }
    }

    fn from_parts(number: u8, code: u16) -> Option<Self> {
        let refusal = RefusalCode::new(code);
        match (number, code) {
            (0, 0) => Some(Self::Accepted),
            (1, _) => refusal.map(Self::Late),
            (2, _) => refusal.map(Self::Duplicate),
            (3, _) => refusal.map(Self::Rejected),
            (4, 0) => Some(Self::Audited),
            _ => None,
        }
    }
}

/// What a worker gave to a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// What became of it.
    pub verdict: Verdict,
    /// The worker's partner.
    pub partner: PartnerName,
    /// The worker.
    pub worker: WorkerId,
    /// The worker's certificate.
    pub certificate: Fingerprint,
    /// The round whose params it says it was computed from.
    pub round: Round,
    /// The lease that it says it answers.
    pub lease: LeaseId,
    /// The units that it says are in it.
    pub units: Units,
    /// Examples behind these units, by the plan; 0 if they are not the run's.
    pub weight: u64,
    /// Entries that it says were clamped to the grid's limit.
    pub saturated: u64,
    /// From the lease to the arrival, as the coordinator measured it, in microseconds; 0 if it gave no such lease.
    pub micros: u64,
    /// Digest of the params that it says it was computed from.
    pub params: Digest,
    /// Digest of the payload, as announced.
    pub payload: Digest,
    /// Bytes of the payload, as announced.
    pub payload_bytes: u64,
    /// The worker's signature over [`Statement`].
    pub signature: Signature,
}

impl Contribution {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let code = self.verdict.code().map_or(0, |RefusalCode(number)| number);
        out.u8(VERSION).u8(self.verdict.number()).u16(code).partner(&self.partner).bytes(&self.worker.0);
        out.bytes(&self.certificate.0).u32(self.round.0).u64(self.lease.0).units(&self.units);
        out.u64(self.weight).u64(self.saturated).u64(self.micros);
        out.digest(&self.params).digest(&self.payload).u64(self.payload_bytes).bytes(&self.signature.0);
        out.finish()
    }

    /// Reads what [`encode`](Self::encode) writes, and nothing else.
    ///
    /// # Errors
    /// [`EncodingError`] unless the bytes are exactly one contribution.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let mut reader = Reader::versioned(WHAT, VERSION, bytes)?;
        let (number, code) = (reader.u8("verdict")?, reader.u16("code")?);
        let contribution = Self {
            verdict: Verdict::from_parts(number, code).ok_or_else(|| reader.value("verdict"))?,
            partner: reader.partner()?,
            worker: reader.worker()?,
            certificate: Fingerprint(reader.array("certificate")?),
            round: reader.round("round")?,
            lease: LeaseId(reader.u64("lease")?),
            units: reader.units()?,
            weight: reader.u64("weight")?,
            saturated: reader.u64("saturated")?,
            micros: reader.u64("time")?,
            params: reader.digest("params")?,
            payload: reader.digest("payload")?,
            payload_bytes: reader.u64("payload")?,
            signature: Signature(reader.array("signature")?),
        };
        reader.end()?;
        Ok(contribution)
    }

    /// What its signature is over, in a run of this spec.
    #[must_use]
    pub fn statement<'a>(&'a self, run: RunId, spec: Digest) -> Statement<'a> {
        Statement { run, round: self.round, params: self.params, spec, units: &self.units, payload: self.payload }
    }
}

/// What a worker signs: this payload is the sum of these units, computed from these params. The lease is not in it: the
/// same sum may answer another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: Round,
    /// Digest of the round's params.
    pub params: Digest,
    /// Digest of the run spec.
    pub spec: Digest,
    /// The units in the sum.
    pub units: &'a Units,
    /// Digest of the payload.
    pub payload: Digest,
}

impl Statement<'_> {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::beginning(SIGNED);
        out.bytes(&self.run.0).u32(self.round.0).digest(&self.params).digest(&self.spec).digest(&self.payload);
        out.units(self.units);
        out.finish()
    }
}
