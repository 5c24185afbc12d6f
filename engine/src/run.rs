//! The run: who is a member, which round is open, what counts. The coordinator's shell feeds it events and does what it
//! says; tensors never come in here, only metadata.
//!
//! ```text
//!              enough members                 all units counted¹
//!   ┌───────────┐  Open, Assign…  ┌────────────┐     Close      ┌──────────┐
//!   │ gathering │ ──────────────► │ collecting │ ─────────────► │ stepping │
//!   └───────────┘                 └────────────┘                └──────────┘
//!         ▲                          │  ▲   │                        │ Stepped
//!         │     Update               │  │   │ deadline, too          │ (Evaluate when it is due)
//!         │     (Accept, Reject)     └──┘   │ few units² (Finish)    │
//!         │                                 ▼                        │
//!         │                             ┌──────┐   Evaluated   ┌────────────┐
//!         │            Stop (Finish) ─► │ over │ ◄──────────── │ evaluating │
//!         │          from everywhere    └──────┘   (Finish)    └────────────┘
//!         │                                                          ▲
//!         └──────────── rounds are left ─────────┴───── none left ───┘
//!
//!   ¹ or, if missing units are skipped, `min_units` of them at the deadline
//!   ² only if missing units are skipped; too few partners between two rounds end the run likewise
//! ```
//!
//! What keeps the bits the same whoever comes, goes, repeats itself or lies:
//!
//! * A unit counts once in its round, under a lease that its member was given in this round, for exactly the lease's
//!   units. Sums cannot be divided: an update of which any unit is counted already is a duplicate as a whole.
//! * Whoever leaves, falls silent or sends garbage loses its unanswered leases at once, and others get the units. What
//!   was counted stays counted.
//! * A round neither leases nor closes while fewer partners are present than it needs; it goes on when they are back.
//! * Units of private samples are leased to their owner's workers only. Nobody else could compute them.
//! * Every wait has a reason ([`Run::waiting_for`]) and an end ([`Run::deadline`], or an action that the shell owes).

mod audit;
mod conduct;
mod invariants;
mod leasing;
mod member;
mod message;
mod overdue;
mod participation;
mod round;
mod waiting;

use std::collections::BTreeMap;

pub use audit::{AuditCounters, AuditRule, AuditSeed, Caught, Finding};
pub use invariants::Invariant;
pub use message::*;

use crate::id::{LeaseId, MemberId, PartnerName, Round, Time, Units};
use crate::lease::{Allocation, Taken};
use crate::planted::{Bug, Planted};
use crate::reject::Rejection;
use crate::spec::OnMissing;
use crate::straggler::Spread;
use audit::Lapse;
use conduct::Conduct;
use member::{Member, Members};
use message::name_some;
use participation::Participations;
use round::{OpenRound, Standing};

/// Rounds between looks at whether the measured speeds are worth moving units for.
const REPLAN_EVERY: u32 = 16;

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    config: RunConfig,
    phase: Phase,
    /// The open round, or the next one; as many are committed.
    round: Round,
    members: Members,
    allocation: Allocation,
    /// Whether somebody came or went since the units were allocated.
    stale_allocation: bool,
    next_lease: LeaseId,
    /// Units of rounds to come whose updates outlived a restart.
    spooled: BTreeMap<Round, Units>,
    /// When the run fails unless a round opens before; none if it may wait for ever.
    open_by: Option<Time>,
    participations: Participations,
    conduct: Conduct,
    /// Partners whose update an audit has shown to be wrong.
    caught: BTreeMap<PartnerName, Caught>,
    /// How far from what was expected answers are.
    spread: Spread,
    /// The round that this process opens first.
    first: Round,
    /// Rounds before this one came out complete once and must do so again.
    settled: Round,
    counters: Counters,
    planted: Planted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Gathering,
    Collecting(OpenRound),
    Stepping,
    Evaluating,
    Over(Outcome),
}

