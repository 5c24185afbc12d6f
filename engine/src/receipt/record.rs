//! What a committed round leaves behind, and the heads that are signed over all of them.

use super::bytes::{EncodingError, Reader, Writer};
use super::tree::Tree;
use crate::digest::{Digest, Domain};
use crate::id::{Round, RunId};
use crate::layout::MAX_TENSORS;
use crate::run::QuorumRule;
use crate::spec::{Numerics, OnMissing, UpdateBits};

/// The version of the encoding.
const VERSION: u8 = 1;
/// What the errors call it.
const WHAT: &str = "record";

/// What the signature of a head begins with, so that it can be taken for no other signature.
const SIGNED: &[u8] = b"syngrad v1 signed head";

/// A committed round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The run.
    pub run: RunId,
    /// The round, which is the record's place in the log.
    pub round: Round,
    /// When it was committed, in seconds since 1970, as the coordinator says: certificates are good at their time.
    pub at: u64,
    /// Digest of the run spec.
    pub spec: Digest,
    /// Digest of the layout of the params.
    pub layout: Digest,
    /// Digest of the params that the round started from.
    pub before: Digest,
    /// Digest of the params that came out of it.
    pub after: Digest,
    /// Digest of this and all earlier commits, in order.
    pub chain: Digest,
    /// Width of a sum's entries in this round.
    pub bits: UpdateBits,
    /// Scale exponent of each tensor in this round.
    pub exponents: Vec<i16>,
    /// The numerics class of the run.
    pub numerics: Digest,
    /// Digest of the policy in force.
    pub policy: Digest,
    /// Units that are in the params.
    pub units: u32,
    /// Examples behind them.
    pub weight: u64,
    /// Entries that were clamped, as their workers say.
    pub saturated: u64,
    /// Number of contributions, and the root of the tree over them.
    pub contributions: Branch,
    /// Contributions that were refused and are not listed, because there were too many.
    pub overflow: u32,
    /// Digest of the record before this one; all zero in the first.
    pub previous: Digest,
}

/// A tree, by its size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Number of leaves.
    pub size: u32,
    /// The root.
    pub root: Digest,
}

impl Record {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION).bytes(&self.run.0).u32(self.round.0).u64(self.at).digest(&self.spec).digest(&self.layout);
        out.digest(&self.before).digest(&self.after).digest(&self.chain);
        out.u8(self.bits.into()).u32(self.exponents.len() as u32);
        for exponent in &self.exponents {
            out.bytes(&exponent.to_le_bytes());
        }
        out.digest(&self.numerics).digest(&self.policy).u32(self.units).u64(self.weight).u64(self.saturated);
        out.u32(self.contributions.size).digest(&self.contributions.root).u32(self.overflow).digest(&self.previous);
        out.finish()
    }

    /// Reads what [`encode`](Self::encode) writes, and nothing else.
    ///
    /// # Errors
    /// [`EncodingError`] unless the bytes are exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let mut reader = Reader::versioned(WHAT, VERSION, bytes)?;
        let record = Self {
            run: reader.run()?,
            round: reader.round("round")?,
            at: reader.u64("time")?,
            spec: reader.digest("spec")?,
            layout: reader.digest("layout")?,
            before: reader.digest("params before")?,
            after: reader.digest("params after")?,
            chain: reader.digest("chain")?,
            bits: UpdateBits::try_from(reader.u8("width")?).map_err(|_| reader.value("width"))?,
            exponents: exponents(&mut reader)?,
            numerics: reader.digest("numerics class")?,
            policy: reader.digest("policy")?,
            units: reader.u32("units")?,
            weight: reader.u64("weight")?,
            saturated: reader.u64("saturated")?,
            contributions: Branch { size: reader.u32("contributions")?, root: reader.digest("contributions")? },
            overflow: reader.u32("overflow")?,
            previous: reader.digest("previous record")?,
        };
        reader.end()?;
        Ok(record)
    }

    /// The digest that the next record names: the leaf of this one in the log.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Digest {
        Tree::Log.leaf(bytes)
    }
}

fn exponents(reader: &mut Reader<'_>) -> Result<Vec<i16>, EncodingError> {
    let count = reader.u32("exponents")? as usize;
    if count > MAX_TENSORS {
        return Err(reader.value("exponents"));
    }
    (0..count).map(|_| reader.array("exponents").map(i16::from_le_bytes)).collect()
}

/// The digest of who may give what to a round: the rule of the quorum, and whether other numerics classes are let in.
#[must_use]
pub fn policy(quorum: &QuorumRule, numerics: Numerics) -> Digest {
    let QuorumRule { min_partners, min_units, round_deadline, max_partner_units, on_missing } = quorum;
    let mut out = Writer::default();
    let millis = u64::try_from(round_deadline.as_millis()).unwrap_or(u64::MAX);
    out.u32(*min_partners).u32(*min_units).u64(millis).u32(*max_partner_units);
    out.u8(match on_missing {
        OnMissing::Wait => 0,
        OnMissing::ReLease => 1,
        OnMissing::Skip => 2,
    });
    out.u8(match numerics {
        Numerics::Strict => 0,
        Numerics::Record => 1,
    });
    Digest::of(Domain::Policy, &out.finish())
}

/// How long a run's log is, and what is in it: what the log's key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: RunId,
    /// Number of records.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Digest,
}

impl Head {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::beginning(SIGNED);
        out.bytes(&self.run.0).u64(self.size).digest(&self.root);
        out.finish()
    }
}
