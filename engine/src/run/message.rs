//! What goes into a [`Run`](super::Run) and what comes out of it.

use std::fmt;
use std::time::Duration;

use super::audit::{AuditCounters, AuditRule, Caught, Finding};
use crate::digest::Digest;
use crate::id::{LeaseId, MemberId, PartnerName, Round, Unit, Units, WorkerId};
use crate::reject::Rejection;
use crate::spec::{DataSpec, OnMissing, Quorum};

/// Partners that a sentence names.
const MAX_NAMED: usize = 8;

/// What a run is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunConfig {
    /// Units in a round, at least 1.
    pub units: u32,
    /// Rounds in the run, at least 1.
    pub rounds: u32,
    /// Rounds between evaluations, at least 1; the last round is always evaluated.
    pub evaluate_every: u32,
    /// Workers that must be present for the first round to open.
    pub min_members: u32,
    /// When a round may close.
    pub quorum: QuorumRule,
    /// How long a member may be silent before it counts as dead.
    pub silence: Duration,
    /// Who may compute what.
    pub ownership: Ownership,
    /// Which updates are audited; none of private samples.
    pub audit: AuditRule,
}

/// Who may compute the units of a round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// Anybody: the coordinator has the samples and assigns them.
    Assigned,
    /// Each unit one partner, which keeps its samples to itself.
    Private {
        /// The partner of each unit.
        owners: Vec<PartnerName>,
    },
}

impl Ownership {
    /// What `data` means for who may compute what.
    #[must_use]
    pub fn of(data: &DataSpec) -> Self {
        match data {
            DataSpec::Mnist { .. } | DataSpec::Synthetic { .. } => Self::Assigned,
            DataSpec::Private { partners, .. } => {
                Self::Private { owners: partners.iter().map(|of| of.partner.clone()).collect() }
            }
        }
    }

    /// The only partner that may compute `unit`; none if anybody may.
    #[must_use]
    pub fn owner(&self, unit: Unit) -> Option<&PartnerName> {
        match self {
            Self::Assigned => None,
            Self::Private { owners } => owners.get(unit.0 as usize),
        }
    }
}

/// [`Quorum`] in the units the machine decides in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuorumRule {
    /// Partners that must be present for a round to open.
    pub min_partners: u32,
    /// Units that must have been counted for a round to close.
    pub min_units: u32,
    /// Time after which unanswered units are missing.
    pub round_deadline: Duration,
    /// The most units of a round that one partner may hold.
    pub max_partner_units: u32,
    /// What happens to missing units.
    pub on_missing: OnMissing,
}

impl QuorumRule {
    /// The rule that `quorum` means for rounds of `units` units.
    #[must_use]
    pub fn new(quorum: &Quorum, units: u32) -> Self {
        Self {
            min_partners: quorum.min_partners,
            min_units: quorum.min_units.unwrap_or(units).min(units),
            round_deadline: Duration::from_secs_f64(quorum.round_deadline_seconds),
            max_partner_units: quorum.partner_units(units).clamp(1, units),
            on_missing: quorum.on_missing,
        }
    }
}

/// A worker asks to be a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Joined {
    /// The admission's number, given by the shell, never reused.
    pub member: MemberId,
    /// The worker's identity.
    pub worker: WorkerId,
    /// The worker's partner.
    pub partner: PartnerName,
    /// Units a second that the worker measured when it built the model, in thousandths; 0 if unknown.
    pub milli_units_per_second: u64,
}

/// The header of an update; its payload stays with the shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpdateHeader {
    /// Round whose params the units were computed from.
    pub round: Round,
    /// Lease that the update answers.
    pub lease: LeaseId,
    /// Units in the sum.
    pub units: Units,
    /// Digest of the packed sum.
    pub digest: Digest,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A worker asks to be a member.
    Joined(Joined),
    /// A member's connection ended, or it said that it leaves.
    Left {
        /// The member.
        member: MemberId,
    },
    /// A sign of life.
    Heartbeat {
        /// The member.
        member: MemberId,
    },
    /// An update arrived, its payload whole and of the right size.
    Update {
        /// The member.
        member: MemberId,
        /// Its header.
        header: UpdateHeader,
    },
    /// A member's update was malformed; the shell has refused it.
    Malformed {
        /// The member.
        member: MemberId,
        /// The lease it answered, if that much could be read.
        lease: Option<LeaseId>,
        /// What is wrong with it.
        why: String,
    },
    /// The member does not take what is sent to it: its outbox is full.
    Stalled {
        /// The member.
        member: MemberId,
    },
    /// Time has come to [`Run::deadline`](super::Run::deadline).
    Tick,
    /// The units that [`Action::Judge`] asked for are computed.
    Judged {
        /// The round.
        round: Round,
        /// The lease whose update is audited.
        lease: LeaseId,
        /// Digest of the packed sum that the units give.
        digest: Digest,
    },
    /// The server step that [`Action::Close`] asked for is done.
    Stepped {
        /// The round that was committed.
        round: Round,
        /// Digest of the new params.
        params: Digest,
    },
    /// The evaluation that [`Action::Evaluate`] asked for is done.
    Evaluated {
        /// The round whose outcome was evaluated.
        round: Round,
    },
    /// The operator ends the run.
    Stop,
}

