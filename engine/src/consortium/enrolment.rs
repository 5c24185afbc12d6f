//! Invitations, and the certificates that they lead to.

use super::flaw::Flaw;
use super::record::{
    Admission, AuthorityId, Certificate, Holder, HolderRecord, Invitation, InvitationId, KeyId, Moment, Record,
    Redemption, SecretDigest, Serial, State, Validity,
};
use super::refusal::Refusal;
use super::{Change, Consortium, MAX_CERTIFICATES, MAX_HOLDERS, MAX_INVITATIONS, MAX_TTL, MAX_USES, MAX_WORKERS};
use crate::id::WorkerId;
use crate::principal::Principal;

/// What an operator invites with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The invitation's name, drawn by the shell.
    pub id: InvitationId,
    /// Of the secret in its ticket.
    pub secret: SecretDigest,
    /// Who is invited.
    pub holder: Holder,
    /// How long the ticket is good, in seconds.
    pub ttl: u64,
    /// Keys that may be enrolled with it.
    pub uses: u32,
    /// Workers of the partner that may be connected at once; none leaves that as it is.
    pub max_workers: Option<u32>,
    /// What becomes of a partner that uses it.
    pub admission: Admission,
}

/// Somebody shows a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrol {
    /// The ticket's invitation.
    pub invitation: InvitationId,
    /// Of the secret that was shown.
    pub secret: SecretDigest,
    /// The key of the certificate request, which its owner has signed with it.
    pub key: KeyId,
    /// The identity of a partner's worker.
    pub worker: Option<WorkerId>,
}

/// Somebody with a certificate wants a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    /// Who, by the certificate of its connection.
    pub principal: Principal,
    /// That certificate.
    pub serial: Serial,
    /// The key of the certificate request.
    pub key: KeyId,
}

/// Somebody may have a certificate. It counts once [`Consortium::certified`] has made a change of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    /// The name that the certificate is for.
    pub principal: Principal,
    key: KeyId,
    change: Change,
}

/// A certificate that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its number.
    pub serial: Serial,
    /// Who signed it.
    pub authority: AuthorityId,
    /// It is worth nothing after that.
    pub not_after: Moment,
}

impl Consortium {
    /// An operator invites somebody.
    ///
    /// # Errors
    /// [`Refusal`] if a number is out of its range, the partner is suspended or removed, or there are too many.
    pub fn invite(&self, now: Moment, invite: &Invite) -> Result<Change, Refusal> {
        check_numbers(invite)?;
        let Invite { id, secret, holder, ttl, uses, max_workers, admission } = invite.clone();
        if self.invitations.contains_key(&id) {
            return Err(Refusal::NameTaken);
        }
        let outlived = self.outlived(now);
        if self.invitations.len() >= MAX_INVITATIONS + outlived.len() {
            return Err(Refusal::TooMany { what: "invitations", most: MAX_INVITATIONS });
        }
        let known = self.holders.get(&holder);
        match known.map(|record| record.state) {
            None if self.holders.len() >= MAX_HOLDERS => {
                return Err(Refusal::TooMany { what: "partners, operators and clients", most: MAX_HOLDERS });
            }
            Some(State::Removed) => return Err(Refusal::PartnerRemoved),
            Some(state @ State::Suspended) => {
                return Err(Refusal::WrongState { holder, state, doing: "invited" });
            }
            None | Some(State::Invited | State::Pending | State::Active) => {}
        }
        let record = match known {
            Some(record) => HolderRecord { max_workers: max_workers.or(record.max_workers), ..record.clone() },
            None => HolderRecord {
                holder: holder.clone(),
                state: State::Invited,
                reason: String::new(),
                max_workers,
                joined: None,
                seen: None,
            },
        };
        let expires = now.after(ttl);
        let act = format!("invited {holder}: ticket {id} for {uses} keys until {}", expires.0);
        let invitation = Invitation { id, secret, holder, expires, uses, admission, validity: Validity::Good };
        let records = vec![Record::Holder(record), Record::Invitation(invitation)];
        Ok(Change { records, outlived, act: Some(act), ..Change::default() })
    }

