//! What the coordinator says, checked against what it said before.

use std::time::Duration;

use syngrad_common::limits::{PROTOCOL_MAX, PROTOCOL_MIN};
use syngrad_common::wire::{
    Answer, Fence, Leased, Refused, RoundOpened, RunClosed, RunOpened, Source, ToWorker, Verdict, Welcome,
};
use syngrad_common::{Code, Failure};
use syngrad_engine::session::{self, Event, Retry, Task};
use syngrad_engine::{Round, Units};

use super::{Grant, Run, Worker};
use crate::reading::{self, Keys};
use crate::report::{self, Reporter};

/// Time in which a coordinator notices that a worker is dead, with some to spare.
const IDENTITY_PATIENCE: Duration = Duration::from_secs(60);

fn unexpected(what: &str) -> Failure {
    Failure::new(Code::UnexpectedMessage, format!("the coordinator sent {what}"))
}

impl<R: Reporter> Worker<R> {
    /// Takes a message; an error means that this coordinator cannot be talked to.
    pub(super) fn receive(&mut self, message: ToWorker) -> Result<(), Failure> {
        let event = match message {
            ToWorker::Welcome(welcome) => self.welcomed(welcome)?,
            ToWorker::Refused(refused) => self.refused(refused),
            ToWorker::RunOpened(opened) => self.run_opened(opened),
            ToWorker::RoundOpened(opened) => self.round_opened(opened)?,
            ToWorker::Frame(frame) => self.frame(&frame)?,
            ToWorker::Leased(leased) => self.leased(leased)?,
            ToWorker::Answer(answer) => self.answered(answer),
            ToWorker::RunClosed(closed) => self.run_closed(closed),
            ToWorker::Heartbeat => Event::Heard,
            ToWorker::Receipt(notice) => self.receipt(*notice),
        };
        self.events.push_back(event);
        Ok(())
    }

    fn welcomed(&mut self, welcome: Welcome) -> Result<Event, Failure> {
        let Welcome { protocol, build, resume, heartbeat, silence, fence } = welcome;
        if !(PROTOCOL_MIN..=PROTOCOL_MAX).contains(&protocol) {
            let why = format!(
                "the coordinator chose protocol {protocol}; this worker speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}"
            );
            return Err(Failure::new(Code::ProtocolVersion, why));
        }
        self.check_fence(fence)?;
        tracing::debug!(build, "welcomed");
        // A coordinator that keeps nothing has no log.
        let keys = self.config.keys.clone().or_else(|| Keys::of(&self.config.security));
        self.reading.rekey(keys.filter(|_| fence.is_some()));
        self.resume = Some(resume);
        self.trouble = None;
        self.identity_taken = None;
        Ok(Event::Welcomed { heartbeat, silence })
    }

    /// Refuses a coordinator whose state another one has opened since: what it would count is counted elsewhere.
    fn check_fence(&mut self, fence: Option<Fence>) -> Result<(), Failure> {
        let Some(fence) = fence else { return Ok(()) };
        match self.fence.filter(|known| known.coordinator == fence.coordinator && known.epoch > fence.epoch) {
            Some(known) => {
                let (ours, theirs) = (known.epoch, fence.epoch);
                let why =
                    format!("this coordinator has been replaced: it is of epoch {theirs}, its successor of {ours}");
                Err(Failure::new(Code::Fenced, why))
            }
            None => {
                let is_same = self.fence.replace(fence) == Some(fence);
                let is_own = self.run.as_ref().and_then(|run| run.prepared.as_ref()).is_some_and(|of| of.own.is_some());
                if !is_same && !is_own {
                    self.reading.restarted();
                }
                Ok(())
            }
        }
    }

    fn refused(&mut self, refused: Refused) -> Event {
        let Refused { code, why, retry } = refused;
        self.trouble = Some(Failure::new(code, why.clone()));
        let retry = if retry && !self.is_impostor(code) { Retry::Later } else { Retry::Never };
        Event::Refused { why, retry }
    }

    /// Whether another worker has this one's identity for longer than a dead one could have kept it.
    fn is_impostor(&mut self, code: Code) -> bool {
        if code != Code::IdentityInUse {
            return false;
        }
        let now = self.clock.now();
        now.since(*self.identity_taken.get_or_insert(now)) >= IDENTITY_PATIENCE
    }

