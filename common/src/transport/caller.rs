//! Who is at the other end of a connection, as handlers find it in a request's extensions.

use std::fmt::Debug;
use std::sync::Arc;

use syngrad_engine::principal::{Principal, Role};

use crate::error::Failure;
use crate::identity::{CertificateSummary, Identity};

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody on this machine: the coordinator serves without protection.
    Insecure,
    /// Somebody who showed no certificate.
    Anonymous,
    /// A holder whose certificate was verified.
    Known(Arc<Identity>),
}

impl Caller {
    /// Who it is, where that is known.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Insecure | Self::Anonymous => None,
            Self::Known(identity) => Some(&identity.principal),
        }
    }

    /// The role of who it is, where that is known.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.principal().map(Principal::role)
    }
}

/// Whether a holder whose certificate is in order may come in now. It is asked while a connection comes up and again
/// whenever it says that something changed, so it answers at once, from memory.
pub trait Standing: Debug + Send + Sync + 'static {
    /// Whether `who` may have a connection with this certificate.
    ///
    /// # Errors
    /// [`Failure`] that says why not, for the coordinator's log; the other side only learns that it is refused.
    fn check(&self, who: &Principal, certificate: &CertificateSummary) -> Result<(), Failure>;

    /// What changes whenever an answer of [`check`](Self::check) may have changed.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// Everybody with a certificate in order may come in.
#[derive(Debug)]
pub struct Everybody(tokio::sync::watch::Sender<u64>);

impl Default for Everybody {
    fn default() -> Self {
        Self(tokio::sync::watch::Sender::new(0))
    }
}

impl Standing for Everybody {
    fn check(&self, _: &Principal, _: &CertificateSummary) -> Result<(), Failure> {
        Ok(())
    }

    fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.subscribe()
    }
}