impl Run {
    /// A run that nobody has joined yet.
    ///
    /// # Panics
    /// If the config asks for no units, no rounds or evaluation every 0 rounds: such a run cannot be.
    #[must_use]
    pub fn new(config: RunConfig) -> Self {
        let possible = config.units > 0 && config.rounds > 0 && config.evaluate_every > 0;
        assert!(possible, "a run has units, rounds and a cadence of evaluation: {config:?}");
        Self {
            phase: Phase::Gathering,
            round: Round(0),
            members: Members::default(),
            allocation: Allocation::new(config.units),
            stale_allocation: true,
            next_lease: LeaseId(0),
            spooled: BTreeMap::new(),
            open_by: None,
            participations: Participations::default(),
            conduct: Conduct::default(),
            caught: BTreeMap::new(),
            spread: Spread::default(),
            first: Round(0),
            settled: Round(0),
            counters: Counters::default(),
            planted: Planted::default(),
            config,
        }
    }

    /// The same run with the rounds before `round` committed, for a coordinator that was started again. Its leases are
    /// numbered from `first_lease` on: no answer to an older one can be taken for an answer to one of them. Rounds before
    /// `settled` are in the ledger: they are computed again with all their units, even if missing ones are skipped.
    #[must_use]
    pub fn resumed(self, round: Round, first_lease: LeaseId, settled: Round) -> Self {
        let planted = |bug| self.planted.has(bug);
        let round = if planted(Bug::ResumedTooLate) { round.next() } else { round };
        let next_lease = if planted(Bug::LeasesNumberedAnew) { LeaseId(0) } else { first_lease };
        let phase = if round.0 >= self.config.rounds { Phase::Evaluating } else { Phase::Gathering };
        Self { phase, round, first: round, next_lease, settled, ..self }
    }

    /// The same run with updates of these units of rounds to come at hand: nobody computes them again.
    #[must_use]
    pub fn with_spooled(self, spooled: BTreeMap<Round, Units>) -> Self {
        match self.planted.has(Bug::SpoolForgotten) {
            true => self,
            false => Self { spooled, ..self },
        }
    }

    /// The same run with these partners out of it: an earlier process found wrong updates of theirs.
    #[must_use]
    pub fn with_caught(self, caught: impl IntoIterator<Item = Caught>) -> Self {
        let caught = caught.into_iter().map(|of| (of.partner.clone(), of)).collect();
        Self { caught, ..self }
    }

