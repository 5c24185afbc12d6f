//! What is kept of a consortium: each record stands for itself and replaces an older one of the same name.

use std::fmt;

use crate::digest::{Digest, Domain};
use crate::id::PartnerName;
use crate::principal::{HolderName, Principal};

/// Seconds since 1970, by the shell's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment so many seconds later; saturates instead of wrapping.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident[$len:literal]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        /// Hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

bytes! {
    /// Which invitation; in its ticket, and no secret.
    InvitationId[16]
}
bytes! {
    /// Which certificate, as a big-endian number; never given twice. X.509 has no longer ones.
    Serial[20]
}
bytes! {
    /// Which key: a digest of its SubjectPublicKeyInfo in DER.
    KeyId[32]
}
bytes! {
    /// Which authority: SHA-256 of its certificate in DER.
    AuthorityId[32]
}

impl Serial {
    /// The number with these digits, the highest first; none if it is too long.
    #[must_use]
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        let mut number = [0; 20];
        let zeros = number.len().checked_sub(digits.len())?;
        number[zeros..].copy_from_slice(digits);
        Some(Self(number))
    }
}

/// What a ticket proves itself with. Only its digest is ever kept.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretDigest(pub Digest);

impl SecretDigest {
    /// The digest of a secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Digest::of(Domain::Secret, secret))
    }

    /// Whether both are of one secret; takes as long whatever they are.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.0.iter().zip(&other.0.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

/// Not even the digest belongs in a log.
impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

/// Who is invited, and holds certificates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// An organisation, with as many workers as it has.
    Partner(PartnerName),
    /// Who governs.
    Operator(HolderName),
    /// Who asks for predictions.
    Client(HolderName),
}

impl Holder {
    /// Whose certificate it is; none for the coordinator's own.
    #[must_use]
    pub fn of(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Worker { partner, worker: _ } => Some(Self::Partner(partner.clone())),
            Principal::Operator(name) => Some(Self::Operator(name.clone())),
            Principal::Client(name) => Some(Self::Client(name.clone())),
            Principal::Coordinator | Principal::Log => None,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(name) => write!(f, "partner {name}"),
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Client(name) => write!(f, "client {name}"),
        }
    }
}

/// How far a holder has come. Operators and clients are invited or active; partners can be all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// A ticket is out, nobody has used it.
    Invited,
    /// It has joined and waits for an operator.
    Pending,
    /// It takes part.
    Active,
    /// It takes no part until it is resumed.
    Suspended,
    /// It takes no part any more, for good.
    Removed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Invited, Self::Pending, Self::Active, Self::Suspended, Self::Removed];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}

/// What is known of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderRecord {
    /// Who.
    pub holder: Holder,
    /// How far it has come.
    pub state: State,
    /// Why it is in this state, as the operator said.
    pub reason: String,
    /// Workers of it that may be connected at once; none for no limit of its own.
    pub max_workers: Option<u32>,
    /// When its first key was enrolled.
    pub joined: Option<Moment>,
    /// When it was heard last, to the minute.
    pub seen: Option<Moment>,
}

/// What becomes of a partner that joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Admission {
    /// It takes part at once: who invites it, wants it.
    AtOnce,
    /// It waits until an operator approves of it.
    OnApproval,
}

/// Whether something is good still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Validity {
    /// It is, as long as it has not expired.
    Good,
    /// An operator has ended it.
    Ended,
}

/// A ticket that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its name.
    pub id: InvitationId,
    /// Of what proves it.
    pub secret: SecretDigest,
    /// Who is invited.
    pub holder: Holder,
    /// It is worth nothing from then on.
    pub expires: Moment,
    /// Keys that may be enrolled with it.
    pub uses: u32,
    /// What becomes of a partner that uses it.
    pub admission: Admission,
    /// Whether it was withdrawn.
    pub validity: Validity,
}

/// A key that was enrolled with an invitation: it may be again, and costs no further use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// The invitation.
    pub invitation: InvitationId,
    /// The key.
    pub key: KeyId,
    /// Whom it speaks for.
    pub principal: Principal,
}

/// A certificate that was issued and may not have expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its name.
    pub serial: Serial,
    /// Whose it is.
    pub principal: Principal,
    /// Its key.
    pub key: KeyId,
    /// Who signed it.
    pub authority: AuthorityId,
    /// It is worth nothing after that.
    pub not_after: Moment,
    /// Whether it was revoked.
    pub validity: Validity,
}

/// What an authority's signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// It signs; there is exactly one.
    Signing,
    /// It signed once, and what it signed is still good.
    Trusted,
    /// Nothing.
    Retired,
}

impl Trust {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Signing, Self::Trusted, Self::Retired];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Trusted => "trusted",
            Self::Retired => "retired",
        }
    }
}

/// Who signs certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub id: AuthorityId,
    /// What its signature is worth.
    pub trust: Trust,
    /// Since when it is known.
    pub since: Moment,
}

/// One thing to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A holder as it is now.
    Holder(HolderRecord),
    /// An invitation as it is now.
    Invitation(Invitation),
    /// A key was enrolled.
    Redemption(Redemption),
    /// A certificate as it is now.
    Certificate(Certificate),
    /// An authority as it is now.
    Authority(Authority),
}

/// Something that has been over for so long that it need not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlived {
    /// An invitation, with its redemptions.
    Invitation(InvitationId),
    /// A certificate.
    Certificate(Serial),
}
