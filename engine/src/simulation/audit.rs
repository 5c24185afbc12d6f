//! What a coordinator does about audits.

use super::coordinator::true_sum;
use super::world::{Happening, World};
use crate::digest::{Digest, Domain};
use crate::run::{Action, Finding};

impl World {
    /// Does what an audit asks for: keeps the payload, computes the units itself, takes the payload back, lets it go.
    pub(super) fn audit_wants(&mut self, action: &Action) {
        let coordinator = &mut self.coordinator;
        match action {
            Action::Audit { lease } => _ = coordinator.audited.insert(*lease, self.payload),
            Action::Judge { round, lease, units } => {
                let sum = true_sum(coordinator.state.params, *round, units);
                let truth = Digest::of(Domain::Update, &sum.to_le_bytes());
                let (epoch, takes) = (coordinator.epoch, self.dice.pick(&[(0, 50), (5_000, 200_000)]));
                let takes = self.dice.micros(takes.0, takes.1);
                self.schedule(takes, Happening::Judged { epoch, round: *round, lease: *lease, truth });
            }
            Action::Retract { lease } => {
                let payload = coordinator.audited.get(lease).copied().unwrap_or_default();
                coordinator.sum = coordinator.sum.wrapping_sub(payload);
                self.totals.retractions += 1;
            }
            Action::Audited { lease, finding: Finding::Passed | Finding::Failed | Finding::Lapsed } => {
                coordinator.audited.remove(lease);
            }
            Action::Admit { .. }
            | Action::Dismiss { .. }
            | Action::Open { .. }
            | Action::Reuse { .. }
            | Action::Assign { .. }
            | Action::Accept { .. }
            | Action::Reject { .. }
            | Action::Convict { .. }
            | Action::Close { .. }
            | Action::Evaluate { .. }
            | Action::Finish(_) => {}
        }
    }
}
