//! Bugs that the simulation plants to prove that it would find them. Without the feature `simulation` no bug exists and
//! every question about one is the constant `false`.

/// A bug that can be planted in a [`Run`](crate::run::Run), a [`Session`](crate::session::Session), a
/// [`Keeping`](crate::keeping::Keeping) or the simulated store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    not(feature = "simulation"),
    allow(unreachable_pub, dead_code, reason = "some are planted in the simulated world itself")
)]
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
    /// The units of a lease that takes longer than can be explained are not leased to others.
    OverdueKept,
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
    /// A paused session takes leases.
    PauseIgnored,
    /// A row names a training state that is not durable yet.
    RowBeforeBlob,
    /// An older coordinator's rows are taken; planted in the simulated store.
    #[cfg(feature = "simulation")]
    EpochNotCompared,
    /// A coordinator that was started again numbers its leases from 0.
    LeasesNumberedAnew,
    /// A round that is computed again is not compared with the ledger.
    LedgerNotCompared,
    /// A round that contradicts the ledger is written to it.
    ContradictionKept,
    /// A run goes on one round after its state.
    ResumedTooLate,
    /// The operator hears that a run has begun before it is durable.
    AcknowledgedTooEarly,
    /// The worker of private samples hears that its update is accepted before it is durable.
    AcceptedTooEarly,
    /// Updates that outlived a restart are asked for again.
    SpoolForgotten,
    /// A round that has to wait for the disk opens without waiting.
    OpenedTooEarly,
    /// A round that waited for the disk is forgotten.
    HeldRoundForgotten,
    /// A full disk ends the coordinator.
    FullDiskIsFinal,
    /// The end of a run is not kept.
    EndNotKept,
    /// A round without some of its units is kept like one that can be computed again.
    SkippedUnitsForgotten,
    /// A round that the ledger has may leave units out when it is computed again.
    SkipsAgain,
    /// A round closes while audits of it are open.
    AuditNotAwaited,
    /// The worker of an audit is of the audited partner.
    AuditedByItself,
    /// The update of an auditor counts, too.
    AuditCounted,
    /// Nobody is asked again when an auditor leaves.
    LostAuditKept,
    /// Nobody else is asked when an auditor takes too long.
    OverdueAuditKept,
    /// An audit lapses as soon as its auditor leaves.
    AuditLapsesEarly,
    /// An update that an audit has shown to be wrong stays in the sum.
    RetractionForgotten,
    /// The one whose update is right is dismissed.
    InnocentDismissed,
    /// A partner that an audit has caught may come back.
    CaughtComesBack,
}

impl Bug {
    /// All of them.
    #[cfg(feature = "simulation")]
    pub const ALL: [Self; 46] = [
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
        Self::OverdueKept,
        Self::SilentMemberKept,
        Self::IdentityClashAdmitted,
        Self::GoneMemberRetracted,
        Self::PartnerCapIgnored,
        Self::OwnerIgnored,
        Self::MalformedLeaseKept,
        Self::OldLeaseResent,
        Self::HeartbeatForgotten,
        Self::SilentCoordinatorKept,
        Self::PauseIgnored,
        Self::RowBeforeBlob,
        Self::EpochNotCompared,
        Self::LeasesNumberedAnew,
        Self::LedgerNotCompared,
        Self::ContradictionKept,
        Self::ResumedTooLate,
        Self::AcknowledgedTooEarly,
        Self::AcceptedTooEarly,
        Self::SpoolForgotten,
        Self::OpenedTooEarly,
        Self::HeldRoundForgotten,
        Self::FullDiskIsFinal,
        Self::EndNotKept,
        Self::SkippedUnitsForgotten,
        Self::SkipsAgain,
        Self::AuditNotAwaited,
        Self::AuditedByItself,
        Self::AuditCounted,
        Self::LostAuditKept,
        Self::OverdueAuditKept,
        Self::AuditLapsesEarly,
        Self::RetractionForgotten,
        Self::InnocentDismissed,
        Self::CaughtComesBack,
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
