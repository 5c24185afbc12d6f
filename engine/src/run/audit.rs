//! Audits: a worker of another partner computes the units of an accepted update again, before the round closes.
//!
//! Equal units of equal params give equal bits, so the digests of two packed sums of the same units are equal or one of
//! the two is wrong. Which one, the coordinator finds out by computing the units itself. Sums are exact: a wrong update is
//! subtracted, and its units are leased again.
//!
//! ```text
//!   Accept ─► drawn? ─► Audit ─► a lease of the same units ─► equal ──────────────────────► Audited: passed
//!                         ▲            │ to another partner      │
//!                         └────────────┘                         └─► Judge ─► Judged ─► Retract, if the first is wrong
//!                     gone, or too slow                                                 Dismiss whoever is wrong
//!                                                                                       Audited: failed
//! ```
//!
//! An auditor gets a lease like any other, and the answer of one whose units were counted already: neither it nor whoever
//! is audited can tell. What is drawn follows from a secret of the coordinator.

use std::fmt;

use super::leasing::{Loads, candidates};
use super::member::Member;
use super::round::Standing;
use super::{Action, Phase, Run, UpdateHeader};
use crate::digest::{Digest, Domain, Hasher};
use crate::id::{LeaseId, MemberId, PartnerName, Round, Time, Units, WorkerId};
use crate::lease;
use crate::planted::Bug;
use crate::reject::Rejection;
use crate::spec::check::MAX_UNITS;

/// Partners that were caught and are remembered: as many as can hold a unit.
const MOST_CAUGHT: usize = MAX_UNITS as usize;

/// Which updates are audited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditRule {
    /// The chance that an accepted update is, in parts of [`AuditRule::ALWAYS`].
    chance: u64,
    /// Audits that may be open at a time: the shell keeps an update's payload for each.
    most_open: u32,
    seed: AuditSeed,
}

/// What audits are drawn from. Whoever knows it knows which updates nobody looks at.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AuditSeed(pub [u8; 32]);

impl fmt::Debug for AuditSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSeed(secret)")
    }
}

impl AuditRule {
    /// The chance that is a certainty.
    pub const ALWAYS: u64 = 1 << 32;

    /// A part `rate` (0 to 1) of updates, with at most `most_open` audits at a time.
    #[must_use]
    pub fn new(rate: f64, most_open: u32, seed: AuditSeed) -> Self {
        let chance = (rate.clamp(0.0, 1.0) * Self::ALWAYS as f64).ceil() as u64;
        Self { chance, most_open, seed }
    }

    /// No audits.
    #[must_use]
    pub fn never() -> Self {
        Self::new(0.0, 0, AuditSeed([0; 32]))
    }

    /// Whether every update is audited, as long as not too many are.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.chance >= Self::ALWAYS
    }

    /// Audits that may be open at a time.
    #[must_use]
    pub fn most_open(&self) -> u32 {
        self.most_open
    }

    fn draws(&self, lease: LeaseId) -> bool {
        self.chance > 0 && self.draw(lease, 0, Self::ALWAYS) < self.chance
    }

    /// A value below `bound`, at most 2^32, for the `nth` question about `lease`.
    fn draw(&self, lease: LeaseId, nth: u64, bound: u64) -> u64 {
        let mut hasher = Hasher::new(Domain::AuditDraw);
        hasher.update(&self.seed.0).update(&lease.0.to_le_bytes()).update(&nth.to_le_bytes());
        let [a, b, c, d, ..] = hasher.finish().0;
        (u64::from(u32::from_le_bytes([a, b, c, d])) * bound) >> 32
    }
}

/// What came of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// Both updates are the same.
    Passed,
    /// They differ: the update, or the auditor's, is not what its units give.
    Failed,
    /// Nobody of another partner has computed the units in time.
    Lapsed,
}

/// How many audits there were, and what came of them. One that is neither passed, failed nor lapsed is open, or was when
/// its coordinator ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuditCounters {
    /// Updates that were drawn.
    pub made: u64,
    /// Audits that found nothing.
    pub passed: u64,
    /// Audits that found a wrong update.
    pub failed: u64,
    /// Audits that nobody of another partner could answer in time.
    pub lapsed: u64,
}

/// A partner whose update was shown to be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caught {
    /// The partner: none of its workers takes part any more.
    pub partner: PartnerName,
    /// The worker that sent the update.
    pub worker: WorkerId,
    /// The update's round.
    pub round: Round,
    /// The update's units.
    pub units: Units,
}

impl Caught {
    fn rejection(&self) -> Rejection {
        let Self { partner, round, units, worker: _ } = self.clone();
        Rejection::WrongUpdate { partner, round, units }
    }
}

/// Who sent an update, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Author {
    lease: LeaseId,
    worker: WorkerId,
    partner: PartnerName,
    digest: Digest,
}

/// An audit that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Audit {
    first: Author,
    pub(super) units: Units,
    /// Who was asked, oldest first.
    asked: Vec<MemberId>,
    /// The auditor, if its update is another: the shell computes the units itself.
    second: Option<Author>,
}

impl Audit {
    /// Whose update is audited.
    pub(super) fn partner(&self) -> &PartnerName {
        &self.first.partner
    }