/// Something the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The worker is a member now.
    Admit {
        /// The member.
        member: MemberId,
    },
    /// The member is out; tell it why and forget it.
    Dismiss {
        /// The member.
        member: MemberId,
        /// Why.
        why: Rejection,
    },
    /// A new round begins from the current params.
    Open {
        /// The round.
        round: Round,
    },
    /// Add the payloads that were spooled for these units of the round before a restart: they are counted.
    Reuse {
        /// The round.
        round: Round,
        /// The units.
        units: Units,
    },
    /// Send the round's params (once a member and round) and this lease.
    Assign {
        /// The member.
        member: MemberId,
        /// What it is to compute.
        lease: Lease,
    },
    /// Add the payload to the aggregate and tell the member.
    Accept {
        /// The member.
        member: MemberId,
        /// The lease that is answered.
        lease: LeaseId,
        /// The units that are counted now.
        units: Units,
    },
    /// Drop the payload and tell the member why.
    Reject {
        /// The member.
        member: MemberId,
        /// The lease that the update named.
        lease: LeaseId,
        /// Why.
        why: Rejection,
    },
    /// The update that was accepted just now is audited: keep its payload until [`Action::Audited`].
    Audit {
        /// The lease that it answered.
        lease: LeaseId,
    },
    /// Compute these units from the open round's params, then say [`Event::Judged`].
    Judge {
        /// The round.
        round: Round,
        /// The lease whose update is audited.
        lease: LeaseId,
        /// The units.
        units: Units,
    },
    /// Subtract the payload of the audited update from the aggregate: it is not what its units give.
    Retract {
        /// The lease that it answered.
        lease: LeaseId,
    },
    /// The update under this lease, whether it counted or was an auditor's, was wrong: receipts say so.
    Convict {
        /// The lease.
        lease: LeaseId,
    },
    /// An audit has ended; let the payload go.
    Audited {
        /// The lease of the audited update.
        lease: LeaseId,
        /// What came of it.
        finding: Finding,
    },
    /// Take the server step over these units, then say [`Event::Stepped`].
    Close {
        /// The round.
        round: Round,
        /// The units in the aggregate.
        units: Units,
    },
    /// Evaluate the params that came out of `round`, then say [`Event::Evaluated`].
    Evaluate {
        /// The round.
        round: Round,
    },
    /// The run is over.
    Finish(Outcome),
}

/// A grant of units to one member in one round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The lease's number.
    pub id: LeaseId,
    /// The round.
    pub round: Round,
    /// The units.
    pub units: Units,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All rounds are committed and the last one is evaluated.
    Completed,
    /// The operator ended it after so many committed rounds.
    Stopped {
        /// Committed rounds.
        rounds: u32,
    },
    /// A round could not be closed.
    Failed {
        /// The round.
        round: Round,
        /// Why, in words.
        why: String,
    },
}

