//! Bugs that the simulation plants to prove that it would find them. Without the feature `simulation` no bug exists and
//! every question about one is the constant `false`.

/// A bug that can be planted in a [`Run`](crate::run::Run) or a [`Session`](crate::session::Session).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(feature = "simulation"), allow(unreachable_pub))]
pub enum Bug {
    /// An update of counted units counts again.
    DuplicateCounted,
    /// An update of an earlier round counts.
    StaleRoundCounted,
    /// An update of a later round counts.
    FutureRoundCounted,
    /// An update that comes while the server step is taken is accepted.
    LateAfterCloseCounted,
    /// An update under a lease that was never given counts.
    UnsolicitedCounted,
    /// An update under somebody else's lease counts.
    ForeignLeaseCounted,
    /// An update's units are not compared with those of its lease.
    UnitsNotCompared,
    /// A round closes with fewer partners than it needs.
    ClosedBelowQuorum,
    /// A round closes before all units are counted.
    ClosedBelowAllUnits,
    /// The units of a gone member are not leased again.
    LostLeaseKept,
    /// Units that are missing at the deadline are not leased to others.
    StragglerKept,
    /// A silent member is never dismissed.
    SilentMemberKept,
    /// Two live members have one identity.
    IdentityClashAdmitted,
    /// The counted units of a gone member are taken back.
    GoneMemberRetracted,
    /// A partner may hold any number of units.
    PartnerCapIgnored,
    /// Private units are leased to partners who have not their samples.
    OwnerIgnored,
    /// A malformed update leaves its lease open, though no other will come.
    MalformedLeaseKept,
    /// A session sends a sum under the lease of an earlier link.
    OldLeaseResent,
    /// A session says nothing while it computes.
    HeartbeatForgotten,
    /// A session does not notice that the coordinator is silent.
    SilentCoordinatorKept,
}

impl Bug {
    /// All of them.
    #[cfg(feature = "simulation")]
    pub const ALL: [Self; 20] = [
        Self::DuplicateCounted,
        Self::StaleRoundCounted,
        Self::FutureRoundCounted,
        Self::LateAfterCloseCounted,
        Self::UnsolicitedCounted,
        Self::ForeignLeaseCounted,
        Self::UnitsNotCompared,
        Self::ClosedBelowQuorum,
        Self::ClosedBelowAllUnits,
        Self::LostLeaseKept,
        Self::StragglerKept,
        Self::SilentMemberKept,
        Self::IdentityClashAdmitted,
        Self::GoneMemberRetracted,
        Self::PartnerCapIgnored,
        Self::OwnerIgnored,
        Self::MalformedLeaseKept,
        Self::OldLeaseResent,
        Self::HeartbeatForgotten,
        Self::SilentCoordinatorKept,
    ];
}

/// The bug that is planted, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Planted(#[cfg(feature = "simulation")] Option<Bug>);

#[cfg(feature = "simulation")]
impl Planted {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self(bug)
    }

    pub(crate) fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    pub(crate) fn any(self) -> bool {
        self.0.is_some()
    }
}

#[cfg(not(feature = "simulation"))]
impl Planted {
    pub(crate) const fn has(self, _bug: Bug) -> bool {
        false
    }

    pub(crate) const fn any(self) -> bool {
        false
    }
}
