//! Where a run goes on.

use thiserror::Error;

use crate::id::Round;
use crate::state::Commit;

/// There are checkpoints, and none of them can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no checkpoint can be read")]
pub struct NoneWhole;

/// The newest training state that is whole, and the round that it opens: `checkpoints` are tried newest first, and one
/// that `read` cannot read gives way to the one before it. A run without any begins with round 0.
///
/// # Errors
/// [`NoneWhole`] if there are checkpoints and none can be read: to begin anew would be to throw them away.
pub fn newest_whole<C, S>(
    checkpoints: impl IntoIterator<Item = (Round, C)>,
    mut read: impl FnMut(Round, C) -> Option<S>,
) -> Result<Option<(Round, S)>, NoneWhole> {
    let mut tried = false;
    for (round, checkpoint) in checkpoints {
        tried = true;
        if let Some(state) = read(round, checkpoint) {
            return Ok(Some((round, state)));
        }
    }
    match tried {
        true => Err(NoneWhole),
        false => Ok(None),
    }
}

/// The first round that `ledger`, in the order of rounds, does not have: those before it must come out as they did.
#[must_use]
pub fn settled(ledger: &[Commit]) -> Round {
    ledger.last().map_or(Round(0), |last| last.round.next())
}
