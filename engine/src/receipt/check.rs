//! What a verifier looks at. All of it, except in the tests that show what each check is for.

use std::collections::BTreeSet;

/// One thing that a verifier looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Heads, manifests and updates are signed by whom they say.
    Signatures,
    /// The log only grows, and each record names the one before it.
    Growth,
    /// The params of a round are those that everybody was sent, and those that the round before led to.
    Params,
    /// What was accepted is there.
    Presence,
    /// What is there is as it was sent and answered.
    Fidelity,
    /// Weights are the plan's.
    Weights,
    /// No unit is counted twice.
    Once,
    /// The params are what the archived updates come to.
    Arithmetic,
    /// Files are those that the manifest names.
    Files,
}

/// The checks that a verifier makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    left_out: BTreeSet<Check>,
}

impl Checks {
    /// All.
    #[must_use]
    pub fn all() -> Self {
        Self { left_out: BTreeSet::new() }
    }

    /// All but `left_out`: to show what a breach does where nobody looks.
    #[must_use]
    pub fn without(left_out: impl IntoIterator<Item = Check>) -> Self {
        Self { left_out: left_out.into_iter().collect() }
    }

    /// Whether this check is made.
    #[must_use]
    pub fn has(&self, check: Check) -> bool {
        !self.left_out.contains(&check)
    }
}
