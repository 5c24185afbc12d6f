//! The archive of a run: a folder that has all that `syngrad verify` needs, and nothing else.
//!
//! ```text
//!   manifest.json        what the run is, and the digest of every other file but the next one
//!   manifest.sig         the log key's signature over it
//!   spec.json            the run spec, canonical
//!   receipts/NNNNNNNN    records from round N on, each with its contributions
//!   heads                signed heads of the log, oldest first
//!   certificates/…       of the log's key, of the workers, of the authorities
//!   updates/DIGEST       accepted updates, if they were archived
//! ```

use serde::{Deserialize, Serialize};
use syngrad_engine::digest::Domain;
use syngrad_engine::receipt::{Head, Receipt, Signature};
use syngrad_engine::{Digest, Round, RunId};
use thiserror::Error;

use crate::error::{Code, Failure};
use crate::limits::MAX_PATH_TEXT;
use crate::wire::receipt::SignedHead;

/// The version of the format.
pub const VERSION: u32 = 1;
/// The file that names the others.
pub const MANIFEST: &str = "manifest.json";
/// The signature over [`MANIFEST`].
pub const SIGNATURE: &str = "manifest.sig";
/// The run spec.
pub const SPEC: &str = "spec.json";
/// The signed heads.
pub const HEADS: &str = "heads";
/// The folder of receipts.
pub const RECEIPTS: &str = "receipts";
/// The folder of certificates.
pub const CERTIFICATES: &str = "certificates";
/// The folder of updates.
pub const UPDATES: &str = "updates";
/// Receipts in one file.
pub const SEGMENT: usize = 1024;

/// What the signature of a manifest begins with, so that it can be taken for no other signature.
const SIGNED: &[u8] = b"syngrad v1 signed manifest";
/// Bytes of a head in its file.
const HEAD: usize = 8 + Digest::LEN + Signature::LEN;

/// What an archive is of, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    pub version: u32,
    /// The run.
    pub run: String,
    /// Records in it.
    pub records: u64,
    /// Training samples of the run.
    pub samples: u32,
    /// Samples of each shard, where they are not even.
    pub shards: Option<Vec<u32>>,
    /// The numerics class of the run, in hexadecimal digits.
    pub numerics: String,
    /// Every file but this one and its signature, in order of paths.
    pub files: Vec<File>,
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is, from the archive's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest, in hexadecimal digits.
    pub digest: String,
}

/// The newest head that a worker has seen, as it keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The run.
    pub run: String,
    /// Number of records.
    pub size: u64,
    /// Root of the tree over them, in hexadecimal digits.
    pub root: String,
    /// The log key's signature, in hexadecimal digits.
    pub signature: String,
}

impl Seen {
    /// This head.
    #[must_use]
    pub fn of(head: &SignedHead) -> Self {
        let SignedHead { head: Head { run, size, root }, signature } = head;
        let signature = signature.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { run: run.to_string(), size: *size, root: root.to_string(), signature }
    }

    /// The bytes of its file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has text keys and whole numbers")
    }

    /// The head, if that is what the text says.
    #[must_use]
    pub fn head(&self) -> Option<SignedHead> {
        let halves = self.signature.split_at_checked(Signature::LEN)?;
        let (left, right) = (Digest::from_hex(halves.0)?, Digest::from_hex(halves.1)?);
        let signature = Signature::try_from([left.0, right.0].concat().as_slice()).ok()?;
        let head = Head { run: RunId::parse(&self.run)?, size: self.size, root: Digest::from_hex(&self.root)? };
        Some(SignedHead { head, signature })
    }
}

/// Why bytes are not what an archive has there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArchiveError {
    /// The manifest is none.
    #[error("{MANIFEST} is no manifest of version {VERSION}: {why}")]
    Manifest {
        /// Why.
        why: String,
    },
    /// A file ends early, or has too much.
    #[error("{file} is not whole")]
    Cut {
        /// The file.
        file: String,
    },
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::new(Code::ArchiveUnreadable, error.to_string())
    }
}

impl Manifest {
    /// The bytes of its file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("it has text keys and whole numbers");
        text.push(b'\n');
        text
    }

    /// Reads what [`encode`](Self::encode) writes, and nothing else.
    ///
    /// # Errors
    /// [`ArchiveError`] otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let wrong = |why: String| ArchiveError::Manifest { why };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|why| wrong(why.to_string()))?;
        match manifest.version {
            VERSION if manifest.encode() == bytes => Ok(manifest),
            VERSION => Err(wrong("it is not written as manifests are".into())),
            other => Err(wrong(format!("its version is {other}"))),
        }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        RunId::parse(&self.run)
    }
}

impl File {
    /// The file with these contents.
    #[must_use]
    pub fn of(path: String, contents: &[u8]) -> Self {
        Self { path, bytes: contents.len() as u64, digest: Digest::of(Domain::File, contents).to_string() }
    }
}

/// What the log's key signs of a manifest.
#[must_use]
pub fn statement(manifest: &[u8]) -> Vec<u8> {
    [SIGNED, &Digest::of(Domain::File, manifest).0].concat()
}

/// The file with receipts from `first` on.
#[must_use]
pub fn segment(first: Round) -> String {
    format!("{RECEIPTS}/{:08}", first.0)
}

/// The file of an update.
#[must_use]
pub fn update(payload: Digest) -> String {
    format!("{UPDATES}/{payload}")
}

/// The file of certificate `place` of the chain of `holder`.
#[must_use]
pub fn certificate(holder: &str, place: usize) -> String {
    format!("{CERTIFICATES}/{holder}.{place}.der")
}

