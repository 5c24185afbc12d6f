//! The log, as the coordinator shows it.

use syngrad_common::Failure;
use syngrad_common::wire::Verdict;
use syngrad_engine::receipt::{self, Breach, Notice};
use syngrad_engine::session::Event;
use syngrad_engine::{Digest, LeaseId};

use super::Worker;
use crate::link;
use crate::reading::Wanted;
use crate::report::{Line, Reporter, Tone};

impl<R: Reporter> Worker<R> {
    pub(super) fn receipt(&mut self, notice: Notice) -> Event {
        let followed = self.reading.notice(notice);
        self.follow(followed);
        Event::Heard
    }

    /// A proof came, or did not.
    pub(super) fn proved(&mut self, proof: Result<Vec<Digest>, Failure>) {
        match proof {
            Ok(path) => {
                let followed = self.reading.proof(&path);
                self.follow(followed);
            }
            // A new link brings a new notice, and with it the right to ask again.
            Err(failure) => self.lose(failure),
        }
    }

    fn follow(&mut self, followed: Result<Option<Wanted>, Breach>) {
        match followed {
            Ok(Some(wanted)) => {
                if let Some(client) = self.link.client() {
                    self.reading.prove(link::proof(client, wanted.run, wanted.seen, wanted.size));
                }
            }
            Ok(None) => {}
            Err(breach) => self.breached(breach),
        }
    }

    /// The coordinator does not keep to what it signed: this worker does nothing more for the run.
    pub(super) fn breached(&mut self, breach: Breach) {
        self.reading.give_up();
        let failure = Failure::from(breach);
        let Some(run) = self.run.as_ref().map(|run| run.opened.run) else { return self.tell_trouble(&failure) };
        self.unfit(run, failure);
    }

    /// What the log must say of an update that was answered so.
    pub(super) fn note_answer(&mut self, lease: LeaseId, verdict: &Verdict) {
        self.reading.answered(
            lease,
            match verdict {
                Verdict::Accepted => receipt::Verdict::Accepted,
                Verdict::Duplicate { code, .. } => receipt::Verdict::Duplicate((*code).into()),
                Verdict::Late { code, .. } => receipt::Verdict::Late((*code).into()),
                Verdict::Rejected { code, .. } => receipt::Verdict::Rejected((*code).into()),
            },
        );
    }

    pub(super) fn tell_trouble(&mut self, failure: &Failure) {
        let Failure { code, message } = failure;
        self.reporter.line(Line { tone: Tone::Trouble, code: Some(*code), text: message.clone() });
    }
}