    /// Whether the shell computes the units itself.
    pub(super) fn is_judged(&self) -> bool {
        self.second.is_some()
    }
}

/// Whether anything of a round is still to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audits {
    Open,
    Answered,
}

impl Run {
    /// An update of `id` has been accepted: audits it if it is drawn.
    pub(super) fn perhaps_audit(&mut self, id: MemberId, header: &UpdateHeader, out: &mut Vec<Action>) {
        if !self.config.audit.draws(header.lease) {
            return;
        }
        let (Some(first), Phase::Collecting(round)) = (self.author(id, header), &mut self.phase) else { return };
        self.counters.audits.made += 1;
        if round.audits.len() >= self.config.audit.most_open as usize {
            self.counters.audits.lapsed += 1;
            return;
        }
        let audit = Audit { first, units: header.units.clone(), asked: Vec::new(), second: None };
        round.audits.insert(header.lease, audit);
        out.push(Action::Audit { lease: header.lease });
    }

    fn author(&self, member: MemberId, header: &UpdateHeader) -> Option<Author> {
        let &UpdateHeader { lease, digest, .. } = header;
        let Member { worker, partner, .. } = self.members.get(member)?;
        Some(Author { lease, worker: *worker, partner: partner.clone(), digest })
    }

    /// The lease whose update that of `header` is to be compared with.
    pub(super) fn audited_by(&self, header: &UpdateHeader) -> Option<LeaseId> {
        let Phase::Collecting(round) = &self.phase else { return None };
        match round.lease(header.lease)?.standing {
            Standing::Audits(audited) => Some(audited),
            Standing::Open | Standing::Counted | Standing::Overtaken => None,
        }
    }

    /// The auditor `id` has answered.
    pub(super) fn compare(&mut self, audited: LeaseId, id: MemberId, header: &UpdateHeader, out: &mut Vec<Action>) {
        let (Some(second), Phase::Collecting(round)) = (self.author(id, header), &mut self.phase) else { return };
        round.end_auditors(audited);
        let Some(audit) = round.audits.get_mut(&audited) else { return };
        match audit.first.digest == second.digest {
            true => self.end_audit(audited, Finding::Passed, out),
            false => {
                audit.second = Some(second);
                out.push(Action::Judge { round: self.round, lease: audited, units: audit.units.clone() });
            }
        }
    }

    /// The shell has computed the units of an audit: what they give has the digest `truth`.
    pub(super) fn judged(&mut self, found: Round, lease: LeaseId, truth: Digest, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &mut self.phase else { return };
        let judged = round.audits.get(&lease).filter(|audit| audit.is_judged() && found == self.round);
        let Some(Audit { first, units, second: Some(second), .. }) = judged.cloned() else { return };
        if first.digest != truth && !self.planted.has(Bug::RetractionForgotten) {
            round.take_back(lease, &first.partner, &units);
            out.push(Action::Retract { lease });
        }
        self.end_audit(lease, Finding::Failed, out);
        for author in [first, second] {
            if (author.digest != truth) != self.planted.has(Bug::InnocentDismissed) {
                self.catch(author, &units, out);
            }
        }
    }

    /// All workers of whoever sent a wrong update of `units` are out of the run.
    fn catch(&mut self, author: Author, units: &Units, out: &mut Vec<Action>) {
        let Author { lease, worker, partner, digest: _ } = author;
        out.push(Action::Convict { lease });
        let caught = Caught { partner: partner.clone(), worker, round: self.round, units: units.clone() };
        let why = caught.rejection();
        if self.caught.len() < MOST_CAUGHT {
            self.caught.entry(partner.clone()).or_insert(caught);
        }
        let its: Vec<MemberId> =
            self.members.iter().filter(|(_, member)| member.partner == partner).map(|(id, _)| id).collect();
        its.into_iter().for_each(|member| self.dismiss(member, why.clone(), out));
    }

    /// Why no worker of `partner` may join.
    pub(super) fn caught(&self, partner: &PartnerName) -> Option<Rejection> {
        self.caught.get(partner).filter(|_| !self.planted.has(Bug::CaughtComesBack)).map(Caught::rejection)
    }

    fn end_audit(&mut self, lease: LeaseId, finding: Finding, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &mut self.phase else { return };
        if round.end_audit(lease).is_none() {
            return;
        }
        let counter = match finding {
            Finding::Passed => &mut self.counters.audits.passed,
            Finding::Failed => &mut self.counters.audits.failed,
            Finding::Lapsed => &mut self.counters.audits.lapsed,
        };
        *counter += 1;
        out.push(Action::Audited { lease, finding });
    }

