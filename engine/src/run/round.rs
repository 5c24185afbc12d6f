//! The books of an open round: who was leased what, and what is counted.

use std::collections::{BTreeMap, BTreeSet};

use super::Lease;
use super::audit::Audit;
use crate::id::{LeaseId, MemberId, PartnerName, Time, Unit, Units};
use crate::lease::Taken;

/// A lease of the open round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) member: MemberId,
    pub(super) units: Units,
    pub(super) at: Time,
    /// When it is overdue; none if only the round's deadline says so, or if it was noticed.
    pub(super) due: Option<Time>,
    pub(super) standing: Standing,
    /// Whether an update came for it.
    answered: bool,
}

/// What can still come of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// An update would count.
    Open,
    /// Its update is counted.
    Counted,
    /// Somebody else's update of some of its units is counted. A sum cannot be divided, so this one cannot count.
    Overtaken,
    /// Its update is compared with the counted one of the same units under that lease, and never counts itself.
    Audits(LeaseId),
}

impl Standing {
    /// Whether an answer is waited for.
    pub(super) fn is_running(self) -> bool {
        matches!(self, Self::Open | Self::Audits(_))
    }
}

/// A lease that takes too long.
pub(super) struct Overdue {
    pub(super) member: MemberId,
    /// When it was leased.
    pub(super) at: Time,
    pub(super) units: Units,
    pub(super) standing: Standing,
}

/// An open round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenRound {
    /// When missing units are dealt with; none while the round only waits.
    pub(super) deadline: Option<Time>,
    /// No lease can be overdue before this moment. It is not moved at every answer.
    pub(super) look_at: Option<Time>,
    leases: BTreeMap<LeaseId, Grant>,
    /// Counted updates that are under audit, by lease.
    pub(super) audits: BTreeMap<LeaseId, Audit>,
    counted: Vec<bool>,
    /// Open leases of each unit.
    cover: Vec<u16>,
    /// Counted units of partners' members that are gone, be it with an earlier coordinator.
    departed: Taken,
}

impl OpenRound {
    pub(super) fn new(units: u32) -> Self {
        Self {
            deadline: None,
            look_at: None,
            leases: BTreeMap::new(),
            audits: BTreeMap::new(),
            counted: vec![false; units as usize],
            cover: vec![0; units as usize],
            departed: Taken::new(),
        }
    }

    pub(super) fn grant(&mut self, lease: &Lease, member: MemberId, standing: Standing, at: Time, due: Option<Time>) {
        self.look_at = self.look_at.into_iter().chain(due).min();
        for unit in lease.units.iter().filter(|_| standing == Standing::Open) {
            self.cover[unit.0 as usize] += 1;
        }
        let units = lease.units.clone();
        self.leases.insert(lease.id, Grant { member, units, at, due, standing, answered: false });
    }

    pub(super) fn lease(&self, lease: LeaseId) -> Option<&Grant> {
        self.leases.get(&lease)
    }

    /// An update of `units` came from `member` under `lease`: gives when that was leased, the first time.
    pub(super) fn answered(&mut self, lease: LeaseId, member: MemberId, units: &Units) -> Option<Time> {
        let grant = self.leases.get_mut(&lease).filter(|grant| grant.member == member && grant.units == *units)?;
        let first = !std::mem::replace(&mut grant.answered, true);
        first.then_some(grant.at)
    }

    /// The leases that are overdue and were not noticed yet.
    pub(super) fn take_overdue(&mut self, now: Time) -> Vec<Overdue> {
        if self.look_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        let mut overdue = Vec::new();
        let running = self.leases.values_mut().filter(|grant| grant.standing.is_running());
        for grant in running.filter(|grant| grant.due.is_some_and(|due| due <= now)) {
            grant.due = None;
            let Grant { member, at, ref units, standing, .. } = *grant;
            overdue.push(Overdue { member, at, units: units.clone(), standing });
        }
        self.look_at = self.running().filter_map(|grant| grant.due).min();
        overdue
    }

    pub(super) fn is_counted(&self, unit: Unit) -> bool {
        self.counted.get(unit.0 as usize).copied().unwrap_or(false)
    }