/// Whether `path` may be a file of an archive: it leads nowhere else.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let plain = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed)
    };
    path.len() <= MAX_PATH_TEXT && path.split('/').count() <= 2 && path.split('/').all(plain)
}

/// Receipts as their file has them: each record after its length, then the number of its contributions, and each of them
/// after its length.
#[must_use]
pub fn encode_receipts(receipts: &[Receipt]) -> Vec<u8> {
    let mut out = Vec::new();
    let part = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend(bytes);
    };
    for Receipt { record, contributions, round: _ } in receipts {
        part(&mut out, record);
        out.extend((contributions.len() as u32).to_le_bytes());
        contributions.iter().for_each(|contribution| part(&mut out, contribution));
    }
    out
}

/// Reads receipts from `first` on.
///
/// # Errors
/// [`ArchiveError::Cut`] if they end within one.
pub fn decode_receipts(file: &str, first: Round, mut bytes: &[u8]) -> Result<Vec<Receipt>, ArchiveError> {
    let cut = || ArchiveError::Cut { file: file.to_owned() };
    let mut receipts = Vec::new();
    while !bytes.is_empty() {
        let record = take_part(&mut bytes).ok_or_else(cut)?;
        let count = take_number(&mut bytes).ok_or_else(cut)?;
        let mut contributions = Vec::new();
        for _ in 0..count {
            contributions.push(take_part(&mut bytes).ok_or_else(cut)?);
        }
        let round = Round(first.0.saturating_add(receipts.len() as u32));
        receipts.push(Receipt { round, record, contributions });
    }
    Ok(receipts)
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

fn take_part(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let len = take_number(bytes)? as usize;
    let (part, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(part.to_vec())
}

/// Heads as their file has them: size, root and signature of each.
#[must_use]
pub fn encode_heads(heads: &[SignedHead]) -> Vec<u8> {
    let mut out = Vec::with_capacity(heads.len() * HEAD);
    for SignedHead { head: Head { run: _, size, root }, signature } in heads {
        out.extend(size.to_le_bytes());
        out.extend(root.0);
        out.extend(signature.0);
    }
    out
}

/// Reads heads of `run`.
///
/// # Errors
/// [`ArchiveError::Cut`] if they end within one.
pub fn decode_heads(run: RunId, bytes: &[u8]) -> Result<Vec<SignedHead>, ArchiveError> {
    let (heads, rest) = bytes.as_chunks::<HEAD>();
    if !rest.is_empty() {
        return Err(ArchiveError::Cut { file: HEADS.to_owned() });
    }
    let head = |bytes: &[u8; HEAD]| {
        let (size, rest) = bytes.split_first_chunk().expect("a head is longer than a size");
        let (root, signature) = rest.split_first_chunk().expect("a head is longer than a root");
        let signature = Signature::try_from(signature).expect("what is left is a signature");
        let head = Head { run, size: u64::from_le_bytes(*size), root: Digest(*root) };
        SignedHead { head, signature }
    };
    Ok(heads.iter().map(head).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts() -> Vec<Receipt> {
        let receipt = |round: u32| Receipt {
            round: Round(round),
            record: vec![round as u8; 5],
            contributions: vec![vec![1; round as usize], Vec::new()],
        };
        (7..10).map(receipt).collect()
    }

    #[test]
    fn receipts_read_as_they_are_written_and_are_whole() {
        let bytes = encode_receipts(&receipts());
        assert_eq!(decode_receipts("x", Round(7), &bytes), Ok(receipts()));
        assert!(decode_receipts("x", Round(7), &bytes[..bytes.len() - 1]).is_err());
        assert!(decode_receipts("x", Round(7), &[&bytes[..], &[1]].concat()).is_err());
    }

    #[test]
    fn heads_read_as_they_are_written_and_are_whole() {
        let run = RunId([3; 16]);
        let head = |size| SignedHead { head: Head { run, size, root: Digest([4; 32]) }, signature: Signature([6; 64]) };
        let heads = vec![head(1), head(5)];
        let bytes = encode_heads(&heads);
        assert_eq!(decode_heads(run, &bytes), Ok(heads));
        assert!(decode_heads(run, &bytes[1..]).is_err());
    }

    #[test]
    fn a_manifest_is_written_in_one_way_only() {
        let manifest = Manifest {
            version: VERSION,
            run: RunId([1; 16]).to_string(),
            records: 2,
            samples: 4,
            shards: Some(vec![1, 3]),
            numerics: Digest([2; 32]).to_string(),
            files: vec![File::of(HEADS.into(), b"x")],
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest.clone()));
        assert!(Manifest::decode(&[&bytes[..], b" "].concat()).is_err());
        assert!(Manifest::decode(&Manifest { version: 2, ..manifest }.encode()).is_err());
        assert!(Manifest::decode(b"{}").is_err());
    }

    #[test]
    fn a_head_that_was_seen_reads_as_it_was_written() {
        let head = Head { run: RunId([3; 16]), size: 7, root: Digest([4; 32]) };
        let signed = SignedHead { head, signature: Signature([6; 64]) };
        let seen: Seen = serde_json::from_slice(&Seen::of(&signed).encode()).expect("it was written just now");
        assert_eq!(seen.head(), Some(signed));
        assert_eq!(Seen { signature: "06".into(), ..seen }.head(), None);
    }

    #[test]
    fn paths_lead_nowhere_else() {
        for path in [MANIFEST, &segment(Round(1024)), &update(Digest([9; 32])), &certificate("log", 0)] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "/x", "../x", "a/../b", "a//b", ".x", "a/b/c", "A", "a\\b", "x y"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
