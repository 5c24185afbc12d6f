//! Books of audits: who was asked, who lied, and what a lie came to.

use std::collections::{BTreeMap, BTreeSet};

use super::super::breach::Breach;
use super::Referee;
use crate::id::{LeaseId, MemberId, PartnerName, Round, Time, Units};
use crate::reject::Rejection;
use crate::run::{Finding, RunConfig, UpdateHeader};
use crate::spec::OnMissing;

/// An audit that has not ended.
struct Open {
    partner: PartnerName,
    units: Units,
    judged: bool,
}

#[derive(Default)]
pub(super) struct Audits {
    open: BTreeMap<LeaseId, Open>,
    /// Leases of auditors, and what they audit.
    leases: BTreeMap<LeaseId, (MemberId, LeaseId)>,
    /// Whether the update that is judged next is wrong.
    wrong: bool,
    /// Wrong updates that count in the open round.
    lies: BTreeSet<LeaseId>,
    /// Leases of the open round under which something wrong came that counted or was compared.
    wrongs: BTreeSet<LeaseId>,
    /// Updates of the open round that nobody could look at.
    unseen: BTreeSet<LeaseId>,
    /// An audit of the open round that ended though somebody could have answered it.
    hasty: Option<LeaseId>,
    /// Partners that have sent a wrong update which counted or was compared.
    liars: BTreeSet<PartnerName>,
    /// Partners whose workers were dismissed for that.
    caught: BTreeSet<PartnerName>,
    /// Whether a lie is in the params.
    tainted: bool,
}

impl Audits {
    pub(super) fn over_a_restart(&mut self) -> Self {
        Self { liars: std::mem::take(&mut self.liars), tainted: self.tainted, ..Self::default() }
    }

    pub(super) fn opened(&mut self) {
        self.open.clear();
        self.leases.clear();
        self.lies.clear();
        self.wrongs.clear();
        self.unseen.clear();
        self.hasty = None;
    }

    /// The audit that waits for somebody to compute exactly these units.
    pub(super) fn of_units(&self, units: &Units) -> Option<LeaseId> {
        self.open.iter().find(|(_, audit)| audit.units == *units && !audit.judged).map(|(lease, _)| *lease)
    }

    pub(super) fn assigned(
        &mut self,
        audited: LeaseId,
        lease: LeaseId,
        member: MemberId,
        partner: &PartnerName,
    ) -> Result<(), Breach> {
        self.leases.insert(lease, (member, audited));
        match self.open.get(&audited).is_some_and(|audit| audit.partner != *partner) {
            true => Ok(()),
            false => Err(Breach::AuditedByItself(lease)),
        }
    }

    pub(super) fn accepted(&mut self, lease: LeaseId, partner: PartnerName, config: &RunConfig) {
        if std::mem::take(&mut self.wrong) {
            self.lies.insert(lease);
            self.wrongs.insert(lease);
            self.liars.insert(partner);
        }
        if self.open.len() >= config.audit.most_open() as usize {
            self.unseen.insert(lease);
        }
    }

    pub(super) fn revoke(&mut self, member: MemberId, kept: impl Fn(&LeaseId) -> bool) {
        self.leases.retain(|lease, (of, _)| *of != member || kept(lease));
    }

    pub(super) fn admitted(&self, member: MemberId, partner: &PartnerName) -> Result<(), Breach> {
        match self.caught.contains(partner) {
            true => Err(Breach::CaughtAdmitted(member)),
            false => Ok(()),
        }
    }

    pub(super) fn dismissed(&mut self, member: MemberId, why: &Rejection) -> Result<(), Breach> {
        let Rejection::WrongUpdate { partner, .. } = why else { return Ok(()) };
        self.caught.insert(partner.clone());
        match self.liars.contains(partner) {
            true => Ok(()),
            false => Err(Breach::InnocentDismissed(member)),
        }
    }

    pub(super) fn closed(&mut self, round: Round, config: &RunConfig) -> Result<(), Breach> {
        if !self.open.is_empty() {
            return Err(Breach::ClosedDuringAudit(round));
        }
        if let Some(lease) = self.hasty {
            return Err(Breach::AuditLapsedEarly(lease));
        }
        let seen = |lease: &&LeaseId| config.audit.is_certain() && !self.unseen.contains(lease);
        if let Some(lease) = self.lies.iter().find(seen) {
            return Err(Breach::LieCommitted(*lease));
        }
        self.tainted |= !self.lies.is_empty();
        Ok(())
    }
}

