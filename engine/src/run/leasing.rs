//! What follows from the state by itself: rounds open, units find holders, rounds close.

use std::collections::BTreeMap;

use super::audit::{Audits, Lapse};
use super::member::{Member, Members};
use super::round::{OpenRound, Standing};
use super::{Action, Lease, Ownership, Phase, REPLAN_EVERY, Run};
use crate::id::{LeaseId, MemberId, PartnerName, Time, Unit, Units};
use crate::lease::{self, Candidate, Taken};
use crate::planted::Bug;
use crate::spec::OnMissing;

impl Run {
    /// Does what the state allows now that an event has changed it.
    pub(super) fn advance(&mut self, now: Time, out: &mut Vec<Action>) {
        match &self.phase {
            Phase::Gathering if self.can_open() => self.open(now, out),
            Phase::Gathering => self.set_open_by(now),
            Phase::Collecting(_) => self.collect(now, out),
            Phase::Stepping | Phase::Evaluating | Phase::Over(_) => {}
        }
    }

    /// Whether as many partners are present as a round needs to lease and to close.
    pub(super) fn has_quorum(&self) -> bool {
        self.members.partners() >= self.config.quorum.min_partners && self.members.count() > 0
    }

    /// A run that goes on without those who are missing does not wait for them between two rounds either. Before the
    /// first round of a coordinator's life it does: nobody is missing who never came, or has yet to come back.
    fn set_open_by(&mut self, now: Time) {
        let deadline = now.after(self.config.quorum.round_deadline);
        match self.on_missing() {
            OnMissing::Skip if self.round > self.first => _ = self.open_by.get_or_insert(deadline),
            OnMissing::Skip | OnMissing::Wait | OnMissing::ReLease => {}
        }
    }

    /// Workers without which the next round does not open.
    pub(super) fn members_needed(&self) -> u32 {
        match self.round.0 {
            0 => self.config.min_members.max(1),
            _ => 1,
        }
    }

    /// Units of a round that the partners present may hold.
    pub(super) fn placeable(&self) -> u32 {
        if let Ownership::Private { owners } = &self.config.ownership {
            let present = owners.iter().filter(|owner| self.members.has_partner(owner)).count();
            return u32::try_from(present).unwrap_or(u32::MAX);
        }
        self.members.partners().saturating_mul(self.most_per_partner()).min(self.config.units)
    }

    pub(super) fn most_per_partner(&self) -> u32 {
        match self.planted.has(Bug::PartnerCapIgnored) {
            true => self.config.units,
            false => self.partner_cap(),
        }
    }

    /// The most units of a round that one partner may have. What a partner owns it has whole: a spec whose owners weigh
    /// more than they may is refused.
    pub(super) fn partner_cap(&self) -> u32 {
        match self.config.ownership {
            Ownership::Private { .. } => self.config.units,
            Ownership::Assigned => self.config.quorum.max_partner_units,
        }
    }

    /// Owners without a worker, in the order of units.
    pub(super) fn absent_owners(&self) -> Vec<PartnerName> {
        match &self.config.ownership {
            Ownership::Assigned => Vec::new(),
            Ownership::Private { owners } => {
                owners.iter().filter(|owner| !self.members.has_partner(owner)).cloned().collect()
            }
        }
    }

    pub(super) fn is_private(&self) -> bool {
        matches!(self.config.ownership, Ownership::Private { .. })
    }

    /// What happens to units that are missing in the next round, or the open one.
    pub(super) fn on_missing(&self) -> OnMissing {
        match self.config.quorum.on_missing {
            OnMissing::Skip if self.round < self.settled && !self.planted.has(Bug::SkipsAgain) => OnMissing::ReLease,
            as_configured @ (OnMissing::Wait | OnMissing::ReLease | OnMissing::Skip) => as_configured,
        }
    }

    /// Whether the samples of `unit` are at hand for `member`.
    pub(super) fn may_compute(&self, unit: Unit, member: MemberId) -> bool {
        let planted = self.planted.has(Bug::OwnerIgnored);
        let owner = self.config.ownership.owner(unit).filter(|_| !planted);
        owner.is_none_or(|owner| self.members.get(member).is_some_and(|member| member.partner == *owner))
    }

    /// A round that could never get all the units it needs does not open, but owners of private samples may still come
    /// while the others compute.
    pub(super) fn can_open(&self) -> bool {
        let needed = match self.on_missing() {
            OnMissing::Wait | OnMissing::ReLease if self.is_private() => 1,
            OnMissing::Wait | OnMissing::ReLease => self.config.units,
            OnMissing::Skip => self.config.quorum.min_units,
        };
        let present = self.members.count() > 0 && self.members.count() >= self.members_needed();
        present && self.has_quorum() && self.placeable() >= needed
    }

