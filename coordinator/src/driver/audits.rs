//! Audits: payloads that are held until they are answered, and units that the coordinator computes itself.

use std::sync::Arc;

use syngrad_common::{Code, Failure};
use syngrad_engine::digest::Domain;
use syngrad_engine::run::{Event, Finding, Outcome};
use syngrad_engine::{Digest, LeaseId, Round, RunId, Units};
use syngrad_model::reference::OpenRound;
use tokio::task::spawn_blocking;

use super::rounds::on_this_thread;
use super::{Driver, Message};

/// What the coordinator has computed of units that two workers differ in.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) run: RunId,
    pub(crate) round: Round,
    /// The lease of the update under audit.
    pub(crate) lease: LeaseId,
    /// Digest of the packed sum that the units give, or why it cannot be had.
    pub(crate) truth: Result<Digest, Failure>,
}

impl Driver {
    /// The update that was accepted last is held until its audit ends.
    pub(super) fn hold(&mut self, lease: LeaseId) {
        let Some(active) = &mut self.active else { return };
        let accepted = active.accepted.take();
        debug_assert!(accepted.is_some(), "what is audited was accepted just now");
        if let Some(update) = accepted {
            active.audited.insert(lease, update);
        }
    }

    /// Computes `units` of the open round on a thread of its own, from what the workers have been given.
    pub(super) fn judge(&mut self, round: Round, lease: LeaseId, units: Units) {
        let (Some(active), Some(driver)) = (&self.active, self.own_inbox.upgrade()) else { return };
        let Some(shards) = active.shards.clone() else { return };
        tracing::warn!(%round, %lease, ?units, "two workers differ in what units give: computing them here");
        let (run, identity, device) = (active.id(), active.identity.clone(), self.config.device);
        let (params, grid) = (Arc::clone(active.state.params()), active.state.grid().clone());
        let computing = spawn_blocking(move || {
            let open = OpenRound { round, params: &params, grid: &grid };
            let sum = shards.sum_of(identity.spec.spec(), device, open, &units);
            sum.map(|packed| Digest::of(Domain::Update, &packed)).map_err(|error| error.to_string())
        });
        tokio::spawn(async move {
            let outcome = computing.await.unwrap_or_else(|error| Err(format!("a defect of this program: {error}")));
            let truth = outcome.map_err(|why| Failure::new(Code::Internal, why));
            // The driver may be over.
            let _ = driver.send(Message::Judged(Judged { run, round, lease, truth })).await;
        });
    }

    /// The coordinator has computed the units of an audit.
    pub(super) fn judged(&mut self, judged: Judged) {
        let Judged { run, round, lease, truth } = judged;
        let Some(active) = self.active.as_mut().filter(|active| active.id() == run) else { return };
        match truth {
            Ok(digest) => self.feed(Event::Judged { round, lease, digest }),
            Err(failure) => {
                let why = format!("two workers differ in an update, and its units cannot be computed here: {failure}");
                tracing::error!(%round, why, "the round cannot go on");
                active.broken = Some(Outcome::Failed { round, why });
                self.feed(Event::Stop);
            }
        }
    }

    /// Takes an update that was shown to be wrong out of the sum.
    pub(super) fn retract(&mut self, lease: LeaseId) {
        let Some(active) = &mut self.active else { return };
        let Some(update) = active.audited.get(&lease) else { return };
        let params = active.aggregate.sums().len();
        on_this_thread(params, || active.aggregate.subtract(&update.payload, &update.tally))
            .expect("it was added before");
        if let Some(open) = &mut active.open {
            open.loss.0 -= update.loss.0;
            open.loss.1 -= update.loss.1;
        }
    }

    /// An update was shown to be wrong: its receipt says so, whatever its worker was told.
    pub(super) fn convict(&mut self, lease: LeaseId) {
        if let Some(receipts) = self.active.as_mut().and_then(|active| active.receipts.as_mut()) {
            receipts.convict(lease);
        }
    }

    /// An audit has ended: nobody needs the payload any more.
    pub(super) fn let_go(&mut self, lease: LeaseId, finding: Finding) {
        let Some(active) = &mut self.active else { return };
        active.audited.remove(&lease);
        match finding {
            Finding::Passed => tracing::debug!(%lease, "an audit has passed"),
            Finding::Failed => tracing::warn!(%lease, "an audit has found a wrong update"),
            Finding::Lapsed => tracing::info!(%lease, "nobody of another partner could answer an audit"),
        }
    }
}
