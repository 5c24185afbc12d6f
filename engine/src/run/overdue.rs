//! Stragglers: a lease that takes longer than can be explained is given to others too, and its member gets no more until
//! it has answered.

use super::round::{Overdue, Standing};
use super::{Action, Phase, Run, UpdateHeader};
use crate::id::{LeaseId, MemberId, Time, Units};
use crate::planted::Bug;
use crate::spec::OnMissing;

impl Run {
    /// When others may be given the units of a lease of the open round; none if that does not happen by itself.
    #[must_use]
    pub fn due(&self, lease: LeaseId) -> Option<Time> {
        let Phase::Collecting(round) = &self.phase else { return None };
        let own = round.lease(lease).and_then(|grant| grant.due);
        own.into_iter().chain(round.deadline).min()
    }

    /// When a lease of `units` that `id` is given now is overdue; none if only the round's deadline says so. Before a
    /// member has computed a unit it may have to fetch the unit's samples: nothing is expected of it then.
    pub(super) fn overdue_at(&self, now: Time, id: MemberId, units: &Units, load: u32) -> Option<Time> {
        let member = self.members.get(id).filter(|_| self.on_missing() == OnMissing::ReLease)?;
        if !units.is_subset(&member.at_hand) {
            return None;
        }
        let units = load + u32::try_from(units.len()).unwrap_or(u32::MAX - load);
        let patience = self.spread.patience(member.pace.expected(units)?)?;
        Some(now.after(patience.min(self.config.quorum.round_deadline)))
    }

    /// Takes note of how long a member needed for an update, whether it counts or not.
    pub(super) fn observe(&mut self, now: Time, id: MemberId, header: &UpdateHeader) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.stale_allocation |= std::mem::take(&mut member.is_suspect);
        let Phase::Collecting(round) = &mut self.phase else { return };
        if header.round != self.round {
            return;
        }
        let Some(leased) = round.answered(header.lease, id, &header.units) else { return };
        let took = member.answered(now, leased, header.units.len());
        let units = u32::try_from(header.units.len()).unwrap_or(u32::MAX);
        if header.units.is_subset(&member.at_hand) {
            if let Some(expected) = member.pace.expected(units) {
                self.spread.note(took, expected);
            }
            member.pace.note(took, units);
        }
        member.at_hand.extend(&header.units);
    }

    /// Gives the units of leases that are overdue to others. Their members count as slow for as long as they have taken,
    /// and hold nothing in further rounds until they answer: they may be stopped, hung or cut off.
    pub(super) fn release_overdue(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Collecting(round) = &mut self.phase else { return };
        let overdue = round.take_overdue(now);
        let (mut missing, mut audits) = (Units::new(), Vec::new());
        for Overdue { member, at, units, standing } in overdue {
            if let Some(member) = self.members.get_mut(member) {
                member.pace.note(now.since(at), u32::try_from(units.len()).unwrap_or(u32::MAX));
                member.is_suspect = true;
                self.stale_allocation = true;
            }
            match standing {
                Standing::Audits(of) => audits.push(of),
                Standing::Open | Standing::Counted | Standing::Overtaken => missing.extend(units),
            }
        }
        audits.into_iter().for_each(|audited| self.ask_also(now, audited, out));
        if !missing.is_empty() && self.has_quorum() && !self.planted.has(Bug::OverdueKept) {
            self.lease_also(now, &missing, out);
        }
    }

    /// Whether units should rather go to others than to `member`.
    pub(super) fn is_suspect(&self, member: MemberId) -> bool {
        self.members.get(member).is_some_and(|member| member.is_suspect)
    }

    /// Takes the units of suspects, if there is anybody else.
    pub(super) fn release_suspects(&mut self) {
        let suspects: Vec<MemberId> =
            self.members.iter().filter(|(_, member)| member.is_suspect).map(|(id, _)| id).collect();
        if suspects.len() < self.members.count() as usize {
            suspects.into_iter().for_each(|suspect| self.allocation.release(suspect));
        }
    }
}
