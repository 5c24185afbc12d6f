//! Why nothing happens now.

use super::{Phase, Run, Waiting};
use crate::id::{PartnerName, Round};

impl Run {
    /// Why nothing happens now. Its `Display` says it in words.
    #[must_use]
    pub fn waiting_for(&self) -> Waiting {
        match &self.phase {
            Phase::Gathering
                if self.is_private() && self.has_quorum() && self.members.count() >= self.members_needed() =>
            {
                self.waiting_for_owners(self.absent_owners())
            }
            Phase::Gathering => self.waiting_for_members(self.config.units.saturating_sub(self.placeable())),
            Phase::Collecting(round) => {
                let uncovered = u32::try_from(round.uncovered().len()).unwrap_or(u32::MAX);
                let (counted, needed) = (round.counted_len(), self.config.units);
                let answers_missing = self.has_quorum() && uncovered == 0;
                let members = round.loads().into_keys().collect();
                match answers_missing {
                    true if counted == needed => {
                        let audits = u32::try_from(round.audits.len()).unwrap_or(u32::MAX);
                        Waiting::ForAudits { round: self.round, audits, members }
                    }
                    true => Waiting::ForUpdates { round: self.round, counted, needed, members },
                    false if self.has_quorum() && self.is_private() => {
                        let absent = round.uncovered().into_iter().filter_map(|unit| self.config.ownership.owner(unit));
                        self.waiting_for_owners(absent.cloned().collect())
                    }
                    false => self.waiting_for_members(uncovered),
                }
            }
            Phase::Stepping => Waiting::ForStep { round: self.round },
            Phase::Evaluating => Waiting::ForEvaluation { round: Round(self.config.rounds - 1) },
            Phase::Over(_) => Waiting::Over,
        }
    }

    fn waiting_for_owners(&self, mut absent: Vec<PartnerName>) -> Waiting {
        absent.dedup();
        Waiting::ForOwners { round: self.round, absent }
    }

    fn waiting_for_members(&self, unassigned: u32) -> Waiting {
        Waiting::ForMembers {
            partners: self.members.partners(),
            needed: self.config.quorum.min_partners,
            workers: self.members.count(),
            workers_needed: self.members_needed(),
            unassigned,
        }
    }
}
