//! What follows from the state by itself: rounds open, units find holders, rounds close.

use std::collections::BTreeMap;

use super::member::{Member, Members};
use super::round::OpenRound;
use super::{Action, Lease, Phase, REPLAN_EVERY, Run};
use crate::id::{LeaseId, MemberId, Time, Unit, Units};
use crate::lease::{self, Candidate};
use crate::planted::Bug;
use crate::spec::OnMissing;

impl Run {
    /// Does what the state allows now that an event has changed it.
    pub(super) fn advance(&mut self, now: Time, out: &mut Vec<Action>) {
        match &self.phase {
            Phase::Gathering if self.can_open() => self.open(now, out),
            Phase::Collecting(_) => self.collect(now, out),
            Phase::Gathering | Phase::Stepping | Phase::Evaluating | Phase::Over(_) => {}
        }
    }

    /// Whether as many partners are present as a round needs to lease and to close.
    pub(super) fn has_quorum(&self) -> bool {
        self.members.partners() >= self.config.quorum.min_partners && self.members.count() > 0
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
        self.members.partners().saturating_mul(self.most_per_partner()).min(self.config.units)
    }

    pub(super) fn most_per_partner(&self) -> u32 {
        match self.planted.has(Bug::PartnerCapIgnored) {
            true => self.config.units,
            false => self.config.quorum.max_partner_units,
        }
    }

    /// A round that could never get all the units it needs does not open.
    pub(super) fn can_open(&self) -> bool {
        let needed = match self.config.quorum.on_missing {
            OnMissing::Wait | OnMissing::ReLease => self.config.units,
            OnMissing::Skip => self.config.quorum.min_units,
        };
        let present = self.members.count() > 0 && self.members.count() >= self.members_needed();
        present && self.has_quorum() && self.placeable() >= needed
    }

    fn open(&mut self, now: Time, out: &mut Vec<Action>) {
        self.plan();
        out.push(Action::Open { round: self.round });
        self.phase = Phase::Collecting(OpenRound::new(self.config.units));
        for (member, units) in self.allocation.by_member() {
            self.assign(now, member, units, out);
        }
        self.collect(now, out);
    }

    /// Allocates the units anew if somebody came or went, by the speeds that they were allocated by before, so that
    /// only what must move moves; and by measured speeds now and then, if that is worth it.
    fn plan(&mut self) {
        let most = self.most_per_partner();
        if self.stale_allocation {
            self.allocation.rebalance(&candidates(&self.members, |member| member.planned, &Loads::new()), most);
            self.stale_allocation = false;
        } else if self.round.0.is_multiple_of(REPLAN_EVERY) {
            let measured = candidates(&self.members, |member| member.speed, &Loads::new());
            if self.allocation.rebalance_if_faster(&measured, most) {
                self.members.values_mut().for_each(|member| member.planned = member.speed);
            }
        }
    }

    fn assign(&mut self, now: Time, member: MemberId, units: Units, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &mut self.phase else { return };
        let lease = Lease { id: self.next_lease, round: self.round, units };
        self.next_lease = LeaseId(self.next_lease.0 + 1);
        round.grant(lease.id, member, lease.units.clone(), now);
        out.push(Action::Assign { member, lease });
    }

    fn collect(&mut self, now: Time, out: &mut Vec<Action>) {
        let quorate = self.has_quorum() || self.planted.has(Bug::ClosedBelowQuorum);
        let on_missing = self.config.quorum.on_missing;
        let deadline = now.after(self.config.quorum.round_deadline);
        let Phase::Collecting(round) = &mut self.phase else { return };
        if !quorate {
            round.deadline = None;
            return;
        }
        match on_missing {
            OnMissing::Wait => {}
            OnMissing::ReLease | OnMissing::Skip => {
                round.deadline.get_or_insert(deadline);
            }
        }
        let enough = self.config.units - u32::from(self.planted.has(Bug::ClosedBelowAllUnits));
        match round.counted_len() >= enough {
            true => self.close(out),
            false => self.lease_uncovered(now, out),
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
            self.assign(now, member, units, out);
        }
    }

    /// Leases missing units to members that do not compute them yet; the first answer counts.
    pub(super) fn lease_to_others(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        if self.planted.has(Bug::StragglerKept) {
            return;
        }
        for (member, units) in self.hand_out(round, &round.missing(), |unit, member| !round.computes(unit, member)) {
            self.counters.units_released += units.len() as u64;
            self.assign(now, member, units, out);
        }
    }

    fn hand_out(
        &self,
        round: &OpenRound,
        units: &Units,
        suits: impl Fn(Unit, MemberId) -> bool,
    ) -> BTreeMap<MemberId, Units> {
        let candidates = candidates(&self.members, |member| member.speed, &round.loads());
        let taken = round.taken(|member| self.members.get(member).map(|of| &of.partner));
        lease::hand_out(units, &candidates, taken, self.most_per_partner(), suits)
    }

    pub(super) fn close(&mut self, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &self.phase else { return };
        out.push(Action::Close { round: self.round, units: round.counted() });
        self.phase = Phase::Stepping;
    }
}

type Loads = BTreeMap<MemberId, u32>;

fn candidates<'a>(members: &'a Members, speed: fn(&Member) -> u64, loads: &Loads) -> Vec<Candidate<'a>> {
    let load = |member| loads.get(&member).copied().unwrap_or(0);
    let candidate = |(member, of): (MemberId, &'a Member)| Candidate {
        member,
        partner: &of.partner,
        speed: speed(of),
        load: load(member),
    };
    members.iter().map(candidate).collect()
}
