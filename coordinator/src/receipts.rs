//! Receipts of the current run, and the keys behind them. What goes into them is decided in `engine::receipt`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use syngrad_common::Code;
use syngrad_common::identity::{Identity, SigningKey, VerifyingKey};
use syngrad_common::wire::Update;
use syngrad_common::wire::receipt::SignedHead;
use syngrad_engine::quantize::Grid;
use syngrad_engine::receipt::{
    Batch, Closed, Contribution, Facts, Fingerprint, Frontier, Log, Notice, NoticedRecord, Proof, Signature, Verdict,
};
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, LeaseId, PartnerName, Principal, Rejection, Round, Units, WorkerId};
use syngrad_store::{Chain, Entry, Logged};
use tokio::time::Instant;

/// The key that signs the heads of logs, and the certificates that speak for it.
#[derive(Clone, Debug)]
pub struct LogKey {
    /// The key.
    pub key: SigningKey,
    /// Its certificate and those that lead to an authority, in DER.
    pub chain: Vec<Vec<u8>>,
    /// The authorities, in DER.
    pub roots: Vec<Vec<u8>>,
}

/// What a worker signs with, as its certificate says.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The key that signs its updates.
    pub key: VerifyingKey,
    /// Names its certificate.
    pub certificate: Fingerprint,
    /// Its certificate and those that lead to an authority, in DER.
    pub chain: Vec<Vec<u8>>,
}

impl Signer {
    /// What the certificate of a connection says; none if it is no worker's.
    pub(crate) fn of(identity: &Identity) -> Option<Self> {
        let Principal::Worker { .. } = identity.principal else { return None };
        let key = VerifyingKey::from_info(&identity.certificate.key)?;
        let certificate = Fingerprint(identity.certificate.sha256.0);
        let chain = identity.chain.iter().map(|of| of.der().to_vec()).collect();
        Some(Self { key, certificate, chain })
    }
}

/// Whether a worker stands for an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attested {
    /// Nobody asked: workers have no keys here.
    Unasked,
    /// Its key signed the update.
    Holds,
    /// Its key did not.
    Fails,
}

/// Records that are on their way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) batch: Batch,
    pub(crate) signature: Signature,
}

/// The log of the current run.
#[derive(Debug)]
pub(crate) struct Receipts {
    log: Log,
    key: SigningKey,
    /// The log as far as it is durable.
    published: Option<(Frontier, SignedHead)>,
    /// When each lease of the open round was granted.
    granted: BTreeMap<LeaseId, Instant>,
    /// Certificates that are kept.
    certificates: BTreeSet<Fingerprint>,
}

impl Receipts {
    /// The log that begins with this run, or the one that an earlier process has left.
    pub(crate) fn new(facts: Facts, key: SigningKey, logged: Option<Logged>) -> Self {
        let (log, published) = match logged {
            None => (Log::new(facts), None),
            Some(Logged { frontier, previous, head }) => {
                (Log::resumed(facts, frontier.clone(), previous), Some((frontier, head)))
            }
        };
        Self { log, key, published, granted: BTreeMap::new(), certificates: BTreeSet::new() }
    }

    /// A lease is granted.
    pub(crate) fn grant(&mut self, lease: LeaseId) {
        self.granted.insert(lease, Instant::now());
    }

    /// What is to be said of an update, before it is judged.
    pub(crate) fn contribution(&self, from: &Source<'_>, update: &Update, weight: Option<u64>) -> Contribution {
        let header = &update.header;
        let held = self.granted.get(&header.lease).map(Instant::elapsed).unwrap_or_default();
        Contribution {
            verdict: Verdict::Accepted,
            partner: from.partner.clone(),
            worker: from.worker,
            certificate: from.certificate,
            round: header.round,
            lease: header.lease,
            units: header.units.clone(),
            weight: weight.unwrap_or(0),
            saturated: update.saturated,
            micros: u64::try_from(held.as_micros()).unwrap_or(u64::MAX),
            params: update.signed.map(|signed| signed.params).unwrap_or_default(),
            payload: header.digest,
            payload_bytes: update.payload_bytes,
            signature: update.signed.map_or(Signature::ABSENT, |signed| signed.signature),
        }
    }

    /// What is to be said of somebody who broke the protocol in `round`.
    pub(crate) fn breach(from: &Source<'_>, round: Round, code: Code) -> Contribution {
        Contribution {
            verdict: Verdict::Rejected(code.into()),
            partner: from.partner.clone(),
            worker: from.worker,
            certificate: from.certificate,
            round,
            lease: LeaseId::default(),
            units: Units::new(),
            weight: 0,
            saturated: 0,
            micros: 0,
            params: Digest::default(),
            payload: Digest::default(),
            payload_bytes: 0,
            signature: Signature::ABSENT,
        }
    }

