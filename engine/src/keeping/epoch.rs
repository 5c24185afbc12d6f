//! Which coordinator may write.

use thiserror::Error;

use crate::id::LeaseId;

/// Leases of one epoch: far more than a coordinator can give in its life.
const LEASES: u32 = 40;

/// Counts how often a coordinator's state was opened. It is in every write, and in the number of every lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A later coordinator has taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("another coordinator has opened this state since (epoch {found}, ours is {ours}); this one must end")]
pub struct Fenced {
    /// The epoch of whoever wants to write.
    pub ours: u64,
    /// The newest epoch.
    pub found: u64,
}

impl Epoch {
    /// The first lease of this epoch: every opening has 2⁴⁰ numbers of its own.
    #[must_use]
    pub fn first_lease(self) -> LeaseId {
        LeaseId(self.0 << LEASES)
    }

    /// Whether a coordinator of this epoch may write to a state whose newest epoch is `newest`.
    ///
    /// # Errors
    /// [`Fenced`] if it may not.
    pub fn check(self, newest: Self) -> Result<(), Fenced> {
        match self == newest {
            true => Ok(()),
            false => Err(Fenced { ours: self.0, found: newest.0 }),
        }
    }
}
