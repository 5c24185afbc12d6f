//! What operators decide about those who are there.

use std::collections::BTreeSet;

use super::flaw::Flaw;
use super::record::{
    Authority, AuthorityId, Certificate, Holder, HolderRecord, Invitation, Moment, Record, State, Trust, Validity,
};
use super::refusal::Refusal;
use super::{Bar, Change, Consortium, MAX_AUTHORITIES, Whom};
use crate::id::{PartnerName, WorkerId};
use crate::principal::Principal;

/// How an operator rules on a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// Lets one that waits take part.
    Approve,
    /// Lets one that takes part do so no more, for now.
    Suspend,
    /// Lets a suspended one take part again.
    Resume,
    /// Ends its part, for good.
    Remove,
}

impl Ruling {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Suspend, Self::Resume, Self::Remove];

    /// What the partner has been afterwards.
    fn done(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Remove => "removed",
        }
    }

    /// The state that it leads to; none from where it cannot be taken.
    fn from(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Approve, State::Pending | State::Active) | (Self::Resume, State::Suspended | State::Active) => {
                Some(State::Active)
            }
            (Self::Suspend, State::Active | State::Suspended) => Some(State::Suspended),
            (Self::Remove, State::Invited | State::Pending | State::Active | State::Suspended | State::Removed) => {
                Some(State::Removed)
            }
            (Self::Approve, State::Invited | State::Suspended | State::Removed)
            | (Self::Resume, State::Invited | State::Pending | State::Removed)
            | (Self::Suspend, State::Invited | State::Pending | State::Removed) => None,
        }
    }
}

/// Whether something is done though somebody loses by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Force {
    /// It is.
    Yes,
    /// It is refused then.
    No,
}

impl Consortium {
    /// An operator rules on a partner. What is so already changes nothing.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such partner, or it is in no state for that.
    pub fn rule(&self, partner: &PartnerName, ruling: Ruling, reason: &str) -> Result<Change, Refusal> {
        let holder = Holder::Partner(partner.clone());
        let record = self.holders.get(&holder).ok_or_else(|| Refusal::UnknownHolder { holder: holder.clone() })?;
        let from = record.state;
        let to = match ruling.from(from) {
            Some(to) => to,
            None if ruling == Ruling::Resume && from == State::Pending && self.flawed.has(Flaw::PendingResumed) => {
                State::Active
            }
            None => return Err(Refusal::WrongState { holder, state: from, doing: ruling.done() }),
        };
        if to == from {
            return Ok(Change::default());
        }
        let why = match to {
            State::Suspended => Some(Refusal::PartnerSuspended { reason: reason.to_owned() }),
            State::Removed => Some(Refusal::PartnerRemoved),
            State::Invited | State::Pending | State::Active => None,
        };
        let mut records = vec![Record::Holder(HolderRecord { state: to, reason: reason.to_owned(), ..record.clone() })];
        if to == State::Removed {
            records.extend(ended(self.certificates.values().filter(|found| holds(&holder, found))));
            if !self.flawed.has(Flaw::TicketsOutliveRemoval) {
                records.extend(withdrawn(self.invitations.values().filter(|found| found.holder == holder)));
            }
        }
        let act = Some(format!("{} {holder}, which was {}", ruling.done(), from.word()));
        let bars = why.map(|why| Bar { whom: Whom::Holder(holder), why }).into_iter().collect();
        Ok(Change { records, act, bars, ..Change::default() })
    }

    /// Makes certificates of a holder worthless, and the tickets that they came from; those of one worker, or all, and
    /// then every ticket of the holder. How many certificates it was.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such holder, a worker is named that is none, or nobody could govern any more.
    pub fn revoke(&self, now: Moment, holder: &Holder, worker: Option<WorkerId>) -> Result<(Change, usize), Refusal> {
        if !self.holders.contains_key(holder) {
            return Err(Refusal::UnknownHolder { holder: holder.clone() });
        }
        let whom = match (holder, worker) {
            (Holder::Partner(_) | Holder::Operator(_) | Holder::Client(_), None) => Whom::Holder(holder.clone()),
            (Holder::Partner(partner), Some(worker)) => {
                Whom::Principal(Principal::Worker { partner: partner.clone(), worker })
            }
            (Holder::Operator(_) | Holder::Client(_), Some(_)) => return Err(Refusal::WorkerUnexpected),
        };
        self.check_governable(now, &whom)?;
        let meant = self.certificates.values().filter(|found| whom.is(&found.principal));
        let certificates: Vec<_> = ended(meant).collect();
        let tickets = match &whom {
            Whom::Holder(holder) => {
                self.invitations.values().filter(|found| found.holder == *holder).map(|found| found.id).collect()
            }
            Whom::Principal(name) => {
                let redeemed = self.redemptions.iter().filter(|(_, principal)| *principal == name);
                redeemed.map(|((invitation, _), _)| *invitation).collect::<BTreeSet<_>>()
            }
        };
        let tickets = withdrawn(tickets.iter().filter_map(|id| self.invitations.get(id)));
        let revoked = certificates.len();
        let records: Vec<_> = certificates.into_iter().chain(tickets).collect();
        if records.is_empty() {
            return Ok((Change::default(), 0));
        }
        let of = worker.map(|worker| format!(" of worker {worker}")).unwrap_or_default();
        let act = Some(format!("revoked {revoked} certificates{of} of {holder}"));
        let bars = vec![Bar { whom, why: Refusal::CertificateRevoked }];
        Ok((Change { records, act, bars, ..Change::default() }, revoked))
    }