    /// Counts `units` as the answer to `lease`.
    pub(super) fn count(&mut self, lease: LeaseId, units: &Units) {
        let mut overtaken = BTreeSet::new();
        self.settle(lease, Standing::Counted);
        for unit in units {
            self.counted[unit.0 as usize] = true;
            if self.cover[unit.0 as usize] > 0 {
                let others = self.leases.iter().filter(|(_, grant)| grant.units.contains(unit));
                overtaken.extend(others.map(|(id, _)| *id));
            }
        }
        for other in overtaken {
            self.settle(other, Standing::Overtaken);
        }
    }

    /// Counts units of `partner` whose update outlived a restart.
    pub(super) fn reuse(&mut self, unit: Unit, partner: &PartnerName) {
        self.counted[unit.0 as usize] = true;
        self.departed.entry(partner.clone()).or_default().insert(unit);
    }

    /// Ends an open lease.
    fn settle(&mut self, lease: LeaseId, standing: Standing) {
        let Some(grant) = self.leases.get_mut(&lease).filter(|grant| grant.standing == Standing::Open) else {
            return;
        };
        grant.standing = standing;
        for unit in &grant.units {
            self.cover[unit.0 as usize] -= 1;
        }
    }

    /// Takes back what `member` was leased and has not answered: all of it, or one lease. Gives the units that nobody
    /// else computes.
    pub(super) fn revoke(&mut self, member: MemberId, only: Option<LeaseId>) -> Units {
        let of_member = self.leases.iter().filter(|(id, grant)| {
            grant.member == member && grant.standing.is_running() && only.is_none_or(|lease| lease == **id)
        });
        let revoked: Vec<LeaseId> = of_member.map(|(id, _)| *id).collect();
        let mut units = Units::new();
        for lease in revoked {
            self.settle(lease, Standing::Overtaken);
            units.extend(self.leases.remove(&lease).into_iter().flat_map(|grant| grant.units));
        }
        units.retain(|unit| self.is_uncovered(*unit));
        units
    }

    /// Forgets a member that is gone; what it had counted stays counted, on its partner's account.
    pub(super) fn depart(&mut self, member: MemberId, partner: &PartnerName) -> Units {
        let released = self.revoke(member, None);
        let of_member = self.leases.values().filter(|grant| grant.member == member);
        let counted = of_member.filter(|grant| grant.standing == Standing::Counted).flat_map(|grant| &grant.units);
        let counted: Units = counted.copied().collect();
        if !counted.is_empty() {
            self.departed.entry(partner.clone()).or_default().extend(counted);
        }
        self.leases.retain(|_, grant| grant.member != member);
        released
    }

    /// Ends the audit of `lease`: whoever still computes for it does so for nothing.
    pub(super) fn end_audit(&mut self, lease: LeaseId) -> Option<Audit> {
        self.end_auditors(lease);
        self.audits.remove(&lease)
    }

    /// Nobody's answer is compared with the update under `lease` any more.
    pub(super) fn end_auditors(&mut self, lease: LeaseId) {
        let auditors = self.leases.values_mut().filter(|grant| grant.standing == Standing::Audits(lease));
        auditors.for_each(|grant| grant.standing = Standing::Overtaken);
    }

    /// Whether somebody computes the units of `lease` again.
    pub(super) fn has_auditor(&self, lease: LeaseId) -> bool {
        self.leases.values().any(|grant| grant.standing == Standing::Audits(lease))
    }

    /// Takes an update back that was counted under `lease`: its units are missing.
    pub(super) fn take_back(&mut self, lease: LeaseId, partner: &PartnerName, units: &Units) {
        self.leases.remove(&lease);
        if let Some(departed) = self.departed.get_mut(partner) {
            departed.retain(|unit| !units.contains(unit));
        }
        self.departed.retain(|_, units| !units.is_empty());
        units.iter().for_each(|unit| self.counted[unit.0 as usize] = false);
    }

