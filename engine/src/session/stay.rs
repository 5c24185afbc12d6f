//! Whether a worker goes on, takes no work for now, or goes.

use super::{Action, Cause, Exit, Fitness, Link, Report, Session};
use crate::id::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stay {
    Working,
    /// What is in hand is finished, until this moment if there is one.
    Draining {
        until: Option<Time>,
    },
    Gone,
}

impl Session {
    pub(super) fn drain(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.stay {
            Stay::Working | Stay::Draining { until: None } => {
                self.stay = Stay::Draining { until: Some(now.after(self.config.drain)) };
                self.leave_if_drained(now, out);
            }
            Stay::Draining { until: Some(_) } => self.leave(now, out),
            Stay::Gone => {}
        }
    }

    pub(super) fn finish(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.stay {
            Stay::Working => {
                self.stay = Stay::Draining { until: None };
                self.leave_if_drained(now, out);
            }
            Stay::Draining { .. } | Stay::Gone => {}
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        !self.pauses.is_empty()
    }

    pub(super) fn pause(&mut self, now: Time, cause: Cause, out: &mut Vec<Action>) {
        let was_paused = self.is_paused();
        if !self.pauses.insert(cause) {
            return;
        }
        out.push(Action::Report(Report::Paused { cause }));
        if was_paused {
            return;
        }
        self.jobs.set_aside(out);
        match self.run.as_ref().map(|membership| &membership.fitness) {
            // It was told when that was found.
            None | Some(Fitness::Unfit { .. }) => {}
            Some(Fitness::Unprepared | Fitness::Preparing | Fitness::Ready) => self.answer_offer(now, out),
        }
        self.leave_if_drained(now, out);
    }

    pub(super) fn resume(&mut self, now: Time, cause: Cause, out: &mut Vec<Action>) {
        if !self.pauses.remove(&cause) || self.is_paused() {
            return;
        }
        out.push(Action::Report(Report::Resumed));
        match self.run.as_ref().map(|membership| &membership.fitness) {
            None | Some(Fitness::Unfit { .. } | Fitness::Preparing) => {}
            Some(Fitness::Unprepared) => self.prepare(out),
            Some(Fitness::Ready) => self.answer_offer(now, out),
        }
    }

    pub(super) fn leave_if_drained(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.stay, Stay::Draining { .. }) && !self.jobs.any_granted() {
            self.leave(now, out);
        }
    }

    pub(super) fn leave(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.link == Link::Up {
            self.say(now, Action::SendLeave, out);
        }
        self.exit(Exit::Drained, out);
    }

    pub(super) fn exit(&mut self, exit: Exit, out: &mut Vec<Action>) {
        self.stay = Stay::Gone;
        out.push(Action::Exit(exit));
    }
}
