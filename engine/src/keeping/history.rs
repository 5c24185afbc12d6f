//! What the ledger says of rounds that are computed again.

use thiserror::Error;

use crate::digest::Digest;
use crate::id::Round;
use crate::state::Commit;

/// Commits of the ledger, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Commit>);

/// A round came out otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("round {round} was computed again and gave params {found}, the ledger has {known}")]
pub struct HistoryDiffers {
    /// The round.
    pub round: Round,
    /// Digest of the params that came out now.
    pub found: Digest,
    /// Digest of those that came out before.
    pub known: Digest,
}

impl History {
    /// The history that `ledger` tells, in the order of rounds.
    #[must_use]
    pub fn new(ledger: Vec<Commit>) -> Self {
        Self(ledger)
    }

    /// Rounds that are still to be computed again when `next` is the next round.
    #[must_use]
    pub fn ahead_of(&self, next: Round) -> usize {
        self.0.len() - self.0.partition_point(|known| known.round < next)
    }

    /// Compares a commit with what the ledger has of its round, if it has anything.
    ///
    /// # Errors
    /// [`HistoryDiffers`] if the params or the chain are others.
    pub fn check(&self, commit: &Commit) -> Result<(), HistoryDiffers> {
        let Commit { round, params_digest: found, chain, .. } = *commit;
        match self.0.binary_search_by_key(&round, |known| known.round).ok().map(|index| &self.0[index]) {
            Some(known) if (known.params_digest, known.chain) != (found, chain) => {
                Err(HistoryDiffers { round, found, known: known.params_digest })
            }
            Some(_) | None => Ok(()),
        }
    }
}