    /// Takes back what `member` had counted. No correct run does this: it is one of the planted bugs.
    pub(super) fn retract(&mut self, member: MemberId) {
        for grant in self.leases.values().filter(|grant| grant.member == member) {
            for unit in grant.units.iter().filter(|_| grant.standing == Standing::Counted) {
                self.counted[unit.0 as usize] = false;
            }
        }
    }

    fn is_uncovered(&self, unit: Unit) -> bool {
        !self.counted[unit.0 as usize] && self.cover[unit.0 as usize] == 0
    }

    fn units_where(&self, holds: impl Fn(Unit) -> bool) -> Units {
        (0..).map(Unit).take(self.counted.len()).filter(|unit| holds(*unit)).collect()
    }

    /// Units that are not counted and that nobody computes.
    pub(super) fn uncovered(&self) -> Units {
        self.units_where(|unit| self.is_uncovered(unit))
    }

    /// Units that are not counted.
    pub(super) fn missing(&self) -> Units {
        self.units_where(|unit| !self.is_counted(unit))
    }

    /// Units that are counted.
    pub(super) fn counted(&self) -> Units {
        self.units_where(|unit| self.is_counted(unit))
    }

    pub(super) fn counted_len(&self) -> u32 {
        u32::try_from(self.counted.iter().filter(|counted| **counted).count()).unwrap_or(u32::MAX)
    }

    fn running(&self) -> impl Iterator<Item = &Grant> {
        self.leases.values().filter(|grant| grant.standing.is_running())
    }

    /// Units that `member` has still to answer.
    pub(super) fn load(&self, member: MemberId) -> u32 {
        let units = self.running().filter(|grant| grant.member == member).map(|grant| grant.units.len()).sum::<usize>();
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// Units that each member has still to answer.
    pub(super) fn loads(&self) -> BTreeMap<MemberId, u32> {
        let mut loads = BTreeMap::new();
        for grant in self.running() {
            *loads.entry(grant.member).or_insert(0) += u32::try_from(grant.units.len()).unwrap_or(u32::MAX);
        }
        loads
    }

    /// Whether `member` computes `unit` now.
    pub(super) fn computes(&self, unit: Unit, member: MemberId) -> bool {
        self.running().any(|grant| grant.member == member && grant.units.contains(&unit))
    }

    /// What each partner holds or has answered, given the partner of each live member.
    pub(super) fn taken<'a>(&self, partner_of: impl Fn(MemberId) -> Option<&'a PartnerName>) -> Taken {
        let mut taken = self.departed.clone();
        self.gather(&mut taken, partner_of, |standing| matches!(standing, Standing::Open | Standing::Counted));
        taken
    }

    /// What each partner has answered.
    pub(super) fn used<'a>(&self, partner_of: impl Fn(MemberId) -> Option<&'a PartnerName>) -> Taken {
        let mut used = self.departed.clone();
        self.gather(&mut used, partner_of, |standing| standing == Standing::Counted);
        used
    }

    /// What each partner holds and has not answered.
    pub(super) fn unanswered<'a>(&self, partner_of: impl Fn(MemberId) -> Option<&'a PartnerName>) -> Taken {
        let mut unanswered = Taken::new();
        self.gather(&mut unanswered, partner_of, |standing| standing == Standing::Open);
        unanswered
    }

    fn gather<'a>(
        &self,
        taken: &mut Taken,
        partner_of: impl Fn(MemberId) -> Option<&'a PartnerName>,
        counts: impl Fn(Standing) -> bool,
    ) {
        for grant in self.leases.values().filter(|grant| counts(grant.standing)) {
            if let Some(partner) = partner_of(grant.member) {
                taken.entry(partner.clone()).or_default().extend(&grant.units);
            }
        }
    }

    /// All leases, for the invariants.
    pub(super) fn grants(&self) -> impl Iterator<Item = (LeaseId, &Grant)> {
        self.leases.iter().map(|(id, grant)| (*id, grant))
    }

    /// Open leases of `unit`, for the invariants.
    pub(super) fn cover(&self, unit: Unit) -> u16 {
        self.cover[unit.0 as usize]
    }
}