    fn check_governable(&self, now: Moment, whom: &Whom) -> Result<(), Refusal> {
        let is_operator = |found: &&Certificate| matches!(found.principal, Principal::Operator(_));
        let mut operators = self.certificates.values().filter(is_operator).filter(|found| self.is_good(now, found));
        let touched = operators.clone().any(|found| whom.is(&found.principal));
        let left = operators.any(|found| !whom.is(&found.principal));
        match touched && !left && !self.flawed.has(Flaw::LastOperatorRevoked) {
            true => Err(Refusal::LastOperator),
            false => Ok(()),
        }
    }

    /// A new authority signs from now on; the one that did stays trusted.
    ///
    /// # Errors
    /// [`Refusal`] if it is known, or too many are trusted.
    pub fn rotate(&self, now: Moment, new: AuthorityId) -> Result<Change, Refusal> {
        if self.authorities.contains_key(&new) {
            return Err(Refusal::NameTaken);
        }
        if self.trusted().len() >= MAX_AUTHORITIES {
            return Err(Refusal::TooMany { what: "trusted authorities", most: MAX_AUTHORITIES });
        }
        let signing = self.authorities.values().filter(|found| found.trust == Trust::Signing);
        let former = signing.map(|found| Record::Authority(Authority { trust: Trust::Trusted, ..*found }));
        let authority = Authority { id: new, trust: Trust::Signing, since: now };
        let records = former.chain([Record::Authority(authority)]).collect();
        Ok(Change { records, act: Some(format!("made {new} the authority")), ..Change::default() })
    }

    /// No authority is trusted any more but the one that signs. How many were.
    ///
    /// # Errors
    /// [`Refusal::AuthorityInUse`] if certificates of theirs are good, their holders have no other, and it is not forced.
    pub fn retire(&self, now: Moment, force: Force) -> Result<(Change, usize), Refusal> {
        let former: Vec<_> = self.authorities.values().filter(|found| found.trust == Trust::Trusted).collect();
        let signed_by_former = |found: &Certificate| former.iter().any(|authority| authority.id == found.authority);
        let good: Vec<_> = self.certificates.values().filter(|found| self.is_good(now, found)).collect();
        let safe: BTreeSet<_> =
            good.iter().filter(|found| !signed_by_former(found)).map(|found| &found.principal).collect();
        let lost: BTreeSet<_> =
            good.iter().map(|found| &found.principal).filter(|principal| !safe.contains(principal)).collect();
        if !lost.is_empty() && force == Force::No {
            return Err(Refusal::AuthorityInUse { certificates: lost.len() });
        }
        if former.is_empty() {
            return Ok((Change::default(), 0));
        }
        let bar = |name: &&Principal| Bar { whom: Whom::Principal((*name).clone()), why: Refusal::AuthorityRetired };
        let bars = lost.iter().map(bar).collect();
        let records = former.iter().map(|found| Record::Authority(Authority { trust: Trust::Retired, ..**found }));
        let names = former.iter().map(|found| found.id.to_string()).collect::<Vec<_>>().join(", ");
        let act = Some(format!("trusted the authority {names} no more"));
        Ok((Change { records: records.collect(), act, bars, ..Change::default() }, former.len()))
    }
}

fn holds(holder: &Holder, certificate: &Certificate) -> bool {
    Holder::of(&certificate.principal).as_ref() == Some(holder)
}

/// Certificates that are not ended yet, ended.
fn ended<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> impl Iterator<Item = Record> {
    let good = certificates.filter(|found| found.validity == Validity::Good).cloned();
    good.map(|found| Record::Certificate(Certificate { validity: Validity::Ended, ..found }))
}

/// Invitations that are not withdrawn yet, withdrawn.
fn withdrawn<'a>(invitations: impl Iterator<Item = &'a Invitation>) -> impl Iterator<Item = Record> {
    let open = invitations.filter(|found| found.validity == Validity::Good).cloned();
    open.map(|found| Record::Invitation(Invitation { validity: Validity::Ended, ..found }))
}
