//! What holds of a run after every event; asserted in debug builds, and by the simulation in all of them.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::audit::{Audit, AuditCounters};
use super::round::{OpenRound, Standing};
use super::{Phase, Run};
use crate::id::{LeaseId, MemberId, Unit};
use crate::spec::OnMissing;

/// Something that must always hold of a run, and does not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invariant {
    /// Two members have one identity.
    #[error("member {0} has the identity of another member")]
    SharedIdentity(MemberId),
    /// Joins, leaves and members do not add up.
    #[error("{joins} joins less {leaves} leaves are not {members} members")]
    MembersDoNotAddUp {
        /// Joins counted.
        joins: u64,
        /// Leaves counted.
        leaves: u64,
        /// Members present.
        members: u32,
    },
    /// A unit is in the hands of somebody who is not a member.
    #[error("unit {0} is held by somebody who left")]
    HeldByNobody(Unit),
    /// A lease belongs to somebody who is not a member.
    #[error("lease {0} belongs to somebody who left")]
    LeasedToNobody(LeaseId),
    /// A unit is leased to a partner who has not its samples.
    #[error("unit {0} is leased to a partner who has not its samples")]
    LeasedToStranger(Unit),
    /// An open lease has a unit that is counted, so that its update could never count.
    #[error("open lease {lease} has unit {unit}, which is counted")]
    OpenLeaseOfCounted {
        /// The lease.
        lease: LeaseId,
        /// The unit.
        unit: Unit,
    },
    /// The number of open leases of a unit is not what the books say.
    #[error("unit {0} has another number of open leases than the books say")]
    CoverWrong(Unit),
    /// A missing unit is with nobody although somebody may take it.
    #[error("unit {0} is not counted, nobody computes it, and somebody could")]
    Abandoned(Unit),
    /// A partner has more of the round than it may.
    #[error("a partner has {held} units of the round and may have {most}")]
    PartnerOverfull {
        /// Units it has.
        held: usize,
        /// Units it may have.
        most: u32,
    },
    /// An audit is not of counted units, or its auditor is of the audited partner.
    #[error("the audit of the update under lease {0} is not of counted units, or by the audited partner")]
    AuditWrong(LeaseId),
    /// Nobody answers an audit although somebody could.
    #[error("nobody answers the audit of the update under lease {0}, and somebody could")]
    AuditForgotten(LeaseId),
    /// Audits do not add up.
    #[error("of {made} audits, {ended} have ended and {open} are open")]
    AuditsDoNotAddUp {
        /// Audits made.
        made: u64,
        /// Audits that passed, failed or lapsed.
        ended: u64,
        /// Audits that are open.
        open: u64,
    },
    /// The run waits although it could go on.
    #[error("the run waits although it could go on: {0}")]
    NeedlessWait(&'static str),
    /// Nothing ends the wait.
    #[error("nothing ends the wait: {0}")]
    EndlessWait(&'static str),
}

impl Run {
    /// Checks what must hold of a run between two events.
    ///
    /// # Errors
    /// The first [`Invariant`] found that does not hold.
    pub fn check_invariants(&self) -> Result<(), Invariant> {
        self.check_members()?;
        self.check_audits()?;
        match &self.phase {
            Phase::Gathering if self.can_open() => Err(Invariant::NeedlessWait("enough members to open a round")),
            Phase::Collecting(round) => self.check_round(round),
            Phase::Gathering | Phase::Stepping | Phase::Evaluating | Phase::Over(_) => Ok(()),
        }
    }

    fn check_audits(&self) -> Result<(), Invariant> {
        let AuditCounters { made, passed, failed, lapsed } = self.counters.audits;
        let ended = passed + failed + lapsed;
        let Phase::Collecting(round) = &self.phase else {
            return if made == ended { Ok(()) } else { Err(Invariant::AuditsDoNotAddUp { made, ended, open: 0 }) };
        };
        let open = round.audits.len() as u64;
        if made != ended + open {
            return Err(Invariant::AuditsDoNotAddUp { made, ended, open });
        }
        for (&lease, audit) in &round.audits {
            let mut auditors = round.grants().filter(|(_, grant)| grant.standing == Standing::Audits(lease));
            let its_own = |member| self.members.get(member).is_none_or(|of| of.partner == *audit.partner());
            let strange = auditors.any(|(_, grant)| grant.units != audit.units || its_own(grant.member));
            if strange || audit.units.iter().any(|unit| !round.is_counted(*unit)) {
                return Err(Invariant::AuditWrong(lease));
            }
            let waits = audit.is_judged() || round.has_auditor(lease) || !self.has_quorum();
            if !waits && self.members.iter().any(|(_, member)| member.partner != *audit.partner()) {
                return Err(Invariant::AuditForgotten(lease));
            }
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), Invariant> {
        let mut identities = BTreeSet::new();
        for (id, member) in self.members.iter() {
            if !identities.insert(member.worker) {
                return Err(Invariant::SharedIdentity(id));
            }
        }
        let (joins, leaves, members) = (self.counters.joins, self.counters.leaves, self.members.count());
        if joins - leaves != u64::from(members) {
            return Err(Invariant::MembersDoNotAddUp { joins, leaves, members });
        }
        let gone = |unit: &Unit| self.allocation.holder(*unit).is_some_and(|holder| !self.members.contains(holder));
        if let Some(unit) = self.all_units().find(gone) {
            return Err(Invariant::HeldByNobody(unit));
        }
        let expiry = self.members.iter().map(|(_, member)| member.heard.after(self.config.silence)).min();
        match (expiry, self.members.check_at()) {
            (Some(expiry), Some(check)) if check <= expiry => Ok(()),
            (None, _) => Ok(()),
            (Some(_), _) => Err(Invariant::EndlessWait("a silent member would not be noticed")),
        }
    }

    fn all_units(&self) -> impl Iterator<Item = Unit> + use<> {
        (0..self.config.units).map(Unit)
    }

    fn check_round(&self, round: &OpenRound) -> Result<(), Invariant> {
        self.check_leases(round)?;
        self.check_partners(round)?;
        if !self.has_quorum() {
            return Ok(());
        }
        let is_audited = |(lease, audit): (&LeaseId, &Audit)| audit.is_judged() || round.has_auditor(*lease);
        if round.counted_len() == self.config.units && !round.audits.iter().any(is_audited) {
            return Err(Invariant::NeedlessWait("all units are counted"));
        }
        if self.on_missing() != OnMissing::Wait && round.deadline.is_none() {
            return Err(Invariant::EndlessWait("the open round has no deadline"));
        }
        let taken = round.taken(|member| self.members.get(member).map(|of| &of.partner));
        let has_room = |partner| taken.get(partner).map_or(0, |units| units.len()) < self.partner_cap() as usize;
        let could = |unit: &Unit| {
            self.members.iter().any(|(id, member)| has_room(&member.partner) && self.may_compute(*unit, id))
        };
        round.uncovered().into_iter().find(could).map_or(Ok(()), |unit| Err(Invariant::Abandoned(unit)))
    }

    fn check_leases(&self, round: &OpenRound) -> Result<(), Invariant> {
        let mut cover: BTreeMap<Unit, u16> = BTreeMap::new();
        for (lease, grant) in round.grants() {
            if !self.members.contains(grant.member) {
                return Err(Invariant::LeasedToNobody(lease));
            }
            if let Some(&unit) = grant.units.iter().find(|unit| !self.may_compute(**unit, grant.member)) {
                return Err(Invariant::LeasedToStranger(unit));
            }
            if grant.standing != Standing::Open {
                continue;
            }
            for &unit in &grant.units {
                if round.is_counted(unit) {
                    return Err(Invariant::OpenLeaseOfCounted { lease, unit });
                }
                *cover.entry(unit).or_insert(0) += 1;
            }
        }
        let differs = |unit: &Unit| round.cover(*unit) != cover.get(unit).copied().unwrap_or(0);
        self.all_units().find(differs).map_or(Ok(()), |unit| Err(Invariant::CoverWrong(unit)))
    }

    fn check_partners(&self, round: &OpenRound) -> Result<(), Invariant> {
        let most = self.partner_cap();
        let taken = round.taken(|member| self.members.get(member).map(|of| &of.partner));
        let fullest = taken.values().map(|units| units.len()).max().unwrap_or(0);
        match fullest > most as usize {
            true => Err(Invariant::PartnerOverfull { held: fullest, most }),
            false => Ok(()),
        }
    }
}
