//! Who takes part: partners and their states, operators, clients, invitations, certificates, authorities.
//!
//! ```text
//!              enrol, on approval             approve              suspend
//!   ┌─────────┐ ───────────────► ┌─────────┐ ───────► ┌────────┐ ───────────► ┌───────────┐
//!   │ invited │                  │ pending │          │ active │              │ suspended │
//!   └─────────┘ ──────────────────────────────────► └────────┘ ◄─────────── └───────────┘
//!                      enrol, at once                             resume
//!
//!   from everywhere: remove ──► removed, for good
//! ```
//!
//! A decision changes nothing: it says what would change. The shell makes a [`Change`] durable, then has it
//! [applied](Consortium::apply), then answers. So a crash is either as if nobody had asked, or as if the answer had been
//! lost on its way; and who asks again with the same key gets the same answer, at no further use of the ticket.
//!
//! * An invitation of n uses never serves more than n keys.
//! * Whoever was removed never stands again, and no state lets a partner take part but `active`.
//! * A certificate is good only as long as this says so: one that was not issued here is none.

mod audit;
mod bucket;
mod enrolment;
mod flaw;
mod government;
mod record;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};

pub use audit::{Audit, AuditBroken, AuditEntry};
pub use bucket::Bucket;
pub use enrolment::{Enrol, Invite, Issued, Permit, Renew};
pub use flaw::Flaw;
use flaw::Flawed;
pub use government::{Force, Ruling};
pub use record::{
    Admission, Authority, AuthorityId, Certificate, Holder, HolderRecord, Invitation, InvitationId, KeyId, Moment,
    Outlived, Record, Redemption, SecretDigest, Serial, State, Trust, Validity,
};
pub use refusal::Refusal;

use crate::id::PartnerName;
use crate::principal::Principal;

/// Partners, operators and clients of one consortium.
pub const MAX_HOLDERS: usize = 4096;
/// Invitations that have not been over for [`KEPT`].
pub const MAX_INVITATIONS: usize = 4096;
/// Certificates that have not been over for [`KEPT`].
pub const MAX_CERTIFICATES: usize = 65_536;
/// Authorities that are trusted at once.
pub const MAX_AUTHORITIES: usize = 4;
/// Keys that may be enrolled with one ticket.
pub const MAX_USES: u32 = 1024;
/// Workers of one partner that an invitation may allow.
pub const MAX_WORKERS: u32 = 1024;
/// The longest life of a ticket, in seconds.
pub const MAX_TTL: u64 = 90 * 24 * 3600;
/// How long what has expired is remembered, in seconds.
pub const KEPT: u64 = 7 * 24 * 3600;
/// How exactly it is known when a holder was heard last, in seconds.
pub const SEEN_EVERY: u64 = 60;

/// What a decision changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// What is to be kept.
    pub records: Vec<Record>,
    /// What need not be kept any more.
    pub outlived: Vec<Outlived>,
    /// What the audit log says; nothing if it is no administrative act.
    pub act: Option<String>,
    /// Whose sessions end.
    pub bars: Vec<Bar>,
}

impl Change {
    /// Whether there is nothing to keep: it was so already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.outlived.is_empty()
    }
}

/// Somebody's sessions end at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Whose.
    pub whom: Whom,
    /// Why.
    pub why: Refusal,
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All of a holder.
    Holder(Holder),
    /// Those with this name.
    Principal(Principal),
}

