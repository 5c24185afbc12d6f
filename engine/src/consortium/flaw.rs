//! Flaws that the tests plant to prove that they would find them. Without the feature `simulation` there is none.

/// A flaw that can be planted in a [`Consortium`](super::Consortium).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(feature = "simulation"), allow(unreachable_pub, dead_code, reason = "none is planted then"))]
pub enum Flaw {
    /// The secret of a ticket is not compared.
    SecretNotCompared,
    /// A ticket can be used after it has expired.
    ExpiredTicketTaken,
    /// A ticket can be used after it was withdrawn.
    WithdrawnTicketTaken,
    /// A ticket can be used by any number of keys.
    UsesNotCounted,
    /// The same key again costs another use.
    SameKeyCounted,
    /// One worker's identity goes to two keys.
    TakenWorkerEnrolled,
    /// One key speaks for two names.
    TakenKeyEnrolled,
    /// A revoked certificate is good.
    RevokedKnown,
    /// An expired certificate is good.
    ExpiredKnown,
    /// A certificate of a retired authority is good.
    RetiredTrusted,
    /// A certificate is good for another name.
    NameNotCompared,
    /// A partner that nobody has approved of takes part.
    PendingStands,
    /// A suspended partner takes part.
    SuspendedStands,
    /// A partner that waits for approval is active when it is resumed.
    PendingResumed,
    /// The last operator can be revoked.
    LastOperatorRevoked,
    /// Tickets of a removed partner stay open.
    TicketsOutliveRemoval,
}

impl Flaw {
    /// All of them.
    #[cfg(feature = "simulation")]
    pub const ALL: [Self; 16] = [
        Self::SecretNotCompared,
        Self::ExpiredTicketTaken,
        Self::WithdrawnTicketTaken,
        Self::UsesNotCounted,
        Self::SameKeyCounted,
        Self::TakenWorkerEnrolled,
        Self::TakenKeyEnrolled,
        Self::RevokedKnown,
        Self::ExpiredKnown,
        Self::RetiredTrusted,
        Self::NameNotCompared,
        Self::PendingStands,
        Self::SuspendedStands,
        Self::PendingResumed,
        Self::LastOperatorRevoked,
        Self::TicketsOutliveRemoval,
    ];
}

/// The flaw that is planted, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flawed(#[cfg(feature = "simulation")] Option<Flaw>);

#[cfg(feature = "simulation")]
impl Flawed {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        Self(flaw)
    }

    pub(super) fn has(self, flaw: Flaw) -> bool {
        self.0 == Some(flaw)
    }
}

#[cfg(not(feature = "simulation"))]
impl Flawed {
    pub(super) const fn has(self, _flaw: Flaw) -> bool {
        false
    }
}