    /// Somebody shows a ticket's secret. The same key again is let in again, and costs nothing.
    ///
    /// # Errors
    /// [`Refusal`] if the ticket is none of ours or over, the name or the key is taken, or the partner may not come.
    pub fn enrol(&self, now: Moment, enrol: &Enrol) -> Result<Permit, Refusal> {
        let Enrol { invitation, secret, key, worker } = enrol;
        let flawed = |flaw| self.flawed.has(flaw);
        let invitation = self.invitations.get(invitation).ok_or(Refusal::UnknownInvitation)?;
        if !invitation.secret.is(secret) && !flawed(Flaw::SecretNotCompared) {
            return Err(Refusal::WrongSecret);
        }
        if invitation.validity == Validity::Ended && !flawed(Flaw::WithdrawnTicketTaken) {
            return Err(Refusal::InvitationWithdrawn);
        }
        if invitation.expires <= now && !flawed(Flaw::ExpiredTicketTaken) {
            return Err(Refusal::InvitationExpired { at: invitation.expires });
        }
        let principal = named(&invitation.holder, *worker)?;
        let redeemed = self.redemptions.get(&(invitation.id, *key));
        if redeemed.is_none_or(|_| flawed(Flaw::SameKeyCounted)) {
            self.check_uses(invitation)?;
        }
        self.check_key(&principal, *key)?;
        self.check_worker(now, &principal, *key)?;
        let record = self.admitted(now, invitation)?;
        let outlived = self.outlived(now);
        if self.certificates.len() >= MAX_CERTIFICATES + outlived.len() {
            return Err(Refusal::TooMany { what: "certificates", most: MAX_CERTIFICATES });
        }
        let act = format!("enrolled {principal} with ticket {}", invitation.id);
        let redemption = Redemption { invitation: invitation.id, key: *key, principal: principal.clone() };
        let records = vec![Record::Holder(record), Record::Redemption(redemption)];
        let change = Change { records, outlived, act: Some(act), ..Change::default() };
        Ok(Permit { principal, key: *key, change })
    }

    /// The first operator of a consortium, who needs no invitation: whoever founds it has its keys.
    ///
    /// # Errors
    /// [`Refusal`] if there is an operator already.
    pub fn first_operator(&self, now: Moment, principal: Principal, key: KeyId) -> Result<Permit, Refusal> {
        let is_operator = matches!(principal, Principal::Operator(_));
        let holder = Holder::of(&principal).filter(|_| is_operator && self.holders.is_empty());
        let holder = holder.ok_or(Refusal::NameTaken)?;
        let record = HolderRecord {
            holder,
            state: State::Active,
            reason: String::new(),
            max_workers: None,
            joined: Some(now),
            seen: None,
        };
        let act = Some(format!("enrolled {principal}, who founded the consortium"));
        Ok(Permit {
            principal,
            key,
            change: Change { records: vec![Record::Holder(record)], act, ..Change::default() },
        })
    }

    /// Somebody with a good certificate wants a newer one, for the same key or another. A partner that waits or is
    /// suspended may: it keeps its name, not its part.
    ///
    /// # Errors
    /// [`Refusal`] if the certificate is not good any more, or the key is somebody else's.
    pub fn renew(&self, now: Moment, renew: &Renew) -> Result<Permit, Refusal> {
        let Renew { principal, serial, key } = renew;
        self.known(now, principal, *serial)?;
        self.check_key(principal, *key)?;
        let outlived = self.outlived(now);
        if self.certificates.len() >= MAX_CERTIFICATES + outlived.len() {
            return Err(Refusal::TooMany { what: "certificates", most: MAX_CERTIFICATES });
        }
        Ok(Permit { principal: principal.clone(), key: *key, change: Change { outlived, ..Change::default() } })
    }

    /// What a permit changes, now that the certificate is signed.
    ///
    /// # Errors
    /// [`Refusal::NameTaken`] if there is a certificate with its number.
    pub fn certified(&self, permit: Permit, issued: Issued) -> Result<Change, Refusal> {
        let Permit { principal, key, mut change } = permit;
        let Issued { serial, authority, not_after } = issued;
        if self.certificates.contains_key(&serial) {
            return Err(Refusal::NameTaken);
        }
        let validity = Validity::Good;
        change.records.push(Record::Certificate(Certificate {
            serial,
            principal,
            key,
            authority,
            not_after,
            validity,
        }));
        Ok(change)
    }

    fn check_uses(&self, invitation: &Invitation) -> Result<(), Refusal> {
        let first = (invitation.id, KeyId([0; 32]));
        let used = self.redemptions.range(first..).take_while(|((id, _), _)| *id == invitation.id).count();
        match used >= invitation.uses as usize && !self.flawed.has(Flaw::UsesNotCounted) {
            true => Err(Refusal::InvitationUsed { uses: invitation.uses }),
            false => Ok(()),
        }
    }