impl Referee {
    /// The update that the run hears of next is wrong, or it is right.
    pub(in super::super) fn weighs(&mut self, wrong: bool) {
        self.audits.wrong = wrong;
    }

    /// Whether a lie that nobody looked at is in the params.
    pub(in super::super) fn is_tainted(&self) -> bool {
        self.audits.tainted
    }

    /// The sum of a round that closes is that of its units, unless it has a lie in it.
    pub(in super::super) fn check_sum(&self, round: Round, is_true: bool) -> Result<(), Breach> {
        match is_true || !self.audits.lies.is_empty() {
            true => Ok(()),
            false => Err(Breach::OtherSum(round)),
        }
    }

    /// An update came: perhaps it is an auditor's.
    pub(super) fn compared(&mut self, member: MemberId, header: &UpdateHeader) {
        let of = self.audits.leases.get(&header.lease).filter(|(auditor, _)| *auditor == member);
        let audit = of.and_then(|(_, audited)| self.audits.open.get(audited));
        let fits = audit.is_some_and(|audit| audit.units == header.units && Some(header.round) == self.open);
        if let Some(present) = self.members.get(&member).filter(|_| fits && self.audits.wrong) {
            self.audits.liars.insert(present.partner.clone());
            self.audits.wrongs.insert(header.lease);
        }
    }

    pub(super) fn convicted(&mut self, lease: LeaseId) -> Result<(), Breach> {
        match self.audits.wrongs.contains(&lease) {
            true => Ok(()),
            false => Err(Breach::ConvictedWrongly(lease)),
        }
    }

    pub(super) fn audit_begins(&mut self, lease: LeaseId) -> Result<(), Breach> {
        let wrong = Breach::CountedWrongly { lease, why: "it is audited and not counted" };
        let granted = self.leases.get(&lease).ok_or(wrong)?;
        let open = Open { partner: granted.partner.clone(), units: granted.units.clone(), judged: false };
        self.audits.open.insert(lease, open);
        Ok(())
    }

    pub(super) fn audit_differs(&mut self, lease: LeaseId) -> Result<(), Breach> {
        self.audits.leases.retain(|_, (_, audited)| *audited != lease);
        self.audits.open.entry(lease).and_modify(|audit| audit.judged = true);
        Ok(())
    }

    pub(super) fn retracted(&mut self, now: Time, lease: LeaseId) -> Result<(), Breach> {
        let judged = self.audits.open.get(&lease).filter(|audit| audit.judged);
        let counted = judged.filter(|audit| audit.units.iter().all(|unit| self.counted.get(unit) == Some(&lease)));
        let Some(Open { units, .. }) = counted.filter(|_| self.audits.lies.contains(&lease)) else {
            return Err(Breach::RetractedWrongly(lease));
        };
        self.counted.retain(|unit, _| !units.contains(unit));
        // What was overtaken by it is void, too: the units are leased anew.
        self.leases.retain(|_, granted| granted.units.is_disjoint(units));
        self.audits.lies.remove(&lease);
        self.changed = now;
        Ok(())
    }

    pub(super) fn audit_ends(&mut self, now: Time, lease: LeaseId, finding: Finding) -> Result<(), Breach> {
        self.audits.leases.retain(|_, (_, audited)| *audited != lease);
        let Some(audit) = self.audits.open.remove(&lease) else { return Err(Breach::RetractedWrongly(lease)) };
        match finding {
            Finding::Passed | Finding::Failed => Ok(()),
            Finding::Lapsed => {
                self.audits.unseen.insert(lease);
                let waited = self.opened.after(self.config.quorum.round_deadline) <= now;
                let skipped = waited && self.config.quorum.on_missing == OnMissing::Skip;
                let could = self.members.values().any(|present| present.partner != audit.partner);
                // A run that ends lets them lapse, too: only a round that closes should not have.
                if could && !skipped {
                    self.audits.hasty = Some(lease);
                }
                Ok(())
            }
        }
    }

    /// Of an audit that has waited for a deadline, two members compute the units, if there are two.
    pub(super) fn check_audits(&self) -> Result<(), Breach> {
        for (&lease, audit) in self.audits.open.iter().filter(|(_, audit)| !audit.judged) {
            let of_audit = self.audits.leases.values().filter(|(_, audited)| *audited == lease);
            let asked: BTreeSet<MemberId> =
                of_audit.map(|(member, _)| *member).filter(|member| self.members.contains_key(member)).collect();
            let able = self.members.values().filter(|present| present.partner != audit.partner).count();
            if asked.len() < able.min(2) {
                return Err(Breach::AuditKept(lease));
            }
        }
        Ok(())
    }
}
