//! Digests: BLAKE3-256 of canonical bytes, one domain per kind of thing so that no digest can stand for another kind.

use std::fmt;

/// A BLAKE3-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; Digest::LEN]);

/// What a digest is of. The text is the BLAKE3 key-derivation context, so it is part of the format and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Flat params: little-endian f32 in layout order.
    Params,
    /// The packed sum of a worker's units, as it travels.
    Update,
    /// Names and shapes of a model's tensors.
    Layout,
    /// A canonically encoded run spec.
    Spec,
    /// The encoded samples of a shard.
    Shard,
    /// The bits of a canonical forward and backward pass.
    Numerics,
    /// The chain of committed rounds.
    Chain,
    /// Samples that their partner keeps to itself.
    Data,
    /// Anything that is stored by its content.
    Blob,
    /// A row of what a coordinator keeps.
    Row,
    /// Nodes of the tree over a run's records.
    Log,
    /// Nodes of the tree over the contributions to a round.
    Contributions,
    /// Who may give what to a round.
    Policy,
    /// A file of an archive.
    File,
    /// An invitation as it travels: what tells a mistyped ticket.
    Ticket,
    /// The secret of an invitation, as a coordinator keeps it.
    Secret,
    /// The chain of administrative acts.
    Audit,
    /// Not of a thing: which updates are audited, and by whom, drawn from a secret.
    AuditDraw,
}

impl Domain {
    fn context(self) -> &'static str {
        match self {
            Self::Params => "syngrad v1 params",
            Self::Update => "syngrad v1 update",
            Self::Layout => "syngrad v1 layout",
            Self::Spec => "syngrad v1 spec",
            Self::Shard => "syngrad v1 shard",
            Self::Numerics => "syngrad v1 numerics",
            Self::Chain => "syngrad v1 chain",
            Self::Data => "syngrad v1 data",
            Self::Blob => "syngrad v1 blob",
            Self::Row => "syngrad v1 row",
            Self::Log => "syngrad v1 log",
            Self::Contributions => "syngrad v1 contributions",
            Self::Policy => "syngrad v1 policy",
            Self::File => "syngrad v1 file",
            Self::Ticket => "syngrad v1 ticket",
            Self::Secret => "syngrad v1 secret",
            Self::Audit => "syngrad v1 audit",
            Self::AuditDraw => "syngrad v1 audit draw",
        }
    }
}

/// Takes a digest of bytes that arrive in pieces.
#[derive(Clone, Debug)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Begins a digest in `domain`.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Self(blake3::Hasher::new_derive_key(domain.context()))
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// The digest of flat params, taken piece by piece.
#[derive(Debug)]
pub(crate) struct ParamsHasher(Hasher);

impl ParamsHasher {
    pub(crate) fn new() -> Self {
        Self(Hasher::new(Domain::Params))
    }

    /// Appends params, in layout order.
    pub(crate) fn update(&mut self, params: &[f32]) {
        if cfg!(target_endian = "little") {
            self.0.update(bytemuck::cast_slice(params));
            return;
        }
        for value in params {
            self.0.update(&value.to_le_bytes());
        }
    }

    pub(crate) fn finish(&self) -> Digest {
        self.0.finish()
    }
}

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The digest of `bytes` in `domain`.
    #[must_use]
    pub fn of(domain: Domain, bytes: &[u8]) -> Self {
        Hasher::new(domain).update(bytes).finish()
    }

    /// The digest of flat params: little-endian f32 in layout order.
    #[must_use]
    pub fn of_params(params: &[f32]) -> Self {
        let mut hasher = ParamsHasher::new();
        hasher.update(params);
        hasher.finish()
    }

    /// Parses 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 2 * Self::LEN {
            return None;
        }
        let mut bytes = [0; Self::LEN];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first eight hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_separate() {
        assert_ne!(Digest::of(Domain::Params, b"x"), Digest::of(Domain::Update, b"x"));
    }

    #[test]
    fn hex_round_trips_and_refuses_garbage() {
        let digest = Digest::of(Domain::Spec, b"spec");
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(Digest::from_hex("zz"), None);
        assert_eq!(Digest::from_hex(&"+0".repeat(32)), None);
    }

    #[test]
    fn params_are_hashed_as_little_endian_f32() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(Digest::of_params(&[1.5, -2.0]), Digest::of(Domain::Params, &bytes));
    }
}
