//! Why somebody does not get what they ask for.

use std::fmt;

use super::record::{Holder, Moment, State};

/// Why the consortium refuses something. `Display` says it in words a person acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such invitation was ever given, or it has been over for long.
    UnknownInvitation,
    /// The secret is not the invitation's. Says no more than [`UnknownInvitation`](Self::UnknownInvitation): who guesses
    /// learns nothing.
    WrongSecret,
    /// The invitation has expired.
    InvitationExpired {
        /// When.
        at: Moment,
    },
    /// As many keys as may be have been enrolled with it.
    InvitationUsed {
        /// So many.
        uses: u32,
    },
    /// An operator has withdrawn it.
    InvitationWithdrawn,
    /// A partner's ticket is for workers, which have identities.
    WorkerMissing,
    /// An operator's or client's ticket is not for workers.
    WorkerUnexpected,
    /// The worker's identity has a certificate for another key, or with another partner.
    WorkerTaken,
    /// The key speaks for somebody else already.
    KeyTaken,
    /// A certificate for the key was revoked.
    KeyRevoked,
    /// The partner has joined and waits for an operator.
    PartnerPending,
    /// The partner is suspended.
    PartnerSuspended {
        /// Why, as the operator said.
        reason: String,
    },
    /// The partner was removed.
    PartnerRemoved,
    /// No certificate with this number was given to this name.
    UnknownCertificate,
    /// The certificate was revoked.
    CertificateRevoked,
    /// The certificate has expired.
    CertificateExpired {
        /// When.
        at: Moment,
    },
    /// The authority that signed the certificate is not trusted any more.
    AuthorityRetired,
    /// There is no such holder.
    UnknownHolder {
        /// Who.
        holder: Holder,
    },
    /// The partner is in a state in which this cannot be done.
    WrongState {
        /// Who.
        holder: Holder,
        /// In which state it is.
        state: State,
        /// What was asked for.
        doing: &'static str,
    },
    /// Nobody could govern any more.
    LastOperator,
    /// An authority still stands behind certificates that are good.
    AuthorityInUse {
        /// How many.
        certificates: usize,
    },
    /// As many as there may be.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
    /// A number of an invitation is out of its range.
    BadInvitation {
        /// What is wrong.
        why: &'static str,
    },
    /// Something with this name is there already: the shell's random numbers repeat.
    NameTaken,
}

impl Refusal {
    /// Whether waiting may help: the reason can pass without the one who asks doing anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            // An expired certificate is renewed meanwhile, by the same worker.
            Self::PartnerPending | Self::PartnerSuspended { .. } | Self::CertificateExpired { .. } => true,
            Self::UnknownInvitation
            | Self::WrongSecret
            | Self::InvitationExpired { .. }
            | Self::InvitationUsed { .. }
            | Self::InvitationWithdrawn
            | Self::WorkerMissing
            | Self::WorkerUnexpected
            | Self::WorkerTaken
            | Self::KeyTaken
            | Self::KeyRevoked
            | Self::PartnerRemoved
            | Self::UnknownCertificate
            | Self::CertificateRevoked
            | Self::AuthorityRetired
            | Self::UnknownHolder { .. }
            | Self::WrongState { .. }
            | Self::LastOperator
            | Self::AuthorityInUse { .. }
            | Self::TooMany { .. }
            | Self::BadInvitation { .. }
            | Self::NameTaken => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownInvitation | Self::WrongSecret => {
                f.write_str("this coordinator has given no such ticket; ask its operator for a new one")
            }
            Self::InvitationExpired { at } => {
                write!(f, "the ticket expired at {} (seconds since 1970); ask its operator for a new one", at.0)
            }
            Self::InvitationUsed { uses } => {
                write!(f, "the ticket has been used: it was for {uses} keys; ask its operator for another")
            }
            Self::InvitationWithdrawn => f.write_str("an operator has withdrawn the ticket"),
            Self::WorkerMissing => f.write_str("the ticket is for a partner's worker, and the request names no worker"),
            Self::WorkerUnexpected => f.write_str("the ticket is for no worker, and the request names one"),
            Self::WorkerTaken => f.write_str(
                "a worker with this identity is enrolled with another key; give this one an identity of its own, or have \
                 the other's credentials revoked",
            ),
            Self::KeyTaken => f.write_str("this key is somebody else's already; make a new one"),
            Self::KeyRevoked => f.write_str("a certificate for this key was revoked; make a new key"),
            Self::PartnerPending => f.write_str("the partner has joined and waits until an operator approves of it"),
            Self::PartnerSuspended { reason } => write!(f, "the partner is suspended: {reason}"),
            Self::PartnerRemoved => f.write_str("the partner was removed from the consortium"),
            Self::UnknownCertificate => f.write_str(
                "the consortium knows no such certificate; it was issued after the state was last copied, or by another",
            ),
            Self::CertificateRevoked => f.write_str("the certificate was revoked; ask an operator for a new ticket"),
            Self::CertificateExpired { at } => {
                write!(f, "the certificate expired at {} (seconds since 1970)", at.0)
            }
            Self::AuthorityRetired => {
                f.write_str("the certificate's authority is not trusted any more; ask an operator for a new ticket")
            }
            Self::UnknownHolder { holder } => write!(f, "there is no {holder} here"),
            Self::WrongState { holder, state, doing } => {
                write!(f, "{holder} is {}, so it cannot be {doing}", state.word())
            }
            Self::LastOperator => f.write_str("nobody could govern any more: these are the last operator's credentials"),
            Self::AuthorityInUse { certificates } => write!(
                f,
                "{certificates} certificates of the old authority are still good; their holders would be locked out; wait \
                 until they have renewed, or force it"
            ),
            Self::TooMany { what, most } => write!(f, "there are {most} {what} already, as many as may be"),
            Self::BadInvitation { why } => f.write_str(why),
            Self::NameTaken => f.write_str("this name is taken: the system's random numbers repeat"),
        }
    }
}
