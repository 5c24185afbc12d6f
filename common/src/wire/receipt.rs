//! What is said of a run's log.

use bytes::Bytes;
use syngrad_engine::layout::MAX_TENSORS;
use syngrad_engine::receipt::{Head, MAX_BATCH, MAX_REFUSED, Notice, NoticedRecord, Proof, Signature};
use syngrad_engine::spec::check::MAX_UNITS;
use syngrad_engine::{Digest, RunId};
use syngrad_proto::syngrad::v1;

use super::{WireError, field};

/// The longest record, and then some.
const MAX_RECORD: usize = 4096 + 2 * MAX_TENSORS;
/// The longest contribution, and then some.
const MAX_CONTRIBUTION: usize = 4096 + 4 * MAX_UNITS as usize;
/// The most contributions to a round.
const MAX_CONTRIBUTIONS: usize = MAX_UNITS as usize + MAX_REFUSED;

/// A head, and who stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// The log key's signature over it.
    pub signature: Signature,
}

/// A record with all contributions that it is about, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The record.
    pub record: Bytes,
    /// The contributions, in the order of their tree.
    pub contributions: Vec<Bytes>,
}

/// A head as it travels.
#[must_use]
pub fn encode_head(signed: &SignedHead) -> v1::LogHead {
    let SignedHead { head: Head { run: _, size, root }, signature } = signed;
    v1::LogHead { size: *size, root: copied(root), signature: Bytes::copy_from_slice(&signature.0) }
}

/// Reads a head of `run`.
///
/// # Errors
/// [`WireError`] if it is absent or a field has the wrong length.
pub fn decode_head(run: RunId, head: Option<&v1::LogHead>) -> Result<SignedHead, WireError> {
    let head = field::present("head", head)?;
    Ok(SignedHead {
        head: Head { run, size: head.size, root: field::digest("LogHead.root", &head.root)? },
        signature: field::signature("LogHead.signature", &head.signature)?,
    })
}

/// A notice as it travels.
#[must_use]
pub fn encode_notice(notice: Notice) -> v1::ReceiptNotice {
    let Notice { head, signature, peaks, records } = notice;
    let proof = |Proof { contribution, place, path }: Proof| v1::ContributionProof {
        contribution: contribution.into(),
        index: place,
        path: encode_path(&path),
    };
    let noticed = |NoticedRecord { record, contributions }: NoticedRecord| v1::NoticedRecord {
        record: record.into(),
        contributions: contributions.into_iter().map(proof).collect(),
    };
    v1::ReceiptNotice {
        run: Bytes::copy_from_slice(&head.run.0),
        head: Some(encode_head(&SignedHead { head, signature })),
        peaks: encode_path(&peaks),
        records: records.into_iter().map(noticed).collect(),
    }
}

/// Reads a notice.
///
/// # Errors
/// [`WireError`] that names the field.
pub fn decode_notice(notice: &v1::ReceiptNotice) -> Result<Notice, WireError> {
    let run = field::run_id("ReceiptNotice.run", &notice.run)?;
    let SignedHead { head, signature } = decode_head(run, notice.head.as_ref())?;
    field::within("ReceiptNotice.records", notice.records.len(), 0..=MAX_BATCH)?;
    let proof = |proof: &v1::ContributionProof| {
        field::within("ContributionProof.contribution", proof.contribution.len(), 1..=MAX_CONTRIBUTION)?;
        let path = field::path("ContributionProof.path", &proof.path)?;
        Ok(Proof { contribution: proof.contribution.to_vec(), place: proof.index, path })
    };
    let noticed = |noticed: &v1::NoticedRecord| {
        field::within("NoticedRecord.record", noticed.record.len(), 1..=MAX_RECORD)?;
        field::within("NoticedRecord.contributions", noticed.contributions.len(), 0..=MAX_CONTRIBUTIONS)?;
        let contributions = noticed.contributions.iter().map(proof).collect::<Result<_, _>>()?;
        Ok(NoticedRecord { record: noticed.record.to_vec(), contributions })
    };
    Ok(Notice {
        head,
        signature,
        peaks: field::path("ReceiptNotice.peaks", &notice.peaks)?,
        records: notice.records.iter().map(noticed).collect::<Result<_, _>>()?,
    })
}

/// A path of a proof as it travels.
#[must_use]
pub fn encode_path(path: &[Digest]) -> Vec<Bytes> {
    path.iter().map(copied).collect()
}

/// Reads a path of a proof.
///
/// # Errors
/// [`WireError`] if there are too many hashes, or one has the wrong length.
pub fn decode_path(path: &[Bytes]) -> Result<Vec<Digest>, WireError> {
    field::path("path", path)
}

/// Reads a record with its contributions; what is in them is another question.
///
/// # Errors
/// [`WireError`] if something is longer than it may be.
pub fn decode_listed(listed: v1::ListReceiptsResponse) -> Result<Listed, WireError> {
    let v1::ListReceiptsResponse { record, contributions } = listed;
    field::within("ListReceiptsResponse.record", record.len(), 1..=MAX_RECORD)?;
    field::within("ListReceiptsResponse.contributions", contributions.len(), 0..=MAX_CONTRIBUTIONS)?;
    for contribution in &contributions {
        field::within("ListReceiptsResponse.contributions", contribution.len(), 1..=MAX_CONTRIBUTION)?;
    }
    Ok(Listed { record, contributions })
}

fn copied(digest: &Digest) -> Bytes {
    Bytes::copy_from_slice(&digest.0)
}