    /// Takes note of what became of a contribution.
    pub(crate) fn note(&mut self, contribution: Contribution, verdict: Verdict) {
        self.log.note(Contribution { verdict, ..contribution });
    }

    /// What came under `lease` is not what its units give.
    pub(crate) fn convict(&mut self, lease: LeaseId) {
        self.log.convict(lease, Code::WrongUpdate.into());
    }

    /// The open round is committed.
    pub(crate) fn seal(&mut self, commit: &Commit, before: Digest, grid: &Grid) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        self.log.seal(Closed { commit, before, grid, at });
        self.granted.clear();
    }

    /// The certificate of `signer`, if it is not kept yet.
    pub(crate) fn keep_certificate(&mut self, signer: &Signer) -> Option<Chain> {
        let Signer { certificate, chain, .. } = signer;
        let is_new = self.certificates.insert(*certificate);
        is_new.then(|| Chain { fingerprint: *certificate, certificates: chain.clone() })
    }

    /// Adds what was sealed to an entry; it is published when that is durable.
    pub(crate) fn hand_out(&mut self, entry: &mut Entry) -> Vec<Publication> {
        let signed = |batch: Batch| {
            let signature = self.key.sign(&batch.head.encode());
            Publication { batch, signature }
        };
        let publications: Vec<Publication> = self.log.hand_out().into_iter().map(signed).collect();
        for Publication { batch, signature } in &publications {
            entry.receipts.extend(batch.receipts.iter().cloned());
            entry.heads.push(SignedHead { head: batch.head, signature: *signature });
        }
        publications
    }

    /// What was handed out is durable.
    pub(crate) fn published(&mut self, publication: &Publication) {
        let Publication { batch, signature } = publication;
        let mut frontier = batch.base.clone();
        batch
            .receipts
            .iter()
            .for_each(|receipt| frontier.append(syngrad_engine::receipt::Record::digest(&receipt.record)));
        self.published = Some((frontier, SignedHead { head: batch.head, signature: *signature }));
    }

    /// How long the log is, for a worker that has just come; none while it is empty.
    pub(crate) fn greeting(&self) -> Option<Notice> {
        let (frontier, SignedHead { head, signature }) = self.published.as_ref()?;
        let peaks = frontier.peaks().to_vec();
        Some(Notice { head: *head, signature: *signature, peaks, records: Vec::new() })
    }
}

/// Whose a contribution is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) partner: &'a PartnerName,
    pub(crate) worker: WorkerId,
    pub(crate) certificate: Fingerprint,
}

/// What a receipt says of an update that was turned down.
pub(crate) fn refusal(why: &Rejection) -> Verdict {
    let code = Code::from(why).into();
    match why {
        why if why.is_duplicate() => Verdict::Duplicate(code),
        why if why.is_late() => Verdict::Late(code),
        _ => Verdict::Rejected(code),
    }
}

/// A publication as each worker is told of it.
#[derive(Debug)]
pub(crate) struct Bulletin {
    publication: Arc<Publication>,
    /// Contributions to each record, by worker.
    proofs: Vec<BTreeMap<WorkerId, Vec<Proof>>>,
}

impl Bulletin {
    pub(crate) fn new(publication: Publication) -> Self {
        let proofs = publication.batch.receipts.iter().map(|receipt| {
            let tree = receipt.tree();
            let mut proofs: BTreeMap<WorkerId, Vec<Proof>> = BTreeMap::new();
            for (place, bytes) in (0u32..).zip(&receipt.contributions) {
                let contribution = Contribution::decode(bytes).expect("it was encoded when the round was sealed");
                let path = tree.inclusion(place.into());
                proofs.entry(contribution.worker).or_default().push(Proof { contribution: bytes.clone(), place, path });
            }
            proofs
        });
        let proofs = proofs.collect();
        Self { publication: Arc::new(publication), proofs }
    }

    /// What `worker` is told.
    pub(crate) fn notice(&self, worker: WorkerId) -> Notice {
        let Publication { batch, signature } = &*self.publication;
        let noticed = batch.receipts.iter().zip(&self.proofs).map(|(receipt, proofs)| NoticedRecord {
            record: receipt.record.clone(),
            contributions: proofs.get(&worker).cloned().unwrap_or_default(),
        });
        Notice {
            head: batch.head,
            signature: *signature,
            peaks: batch.base.peaks().to_vec(),
            records: noticed.collect(),
        }
    }
}