    fn open(&mut self, now: Time, out: &mut Vec<Action>) {
        self.plan();
        self.open_by = None;
        out.push(Action::Open { round: self.round });
        self.phase = Phase::Collecting(OpenRound::new(self.config.units));
        let reused = self.reuse(out);
        for (member, mut units) in self.allocation.by_member() {
            units.retain(|unit| !reused.contains(unit));
            if !units.is_empty() {
                self.assign(now, member, units, Standing::Open, out);
            }
        }
        self.collect(now, out);
    }

    /// Counts what was spooled of the open round before a restart.
    fn reuse(&mut self, out: &mut Vec<Action>) -> Units {
        self.spooled = self.spooled.split_off(&self.round);
        let spooled = self.spooled.remove(&self.round).unwrap_or_default();
        let owned = spooled.into_iter().filter_map(|unit| Some((unit, self.config.ownership.owner(unit)?.clone())));
        let owned: Vec<_> = owned.collect();
        if let Phase::Collecting(round) = &mut self.phase {
            owned.iter().for_each(|(unit, owner)| round.reuse(*unit, owner));
        }
        let units: Units = owned.into_iter().map(|(unit, _)| unit).collect();
        if !units.is_empty() {
            out.push(Action::Reuse { round: self.round, units: units.clone() });
        }
        units
    }

    /// Allocates the units anew if somebody came or went, by the speeds that they were allocated by before, so that
    /// only what must move moves; and by measured speeds now and then, if that is worth it.
    fn plan(&mut self) {
        let most = self.most_per_partner();
        if self.is_private() {
            self.allocate_to_owners();
        } else if self.stale_allocation {
            self.release_suspects();
            let all = candidates(&self.members, |member| member.planned, &Loads::new());
            self.allocation.rebalance(&self.without_suspects(all), most);
            self.stale_allocation = false;
        } else if self.round.0.is_multiple_of(REPLAN_EVERY) {
            let measured = candidates(&self.members, Member::measured, &Loads::new());
            let measured = self.without_suspects(measured);
            if self.allocation.rebalance_if_faster(&measured, most) {
                self.members.values_mut().for_each(|member| member.planned = member.measured());
            }
        }
    }

