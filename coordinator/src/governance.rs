//! Who takes part, decided by one owner: it answers once what it decided is durable, publishes it, and has the sessions of
//! those who may not take part any more ended.
//!
//! ```text
//!   rpc ──Errand──► Office (a thread) ──► Register   one transaction a decision, and its act in the log
//!                      │    │ certificates: common::identity
//!                      │    └──► Message::Barred ──► driver: sessions end, leases go to others
//!                      └──► Standing (watch): each connection, each call and each hello is held against it
//! ```

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use syngrad_engine::consortium::{Consortium, Moment, Refusal, Serial};
use syngrad_engine::{PartnerName, Principal};
use tokio::sync::watch;

/// The time, as certificates and the log of acts have it.
pub(crate) fn now() -> Moment {
    // A clock before 1970 is wrong in any case, and then nothing has begun to be good.
    Moment(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Who takes part, as it was decided last.
#[derive(Clone, Debug)]
pub(crate) struct Standing(watch::Receiver<Arc<Consortium>>);

impl Standing {
    /// That of `published`.
    pub(crate) fn new(published: watch::Receiver<Arc<Consortium>>) -> Self {
        Self(published)
    }

    /// That of a consortium in which nothing is decided any more; of nobody where there is none.
    pub(crate) fn of(consortium: Consortium) -> Self {
        Self(watch::channel(Arc::new(consortium)).1)
    }

    /// Whether a certificate is good.
    ///
    /// # Errors
    /// [`Refusal`] if it is not.
    pub(crate) fn known(&self, principal: &Principal, serial: Serial) -> Result<(), Refusal> {
        self.0.borrow().known(now(), principal, serial)
    }

    /// Whether somebody takes part.
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub(crate) fn standing(&self, principal: &Principal, serial: Serial) -> Result<(), Refusal> {
        self.0.borrow().standing(now(), principal, serial)
    }

    /// Workers of a partner that may be connected at once; none for no limit of its own.
    pub(crate) fn max_workers(&self, partner: &PartnerName) -> Option<u32> {
        self.0.borrow().max_workers(partner)
    }
}