    /// A key speaks for one name, and for none once it was revoked.
    fn check_key(&self, principal: &Principal, key: KeyId) -> Result<(), Refusal> {
        let certificates = self.certificates.values().filter(|found| found.key == key);
        let mut names = certificates.clone().map(|found| &found.principal);
        if names.any(|found| found != principal) && !self.flawed.has(Flaw::TakenKeyEnrolled) {
            return Err(Refusal::KeyTaken);
        }
        let mut redeemed = self.redemptions.iter().filter(|((_, found), _)| *found == key);
        if redeemed.any(|(_, found)| found != principal) && !self.flawed.has(Flaw::TakenKeyEnrolled) {
            return Err(Refusal::KeyTaken);
        }
        match certificates.clone().any(|found| found.validity == Validity::Ended) {
            true => Err(Refusal::KeyRevoked),
            false => Ok(()),
        }
    }

    /// A worker's identity is one partner's, and speaks with one key: whoever has the rest of a ticket cannot step into
    /// its place.
    fn check_worker(&self, now: Moment, principal: &Principal, key: KeyId) -> Result<(), Refusal> {
        let Principal::Worker { worker, partner: _ } = principal else { return Ok(()) };
        let is_other = |found: &Certificate| match &found.principal {
            Principal::Worker { worker: theirs, partner: _ } if theirs == worker => {
                found.principal != *principal || found.key != key
            }
            Principal::Worker { .. }
            | Principal::Coordinator
            | Principal::Log
            | Principal::Operator(_)
            | Principal::Client(_) => false,
        };
        let taken = self.certificates.values().any(|found| is_other(found) && self.is_good(now, found));
        match taken && !self.flawed.has(Flaw::TakenWorkerEnrolled) {
            true => Err(Refusal::WorkerTaken),
            false => Ok(()),
        }
    }

    /// The holder of an invitation once it has joined.
    fn admitted(&self, now: Moment, invitation: &Invitation) -> Result<HolderRecord, Refusal> {
        let holder = invitation.holder.clone();
        let record = self.holders.get(&holder).ok_or(Refusal::UnknownHolder { holder })?;
        let state = match (record.state, invitation.admission) {
            (State::Invited, Admission::OnApproval) => State::Pending,
            (State::Invited, Admission::AtOnce) => State::Active,
            (state @ (State::Pending | State::Active), Admission::AtOnce | Admission::OnApproval) => state,
            (State::Suspended, Admission::AtOnce | Admission::OnApproval) => {
                return Err(Refusal::PartnerSuspended { reason: record.reason.clone() });
            }
            (State::Removed, Admission::AtOnce | Admission::OnApproval) => return Err(Refusal::PartnerRemoved),
        };
        Ok(HolderRecord { state, joined: record.joined.or(Some(now)), seen: Some(now), ..record.clone() })
    }
}

fn check_numbers(invite: &Invite) -> Result<(), Refusal> {
    let Invite { holder, ttl, uses, max_workers, admission, .. } = invite;
    let bad = |why| Err(Refusal::BadInvitation { why });
    if !(1..=MAX_TTL).contains(ttl) {
        return bad("a ticket is good for 1 second to 90 days");
    }
    if !(1..=MAX_USES).contains(uses) {
        return bad("a ticket is for 1 to 1024 keys");
    }
    if max_workers.is_some_and(|most| !(1..=MAX_WORKERS).contains(&most)) {
        return bad("a partner may have 1 to 1024 workers connected, or no limit of its own");
    }
    match (holder, max_workers, admission) {
        (Holder::Partner(_), _, _) | (Holder::Operator(_) | Holder::Client(_), None, Admission::AtOnce) => Ok(()),
        (Holder::Operator(_) | Holder::Client(_), Some(_), _) => bad("only a partner has workers"),
        (Holder::Operator(_) | Holder::Client(_), None, Admission::OnApproval) => bad("only a partner is approved of"),
    }
}

/// The name that a holder's key speaks for.
fn named(holder: &Holder, worker: Option<WorkerId>) -> Result<Principal, Refusal> {
    match (holder, worker) {
        (Holder::Partner(partner), Some(worker)) => Ok(Principal::Worker { partner: partner.clone(), worker }),
        (Holder::Partner(_), None) => Err(Refusal::WorkerMissing),
        (Holder::Operator(name), None) => Ok(Principal::Operator(name.clone())),
        (Holder::Client(name), None) => Ok(Principal::Client(name.clone())),
        (Holder::Operator(_) | Holder::Client(_), Some(_)) => Err(Refusal::WorkerUnexpected),
    }
}