/// Why nothing happens now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// For more partners or workers before a round can open or go on.
    ForMembers {
        /// Partners present.
        partners: u32,
        /// Partners needed.
        needed: u32,
        /// Workers present.
        workers: u32,
        /// Workers needed.
        workers_needed: u32,
        /// Units of the round that nobody may hold for now.
        unassigned: u32,
    },
    /// For partners who have the samples of units that nobody else can compute.
    ForOwners {
        /// The round.
        round: Round,
        /// Partners without a worker, in the order of units.
        absent: Vec<PartnerName>,
    },
    /// For updates of the open round.
    ForUpdates {
        /// The round.
        round: Round,
        /// Units counted.
        counted: u32,
        /// Units needed.
        needed: u32,
        /// Members that have not answered, in order.
        members: Vec<MemberId>,
    },
    /// For updates that are computed again by others, or by the coordinator.
    ForAudits {
        /// The round.
        round: Round,
        /// Updates under audit.
        audits: u32,
        /// Members that compute, in order; none if the coordinator does.
        members: Vec<MemberId>,
    },
    /// For the shell's server step.
    ForStep {
        /// The round.
        round: Round,
    },
    /// For the last evaluation.
    ForEvaluation {
        /// The round.
        round: Round,
    },
    /// For nothing: the run is over.
    Over,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForMembers { partners, needed, .. } if partners < needed => {
                write!(f, "waiting for partners: {partners} of {needed} are present")
            }
            Self::ForMembers { workers, workers_needed, .. } if workers < workers_needed => {
                write!(f, "waiting for workers: {workers} of {workers_needed} are present")
            }
            Self::ForMembers { unassigned, .. } => write!(
                f,
                "waiting for another partner: those present hold as much as max_partner_weight allows, {unassigned} \
                 units are left over"
            ),
            Self::ForOwners { round, absent } => {
                write!(f, "round {round} waits for partners who have no worker here: {}", name_some(absent.iter()))
            }
            Self::ForUpdates { round, counted, needed, members } => write!(
                f,
                "waiting for updates of round {round}: {counted} of {needed} units are counted, {} workers have not \
                 answered",
                members.len()
            ),
            Self::ForAudits { round, audits, members } if members.is_empty() => {
                write!(
                    f,
                    "computing the units of {audits} updates of round {round}, of which audits found two versions"
                )
            }
            Self::ForAudits { round, audits, members } => write!(
                f,
                "waiting for audits of round {round}: {} workers compute the units of {audits} updates again",
                members.len()
            ),
            Self::ForStep { round } => write!(f, "taking the server step of round {round}"),
            Self::ForEvaluation { round } => write!(f, "evaluating round {round}"),
            Self::Over => f.write_str("the run is over"),
        }
    }
}

/// The first few names, and how many more there are.
pub(super) fn name_some<'a>(partners: impl ExactSizeIterator<Item = &'a PartnerName>) -> String {
    let more = partners.len().saturating_sub(MAX_NAMED);
    let shown = partners.take(MAX_NAMED).map(PartnerName::as_str).collect::<Vec<_>>().join(", ");
    match (shown.is_empty(), more) {
        (true, _) => "nobody in particular".to_owned(),
        (false, 0) => shown,
        (false, more) => format!("{shown} and {more} more"),
    }
}

/// What a run looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunView {
    /// The open round, or the number of rounds if all are committed.
    pub round: Round,
    /// Rounds committed.
    pub committed: u32,
    /// Rounds in the run.
    pub rounds: u32,
    /// Members, in order of admission.
    pub members: Vec<MemberView>,
    /// Counters since the run began.
    pub counters: Counters,
    /// What each partner has given to the rounds committed so far, in order of names.
    pub participation: Vec<(PartnerName, Participation)>,
    /// Partners whose update an audit has shown to be wrong, in order of names.
    pub caught: Vec<Caught>,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
}

/// What a partner has given to the rounds committed so far, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Participation {
    /// Units that are in the params.
    pub used: u64,
    /// Units that came after their round had closed.
    pub late: u64,
    /// Units that a round closed without, although they were the partner's to compute.
    pub missing: u64,
}

/// What a member looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberView {
    /// The member.
    pub member: MemberId,
    /// Its worker's identity.
    pub worker: WorkerId,
    /// Its partner.
    pub partner: PartnerName,
    /// Units it holds in the open round.
    pub units: u32,
    /// Measured units a second, in thousandths.
    pub milli_units_per_second: u64,
}

/// What was counted since a run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Updates accepted.
    pub accepted: u64,
    /// Units taken from a member that left, died or was late, to be leased again.
    pub units_released: u64,
    /// Updates of units that were counted already.
    pub duplicates: u64,
    /// Updates of rounds that were closed already.
    pub late: u64,
    /// Updates refused for any other reason.
    pub rejected: u64,
    /// Workers admitted.
    pub joins: u64,
    /// Members that left or were dismissed.
    pub leaves: u64,
    /// Audits.
    pub audits: AuditCounters,
}
