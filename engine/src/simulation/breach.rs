//! What a simulated world must not do.

use thiserror::Error;

use crate::digest::Digest;
use crate::id::{LeaseId, MemberId, Round, Unit};
use crate::run::Invariant;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Breach {
    /// The run's own books are wrong.
    #[error("the run's invariant does not hold: {0}")]
    Invariant(#[from] Invariant),
    /// A worker was admitted whose identity is in use.
    #[error("member {0} was admitted with the identity of a live member")]
    IdentityAdmittedTwice(MemberId),
    /// A member that had been silent for too long is still there.
    #[error("member {0} has been silent for too long and is still a member")]
    SilentMemberKept(MemberId),
    /// A member was dismissed as silent that was not.
    #[error("member {0} was dismissed as silent and was heard in time")]
    DismissedThoughHeard(MemberId),
    /// A round began out of turn, or without enough members.
    #[error("round {0} was opened out of turn or without enough members")]
    OpenedWrongly(Round),
    /// A lease was given that must not be: used number, nobody's, of counted units, of no units or of another round.
    #[error("lease {0} was given wrongly")]
    LeasedWrongly(LeaseId),
    /// A partner was leased more than it may hold.
    #[error("lease {0} gives a partner more units than it may hold")]
    PartnerOverfull(LeaseId),
    /// An update counted that must not.
    #[error("an update under lease {lease} was counted: {why}")]
    CountedWrongly {
        /// The lease.
        lease: LeaseId,
        /// Why it must not count.
        why: &'static str,
    },
    /// An audit was given to the partner that it is of.
    #[error("lease {0} gives an audit to the partner whose update is audited")]
    AuditedByItself(LeaseId),
    /// A round closed while an audit of it was open.
    #[error("round {0} was closed while an audit was open")]
    ClosedDuringAudit(Round),
    /// Nobody answered an audit, and somebody could have.
    #[error("the audit of the update under lease {0} lapsed, and somebody could have answered it")]
    AuditLapsedEarly(LeaseId),
    /// An audit waits for longer than a deadline, and nobody else was asked.
    #[error("the audit of the update under lease {0} waits for longer than a deadline and one member only")]
    AuditKept(LeaseId),
    /// An update was taken back that was right, not counted or not judged.
    #[error("the update under lease {0} was taken back without reason")]
    RetractedWrongly(LeaseId),
    /// An update was said to be wrong that was right.
    #[error("the update under lease {0} was said to be wrong, and was right")]
    ConvictedWrongly(LeaseId),
    /// Somebody was dismissed for a wrong update whose partner has sent none.
    #[error("member {0} was dismissed for a wrong update, and its partner has sent none")]
    InnocentDismissed(MemberId),
    /// A worker of a partner that was caught was admitted.
    #[error("member {0} is of a partner that was caught, and was admitted")]
    CaughtAdmitted(MemberId),
    /// Every update is audited, and a wrong one is in the params.
    #[error("the wrong update under lease {0} is in the params although every update is audited")]
    LieCommitted(LeaseId),
    /// A round closed with another sum than its units give.
    #[error("round {0} was closed with another sum than its units give")]
    OtherSum(Round),
    /// A round closed with other units than those that were counted in it.
    #[error("round {0} was closed with other units than were counted")]
    ClosedWithOtherUnits(Round),
    /// A round closed too early.
    #[error("round {0} was closed with too few units or partners")]
    ClosedTooEarly(Round),
    /// The run gave up though it had no reason.
    #[error("round {0} failed without reason")]
    FailedWithoutReason(Round),
    /// A unit was missing for longer than a deadline, and nobody else was asked.
    #[error("unit {0} is missing for longer than a deadline and only one member computes it")]
    StragglerKept(Unit),
    /// A lease was overdue by what its worker was told, and nobody else was asked.
    #[error("unit {0} was to be given to others by now and only one member computes it")]
    OverdueKept(Unit),
    /// The run waits and nothing will wake it.
    #[error("the run waits without a deadline: {0}")]
    WaitsForEver(String),
    /// The run did not end in time.
    #[error("the run did not end in time after the last fault: {0}")]
    NotOverInTime(String),
    /// The params are not those of the undisturbed run.
    #[error("the params are {found}, and {expected} in the undisturbed run")]
    OtherBits {
        /// What they are.
        found: Digest,
        /// What they should be.
        expected: Digest,
    },
    /// An operator was told of a run that is not durable.
    #[error("the run was acknowledged before it was durable")]
    AcknowledgedBeforeDurable,
    /// A worker was told that its update of private samples is accepted before that was durable.
    #[error("an update of the private unit {0} was acknowledged before it was durable")]
    AcceptedBeforeDurable(Unit),
    /// A private unit was leased again although its update was acknowledged.
    #[error("the private unit {0} is asked for again although its update was acknowledged")]
    AskedAgain(Unit),
    /// A round opened before the state that it starts from was durable, although it has to wait for that.
    #[error("round {0} was opened before what it starts from was durable")]
    OpenedBeforeDurable(Round),
    /// A row names a training state that is not durable.
    #[error("the ledger names a training state of round {0} that is not durable")]
    NamesNoBlob(Round),
    /// A run that an operator was told of is gone.
    #[error("the run was acknowledged, and after a crash it is gone")]
    AcknowledgedRunLost,
    /// A run has checkpoints, and none that it can go on from.
    #[error("none of the run's checkpoints is whole")]
    NothingToGoOnFrom,
    /// A round whose beginning was durable is gone.
    #[error("round {0} was open on a durable state, and after a crash it is gone")]
    DurableRoundLost(Round),
    /// A run went on from a state that is not the ledger's.
    #[error("the run goes on with round {0} from a state that is not the one that the ledger tells of")]
    ResumedElsewhere(Round),
    /// Rounds are missing in the ledger.
    #[error("the ledger has round {0} and not the one before it")]
    LedgerHasGap(Round),
    /// The ledger says something else than before.
    #[error("the ledger had another round {0} before")]
    LedgerRewritten(Round),
    /// A coordinator that was replaced has written.
    #[error("a coordinator of an older epoch has written rows")]
    ZombieWrote,
    /// A coordinator ended though it only had to wait.
    #[error("the coordinator ended because the disk is full")]
    GaveUpNeedlessly,
    /// A run waits for the disk and does not say so.
    #[error("the run waits for the disk and does not say so")]
    PausedWithoutReason,
    /// A run ended because a round came out otherwise, although nothing can have made it so.
    #[error("round {0} came out otherwise than before without reason")]
    DiffersWithoutReason(Round),
    /// A session sent an update under a lease that it was not given on this link.
    #[error("worker {worker} sends an update under lease {lease}, which it was not given on this link")]
    SentUnderOldLease {
        /// The worker.
        worker: usize,
        /// The lease.
        lease: LeaseId,
    },
    /// A session asked for a sum that it had let go.
    #[error("worker {worker} wants to send a sum that it had forgotten")]
    SumForgotten {
        /// The worker.
        worker: usize,
    },
    /// A paused session computed, or sent what it had computed.
    #[error("worker {worker} is paused and works")]
    WorksThoughPaused {
        /// The worker.
        worker: usize,
    },
    /// A session said nothing for longer than a heartbeat.
    #[error("worker {worker} said nothing for longer than a heartbeat")]
    HeartbeatMissed {
        /// The worker.
        worker: usize,
    },
    /// A session did not notice that its coordinator is silent.
    #[error("worker {worker} has heard nothing for too long and has not noticed")]
    SilenceUnnoticed {
        /// The worker.
        worker: usize,
    },
}