    /// The same run with a bug in it, to see whether the simulation finds it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn with_bug(self, bug: Option<Bug>) -> Self {
        Self { planted: Planted::new(bug), ..self }
    }

    /// Takes an event at `now` and appends what the shell is to do, in order, to `out`. `now` never goes back.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Joined(joined) => self.joined(now, joined, out),
            Event::Left { member } => self.remove(member),
            Event::Heartbeat { member } => self.heard(now, member),
            Event::Update { member, header } => self.update(now, member, &header, out),
            Event::Malformed { member, lease, why } => self.malformed(now, member, lease, why, out),
            Event::Stalled { member } => self.dismiss(member, Rejection::Stalled, out),
            Event::Tick => self.tick(now, out),
            Event::Judged { round, lease, digest } => self.judged(round, lease, digest, out),
            Event::Stepped { round, params: _ } => self.stepped(round, out),
            Event::Evaluated { round } => self.evaluated(round, out),
            Event::Stop => self.stop(out),
        }
        self.advance(now, out);
        debug_assert!(self.planted.any() || self.check_invariants() == Ok(()), "{:?}", self.check_invariants());
    }

    /// When the shell must send [`Event::Tick`] next, unless another event changes it.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let of_round = match &self.phase {
            Phase::Collecting(round) => round.deadline.into_iter().chain(round.look_at).min(),
            Phase::Gathering => self.open_by,
            Phase::Stepping | Phase::Evaluating => None,
            Phase::Over(_) => return None,
        };
        of_round.into_iter().chain(self.members.check_at()).min()
    }

    /// What the run looks like from outside.
    #[must_use]
    pub fn view(&self) -> RunView {
        let (loads, outcome) = match &self.phase {
            Phase::Collecting(round) => (round.loads(), None),
            Phase::Gathering | Phase::Stepping | Phase::Evaluating => (BTreeMap::new(), None),
            Phase::Over(outcome) => (BTreeMap::new(), Some(outcome.clone())),
        };
        let view = |(id, member): (MemberId, &Member)| MemberView {
            member: id,
            worker: member.worker,
            partner: member.partner.clone(),
            units: loads.get(&id).copied().unwrap_or(0),
            milli_units_per_second: member.speed,
        };
        RunView {
            round: self.round,
            committed: self.round.0,
            rounds: self.config.rounds,
            members: self.members.iter().map(view).collect(),
            counters: self.counters,
            participation: self.participations.all(),
            caught: self.caught.values().cloned().collect(),
            outcome,
        }
    }

    fn heard(&mut self, now: Time, member: MemberId) {
        if let Some(member) = self.members.get_mut(member) {
            member.heard = now;
        }
    }

    fn joined(&mut self, now: Time, joined: Joined, out: &mut Vec<Action>) {
        let member = joined.member;
        if matches!(self.phase, Phase::Over(_)) {
            return out.push(Action::Dismiss { member, why: Rejection::RunOver });
        }
        if self.members.contains(member) {
            return self.heard(now, member);
        }
        if self.members.has_worker(joined.worker) && !self.planted.has(Bug::IdentityClashAdmitted) {
            return out.push(Action::Dismiss { member, why: Rejection::IdentityInUse });
        }
        if let Some(why) = self.caught(&joined.partner).or_else(|| self.barred(&joined.partner)) {
            return out.push(Action::Dismiss { member, why });
        }
        self.members.add(member, Member::new(now, joined), self.config.silence);
        self.stale_allocation = true;
        self.counters.joins += 1;
        out.push(Action::Admit { member });
    }

    fn remove(&mut self, member: MemberId) {
        let Some(gone) = self.members.remove(member) else { return };
        self.counters.leaves += 1;
        self.allocation.release(member);
        self.stale_allocation = true;
        if let Phase::Collecting(round) = &mut self.phase {
            if self.planted.has(Bug::GoneMemberRetracted) {
                round.retract(member);
            }
            self.counters.units_released += round.depart(member, &gone.partner).len() as u64;
        }
    }

    fn dismiss(&mut self, member: MemberId, why: Rejection, out: &mut Vec<Action>) {
        if self.members.contains(member) {
            self.remove(member);
            out.push(Action::Dismiss { member, why });
        }
    }

    fn update(&mut self, now: Time, member: MemberId, header: &UpdateHeader, out: &mut Vec<Action>) {
        self.heard(now, member);
        self.observe(now, member, header);
        let verdict = self.judge(member, header);
        if let Some((audited, why)) =
            self.audited_by(header).zip(verdict.as_ref().err()).filter(|(_, why)| why.is_duplicate())
        {
            out.push(Action::Reject { member, lease: header.lease, why: why.clone() });
            return self.compare(audited, member, header, out);
        }
        if let Err(why) = verdict {
            let counter = match (why.is_duplicate(), why.is_late()) {
                (true, _) => &mut self.counters.duplicates,
                (false, true) => &mut self.counters.late,
                (false, false) => &mut self.counters.rejected,
            };
            *counter += 1;
            if why.is_late()
                && let Some(member) = self.members.get(member)
            {
                self.participations.late(&member.partner, header.units.len());
            }
            return out.push(Action::Reject { member, lease: header.lease, why });
        }
        if let Phase::Collecting(round) = &mut self.phase {
            round.count(header.lease, &header.units);
            if let Some(member) = self.members.get_mut(member) {
                member.malformed = 0;
                self.conduct.good(&member.partner);
            }
        }
        self.counters.accepted += 1;
        out.push(Action::Accept { member, lease: header.lease, units: header.units.clone() });
        self.perhaps_audit(member, header, out);
    }

    /// Whether an update counts; changes nothing.
    fn judge(&self, member: MemberId, header: &UpdateHeader) -> Result<(), Rejection> {
        let &UpdateHeader { round: found, lease, ref units, digest: _ } = header;
        if !self.members.contains(member) {
            return Err(Rejection::NotAMember);
        }
        let planted = |bug| self.planted.has(bug);
        let open = match &self.phase {
            Phase::Over(_) => return Err(Rejection::RunOver),
            Phase::Stepping if found == self.round && planted(Bug::LateAfterCloseCounted) => return Ok(()),
            Phase::Stepping if found == self.round => return Err(Rejection::RoundClosed { found }),
            Phase::Evaluating if found < self.round => return Err(Rejection::RoundClosed { found }),
            Phase::Gathering | Phase::Stepping | Phase::Evaluating => None,
            Phase::Collecting(round) => Some(round),
        };
        if found < self.round {
            return match planted(Bug::StaleRoundCounted) {
                true => Ok(()),
                false => Err(Rejection::StaleRound { found, open: self.round }),
            };
        }
        if found > self.round {
            return match planted(Bug::FutureRoundCounted) {
                true => Ok(()),
                false => Err(Rejection::FutureRound { found, open: self.round }),
            };
        }
        let Some(round) = open else { return Err(Rejection::NotLeased { lease }) };
        let Some(grant) = round.lease(lease) else {
            return match planted(Bug::UnsolicitedCounted) {
                true => Ok(()),
                false => Err(Rejection::NotLeased { lease }),
            };
        };
        if grant.member != member && !planted(Bug::ForeignLeaseCounted) {
            return Err(Rejection::NotLeased { lease });
        }
        if grant.units != *units && !planted(Bug::UnitsNotCompared) {
            return Err(Rejection::UnitsDiffer { lease });
        }
        // Whatever was overtaken or audits counts neither if what overtook it is taken back: its units are leased anew.
        let settled = grant.standing != Standing::Open;
        let counted = units.iter().find(|unit| settled || round.is_counted(**unit));
        let audit_counts = matches!(grant.standing, Standing::Audits(_)) && planted(Bug::AuditCounted);
        match counted.filter(|_| !planted(Bug::DuplicateCounted) && !audit_counts) {
            Some(&unit) => Err(Rejection::AlreadyCounted { unit }),
            None => Ok(()),
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        for member in self.members.silent(now, self.config.silence) {
            if !self.planted.has(Bug::SilentMemberKept) {
                self.dismiss(member, Rejection::Silent, out);
            }
        }
        self.release_overdue(now, out);
        if let Phase::Collecting(round) = &mut self.phase
            && round.deadline.is_some_and(|deadline| deadline <= now)
        {
            round.deadline = None;
            self.missed_deadline(now, out);
        }
        if matches!(self.phase, Phase::Gathering) && self.open_by.is_some_and(|open_by| open_by <= now) {
            self.fail(self.waiting_for().to_string(), out);
        }
    }

    /// The deadline of the open round has come. Where missing units are not skipped, too few partners are nobody's
    /// blame: the deadline begins anew when they are back.
    fn missed_deadline(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        let (counted, needed) = (round.counted_len(), self.config.quorum.min_units);
        let quorate = self.has_quorum();
        match self.on_missing() {
            OnMissing::Wait => {}
            OnMissing::ReLease if quorate => {
                self.lease_to_others(now, out);
                self.ask_more_auditors(now, out);
            }
            OnMissing::ReLease => {}
            OnMissing::Skip if !quorate => {
                let (present, partners) = (self.members.partners(), self.config.quorum.min_partners);
                self.fail(
                    format!(
                        "{present} partners were present at the deadline and min_partners is {partners}; \
                         allow the round more time or ask for fewer partners"
                    ),
                    out,
                );
            }
            OnMissing::Skip if counted >= needed => self.close_audited(out),
            OnMissing::Skip => {
                let missing = self.missing_of(round);
                let named = name_some(missing.keys());
                self.participations.closed(&Taken::new(), &missing);
                self.fail(
                    format!(
                        "{counted} units were counted at the deadline and min_units is {needed}; missing are units of \
                         {named}; allow the round more time, ask for fewer units or add workers"
                    ),
                    out,
                );
            }
        }
    }

    fn fail(&mut self, why: String, out: &mut Vec<Action>) {
        self.finish(Outcome::Failed { round: self.round, why }, out);
    }

    fn stepped(&mut self, round: Round, out: &mut Vec<Action>) {
        let expected = matches!(self.phase, Phase::Stepping) && round == self.round;
        if !expected {
            return;
        }
        self.round = round.next();
        let last = self.round.0 >= self.config.rounds;
        if last || self.round.0.is_multiple_of(self.config.evaluate_every) {
            out.push(Action::Evaluate { round });
        }
        self.phase = if last { Phase::Evaluating } else { Phase::Gathering };
    }

    fn evaluated(&mut self, round: Round, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Evaluating) && round.next() == self.round {
            self.finish(Outcome::Completed, out);
        }
    }

    fn stop(&mut self, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Over(_)) {
            self.finish(Outcome::Stopped { rounds: self.round.0 }, out);
        }
    }

    fn finish(&mut self, outcome: Outcome, out: &mut Vec<Action>) {
        self.lapse_audits(Lapse::All, out);
        out.push(Action::Finish(outcome.clone()));
        self.phase = Phase::Over(outcome);
    }
}