impl Whom {
    /// Whether `principal` is meant.
    #[must_use]
    pub fn is(&self, principal: &Principal) -> bool {
        match self {
            Self::Holder(holder) => Holder::of(principal).as_ref() == Some(holder),
            Self::Principal(name) => name == principal,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consortium {
    holders: BTreeMap<Holder, HolderRecord>,
    invitations: BTreeMap<InvitationId, Invitation>,
    /// Keys that were enrolled with each invitation, and whom they speak for.
    redemptions: BTreeMap<(InvitationId, KeyId), Principal>,
    certificates: BTreeMap<Serial, Certificate>,
    authorities: BTreeMap<AuthorityId, Authority>,
    flawed: Flawed,
}

impl Consortium {
    /// A consortium of nobody, with `authority` to sign; what founds it, to be kept and applied.
    pub fn founding(now: Moment, authority: AuthorityId) -> Change {
        let authority = Authority { id: authority, trust: Trust::Signing, since: now };
        Change {
            records: vec![Record::Authority(authority)],
            act: Some("founded the consortium".to_owned()),
            ..Change::default()
        }
    }

    /// What was kept, read back: in any order that has a record's newer form after its older one.
    #[must_use]
    pub fn recalled(records: impl IntoIterator<Item = Record>) -> Self {
        let mut consortium = Self::default();
        records.into_iter().for_each(|record| consortium.put(record));
        consortium
    }

    /// The same with a flaw, to see whether the tests find it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn with_flaw(self, flaw: Option<Flaw>) -> Self {
        Self { flawed: Flawed::new(flaw), ..self }
    }

    /// Takes over what is kept now.
    pub fn apply(&mut self, change: &Change) {
        for outlived in &change.outlived {
            match outlived {
                Outlived::Certificate(serial) => drop(self.certificates.remove(serial)),
                Outlived::Invitation(id) => {
                    self.invitations.remove(id);
                    self.redemptions.retain(|(invitation, _), _| invitation != id);
                }
            }
        }
        change.records.iter().cloned().for_each(|record| self.put(record));
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Holder(holder) => drop(self.holders.insert(holder.holder.clone(), holder)),
            Record::Invitation(invitation) => drop(self.invitations.insert(invitation.id, invitation)),
            Record::Redemption(Redemption { invitation, key, principal }) => {
                self.redemptions.insert((invitation, key), principal);
            }
            Record::Certificate(certificate) => drop(self.certificates.insert(certificate.serial, certificate)),
            Record::Authority(authority) => drop(self.authorities.insert(authority.id, authority)),
        }
    }

    /// Everything there is, to be kept elsewhere or compared.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let redemption = |(&(invitation, key), principal): (&(InvitationId, KeyId), &Principal)| {
            Record::Redemption(Redemption { invitation, key, principal: principal.clone() })
        };
        let holders = self.holders.values().cloned().map(Record::Holder);
        let invitations = self.invitations.values().cloned().map(Record::Invitation);
        let certificates = self.certificates.values().cloned().map(Record::Certificate);
        let authorities = self.authorities.values().copied().map(Record::Authority);
        let redemptions = self.redemptions.iter().map(redemption);
        authorities.chain(holders).chain(invitations).chain(redemptions).chain(certificates)
    }

    /// Whether a certificate is good: it lets its holder connect, renew it, and hear why nothing more is allowed.
    ///
    /// # Errors
    /// [`Refusal`] if it is not.
    pub fn known(&self, now: Moment, principal: &Principal, serial: Serial) -> Result<(), Refusal> {
        let same = |found: &&Certificate| found.principal == *principal || self.flawed.has(Flaw::NameNotCompared);
        let certificate = self.certificates.get(&serial).filter(same).ok_or(Refusal::UnknownCertificate)?;
        let holder = Holder::of(principal).and_then(|holder| self.holders.get(&holder));
        match holder.map(|record| record.state) {
            None => return Err(Refusal::UnknownCertificate),
            Some(State::Removed) => return Err(Refusal::PartnerRemoved),
            Some(State::Invited | State::Pending | State::Active | State::Suspended) => {}
        }
        match certificate.validity {
            Validity::Ended if !self.flawed.has(Flaw::RevokedKnown) => return Err(Refusal::CertificateRevoked),
            Validity::Ended | Validity::Good => {}
        }
        if !self.trusts(certificate.authority) && !self.flawed.has(Flaw::RetiredTrusted) {
            return Err(Refusal::AuthorityRetired);
        }
        match certificate.not_after {
            at if at < now && !self.flawed.has(Flaw::ExpiredKnown) => Err(Refusal::CertificateExpired { at }),
            _ => Ok(()),
        }
    }

    /// Whether somebody may do what its role allows: the certificate is good, and a partner takes part.
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn standing(&self, now: Moment, principal: &Principal, serial: Serial) -> Result<(), Refusal> {
        self.known(now, principal, serial)?;
        let record = Holder::of(principal).and_then(|holder| self.holders.get(&holder));
        let record = record.ok_or(Refusal::UnknownCertificate)?;
        match record.state {
            State::Active => Ok(()),
            State::Invited | State::Pending if self.flawed.has(Flaw::PendingStands) => Ok(()),
            State::Suspended if self.flawed.has(Flaw::SuspendedStands) => Ok(()),
            // Nobody is enrolled in this state; a record that says so is of a partner that nobody has approved of.
            State::Invited | State::Pending => Err(Refusal::PartnerPending),
            State::Suspended => Err(Refusal::PartnerSuspended { reason: record.reason.clone() }),
            State::Removed => Err(Refusal::PartnerRemoved),
        }
    }

    /// Workers of a partner that may be connected at once; none for no limit of its own.
    #[must_use]
    pub fn max_workers(&self, partner: &PartnerName) -> Option<u32> {
        self.holders.get(&Holder::Partner(partner.clone())).and_then(|record| record.max_workers)
    }

    /// All holders, in order.
    pub fn holders(&self) -> impl Iterator<Item = &HolderRecord> {
        self.holders.values()
    }

    /// Workers of a partner that have a good certificate.
    #[must_use]
    pub fn enrolled(&self, now: Moment, partner: &PartnerName) -> usize {
        let holder = Holder::Partner(partner.clone());
        self.good(now, &holder).map(|certificate| &certificate.principal).collect::<BTreeSet<_>>().len()
    }

    /// Certificates of a holder that are good now.
    fn good<'a>(&'a self, now: Moment, holder: &'a Holder) -> impl Iterator<Item = &'a Certificate> {
        let is_good = move |found: &&Certificate| self.is_good(now, found);
        self.certificates
            .values()
            .filter(is_good)
            .filter(move |found| Holder::of(&found.principal).as_ref() == Some(holder))
    }

    fn is_good(&self, now: Moment, certificate: &Certificate) -> bool {
        certificate.validity == Validity::Good && certificate.not_after >= now && self.trusts(certificate.authority)
    }

    /// Authorities whose signature is worth something, the one that signs first, then newest first.
    #[must_use]
    pub fn trusted(&self) -> Vec<Authority> {
        let mut trusted: Vec<_> =
            self.authorities.values().copied().filter(|authority| authority.trust != Trust::Retired).collect();
        trusted.sort_by_key(|authority| (authority.trust, std::cmp::Reverse(authority.since), authority.id));
        trusted
    }

    fn trusts(&self, authority: AuthorityId) -> bool {
        self.authorities.get(&authority).is_some_and(|known| known.trust != Trust::Retired)
    }

    /// What has been over for so long that it is forgotten with the next change.
    fn outlived(&self, now: Moment) -> Vec<Outlived> {
        let invitations = self.invitations.values().filter(|invitation| invitation.expires.after(KEPT) < now);
        let certificates = self.certificates.values().filter(|certificate| certificate.not_after.after(KEPT) < now);
        let invitations = invitations.map(|invitation| Outlived::Invitation(invitation.id));
        invitations.chain(certificates.map(|certificate| Outlived::Certificate(certificate.serial))).collect()
    }

    /// Notes that somebody was heard; nothing to keep if that was not long ago.
    pub fn seen(&self, now: Moment, principal: &Principal) -> Change {
        let record = Holder::of(principal).and_then(|holder| self.holders.get(&holder));
        let stale = record.filter(|record| record.seen.is_none_or(|seen| seen.after(SEEN_EVERY) <= now));
        let records = stale.map(|record| Record::Holder(HolderRecord { seen: Some(now), ..record.clone() }));
        Change { records: records.into_iter().collect(), ..Change::default() }
    }
}
