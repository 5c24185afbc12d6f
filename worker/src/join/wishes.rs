//! What the partner's people ask of the worker, and what its policy says of the time of the day.

use std::time::{Duration, Instant};

use syngrad_engine::WorkerId;
use syngrad_engine::policy::{Host, Opening};
use syngrad_engine::session::{Cause, Event, SessionView};

use super::Worker;
use crate::control::{Wish, WorkerStatus};
use crate::report::{self, Reporter};

/// The longest time between two looks at the clock: it may be set, and the machine may sleep.
const LOOK: Duration = Duration::from_secs(60);

impl<R: Reporter> Worker<R> {
    /// Says what the worker is held to, before it says anything else.
    pub(super) fn begin(&mut self) {
        let folder = self.border.folder().map(|folder| folder.path().to_owned());
        self.reporter.line(report::in_force(&self.border.in_force, folder.as_deref()));
        self.look_at_clock();
    }

    /// Pauses and resumes as the hours and the bytes of the day say.
    pub(super) fn look_at_clock(&mut self) {
        if !self.border.minds_the_clock() {
            return;
        }
        let (event, change) = match self.border.opening() {
            Opening::Open { seconds } => (Event::Resume(Cause::Hours), seconds),
            Opening::Closed { seconds } => (Event::Pause(Cause::Hours), Some(seconds)),
        };
        self.events.push_back(event);
        if self.border.has_room() {
            self.events.push_back(Event::Resume(Cause::Spent));
        }
        let wait = change.map_or(LOOK, |seconds| LOOK.min(Duration::from_secs(seconds)));
        self.look_again = Some(Instant::now() + wait);
    }

    pub(super) fn wished(&mut self, wish: Wish) {
        self.events.extend(match wish {
            Wish::Status => None,
            Wish::Pause => Some(Event::Pause(Cause::Asked)),
            Wish::Resume => Some(Event::Resume(Cause::Asked)),
            Wish::Finish => Some(Event::Finish),
            Wish::Leave => Some(Event::Leave),
        });
    }

    pub(super) fn status(&self) -> WorkerStatus {
        let SessionView { connected, run, newest, in_hand, pauses, leaving } = self.session.view();
        let in_force = &self.border.in_force;
        WorkerStatus {
            worker: self.config.worker.to_string(),
            partner: self.config.partner.to_string(),
            coordinator: self.config.address.to_string(),
            connected,
            run: run.map(|run| run.to_string()),
            round: newest.map(|round| round.0),
            in_hand,
            paused: pauses.iter().map(ToString::to_string).collect(),
            leaving,
            policy: in_force.file.as_ref().map(|file| file.display().to_string()),
            update_bytes_today: self.border.bytes_today(),
            max_update_bytes_a_day: in_force.policy.max_update_bytes_a_day,
            rounds: run.map_or(0, |run| self.border.rounds(run)),
            max_rounds: in_force.policy.max_rounds,
        }
    }

    /// What is known of the coordinator.
    pub(super) fn host(&self) -> Host {
        Host {
            address: self.config.address.to_string(),
            identity: self.fence.map(|fence| WorkerId(fence.coordinator).to_string()),
            consortium: self.config.consortium.clone(),
        }
    }
}
