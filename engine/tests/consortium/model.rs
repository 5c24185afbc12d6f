//! What the consortium must answer, from nothing but what happened.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use syngrad_engine::consortium::{
    Admission, AuthorityId, Change, Consortium, Enrol, Flaw, Force, Holder, InvitationId, Invite, Issued, KeyId,
    Moment, Permit, Record, Refusal, Renew, Ruling, SecretDigest, Serial, State, Validity,
};
use syngrad_engine::{HolderName, PartnerName, Principal, WorkerId};

/// Seconds that a certificate is good.
const LIFE: u64 = 2000;

/// Something that is asked of the consortium, by small numbers.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Invite { ticket: u8, holder: u8, uses: u32, ttl: u64, admission: Admission },
    Enrol { ticket: u8, knows_secret: bool, key: u8, worker: Option<u8>, fate: Fate },
    Renew { certificate: prop::sample::Index, key: u8, fate: Fate },
    Ruling { partner: u8, ruling: Ruling },
    Revoke { holder: u8, worker: Option<u8> },
    Rotate,
    Retire { force: Force },
    Wait { seconds: u64 },
    Restart,
}

/// What becomes of a decision to let somebody in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// The process dies before it is kept.
    Lost,
    /// The process dies after it is kept and before it is answered.
    Unanswered,
    /// It is kept and answered.
    Answered,
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let admission = prop_oneof![3 => Just(Admission::AtOnce), 1 => Just(Admission::OnApproval)];
    let fate = prop_oneof![1 => Just(Fate::Lost), 1 => Just(Fate::Unanswered), 4 => Just(Fate::Answered)];
    let force = prop_oneof![Just(Force::Yes), Just(Force::No)];
    let worker = || prop_oneof![5 => (0..3u8).prop_map(Some), 1 => Just(None)];
    let invite = (0..6u8, 0..4u8, 1..4u32, 1..1500u64, admission);
    prop_oneof![
        6 => invite.prop_map(|(ticket, holder, uses, ttl, admission)| Op::Invite { ticket, holder, uses, ttl, admission }),
        12 => (0..6u8, prop::bool::weighted(0.9), 0..5u8, worker(), fate.clone()).prop_map(
            |(ticket, knows_secret, key, worker, fate)| Op::Enrol { ticket, knows_secret, key, worker, fate }
        ),
        4 => (any::<prop::sample::Index>(), 0..6u8, fate)
            .prop_map(|(certificate, key, fate)| Op::Renew { certificate, key, fate }),
        4 => (0..2u8, prop::sample::select(Ruling::ALL.to_vec())).prop_map(|(partner, ruling)| Op::Ruling { partner, ruling }),
        2 => (0..5u8, worker()).prop_map(|(holder, worker)| Op::Revoke { holder, worker }),
        1 => Just(Op::Rotate),
        1 => force.prop_map(|force| Op::Retire { force }),
        3 => (1..700u64).prop_map(|seconds| Op::Wait { seconds }),
        1 => Just(Op::Restart),
    ]
}

struct Ticket {
    holder: Holder,
    expires: u64,
    uses: u32,
    admission: Admission,
    is_withdrawn: bool,
    keys: BTreeMap<u8, Principal>,
}

struct Paper {
    serial: u64,
    principal: Principal,
    key: u8,
    authority: u8,
    not_after: u64,
    is_revoked: bool,
}

pub(crate) struct Model {
    real: Consortium,
    now: u64,
    tickets: BTreeMap<u8, Ticket>,
    states: BTreeMap<Holder, State>,
    papers: Vec<Paper>,
    trusted: BTreeSet<u8>,
    signing: u8,
    serials: u64,
    flaw: Option<Flaw>,
}

fn name(index: u8) -> HolderName {
    HolderName::parse(["alice", "bob"][usize::from(index)]).expect("a name")
}

fn holder(index: u8) -> Holder {
    match index {
        0 | 1 => Holder::Partner(PartnerName::parse(["a", "b"][usize::from(index)]).expect("a name")),
        2 => Holder::Client(name(1)),
        3 => Holder::Operator(name(1)),
        _ => Holder::Operator(name(0)),
    }
}

fn serial(number: u64) -> Serial {
    Serial::from_digits(&number.to_be_bytes()).expect("a short number")
}

