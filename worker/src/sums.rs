//! Sums that are computed and not answered yet: a reconnection may ask for them again.

use syngrad_engine::{Digest, LeaseId, Round};

use crate::trainer::Sum;

/// Sums kept; a session never asks for older ones.
const MOST: usize = 8;

#[derive(Debug)]
struct Held {
    /// The lease that it was computed for.
    begun_as: LeaseId,
    /// The lease that it was sent under last.
    sent_as: Option<LeaseId>,
    round: Round,
    sum: Sum,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    held: Vec<Held>,
    memory: Vec<u8>,
}

impl Sums {
    pub(crate) fn keep(&mut self, begun_as: LeaseId, round: Round, sum: Sum) {
        if self.held.len() == MOST {
            self.drop_at(0);
        }
        self.held.push(Held { begun_as, sent_as: None, round, sum });
    }

    /// The sum with `digest`, which is sent under `lease` now.
    pub(crate) fn send(&mut self, digest: Digest, lease: LeaseId) -> Option<&Sum> {
        let held = self.held.iter_mut().find(|held| held.sum.digest == digest)?;
        held.sent_as = Some(lease);
        Some(&held.sum)
    }

    /// The session has no more use for the job that was begun under `lease`.
    pub(crate) fn forget(&mut self, lease: LeaseId) {
        if let Some(index) = self.held.iter().position(|held| held.begun_as == lease) {
            self.drop_at(index);
        }
    }

    /// The coordinator has answered `lease`; gives the round of its sum.
    pub(crate) fn answered(&mut self, lease: LeaseId) -> Option<Round> {
        let index = self.held.iter().position(|held| held.sent_as == Some(lease))?;
        let round = self.held[index].round;
        self.drop_at(index);
        Some(round)
    }

    /// Memory of a sum that is not needed any more, for the next one.
    pub(crate) fn memory(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.memory)
    }

    fn drop_at(&mut self, index: usize) {
        let payload = self.held.remove(index).sum.payload;
        if payload.is_unique() {
            self.memory = payload.into();
        }
    }
}