    /// Those of the candidates that may hold units of a new round: all if nobody else is there.
    fn without_suspects<'a>(&self, candidates: Vec<Candidate<'a>>) -> Vec<Candidate<'a>> {
        let trusted: Vec<_> = candidates.iter().filter(|of| !self.is_suspect(of.member)).copied().collect();
        if trusted.is_empty() { candidates } else { trusted }
    }

    /// Private units stay with their holder as long as it is there; of several workers of an owner, the one with the
    /// fewest units gets the next.
    fn allocate_to_owners(&mut self) {
        self.stale_allocation = false;
        for unit in
            (0..self.config.units).map(Unit).filter(|unit| self.allocation.holder(*unit).is_none()).collect::<Vec<_>>()
        {
            let held = self.allocation.by_member();
            let load = |member: &MemberId| held.get(member).map_or(0, Units::len);
            let able = self.members.iter().map(|(id, _)| id).filter(|member| self.may_compute(unit, *member));
            if let Some(member) = able.min_by_key(|member| (load(member), *member)) {
                self.allocation.give(unit, member);
            }
        }
    }

    pub(super) fn assign(
        &mut self,
        now: Time,
        member: MemberId,
        units: Units,
        standing: Standing,
        out: &mut Vec<Action>,
    ) {
        let Phase::Collecting(round) = &self.phase else { return };
        let lease = Lease { id: self.next_lease, round: self.round, units };
        self.next_lease = LeaseId(self.next_lease.0 + 1);
        let due = self.overdue_at(now, member, &lease.units, round.load(member));
        let Phase::Collecting(round) = &mut self.phase else { return };
        round.grant(&lease, member, standing, now, due);
        out.push(Action::Assign { member, lease });
    }

    fn collect(&mut self, now: Time, out: &mut Vec<Action>) {
        let quorate = self.has_quorum() || self.planted.has(Bug::ClosedBelowQuorum);
        let on_missing = self.on_missing();
        let deadline = now.after(self.config.quorum.round_deadline);
        let Phase::Collecting(round) = &mut self.phase else { return };
        match on_missing {
            OnMissing::Wait => {}
            OnMissing::ReLease if !quorate => round.deadline = None,
            OnMissing::ReLease | OnMissing::Skip => _ = round.deadline.get_or_insert(deadline),
        }
        if !quorate {
            return;
        }
        let enough = self.config.units - u32::from(self.planted.has(Bug::ClosedBelowAllUnits));
        let complete = round.counted_len() >= enough;
        if !complete {
            self.lease_uncovered(now, out);
        }
        if self.audits_go_on(now, complete, out) == Audits::Answered && complete {
            self.close(out);
        }
    }

    /// Leases units that lost their holder to others, who keep them from now on.
    fn lease_uncovered(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        let uncovered = round.uncovered();
        if uncovered.is_empty() || self.planted.has(Bug::LostLeaseKept) {
            return;
        }
        for (member, units) in self.hand_out(round, &uncovered, |_, _| true) {
            units.iter().for_each(|unit| self.allocation.give(*unit, member));
            self.stale_allocation = true;
            self.assign(now, member, units, Standing::Open, out);
        }
    }

    /// Leases missing units to members that do not compute them yet; the first answer counts.
    pub(super) fn lease_to_others(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        if self.planted.has(Bug::StragglerKept) {
            return;
        }
        self.lease_also(now, &round.missing(), out);
    }

    /// Leases `units` to members that do not compute them yet, too.
    pub(super) fn lease_also(&mut self, now: Time, units: &Units, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        for (member, units) in self.hand_out(round, units, |unit, member| !round.computes(unit, member)) {
            self.counters.units_released += units.len() as u64;
            self.assign(now, member, units, Standing::Open, out);
        }
    }

    fn hand_out(
        &self,
        round: &OpenRound,
        units: &Units,
        suits: impl Fn(Unit, MemberId) -> bool,
    ) -> BTreeMap<MemberId, Units> {
        let candidates = candidates(&self.members, Member::measured, &round.loads());
        let taken = round.taken(|member| self.members.get(member).map(|of| &of.partner));
        let suits = |unit, member| self.may_compute(unit, member) && suits(unit, member);
        let most = self.most_per_partner();
        let trusted = |unit, member| !self.is_suspect(member) && suits(unit, member);
        let given = lease::hand_out(units, &candidates, taken.clone(), most, trusted);
        let left: Units =
            units.iter().filter(|unit| !given.values().any(|units| units.contains(unit))).copied().collect();
        match left.is_empty() {
            true => given,
            false => self.hand_out_to_suspects(&left, &candidates, taken, given, suits),
        }
    }

    /// Hands out what nobody else may take to members that may be stopped, on top of what others were given.
    fn hand_out_to_suspects(
        &self,
        left: &Units,
        candidates: &[Candidate<'_>],
        mut taken: Taken,
        mut given: BTreeMap<MemberId, Units>,
        suits: impl Fn(Unit, MemberId) -> bool,
    ) -> BTreeMap<MemberId, Units> {
        for (member, units) in &given {
            if let Some(member) = self.members.get(*member) {
                taken.entry(member.partner.clone()).or_default().extend(units);
            }
        }
        let suspected = |unit, member| self.is_suspect(member) && suits(unit, member);
        for (member, units) in lease::hand_out(left, candidates, taken, self.most_per_partner(), suspected) {
            given.entry(member).or_default().extend(units);
        }
        given
    }

    /// Closes at a deadline: audits that wait for an auditor lapse, one that the shell decides is waited for.
    pub(super) fn close_audited(&mut self, out: &mut Vec<Action>) {
        self.lapse_audits(Lapse::Unanswered, out);
        if matches!(&self.phase, Phase::Collecting(round) if round.audits.is_empty()) {
            self.close(out);
        }
    }

    pub(super) fn close(&mut self, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        let partner_of = |member| self.members.get(member).map(|of: &Member| &of.partner);
        let (used, missing) = (round.used(partner_of), self.missing_of(round));
        out.push(Action::Close { round: self.round, units: round.counted() });
        self.phase = Phase::Stepping;
        self.participations.closed(&used, &missing);
    }

    /// Units that a round closes without, by the partner that should have computed them.
    pub(super) fn missing_of(&self, round: &OpenRound) -> Taken {
        let missing = round.missing();
        if missing.is_empty() {
            return Taken::new();
        }
        let mut of_partners = round.unanswered(|member| self.members.get(member).map(|of| &of.partner));
        of_partners.values_mut().for_each(|units| units.retain(|unit| missing.contains(unit)));
        for unit in missing {
            if let Some(owner) = self.config.ownership.owner(unit) {
                of_partners.entry(owner.clone()).or_default().insert(unit);
            }
        }
        of_partners.retain(|_, units| !units.is_empty());
        of_partners
    }
}

pub(super) type Loads = BTreeMap<MemberId, u32>;

pub(super) fn candidates<'a>(members: &'a Members, speed: fn(&Member) -> u64, loads: &Loads) -> Vec<Candidate<'a>> {
    let load = |member| loads.get(&member).copied().unwrap_or(0);
    let candidate = |(member, of): (MemberId, &'a Member)| Candidate {
        member,
        partner: &of.partner,
        speed: speed(of),
        load: load(member),
    };
    members.iter().map(candidate).collect()
}
