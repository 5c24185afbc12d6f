//! What came out of a verification.

use serde::Serialize;
use syngrad_common::archive::Manifest;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::error::Code;
use syngrad_engine::receipt::{Audit, Contribution, Finding, Record};
use syngrad_engine::spec::Archive;

use super::certificates::Certificates;
use crate::failure::Failure;
use crate::output::Report;
use crate::table::{facts, thousands};

/// Findings that a table shows; JSON has all.
const MAX_SHOWN: usize = 20;

/// What was verified, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verified {
    /// The run.
    pub run: String,
    /// Its name.
    pub name: String,
    /// Records in the log.
    pub rounds: u64,
    /// Contributions, of all rounds.
    pub contributions: u64,
    /// Heads whose signatures were looked at.
    pub heads: u64,
    /// Rounds that were computed again from their updates.
    pub computed: u64,
    /// Units that were computed again from their samples.
    pub units: u64,
    /// Digest of the params that came out of the last round.
    pub params_digest: String,
    /// SHA-256 of the authorities that were believed.
    pub authorities: Vec<String>,
    /// Whether these are the ones that the caller named.
    pub pinned: bool,
    /// What is wrong.
    pub findings: Vec<Wrong>,
    /// How long it took.
    pub seconds: f64,
    #[serde(skip)]
    computes: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// The round.
    pub round: Option<u32>,
    /// Whose contribution.
    pub partner: Option<String>,
    /// Whose contribution.
    pub worker: Option<String>,
    /// What, in words.
    pub what: String,
    /// What is to be concluded.
    pub conclusion: &'static str,
}

impl From<&Finding> for Wrong {
    fn from(finding: &Finding) -> Self {
        let subject = finding.subject.as_ref();
        Self {
            round: finding.round.map(|round| round.0),
            partner: subject.map(|of| of.partner.to_string()),
            worker: subject.map(|of| of.worker.to_string()),
            what: finding.to_string(),
            conclusion: finding.fault.conclusion(),
        }
    }
}

impl Verified {
    pub(super) fn begin(&mut self, manifest: &Manifest, spec: &CanonicalSpec, certificates: &Certificates) {
        self.run = manifest.run.clone();
        self.name = spec.spec().name.clone();
        self.authorities = certificates.authorities();
        self.pinned = certificates.is_pinned();
        self.computes = spec.spec().archive == Archive::Updates;
    }

    pub(super) fn count(&mut self, record: &Record, contributions: &[Contribution]) {
        self.rounds += 1;
        self.contributions += contributions.len() as u64;
        self.params_digest = record.after.to_string();
    }

    pub(super) fn end(&mut self, audit: &Audit, files: &[Finding], certificates: &[Finding]) {
        self.computed = audit.state().map_or(0, |state| state.round().0.into());
        let all = files.iter().chain(certificates).chain(audit.findings());
        self.findings = all.map(Wrong::from).collect();
    }

    /// Why the archive is not what it says, if it is not.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let first = self.findings.first()?;
        let more = match self.findings.len() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        Some(Failure::new(Code::ArchiveWrong, format!("{}{more}", first.what)).with_hint(first.conclusion.to_owned()))
    }
}

impl Report for Verified {
    fn text(&self) -> String {
        let pin = if self.pinned { "the one that was named" } else { "by the archive's own word" };
        let computed = match self.computes {
            true => thousands(self.computed),
            false => "none: the run's spec archives no updates".to_owned(),
        };
        let mut text = facts(&[
            ("run", format!("{} ({})", self.name, self.run)),
            ("rounds", thousands(self.rounds)),
            ("contributions", thousands(self.contributions)),
            ("signed heads", thousands(self.heads)),
            ("rounds computed again", computed),
            ("units computed again", thousands(self.units)),
            ("params", self.params_digest.clone()),
            ("authority", format!("{}, {pin}", self.authorities.join(", "))),
            ("took", format!("{:.2} s", self.seconds)),
        ]);
        for wrong in self.findings.iter().take(MAX_SHOWN) {
            text.push_str(&format!("! {}: {}\n", wrong.what, wrong.conclusion));
        }
        if self.findings.len() > MAX_SHOWN {
            text.push_str(&format!("! and {} more\n", self.findings.len() - MAX_SHOWN));
        }
        text
    }
}