    /// Asks for the audits that nobody answers. Once the round is complete, those that nobody can answer lapse.
    pub(super) fn audits_go_on(&mut self, now: Time, complete: bool, out: &mut Vec<Action>) -> Audits {
        for lease in self.audits_where(|run, lease, audit| !audit.is_judged() && !run.has_auditor(lease)) {
            let again = self.was_asked(lease);
            if again && self.planted.has(Bug::LostAuditKept) {
                continue;
            }
            let lapses_early = again && self.planted.has(Bug::AuditLapsesEarly);
            if !lapses_early {
                self.ask_also(now, lease, out);
            }
            if lapses_early || (complete && !self.has_auditor(lease)) {
                self.end_audit(lease, Finding::Lapsed, out);
            }
        }
        let open = !self.audits_where(|_, _, _| true).is_empty();
        match open && !self.planted.has(Bug::AuditNotAwaited) {
            true => Audits::Open,
            false => Audits::Answered,
        }
    }

    /// Audits that end without an answer: a round's deadline has come, or the run is over. What the shell computes is
    /// waited for, unless it is over.
    pub(super) fn lapse_audits(&mut self, over: Lapse, out: &mut Vec<Action>) {
        for lease in self.audits_where(|_, _, audit| over == Lapse::All || !audit.is_judged()) {
            self.end_audit(lease, Finding::Lapsed, out);
        }
    }

    /// The deadline has come for all audits that wait for their auditors: others are asked, too.
    pub(super) fn ask_more_auditors(&mut self, now: Time, out: &mut Vec<Action>) {
        for lease in self.audits_where(|_, _, audit| !audit.is_judged()) {
            self.ask_also(now, lease, out);
        }
    }

    /// Leases the units of the update under `audited` to somebody of another partner who does not compute them now, if
    /// there is anyone.
    pub(super) fn ask_also(&mut self, now: Time, audited: LeaseId, out: &mut Vec<Action>) {
        if self.planted.has(Bug::OverdueAuditKept) && self.has_auditor(audited) {
            return;
        }
        let Some(auditor) = self.auditor_for(audited) else { return };
        let Phase::Collecting(round) = &mut self.phase else { return };
        let Some(audit) = round.audits.get_mut(&audited) else { return };
        audit.asked.push(auditor);
        let units = audit.units.clone();
        self.assign(now, auditor, units, Standing::Audits(audited), out);
    }

    /// Who audits next: rather somebody who was not asked yet and is no suspect. The partner is drawn, so that neither a
    /// fast worker nor many of them make it likelier; of its workers, it is the one that would be done first.
    fn auditor_for(&self, audited: LeaseId) -> Option<MemberId> {
        let Phase::Collecting(round) = &self.phase else { return None };
        let audit = round.audits.get(&audited)?;
        let computes = |id: MemberId| {
            let mut auditors = round.grants().filter(|(_, grant)| grant.standing == Standing::Audits(audited));
            auditors.any(|(_, grant)| grant.member == id)
        };
        let of_another = |partner: &PartnerName| partner != audit.partner() || self.planted.has(Bug::AuditedByItself);
        let all: Loads = round.loads();
        let mut able = candidates(&self.members, Member::measured, &all);
        able.retain(|of| of_another(of.partner) && !computes(of.member));
        let rank = |member: MemberId| (audit.asked.contains(&member), self.is_suspect(member));
        let best = able.iter().map(|of| rank(of.member)).min()?;
        able.retain(|of| rank(of.member) == best);
        let mut partners: Vec<&PartnerName> = able.iter().map(|of| of.partner).collect();
        partners.sort_unstable();
        partners.dedup();
        let nth = audit.asked.len() as u64 + 1;
        let drawn = partners[self.config.audit.draw(audited, nth, partners.len() as u64) as usize];
        able.retain(|of| of.partner == drawn);
        lease::soonest(u32::try_from(audit.units.len()).unwrap_or(u32::MAX), &able)
    }

    fn has_auditor(&self, audited: LeaseId) -> bool {
        matches!(&self.phase, Phase::Collecting(round) if round.has_auditor(audited))
    }

    fn was_asked(&self, audited: LeaseId) -> bool {
        let Phase::Collecting(round) = &self.phase else { return false };
        round.audits.get(&audited).is_some_and(|audit| !audit.asked.is_empty())
    }

    fn audits_where(&self, holds: impl Fn(&Self, LeaseId, &Audit) -> bool) -> Vec<LeaseId> {
        let Phase::Collecting(round) = &self.phase else { return Vec::new() };
        round.audits.iter().filter(|(lease, audit)| holds(self, **lease, audit)).map(|(lease, _)| *lease).collect()
    }
}

/// Which audits lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    /// Those that wait for an auditor.
    Unanswered,
    /// All of them.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_drawn_as_the_rate_says_and_which_is_a_secret() {
        let drawn = |rate, seed| {
            let rule = AuditRule::new(rate, 1, AuditSeed([seed; 32]));
            (0..10_000).map(LeaseId).filter(|lease| rule.draws(*lease)).collect::<Vec<_>>()
        };
        assert_eq!((drawn(0.0, 1).len(), drawn(1.0, 1).len()), (0, 10_000));
        assert!(drawn(0.05, 1).len().abs_diff(500) < 100, "{}", drawn(0.05, 1).len());
        assert_ne!(drawn(0.05, 1), drawn(0.05, 2));
        assert!(AuditRule::new(1.0, 1, AuditSeed([1; 32])).is_certain());
        assert_eq!(format!("{:?}", AuditSeed([42; 32])), "AuditSeed(secret)");
    }
}
