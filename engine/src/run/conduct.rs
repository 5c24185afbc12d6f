//! Who sends updates that are none: a member that does so again and again is dismissed, and a partner whose workers do so
//! too often is out of the run, whoever of them comes back.

use std::collections::BTreeMap;

use super::{Action, Phase, Run};
use crate::id::{LeaseId, MemberId, PartnerName, Time};
use crate::planted::Bug;
use crate::reject::Rejection;
use crate::spec::check::MAX_UNITS;

/// Malformed updates in a row after which a member is dismissed.
const MAX_MALFORMED: u32 = 3;
/// What a malformed update weighs against good ones: so many of these make up for it.
const WEIGHT: u32 = 16;
/// What weighs more than this puts a partner in quarantine: as many malformed updates that nothing makes up for.
const MAX_WEIGHT: u32 = 16 * WEIGHT;
/// Partners that are counted; the names of more are made up.
const MOST: usize = MAX_UNITS as usize;

/// What weighs against each partner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Conduct(BTreeMap<PartnerName, u32>);

impl Conduct {
    /// A malformed update of `partner` came.
    fn bad(&mut self, partner: &PartnerName) {
        if self.0.len() < MOST || self.0.contains_key(partner) {
            let weight = self.0.entry(partner.clone()).or_default();
            *weight = weight.saturating_add(WEIGHT);
        }
    }

    /// An update of `partner` counts. It does not end a quarantine: there are none of those who are in it.
    pub(super) fn good(&mut self, partner: &PartnerName) {
        if let Some(weight) = self.0.get_mut(partner) {
            *weight = weight.saturating_sub(1);
        }
    }

    fn is_in_quarantine(&self, partner: &PartnerName) -> bool {
        self.0.get(partner).is_some_and(|weight| *weight > MAX_WEIGHT)
    }
}

impl Run {
    /// Why nobody of `partner` may be a member, if that is so.
    pub(super) fn barred(&self, partner: &PartnerName) -> Option<Rejection> {
        self.conduct.is_in_quarantine(partner).then(|| Rejection::Quarantined { partner: partner.clone() })
    }

    pub(super) fn malformed(
        &mut self,
        now: Time,
        id: MemberId,
        lease: Option<LeaseId>,
        why: String,
        out: &mut Vec<Action>,
    ) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.heard = now;
        member.malformed += 1;
        let repeated = member.malformed >= MAX_MALFORMED;
        let partner = member.partner.clone();
        self.conduct.bad(&partner);
        self.counters.rejected += 1;
        if let Some(why) = self.barred(&partner) {
            let theirs = self.members.iter().filter(|(_, member)| member.partner == partner).map(|(id, _)| id);
            let theirs: Vec<_> = theirs.collect();
            return theirs.into_iter().for_each(|id| self.dismiss(id, why.clone(), out));
        }
        if repeated {
            return self.dismiss(id, Rejection::BadPayload { why }, out);
        }
        if let Phase::Collecting(round) = &mut self.phase
            && !self.planted.has(Bug::MalformedLeaseKept)
        {
            self.counters.units_released += round.revoke(id, lease).len() as u64;
        }
    }
}
