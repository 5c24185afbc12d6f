//! The one encoding of what is hashed and signed: fixed order, little-endian, every length written, nothing optional.

use thiserror::Error;

use crate::digest::Digest;
use crate::id::{PartnerName, Round, RunId, Unit, Units, WorkerId};
use crate::spec::check::MAX_UNITS;

/// Why bytes are not the encoding of a contribution, a record or a head.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// The bytes are of a version that this program does not read.
    #[error("the {what} has version {found}; this program reads version {known}")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version found.
        found: u8,
        /// The version that is read.
        known: u8,
    },
    /// The bytes end early.
    #[error("the {what} ends after {len} bytes, within its {part}")]
    Truncated {
        /// What was read.
        what: &'static str,
        /// The part that could not be read.
        part: &'static str,
        /// Bytes there are.
        len: usize,
    },
    /// There are bytes after the end.
    #[error("{extra} bytes follow the {what}")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// Bytes too many.
        extra: usize,
    },
    /// A value that no encoder writes there.
    #[error("the {part} of the {what} is none that can be written")]
    Value {
        /// What was read.
        what: &'static str,
        /// The part.
        part: &'static str,
    },
}

/// Writes parts one after another.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn beginning(first: &[u8]) -> Self {
        Self(first.to_vec())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn digest(&mut self, digest: &Digest) -> &mut Self {
        self.bytes(&digest.0)
    }

    /// A count, then each unit, in index order.
    pub(super) fn units(&mut self, units: &Units) -> &mut Self {
        self.u32(units.len() as u32);
        units.iter().for_each(|unit| self.0.extend_from_slice(&unit.0.to_le_bytes()));
        self
    }

    /// A length of one byte, then the name.
    pub(super) fn partner(&mut self, partner: &PartnerName) -> &mut Self {
        let name = partner.as_str();
        self.u8(name.len() as u8).bytes(name.as_bytes())
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Reads parts one after another; whatever a writer would not have written is refused.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` as a `what` of version `known`.
    pub(super) fn versioned(what: &'static str, known: u8, bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let mut reader = Self { what, bytes, at: 0 };
        match reader.u8("version")? {
            found if found == known => Ok(reader),
            found => Err(EncodingError::Version { what, found, known }),
        }
    }

    fn take(&mut self, len: usize, part: &'static str) -> Result<&'a [u8], EncodingError> {
        let truncated = EncodingError::Truncated { what: self.what, part, len: self.bytes.len() };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (taken, _) = rest.split_at_checked(len).ok_or(truncated)?;
        self.at += len;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], EncodingError> {
        self.take(N, part).map(|bytes| bytes.try_into().expect("as many bytes were taken as the array has"))
    }

    pub(super) fn u8(&mut self, part: &'static str) -> Result<u8, EncodingError> {
        self.array(part).map(|[value]| value)
    }

    pub(super) fn u16(&mut self, part: &'static str) -> Result<u16, EncodingError> {
        self.array(part).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, part: &'static str) -> Result<u32, EncodingError> {
        self.array(part).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, part: &'static str) -> Result<u64, EncodingError> {
        self.array(part).map(u64::from_le_bytes)
    }

    pub(super) fn digest(&mut self, part: &'static str) -> Result<Digest, EncodingError> {
        self.array(part).map(Digest)
    }

    pub(super) fn round(&mut self, part: &'static str) -> Result<Round, EncodingError> {
        self.u32(part).map(Round)
    }

    pub(super) fn run(&mut self) -> Result<RunId, EncodingError> {
        self.array("run").map(RunId)
    }

    pub(super) fn worker(&mut self) -> Result<WorkerId, EncodingError> {
        self.array("worker").map(WorkerId)
    }

    /// Units in rising order, none twice, none beyond the limit.
    pub(super) fn units(&mut self) -> Result<Units, EncodingError> {
        let wrong = self.value("units");
        let count = self.u32("units")?;
        if count > MAX_UNITS {
            return Err(wrong);
        }
        let mut units = Units::new();
        for _ in 0..count {
            let unit = Unit(self.u32("units")?);
            let rises = units.last().is_none_or(|last| *last < unit) && unit.0 < MAX_UNITS;
            if !rises {
                return Err(wrong);
            }
            units.insert(unit);
        }
        Ok(units)
    }

    pub(super) fn partner(&mut self) -> Result<PartnerName, EncodingError> {
        let len = self.u8("partner")?;
        let name = self.take(len.into(), "partner")?;
        let name = std::str::from_utf8(name).ok().and_then(|name| PartnerName::parse(name).ok());
        name.ok_or_else(|| self.value("partner"))
    }

    /// What is said of a part with a value that is never written.
    pub(super) fn value(&self, part: &'static str) -> EncodingError {
        EncodingError::Value { what: self.what, part }
    }

    pub(super) fn end(self) -> Result<(), EncodingError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(EncodingError::Trailing { what: self.what, extra }),
        }
    }
}
