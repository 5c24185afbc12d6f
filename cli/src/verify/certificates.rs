//! Who signed: each key by a certificate that leads to an authority, at the time at which it signed.

use std::collections::BTreeMap;
use std::time::Duration;

use syngrad_common::archive;
use syngrad_common::identity::{self, Certificate, UnixTime, VerifyingKey};
use syngrad_engine::Principal;
use syngrad_engine::receipt::{Check, Checks, Contribution, Fault, Finding, Fingerprint, Signature};

use super::about_all;
use super::files::Files;

/// Certificates of one chain, at most.
const MAX_CHAIN: usize = 16;

/// A worker's key, as a certificate says it.
#[derive(Debug)]
struct Holder {
    key: VerifyingKey,
    principal: Principal,
    chain: Vec<Certificate>,
    /// The last time at which the chain was found to lead to an authority.
    good_at: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Certificates {
    roots: Vec<Certificate>,
    log: Option<VerifyingKey>,
    holders: BTreeMap<Fingerprint, Option<Holder>>,
    pinned: bool,
    findings: Vec<Finding>,
}

impl Certificates {
    /// Reads the authorities and the log's certificate; of the authorities only the one named, if one is.
    pub(super) fn read(files: &mut Files, authority: Option<&str>, checks: &Checks) -> Self {
        let mut found = Self {
            roots: chain(files, "root"),
            log: None,
            holders: BTreeMap::new(),
            pinned: authority.is_some(),
            findings: Vec::new(),
        };
        if let Some(authority) = authority {
            let wanted = authority.to_ascii_lowercase();
            found.roots.retain(|root| root.sha256().to_string() == wanted);
            if found.roots.is_empty() {
                found.find(format!("none of the archive's authorities is {wanted}"));
            }
        }
        let log = chain(files, "log");
        let at = log.first().map(|first| first.summary().not_before);
        match at.map(|at| identity::verify(&log, &found.roots, at)) {
            Some(Ok(identity)) if identity.principal == Principal::Log => {
                found.log = log.first().and_then(VerifyingKey::of);
            }
            Some(Ok(identity)) => found.find(format!("the log's certificate is that of {}", identity.principal)),
            Some(Err(why)) => found.find(format!("the log's certificate does not hold: {why}")),
            None => found.find("the log's certificate is missing".to_owned()),
        }
        if !checks.has(Check::Signatures) {
            found.findings.clear();
        }
        found
    }

    /// SHA-256 of the authorities that are believed.
    pub(super) fn authorities(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.sha256().to_string()).collect()
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.pinned
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Whether the log's key signed `message`.
    pub(super) fn is_logs(&self, message: &[u8], signature: &Signature) -> bool {
        self.log.is_some_and(|key| key.verify(message, signature))
    }

    /// Whether the worker that `contribution` names signed `message`, with a key that was its own at the time `at`.
    pub(super) fn is_workers(&mut self, files: &Files, contribution: &Contribution, at: u64, message: &[u8]) -> bool {
        let Contribution { partner, worker, certificate, signature, .. } = contribution;
        let named = Principal::Worker { partner: partner.clone(), worker: *worker };
        let roots = &self.roots;
        let holder = self.holders.entry(*certificate).or_insert_with(|| holder(files, *certificate));
        let Some(holder) = holder else { return false };
        holder.principal == named && holder.holds(roots, at) && holder.key.verify(message, signature)
    }

    fn find(&mut self, detail: String) {
        self.findings.push(about_all(Fault::Unsigned, detail));
    }
}

impl Holder {
    fn holds(&mut self, roots: &[Certificate], at: u64) -> bool {
        if self.good_at == Some(at) {
            return true;
        }
        let time = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let holds = identity::verify(&self.chain, roots, time).is_ok();
        if holds {
            self.good_at = Some(at);
        }
        holds
    }
}

fn holder(files: &Files, fingerprint: Fingerprint) -> Option<Holder> {
    let chain = chain(files, &fingerprint.to_string());
    let first = chain.first()?;
    let (_, principal) = first.holder().ok()?;
    let key = VerifyingKey::of(first).filter(|_| first.sha256().0 == fingerprint.0)?;
    Some(Holder { key, principal, chain, good_at: None })
}

fn chain(files: &Files, holder: &str) -> Vec<Certificate> {
    let read = (0..MAX_CHAIN).map_while(|place| files.optional(&archive::certificate(holder, place)));
    read.map_while(|der| Certificate::from_der(&der).ok()).collect()
}
