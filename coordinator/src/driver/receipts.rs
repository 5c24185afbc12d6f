//! What was given is noted, and workers hear of it once it is durable.

use syngrad_common::Code;
use syngrad_common::wire::{ToWorker, Update};
use syngrad_engine::receipt::{Contribution, Fingerprint, Verdict};
use syngrad_engine::spec::Archive;
use syngrad_engine::{Digest, Rejection, RunId};
use syngrad_store::{Entry, ToArchive};

use super::Driver;
use crate::active::ActiveRun;
use crate::receipts::{Attested, Bulletin, Publication, Receipts, Source, refusal};
use crate::roster::{Seat, SessionId};

fn source(seat: &Seat) -> Source<'_> {
    let certificate = seat.signer.as_ref().map_or(Fingerprint([0; Fingerprint::LEN]), |signer| signer.certificate);
    Source { partner: &seat.partner, worker: seat.worker, certificate }
}

impl Driver {
    /// What a receipt will say of an update, but for what becomes of it; none where there are no receipts.
    pub(super) fn contribution(&self, session: SessionId, update: &Update) -> Option<Contribution> {
        let active = self.active.as_ref()?;
        let (receipts, seat) = (active.receipts.as_ref()?, self.roster.get(session)?);
        Some(receipts.contribution(&source(seat), update, active.weight(&update.header.units)))
    }

    /// Why an update of a member is turned down before it is looked at: its word does not hold.
    pub(super) fn mistrusted(&self, update: &Update, attested: Attested) -> Option<Rejection> {
        match attested {
            Attested::Unasked => None,
            Attested::Fails => Some(Rejection::BadSignature),
            Attested::Holds => {
                let open = self.active.as_ref()?.open.as_ref().filter(|open| open.round == update.header.round)?;
                let (found, expected) = (update.signed?.params, open.broadcast.header.params);
                (found != expected).then_some(Rejection::OtherParams { found, expected })
            }
        }
    }

    pub(super) fn note(&mut self, contribution: Option<Contribution>, verdict: Verdict) {
        let receipts = self.active.as_mut().and_then(|active| active.receipts.as_mut());
        if let (Some(receipts), Some(contribution)) = (receipts, contribution) {
            receipts.note(contribution, verdict);
        }
    }

    pub(super) fn note_refusal(&mut self, contribution: Option<Contribution>, why: &Rejection) {
        self.note(contribution, refusal(why));
    }

    /// Somebody broke the protocol: what else they gave is in receipts, and so is this.
    pub(super) fn note_breach(&mut self, session: SessionId, code: Code) {
        let Some(active) = &mut self.active else { return };
        let round = active.state.round();
        if let (Some(receipts), Some(seat)) = (&mut active.receipts, self.roster.get(session)) {
            let breach = Receipts::breach(&source(seat), round, code);
            let verdict = breach.verdict;
            receipts.note(breach, verdict);
        }
    }

    /// The worker reads along from now on.
    pub(super) fn greet_witness(&mut self, session: SessionId) {
        let Some(active) = &mut self.active else { return };
        let run = active.id();
        let Some(receipts) = &mut active.receipts else { return };
        let Some(seat) = self.roster.get_mut(session) else { return };
        seat.witnesses = Some(run);
        active.unkept.certificates.extend(seat.signer.as_deref().and_then(|signer| receipts.keep_certificate(signer)));
        // A worker that does not take it has more to be told that it will not take either.
        let _ = receipts.greeting().map(|notice| seat.outbox.send(ToWorker::Receipt(Box::new(notice))));
    }

    /// Records are durable: everybody who reads along hears of them.
    pub(super) fn publish_receipts(&mut self, run: RunId, publications: Vec<Publication>) {
        for publication in publications {
            if let Some(receipts) =
                self.active.as_mut().filter(|active| active.id() == run).and_then(|a| a.receipts.as_mut())
            {
                receipts.published(&publication);
            }
            let bulletin = Bulletin::new(publication);
            let reading = self.roster.iter_mut().filter(|(_, seat)| seat.witnesses == Some(run));
            let full: Vec<SessionId> = reading
                .filter(|(_, seat)| {
                    let notice = ToWorker::Receipt(Box::new(bulletin.notice(seat.worker)));
                    seat.outbox.send(notice).is_err()
                })
                .map(|(session, _)| session)
                .collect();
            for session in full {
                self.gone(session, "it does not take what is sent to it");
            }
        }
    }
}

impl ActiveRun {
    /// Keeps an accepted update with its round, if the spec asks for that.
    pub(super) fn archive(&mut self, payload: Digest, bytes: &bytes::Bytes) {
        let is_asked_for = self.spec().archive == Archive::Updates && self.receipts.is_some();
        if is_asked_for {
            self.unkept.updates.push(ToArchive { payload, bytes: bytes.clone() });
        }
    }

    /// Adds what was sealed to `entry`.
    pub(super) fn hand_out(&mut self, entry: &mut Entry) -> Vec<Publication> {
        self.receipts.as_mut().map(|receipts| receipts.hand_out(entry)).unwrap_or_default()
    }
}
