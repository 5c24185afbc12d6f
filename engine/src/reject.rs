//! Refusals as data: what a run or a session turned down, and why. Nothing here is an error of the coordinator.

use std::fmt;

use crate::digest::Digest;
use crate::id::{LeaseId, PartnerName, Round, Unit, Units};

/// Why something a worker did was refused. `Display` says it in words a person acts on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Another live member has this worker's identity.
    IdentityInUse,
    /// The member is not, or no longer, part of the run.
    NotAMember,
    /// The update is for a round that was committed already.
    StaleRound {
        /// Round of the update.
        found: Round,
        /// Round that is open.
        open: Round,
    },
    /// The update is for a round that is not open yet.
    FutureRound {
        /// Round of the update.
        found: Round,
        /// Round that is open.
        open: Round,
    },
    /// The round is closed: its aggregate is being applied, or was.
    RoundClosed {
        /// Round of the update.
        found: Round,
    },
    /// No such lease was given to this member in this round.
    NotLeased {
        /// Lease the update names.
        lease: LeaseId,
    },
    /// The update's units are not those of its lease.
    UnitsDiffer {
        /// Lease the update names.
        lease: LeaseId,
    },
    /// A unit of the update was counted already; nothing is counted twice.
    AlreadyCounted {
        /// The first such unit.
        unit: Unit,
    },
    /// The run is over.
    RunOver,
    /// Nothing was heard from the member for longer than it may be silent.
    Silent,
    /// The member could not keep up with what is sent to it.
    Stalled,
    /// The partner holds as much of the round as `max_partner_weight` allows.
    PartnerFull {
        /// The partner.
        partner: PartnerName,
    },
    /// The partner's workers have sent too many updates that are none.
    Quarantined {
        /// The partner.
        partner: PartnerName,
    },
    /// The payload is not what its header says.
    BadPayload {
        /// What was expected and what was found.
        why: String,
    },
    /// The worker's key did not sign this update.
    BadSignature,
    /// The update was computed from other params than the round's.
    OtherParams {
        /// Digest that the update names.
        found: Digest,
        /// Digest of the round's params.
        expected: Digest,
    },
    /// An audit has shown that an update of the partner is not what its units give: the partner is out of the run.
    WrongUpdate {
        /// The partner.
        partner: PartnerName,
        /// The update's round.
        round: Round,
        /// The update's units.
        units: Units,
    },
}

impl Rejection {
    /// Whether this is the second arrival of something that was counted: harmless, and counted apart from refusals.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::AlreadyCounted { .. })
    }

    /// Whether this only came too late: harmless too.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Self::StaleRound { .. } | Self::RoundClosed { .. })
    }

    /// Whether it holds for the rest of the run: coming back is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::WrongUpdate { .. } | Self::Quarantined { .. })
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdentityInUse => f.write_str(
                "another connected worker has this identity; give each worker process an identity of its own",
            ),
            Self::NotAMember => f.write_str("this worker is not a member of the run; it must connect again"),
            Self::StaleRound { found, open } => {
                write!(f, "the update is for round {found}, which is committed; round {open} is open")
            }
            Self::FutureRound { found, open } => {
                write!(f, "the update is for round {found}, which is not open yet; round {open} is")
            }
            Self::RoundClosed { found } => write!(f, "round {found} is closed and takes no more updates"),
            Self::NotLeased { lease } => write!(f, "lease {lease} was not given to this worker in this round"),
            Self::UnitsDiffer { lease } => write!(f, "the update's units are not those of lease {lease}"),
            Self::AlreadyCounted { unit } => write!(f, "unit {unit} was counted already"),
            Self::RunOver => f.write_str("the run is over"),
            Self::Silent => f.write_str("nothing was heard from this worker for too long"),
            Self::Stalled => f.write_str("this worker did not take what was sent to it"),
            Self::PartnerFull { partner } => {
                write!(f, "partner {partner} holds as much of the round as max_partner_weight allows")
            }
            Self::Quarantined { partner } => write!(
                f,
                "too many updates of partner {partner}, from all its workers, were not what they said; it takes no part in \
                 this run any more"
            ),
            Self::BadSignature => f.write_str("the update is not signed by the key of this worker's certificate"),
            Self::OtherParams { found, expected } => {
                write!(f, "the update is of params {found}; the round's are {expected}")
            }
            Self::BadPayload { why } => write!(f, "the payload is not what its header says: {why}"),
            Self::WrongUpdate { partner, round, units } => write!(
                f,
                "the update of {} of round {round} that partner {partner} sent is not what these units give; its workers \
                 take no further part in this run",
                name_units(units)
            ),
        }
    }
}

/// Units that a sentence names.
const MAX_NAMED: usize = 8;

/// The first few units, and how many more there are.
fn name_units(units: &Units) -> String {
    let named: Vec<String> = units.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let more = units.len().saturating_sub(MAX_NAMED);
    let noun = if units.len() == 1 { "unit" } else { "units" };
    match more {
        0 => format!("{noun} {}", named.join(", ")),
        more => format!("{noun} {} and {more} more", named.join(", ")),
    }
}
