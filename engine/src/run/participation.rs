//! What each partner has given.

use std::collections::BTreeMap;

use super::Participation;
use crate::id::PartnerName;
use crate::lease::Taken;
use crate::spec::check::MAX_UNITS;

/// Partners that are counted; more are not, so that names that somebody makes up take no memory.
const MOST: usize = MAX_UNITS as usize;

/// All of it, by partner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Participations(BTreeMap<PartnerName, Participation>);

impl Participations {
    /// A round closes with these units of each partner, and without those.
    pub(super) fn closed(&mut self, used: &Taken, missing: &Taken) {
        for (partner, units) in used {
            self.add(partner, Participation { used: units.len() as u64, ..Participation::default() });
        }
        for (partner, units) in missing {
            self.add(partner, Participation { missing: units.len() as u64, ..Participation::default() });
        }
    }

    /// Units of `partner` came after their round had closed.
    pub(super) fn late(&mut self, partner: &PartnerName, units: usize) {
        self.add(partner, Participation { late: units as u64, ..Participation::default() });
    }

    /// In order of names.
    pub(super) fn all(&self) -> Vec<(PartnerName, Participation)> {
        self.0.iter().map(|(partner, of)| (partner.clone(), *of)).collect()
    }

    fn add(&mut self, partner: &PartnerName, more: Participation) {
        if self.0.len() >= MOST && !self.0.contains_key(partner) {
            return;
        }
        let of = self.0.entry(partner.clone()).or_default();
        *of =
            Participation { used: of.used + more.used, late: of.late + more.late, missing: of.missing + more.missing };
    }
}