impl Model {
    /// A consortium with one operator, whose certificate lasts.
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        let mut real = Consortium::default().with_flaw(flaw);
        real.apply(&Consortium::founding(Moment(0), AuthorityId([0; 32])));
        let founder = Principal::Operator(name(0));
        let permit = real.first_operator(Moment(0), founder.clone(), KeyId([99; 32])).expect("the first");
        let not_after = u64::MAX;
        let issued = Issued { serial: serial(0), authority: AuthorityId([0; 32]), not_after: Moment(not_after) };
        real.apply(&real.certified(permit, issued).expect("a new number"));
        let paper = Paper { serial: 0, principal: founder, key: 99, authority: 0, not_after, is_revoked: false };
        Self {
            real,
            now: 0,
            tickets: BTreeMap::new(),
            states: BTreeMap::from([(holder(4), State::Active)]),
            papers: vec![paper],
            trusted: BTreeSet::from([0]),
            signing: 0,
            serials: 0,
            flaw,
        }
    }

    pub(crate) fn run(mut self, ops: &[Op]) -> TestCaseResult {
        for op in ops {
            self.take(op)?;
            self.compare()?;
        }
        Ok(())
    }

    fn take(&mut self, op: &Op) -> TestCaseResult {
        match *op {
            Op::Invite { ticket, holder: to, uses, ttl, admission } => self.invite(ticket, to, uses, ttl, admission),
            Op::Enrol { ticket, knows_secret, key, worker, fate } => {
                self.enrol(ticket, knows_secret, key, worker, fate)
            }
            Op::Renew { certificate, key, fate } => self.renew(certificate.index(self.papers.len()), key, fate),
            Op::Ruling { partner, ruling } => self.rule(&holder(partner), ruling),
            Op::Revoke { holder: of, worker } => self.revoke(&holder(of), worker),
            Op::Rotate => self.rotate(),
            Op::Retire { force } => self.retire(force),
            Op::Wait { seconds } => {
                self.now += seconds;
                Ok(())
            }
            Op::Restart => self.restart(),
        }
    }

    /// A new process has what was kept, and nothing else.
    fn restart(&mut self) -> TestCaseResult {
        let recalled = Consortium::recalled(self.real.records()).with_flaw(self.flaw);
        prop_assert_eq!(&recalled, &self.real);
        self.real = recalled;
        Ok(())
    }

    /// Applies a change that is expected, or not.
    fn expect(&mut self, found: &Result<Change, Refusal>, expected: bool) -> Result<bool, TestCaseError> {
        prop_assert_eq!(found.is_ok(), expected, "{:?}", found);
        if let Ok(change) = found {
            self.real.apply(change);
        }
        Ok(found.is_ok())
    }

    fn invite(&mut self, ticket: u8, to: u8, uses: u32, ttl: u64, admission: Admission) -> TestCaseResult {
        let to = holder(to);
        let is_partner = matches!(to, Holder::Partner(_));
        let admission = if is_partner { admission } else { Admission::AtOnce };
        let invite = Invite {
            id: InvitationId([ticket; 16]),
            secret: SecretDigest::of(&[ticket]),
            holder: to.clone(),
            ttl,
            uses,
            max_workers: None,
            admission,
        };
        let welcome = !matches!(self.states.get(&to), Some(State::Suspended | State::Removed));
        let expected = welcome && !self.tickets.contains_key(&ticket);
        let found = self.real.invite(Moment(self.now), &invite);
        if self.expect(&found, expected)? {
            self.states.entry(to.clone()).or_insert(State::Invited);
            let expires = self.now + ttl;
            let new = Ticket { holder: to, expires, uses, admission, is_withdrawn: false, keys: BTreeMap::new() };
            self.tickets.insert(ticket, new);
        }
        Ok(())
    }

    fn enrol(&mut self, ticket: u8, knows_secret: bool, key: u8, worker: Option<u8>, fate: Fate) -> TestCaseResult {
        let secret = if knows_secret { vec![ticket] } else { vec![ticket, 0] };
        let enrol = Enrol {
            invitation: InvitationId([ticket; 16]),
            secret: SecretDigest::of(&secret),
            key: KeyId([key; 32]),
            worker: worker.map(|worker| WorkerId([worker; 16])),
        };
        let found = self.real.enrol(Moment(self.now), &enrol);
        let expected = self.may_enrol(ticket, key, worker).filter(|_| knows_secret);
        prop_assert_eq!(found.as_ref().ok().map(|permit| &permit.principal), expected.as_ref(), "{:?}", found);
        let Ok(permit) = found else { return Ok(()) };
        let principal = permit.principal.clone();
        if self.issue(permit, key, fate)? {
            let ticket = self.tickets.get_mut(&ticket).expect("it was used");
            ticket.keys.insert(key, principal);
            let state = self.states.get_mut(&ticket.holder).expect("it was invited");
            if *state == State::Invited {
                *state = match ticket.admission {
                    Admission::AtOnce => State::Active,
                    Admission::OnApproval => State::Pending,
                };
            }
            prop_assert!(ticket.keys.len() <= ticket.uses as usize, "a ticket served more keys than it has uses");
        }
        Ok(())
    }

    fn may_enrol(&self, ticket: u8, key: u8, worker: Option<u8>) -> Option<Principal> {
        let ticket = self.tickets.get(&ticket)?;
        let principal = match (&ticket.holder, worker) {
            (Holder::Partner(partner), Some(worker)) => {
                Principal::Worker { partner: partner.clone(), worker: WorkerId([worker; 16]) }
            }
            (Holder::Operator(name), None) => Principal::Operator(name.clone()),
            (Holder::Client(name), None) => Principal::Client(name.clone()),
            (Holder::Partner(_), None) | (Holder::Operator(_) | Holder::Client(_), Some(_)) => return None,
        };
        let is_open = !ticket.is_withdrawn && self.now < ticket.expires;
        let has_use = ticket.keys.contains_key(&key) || ticket.keys.len() < ticket.uses as usize;
        let is_welcome = !matches!(self.states[&ticket.holder], State::Suspended | State::Removed);
        let same_worker = |paper: &&Paper| match (&paper.principal, worker) {
            (Principal::Worker { worker: theirs, .. }, Some(worker)) => *theirs == WorkerId([worker; 16]),
            _ => false,
        };
        let mut rivals = self.papers.iter().filter(same_worker).filter(|paper| self.is_good(paper));
        let is_free = rivals.all(|paper| paper.principal == principal && paper.key == key);
        (is_open && has_use && is_welcome && is_free && self.is_key_free(&principal, key)).then_some(principal)
    }

    fn is_key_free(&self, principal: &Principal, key: u8) -> bool {
        let of_papers = self.papers.iter().filter(|paper| paper.key == key);
        let redeemed = self.tickets.values().filter_map(|ticket| ticket.keys.get(&key));
        of_papers.clone().all(|paper| paper.principal == *principal && !paper.is_revoked)
            && redeemed.into_iter().all(|found| found == principal)
    }

    fn renew(&mut self, index: usize, key: u8, fate: Fate) -> TestCaseResult {
        let (principal, number) = (self.papers[index].principal.clone(), self.papers[index].serial);
        let renew = Renew { principal: principal.clone(), serial: serial(number), key: KeyId([key; 32]) };
        let found = self.real.renew(Moment(self.now), &renew);
        let paper = &self.papers[index];
        let removed = self.states[&Holder::of(&principal).expect("a holder")] == State::Removed;
        let expected = self.is_good(paper) && !removed && self.is_key_free(&principal, key);
        prop_assert_eq!(found.is_ok(), expected, "{:?}", found);
        match found {
            Ok(permit) => self.issue(permit, key, fate).map(drop),
            Err(_) => Ok(()),
        }
    }

    /// Whether it is kept.
    fn issue(&mut self, permit: Permit, key: u8, fate: Fate) -> Result<bool, TestCaseError> {
        self.serials += 1;
        let not_after = self.now + LIFE;
        let principal = permit.principal.clone();
        let authority = AuthorityId([self.signing; 32]);
        let issued = Issued { serial: serial(self.serials), authority, not_after: Moment(not_after) };
        let change = self.real.certified(permit, issued).map_err(|why| TestCaseError::fail(why.to_string()))?;
        let is_kept = match fate {
            Fate::Lost => false,
            Fate::Unanswered | Fate::Answered => true,
        };
        if is_kept {
            self.real.apply(&change);
            let (serial, authority) = (self.serials, self.signing);
            self.papers.push(Paper { serial, principal, key, authority, not_after, is_revoked: false });
        }
        match fate {
            Fate::Lost | Fate::Unanswered => self.restart()?,
            Fate::Answered => {}
        }
        Ok(is_kept)
    }

    fn rule(&mut self, holder: &Holder, ruling: Ruling) -> TestCaseResult {
        let Holder::Partner(partner) = holder else { return Ok(()) };
        let to = match (self.states.get(holder), ruling) {
            (Some(_), Ruling::Remove) => Some(State::Removed),
            (Some(State::Pending | State::Active), Ruling::Approve) => Some(State::Active),
            (Some(State::Active | State::Suspended), Ruling::Suspend) => Some(State::Suspended),
            (Some(State::Active | State::Suspended), Ruling::Resume) => Some(State::Active),
            _ => None,
        };
        let found = self.real.rule(partner, ruling, "a test");
        self.expect(&found, to.is_some())?;
        if let Some(to) = to {
            self.states.insert(holder.clone(), to);
            if to == State::Removed {
                self.end(|principal| Holder::of(principal).as_ref() == Some(holder));
                let tickets = self.tickets.values_mut().filter(|ticket| ticket.holder == *holder);
                tickets.for_each(|ticket| ticket.is_withdrawn = true);
            }
        }
        Ok(())
    }

    fn end(&mut self, is_meant: impl Fn(&Principal) -> bool) {
        self.papers.iter_mut().filter(|paper| is_meant(&paper.principal)).for_each(|paper| paper.is_revoked = true);
    }

    fn revoke(&mut self, of: &Holder, worker: Option<u8>) -> TestCaseResult {
        let worker = worker.map(|worker| WorkerId([worker; 16]));
        let is_meant = |principal: &Principal| {
            let named = match principal {
                Principal::Worker { worker: theirs, .. } => worker.is_none_or(|worker| worker == *theirs),
                Principal::Coordinator | Principal::Log | Principal::Operator(_) | Principal::Client(_) => {
                    worker.is_none()
                }
            };
            named && Holder::of(principal).as_ref() == Some(of)
        };
        let is_operator = |paper: &&Paper| matches!(paper.principal, Principal::Operator(_));
        let good = self.papers.iter().filter(is_operator).filter(|paper| self.is_good(paper));
        let (ended, left): (Vec<_>, Vec<_>) = good.partition(|paper| is_meant(&paper.principal));
        let fits = matches!(of, Holder::Partner(_)) || worker.is_none();
        let expected = self.states.contains_key(of) && fits && (ended.is_empty() || !left.is_empty());
        let found = self.real.revoke(Moment(self.now), of, worker).map(|(change, _)| change);
        if self.expect(&found, expected)? {
            self.end(is_meant);
            let is_meant = |ticket: &&mut Ticket| match worker {
                None => ticket.holder == *of,
                Some(_) => ticket.keys.values().any(is_meant),
            };
            self.tickets.values_mut().filter(is_meant).for_each(|ticket| ticket.is_withdrawn = true);
        }
        Ok(())
    }

    fn rotate(&mut self) -> TestCaseResult {
        let new = self.signing + 1;
        let found = self.real.rotate(Moment(self.now), AuthorityId([new; 32]));
        if self.expect(&found, self.trusted.len() < 4)? {
            self.trusted.insert(new);
            self.signing = new;
        }
        Ok(())
    }

    fn retire(&mut self, force: Force) -> TestCaseResult {
        let found = self.real.retire(Moment(self.now), force).map(|(change, _)| change);
        let good = self.papers.iter().filter(|paper| self.is_good(paper));
        let (new, old): (Vec<_>, Vec<_>) = good.partition(|paper| paper.authority == self.signing);
        let mut lost = old.iter().filter(|old| new.iter().all(|new| new.principal != old.principal));
        let expected = force == Force::Yes || lost.next().is_none();
        if self.expect(&found, expected)? {
            self.trusted = BTreeSet::from([self.signing]);
        }
        Ok(())
    }

    fn is_good(&self, paper: &Paper) -> bool {
        !paper.is_revoked && paper.not_after >= self.now && self.trusted.contains(&paper.authority)
    }

    /// Whoever stands, stands by the model too, under its own name only; and nobody else.
    fn compare(&self) -> TestCaseResult {
        for paper in &self.papers {
            let holder = Holder::of(&paper.principal).expect("a holder");
            let (state, now, number) = (self.states[&holder], Moment(self.now), serial(paper.serial));
            let is_known = self.is_good(paper) && state != State::Removed;
            prop_assert_eq!(self.real.known(now, &paper.principal, number).is_ok(), is_known);
            let stands = is_known && state == State::Active;
            prop_assert_eq!(self.real.standing(now, &paper.principal, number).is_ok(), stands);
            for other in self.papers.iter().filter(|other| other.principal != paper.principal) {
                let found = self.real.known(now, &other.principal, number);
                prop_assert_eq!(found, Err(Refusal::UnknownCertificate));
            }
        }
        for record in self.real.records() {
            match record {
                Record::Invitation(found) if self.states[&found.holder] == State::Removed => {
                    prop_assert_eq!(found.validity, Validity::Ended, "tickets of who was removed are worth nothing");
                }
                Record::Holder(found) => prop_assert_eq!(found.state, self.states[&found.holder]),
                Record::Invitation(_) | Record::Redemption(_) | Record::Certificate(_) | Record::Authority(_) => {}
            }
        }
        Ok(())
    }
}
