//! Who somebody is, and how that is proved: keys, certificates, the authority that issues them, and invitations.
//!
//! * [`key`]: private keys, which stay where they are made
//! * [`certificate`], [`chain`]: what a certificate says, and whether an authority stands behind it
//! * [`request`], [`authority`]: how a key becomes a certificate
//! * [`signature`]: what is signed outside a connection: updates and receipts
//! * [`credentials`]: a holder's key and certificates, in a folder and alive
//! * [`ticket`]: an invitation as one line of text
//! * [`files`]: files that nobody else may read
//!
//! Names of holders are [`Principal`](syngrad_engine::principal::Principal)s. Structure is `x509-cert`'s, signatures are
//! ring's, and whether a certificate leads to an authority is always decided by rustls' webpki (ADR 0017).

pub mod authority;
pub mod certificate;
pub mod chain;
pub mod credentials;
mod error;
pub mod files;
pub mod key;
pub mod request;
pub mod signature;
#[cfg(feature = "testing")]
pub mod testing;
pub mod ticket;

use std::time::Duration;

pub use authority::Authority;
pub use certificate::{Certificate, CertificateSummary, Serial, Sha256};
pub use chain::{Identity, verify};
pub use credentials::{Credentials, Grant};
pub use error::IdentityError;
pub use key::{KeyKind, PrivateKey};
pub use request::CertificateRequest;
pub use rustls::pki_types::UnixTime;
pub use signature::{SigningKey, VerifyingKey};
use syngrad_engine::principal::Role;
pub use ticket::{Ticket, TicketError};

/// The name that the coordinator's certificate always has, whatever its address: our own programs look for it.
pub const COORDINATOR_NAME: &str = "syngrad-coordinator";

/// How long an authority's own certificate is good.
pub const AUTHORITY_LIFE: Duration = days(3650);
/// How far in the past a new certificate begins, for clocks that are behind.
pub const BACKDATE: Duration = Duration::from_secs(300);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// How long a new certificate of `role` is good. A holder renews it at two thirds of that.
#[must_use]
pub fn life(role: Role) -> Duration {
    match role {
        Role::Partner => days(7),
        Role::Operator | Role::Client => days(30),
        Role::Coordinator => days(90),
        // Receipts are checked long after they were signed, at the time of their round.
        Role::Log => AUTHORITY_LIFE,
    }
}

/// From when to when a certificate is good, both inclusive, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: UnixTime,
    /// The last moment.
    pub not_after: UnixTime,
}

impl Validity {
    /// From [`BACKDATE`] before `now` until `life` after it.
    #[must_use]
    pub fn from_now(now: UnixTime, life: Duration) -> Self {
        Self {
            not_before: moved(now, |seconds| seconds.saturating_sub(BACKDATE.as_secs())),
            not_after: after(now, life),
        }
    }

    /// When its holder renews it: at two thirds.
    #[must_use]
    pub fn renewal(&self) -> UnixTime {
        let life = self.not_after.as_secs().saturating_sub(self.not_before.as_secs());
        after(self.not_before, Duration::from_secs(life / 3 * 2))
    }

    /// That `now` is within.
    ///
    /// # Errors
    /// [`IdentityError::WrongTime`] if it is not.
    pub fn check(&self, now: UnixTime) -> Result<(), IdentityError> {
        match self.holds(now) {
            true => Ok(()),
            false => Err(IdentityError::WrongTime {
                not_before: shown(self.not_before),
                not_after: shown(self.not_after),
                now: shown(now),
            }),
        }
    }

    /// Whether `time` is within.
    #[must_use]
    pub fn holds(&self, time: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }
}

/// `time` and `duration` later.
#[must_use]
pub fn after(time: UnixTime, duration: Duration) -> UnixTime {
    moved(time, |seconds| seconds.saturating_add(duration.as_secs()))
}

fn moved(time: UnixTime, to: impl FnOnce(u64) -> u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(to(time.as_secs())))
}

/// A time as people write it, in UTC: `2026-11-24 19:45:56 UTC`.
#[must_use]
pub fn shown(time: UnixTime) -> String {
    let Ok(date) = der::DateTime::from_unix_duration(Duration::from_secs(time.as_secs())) else {
        return format!("{} s after 1970", time.as_secs());
    };
    let (year, month, day) = (date.year(), date.month(), date.day());
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", date.hour(), date.minutes(), date.seconds())
}

/// Bytes of the system's random source, which is ring's only source too.
///
/// # Errors
/// [`IdentityError::Random`] if the system has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let generated = ring::rand::generate(&ring::rand::SystemRandom::new());
    generated.map(ring::rand::Random::expose).map_err(|_| IdentityError::Random)
}

#[cfg(test)]
mod tests;
