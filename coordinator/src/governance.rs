//! Who takes part, decided by one owner: it answers once what it decided is durable, publishes it, and has the sessions of
//! those who may not take part any more ended.
//!
//! ```text
//!   rpc ──Errand──► Office (a thread) ──► Register   one transaction a decision, and its act in the log
//!                      │    └──► Notary: certificates, by the consortium's authorities
//!                      ├──► Message::Barred ──► driver: sessions end, leases go to others
//!                      └──► Standing (watch): each call and each hello is held against it
//! ```

mod founding;
mod notary;
mod office;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use syngrad_common::identity::CertificateSummary;
use syngrad_common::limits::GOVERNANCE_QUEUE;
use syngrad_common::{Code, Failure, transport};
use syngrad_engine::consortium::{Consortium, Moment, Refusal, Serial};
use syngrad_engine::{PartnerName, Principal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

pub use founding::{Founded, Founding, OPERATOR, found};
pub(crate) use office::{Actor, Invited, Office, PartnerView, Shown};

use crate::access::serial;
use crate::driver::shutting_down;

/// Time for those whose sessions end to hear why, before their connections do.
const FAREWELL: Duration = Duration::from_millis(300);

/// How often the coordinator looks whether its own certificate is to be renewed.
const LOOK_AT_OWN: Duration = Duration::from_secs(3600);

/// The time, as certificates and the log of acts have it.
pub(crate) fn now() -> Moment {
    // A clock before 1970 is wrong in any case, and then nothing has begun to be good.
    Moment(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Who takes part, as it was decided last.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    decided: watch::Receiver<Arc<Consortium>>,
    /// Moves when connections are held against what was decided.
    looked: watch::Receiver<u64>,
}

impl Standing {
    /// That of a consortium in which nothing is decided any more; of nobody where there is none.
    pub(crate) fn of(consortium: Consortium) -> Self {
        Self { decided: watch::channel(Arc::new(consortium)).1, looked: watch::channel(0).1 }
    }

    /// Whether a certificate is good.
    ///
    /// # Errors
    /// [`Refusal`] if it is not.
    pub(crate) fn known(&self, principal: &Principal, serial: Serial) -> Result<(), Refusal> {
        self.decided.borrow().known(now(), principal, serial)
    }

    /// Whether somebody takes part.
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub(crate) fn standing(&self, principal: &Principal, serial: Serial) -> Result<(), Refusal> {
        self.decided.borrow().standing(now(), principal, serial)
    }

    /// Workers of a partner that may be connected at once; none for no limit of its own.
    pub(crate) fn max_workers(&self, partner: &PartnerName) -> Option<u32> {
        self.decided.borrow().max_workers(partner)
    }
}

/// For connections: whoever has a good certificate may have one, if only to hear why nothing else is allowed.
impl transport::Standing for Standing {
    fn check(&self, who: &Principal, certificate: &CertificateSummary) -> Result<(), Failure> {
        self.known(who, serial(certificate)).map_err(|why| Failure::from(&why))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.looked.clone()
    }
}

/// Has connections held against each decision, once those whose sessions it ends have been told why.
async fn look_at_connections(mut decided: watch::Receiver<Arc<Consortium>>, looks: watch::Sender<u64>) {
    while decided.changed().await.is_ok() {
        sleep(FAREWELL).await;
        looks.send_modify(|looks| *looks += 1);
    }
}

/// Has the coordinator's own certificate renewed in time.
async fn keep_certified(errands: mpsc::WeakSender<Errand>) {
    loop {
        sleep(LOOK_AT_OWN).await;
        let Some(errands) = errands.upgrade() else { return };
        // An office that is gone needs no certificate.
        let _ = errands.send(Box::new(Office::renew_own)).await;
    }
}

/// Something to be decided.
type Errand = Box<dyn FnOnce(&mut Office) + Send>;

/// What the rest of the coordinator has of the office.
#[derive(Clone, Debug)]
pub(crate) struct Governance {
    errands: mpsc::Sender<Errand>,
}

impl Governance {
    /// Starts the thread that `office` works on: it writes, and what writes waits for the disk. It ends with the last
    /// handle.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(mut office: Office) -> io::Result<Self> {
        let (errands, mut taken) = mpsc::channel::<Errand>(GOVERNANCE_QUEUE);
        tokio::spawn(look_at_connections(office.decisions(), office.looks()));
        tokio::spawn(keep_certified(errands.downgrade()));
        let work = move || {
            while let Some(errand) = taken.blocking_recv() {
                errand(&mut office);
            }
        };
        thread::Builder::new().name("governance".into()).spawn(work)?;
        Ok(Self { errands })
    }

    /// Has something decided, and waits until it is durable.
    ///
    /// # Errors
    /// Why it is refused, or that the coordinator is shutting down.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Office) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let errand: Errand = Box::new(move |office| {
            // Whoever asked may be gone; what was decided is decided all the same.
            let _ = reply.send(errand(office));
        });
        self.errands.send(errand).await.map_err(|_| shutting_down())?;
        answer.await.map_err(|_| Failure::new(Code::Internal, "the decision ended in a defect of this program"))?
    }

    /// Notes that somebody was heard. Nobody waits for that, and it is left out when more important things wait.
    pub(crate) fn seen(&self, principal: Principal) {
        let _ = self.errands.try_send(Box::new(move |office| office.seen(&principal)));
    }
}