    fn run_opened(&mut self, opened: RunOpened) -> Event {
        let run = opened.run;
        if self.run.as_ref().is_none_or(|known| known.opened != opened) {
            if self.run.as_ref().is_some_and(|known| known.opened.run != run) && self.reading.unshown() > 0 {
                let failure = reading::never_shown(self.reading.unshown());
                self.tell_trouble(&failure);
            }
            self.data.clear();
            self.rounds.interrupt();
            self.run = Some(Run { opened, prepared: None, guard: None, objection: None });
        }
        Event::RunOpened { run }
    }

    fn round_opened(&mut self, opened: RoundOpened) -> Result<Event, Failure> {
        let prepared = self.run.as_ref().filter(|run| run.opened.run == opened.run);
        let prepared = prepared.and_then(|run| run.prepared.as_deref());
        let prepared =
            prepared.ok_or_else(|| unexpected("params of a run that this worker has not said it is ready for"))?;
        self.rounds.announce(opened, &prepared.layout, prepared.plan.units())?;
        Ok(Event::Heard)
    }

    fn frame(&mut self, frame: &[u8]) -> Result<Event, Failure> {
        let complete = self.rounds.push(frame)?;
        if let (Some(bytes), Some(guard)) = (complete, self.run.as_mut().and_then(|run| run.guard.as_mut())) {
            guard.received_params(bytes);
            let open = self.rounds.open().map(|open| (open.run, open.round, open.digest));
            if let Some((run, round, digest)) = open
                && let Err(breach) = self.reading.params(run, round, digest)
            {
                self.breached(breach);
            }
        }
        Ok(Event::Heard)
    }

    fn leased(&mut self, leased: Leased) -> Result<Event, Failure> {
        let Leased { run, round, lease, units, deadline: _ } = leased;
        let open = self.rounds.open().filter(|open| (open.run, open.round) == (run, round));
        let open = open.ok_or_else(|| unexpected("a lease of a round whose params it has not sent"))?;
        let most = self.prepared(run).map_or(0, |prepared| prepared.plan.units());
        if let Some(unit) = units.iter().find(|unit| unit.unit.0 >= most) {
            return Err(unexpected(&format!("a lease of unit {}, and the run has {most}", unit.unit)));
        }
        let has_own = self.prepared(run).is_some_and(|prepared| prepared.own.is_some());
        if let Some(unit) = units.iter().find(|unit| unit.source == Source::Own && !has_own) {
            return Err(unexpected(&format!("a lease of unit {} on samples that are not part of the run", unit.unit)));
        }
        tracing::debug!(round = round.0, lease = lease.0, "leased");
        let set: Units = units.iter().map(|unit| unit.unit).collect();
        let task = Task { run, round, lease, units: set, params: open.digest };
        self.grant = Some(Grant { lease, round, units });
        // A task that waits for samples since before the link was made anew may ask for them now.
        self.fetch_missing();
        Ok(Event::Leased(task))
    }

    fn answered(&mut self, answer: Answer) -> Event {
        let Answer { lease, verdict } = answer;
        self.note_answer(lease, &verdict);
        let round = self.sums.answered(lease);
        let answer = match verdict {
            Verdict::Accepted => {
                self.tell_accepted(round);
                session::Answer::Accepted
            }
            Verdict::Duplicate { .. } => session::Answer::Duplicate,
            Verdict::Late { .. } => session::Answer::Late,
            Verdict::Rejected { code, why } => {
                self.trouble = Some(Failure::new(code, why.clone()));
                session::Answer::Rejected { why }
            }
        };
        Event::Answered { lease, answer }
    }

    /// Updates of a partner's own samples may have cost hours: each is told.
    fn tell_accepted(&mut self, round: Option<Round>) {
        let is_own = self.run.as_ref().and_then(|run| run.prepared.as_ref()).is_some_and(|of| of.own.is_some());
        if let Some(round) = round.filter(|_| is_own) {
            self.reporter.line(report::accepted(round));
        }
    }

    fn run_closed(&mut self, closed: RunClosed) -> Event {
        let RunClosed { run, how } = closed;
        if self.run.as_ref().is_some_and(|known| known.opened.run == run) {
            self.data.clear();
        }
        Event::RunClosed { run, how }
    }
}
