//! The worker's side of a run: when to connect, what to compute, what to say.
//!
//! ```text
//!            Tick: Connect             Connected: SendHello         Welcomed
//!   ┌──────┐ ───────────► ┌─────────┐ ───────────► ┌──────────┐ ───────────► ┌────┐  RunOpened: Prepare
//!   │ down │              │ dialing │              │ greeting │              │ up │  Prepared:  SendReady
//!   └──────┘ ◄─────────── └─────────┘ ◄─────────── └──────────┘ ◄─────────── └────┘  Leased:    Compute
//!      ▲                 Disconnected, Refused, or nothing heard for too long   │    Computed:  SendUpdate
//!      └── back-off with full jitter ───────────────────────────────────────────┘    Answered:  the task is done
//! ```
//!
//! * Only the newest round's tasks matter: a lease of a newer round forgets what is left of older ones.
//! * A lease ends with its link. What was computed for it is kept: if the same units of the same params are leased
//!   again, the sum is sent under the new lease without being computed again, and never under the old one.
//! * A pause is said to the coordinator as a decline, so that units go to others; the link stays up, and the end of the
//!   pause is another Ready. What was computed before is kept as at the loss of a link.
//! * Trouble is told once, not at every try.
//! * Nothing that a coordinator sends, in whatever order, makes a session panic or compute for a lease it was not
//!   given.

mod jobs;
mod message;
mod stay;

use std::collections::BTreeSet;
use std::time::Duration;

pub use message::*;

use crate::digest::Digest;
use crate::id::{LeaseId, Round, RunId, Time};
use crate::planted::{Bug, Planted};
use crate::random::{Purpose, Stream};
use jobs::Jobs;
use stay::Stay;

/// The state of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    config: SessionConfig,
    link: Link,
    /// When `link` became what it is.
    since: Time,
    heard: Time,
    said: Time,
    heartbeat: Duration,
    silence: Duration,
    /// Tries since a link lasted.
    tries: u32,
    jitter: Stream,
    /// What the person was told last, to tell nothing twice.
    told: Option<Report>,
    run: Option<Membership>,
    /// The newest round of which something was leased on this link.
    newest: Option<Round>,
    jobs: Jobs,
    /// Why no work is taken; empty while it is.
    pauses: BTreeSet<Cause>,
    stay: Stay,
    planted: Planted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Link {
    Down { again: Time },
    Dialing,
    Greeting,
    Up,
}

/// The run that the worker works for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Membership {
    run: RunId,
    fitness: Fitness,
    offer: Offer,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Fitness {
    /// The run was opened during a pause.
    Unprepared,
    Preparing,
    Ready,
    Unfit {
        why: String,
    },
}

/// Whether the run was opened to the worker on the present link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Offer {
    Standing,
    Lapsed,
}

impl Session {
    /// A worker that is not connected yet. Its first [`Session::deadline`] is at once.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            link: Link::Down { again: Time(0) },
            since: Time(0),
            heard: Time(0),
            said: Time(0),
            heartbeat: config.heartbeat,
            silence: config.silence,
            tries: 0,
            jitter: Stream::new(config.seed, Purpose::Jitter, &[]),
            told: None,
            run: None,
            newest: None,
            jobs: Jobs::default(),
            pauses: BTreeSet::new(),
            stay: Stay::Working,
            planted: Planted::default(),
            config,
        }
    }

    /// The same session with a bug in it, to see whether the simulation finds it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn with_bug(self, bug: Option<Bug>) -> Self {
        Self { planted: Planted::new(bug), ..self }
    }

    /// Takes an event at `now` and appends what the shell is to do, in order, to `out`. `now` never goes back. After
    /// [`Action::Exit`] nothing follows.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.stay == Stay::Gone {
            return;
        }
        match event {
            Event::Connected => self.connected(now, out),
            Event::Disconnected { why } => self.lost(now, why, out),
            Event::Tick => self.tick(now, out),
            Event::Drain => self.drain(now, out),
            Event::Finish => self.finish(now, out),
            Event::Leave => self.leave(now, out),
            Event::Pause(cause) => self.pause(now, cause, out),
            Event::Resume(cause) => self.resume(now, cause, out),
            Event::Prepared { run } => self.prepared(now, run, out),
            Event::Unfit { run, why } => self.unfit(now, run, why, out),
            Event::Computed { task, update } => self.computed(now, &task, update, out),
            Event::Failed { task, why } => self.failed(now, &task, why, out),
            Event::Welcomed { heartbeat, silence } => self.welcomed(now, heartbeat, silence, out),
            Event::Refused { why, retry } => self.refused(now, why, retry, out),
            Event::RunOpened { .. }
            | Event::Leased(_)
            | Event::Answered { .. }
            | Event::RunClosed { .. }
            | Event::Heard => self.received(now, event, out),
        }
    }

    /// What it is at, for people.
    #[must_use]
    pub fn view(&self) -> SessionView {
        SessionView {
            connected: self.link == Link::Up,
            run: self.run.as_ref().map(|membership| membership.run),
            newest: self.newest,
            in_hand: self.jobs.granted(),
            pauses: self.pauses.iter().copied().collect(),
            leaving: self.stay != Stay::Working,
        }
    }

    /// When the shell must send [`Event::Tick`] next, unless another event changes it.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let of_stay = match self.stay {
            Stay::Working => None,
            Stay::Draining { until } => until,
            Stay::Gone => return None,
        };
        let of_link = match self.link {
            Link::Down { again } => again,
            Link::Dialing | Link::Greeting => self.since.after(self.config.silence),
            Link::Up => self.said.after(self.heartbeat).min(self.heard.after(self.silence)),
        };
        of_stay.into_iter().chain([of_link]).min()
    }

    fn enter(&mut self, now: Time, link: Link) {
        self.link = link;
        self.since = now;
    }

    fn say(&mut self, now: Time, action: Action, out: &mut Vec<Action>) {
        self.said = now;
        out.push(action);
    }

    /// Reports a trouble unless it is what was reported last.
    fn tell(&mut self, report: Report, out: &mut Vec<Action>) {
        let same = match (&self.told, &report) {
            (Some(Report::Unreachable { why: told, .. }), Report::Unreachable { why, .. }) => told == why,
            (told, report) => told.as_ref() == Some(report),
        };
        if !same {
            self.told = Some(report.clone());
            out.push(Action::Report(report));
        }
    }

    fn connected(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.link {
            Link::Dialing => {
                self.enter(now, Link::Greeting);
                self.heard = now;
                self.say(now, Action::SendHello, out);
            }
            // It came after the session gave up on it.
            Link::Down { .. } => out.push(Action::Disconnect),
            Link::Greeting | Link::Up => {}
        }
    }

    fn welcomed(&mut self, now: Time, heartbeat: Duration, silence: Duration, out: &mut Vec<Action>) {
        if self.link != Link::Greeting {
            return;
        }
        self.enter(now, Link::Up);
        self.heard = now;
        self.heartbeat = heartbeat;
        self.silence = silence;
        self.tell(Report::Connected, out);
    }

    fn refused(&mut self, now: Time, why: String, retry: Retry, out: &mut Vec<Action>) {
        match self.link {
            Link::Down { .. } | Link::Dialing => return,
            Link::Greeting | Link::Up => {}
        }
        self.tell(Report::Refused { why: why.clone() }, out);
        match retry {
            Retry::Never => self.exit(Exit::Refused { why }, out),
            Retry::Later => {
                out.push(Action::Disconnect);
                self.back_off(now, out);
            }
        }
    }

    fn lost(&mut self, now: Time, why: String, out: &mut Vec<Action>) {
        if matches!(self.link, Link::Down { .. }) {
            return;
        }
        let again = self.back_off(now, out);
        if self.stay == Stay::Working {
            self.tell(Report::Unreachable { why, again }, out);
        }
    }

    /// The link is gone: its leases are void, and the next try is at the moment given back.
    fn back_off(&mut self, now: Time, out: &mut Vec<Action>) -> Time {
        if self.link == Link::Up && now.since(self.since) >= self.config.backoff_max {
            self.tries = 0;
        }
        let doubled = self.config.backoff_min.saturating_mul(1 << self.tries.min(20));
        let longest = u64::try_from(doubled.min(self.config.backoff_max).as_nanos()).unwrap_or(u64::MAX - 1);
        let again = now.after(Duration::from_nanos(self.jitter.below(longest.saturating_add(1))));
        self.tries = self.tries.saturating_add(1);
        self.enter(now, Link::Down { again });
        self.newest = None;
        self.jobs.lapse(out);
        if let Some(membership) = &mut self.run {
            membership.offer = Offer::Lapsed;
        }
        if self.stay != Stay::Working {
            self.exit(Exit::Drained, out);
        }
        again
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Stay::Draining { until: Some(until) } = self.stay
            && until <= now
        {
            return self.leave(now, out);
        }
        let too_late = self.since.after(self.config.silence) <= now;
        match self.link {
            Link::Down { again } if again <= now => {
                self.enter(now, Link::Dialing);
                out.push(Action::Connect);
            }
            Link::Dialing if too_late => self.give_up(now, "no connection came about", self.config.silence, out),
            Link::Greeting if too_late => self.give_up(now, "no welcome came", self.config.silence, out),
            Link::Down { .. } | Link::Dialing | Link::Greeting => {}
            Link::Up => self.tick_up(now, out),
        }
    }

    fn tick_up(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.heard.after(self.silence) <= now {
            if !self.planted.has(Bug::SilentCoordinatorKept) {
                return self.give_up(now, "nothing was heard from the coordinator", self.silence, out);
            }
            self.heard = now;
        }
        if self.said.after(self.heartbeat) <= now {
            match self.planted.has(Bug::HeartbeatForgotten) && self.jobs.any_granted() {
                true => self.said = now,
                false => self.say(now, Action::SendHeartbeat, out),
            }
        }
    }

    fn give_up(&mut self, now: Time, what: &str, waited: Duration, out: &mut Vec<Action>) {
        out.push(Action::Disconnect);
        self.lost(now, format!("{what} for {:.1} s", waited.as_secs_f64()), out);
    }

    /// What only a coordinator that knows this worker sends.
    fn received(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.link != Link::Up {
            return;
        }
        self.heard = now;
        match event {
            Event::RunOpened { run } => self.run_opened(now, run, out),
            Event::Leased(task) => self.leased(now, task, out),
            Event::Answered { lease, answer } => self.answered(now, lease, answer, out),
            Event::RunClosed { run, how } => self.run_closed(now, run, how, out),
            Event::Heard
            | Event::Connected
            | Event::Disconnected { .. }
            | Event::Welcomed { .. }
            | Event::Refused { .. }
            | Event::Prepared { .. }
            | Event::Unfit { .. }
            | Event::Computed { .. }
            | Event::Failed { .. }
            | Event::Tick
            | Event::Drain
            | Event::Finish
            | Event::Leave
            | Event::Pause(_)
            | Event::Resume(_) => {}
        }
    }

    fn run_opened(&mut self, now: Time, run: RunId, out: &mut Vec<Action>) {
        if self.stay != Stay::Working {
            return;
        }
        match &mut self.run {
            Some(membership) if membership.run == run => membership.offer = Offer::Standing,
            Some(_) | None => {
                self.jobs.forget_all(out);
                self.run = Some(Membership { run, fitness: Fitness::Unprepared, offer: Offer::Standing });
                if !self.is_paused() {
                    return self.prepare(out);
                }
            }
        }
        self.answer_offer(now, out);
    }

    fn prepare(&mut self, out: &mut Vec<Action>) {
        if let Some(membership) = &mut self.run {
            membership.fitness = Fitness::Preparing;
            out.push(Action::Prepare { run: membership.run });
        }
    }

    /// Tells the coordinator whether this worker takes part, once it is known and asked for.
    fn answer_offer(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(Membership { run, fitness, offer: Offer::Standing }) = &self.run else { return };
        if self.link != Link::Up {
            return;
        }
        let run = *run;
        match (fitness.clone(), self.pauses.last()) {
            (Fitness::Unfit { why }, _) => self.say(now, Action::SendDeclined { run, why }, out),
            (Fitness::Unprepared | Fitness::Preparing | Fitness::Ready, Some(cause)) => {
                let why = format!("this worker is paused: {cause}");
                self.say(now, Action::SendDeclined { run, why }, out);
            }
            (Fitness::Unprepared | Fitness::Preparing, None) => {}
            (Fitness::Ready, None) => self.say(now, Action::SendReady { run }, out),
        }
        if self.planted.has(Bug::OldLeaseResent) {
            self.jobs.held().for_each(|(task, update)| out.push(Action::SendUpdate { task, update }));
        }
    }

    fn prepared(&mut self, now: Time, run: RunId, out: &mut Vec<Action>) {
        let preparing =
            |membership: &&mut Membership| membership.run == run && membership.fitness == Fitness::Preparing;
        let Some(membership) = self.run.as_mut().filter(preparing) else { return };
        membership.fitness = Fitness::Ready;
        out.push(Action::Report(Report::Working { run }));
        // During a pause the coordinator has been told so.
        if !self.is_paused() {
            self.answer_offer(now, out);
        }
    }

    fn unfit(&mut self, now: Time, run: RunId, why: String, out: &mut Vec<Action>) {
        let Some(membership) = self.run.as_mut().filter(|membership| membership.run == run) else { return };
        membership.fitness = Fitness::Unfit { why: why.clone() };
        self.jobs.forget_all(out);
        out.push(Action::Report(Report::Unfit { run, why }));
        self.answer_offer(now, out);
        self.leave_if_drained(now, out);
    }

    fn leased(&mut self, now: Time, task: Task, out: &mut Vec<Action>) {
        let expected = Membership { run: task.run, fitness: Fitness::Ready, offer: Offer::Standing };
        let stale = self.newest.is_some_and(|newest| task.round < newest);
        let paused = self.is_paused() && !self.planted.has(Bug::PauseIgnored);
        if self.run.as_ref() != Some(&expected) || stale || paused || self.stay != Stay::Working {
            return;
        }
        self.newest = Some(task.round);
        self.jobs.forget_unlike(&task, out);
        match self.jobs.grant(task, out) {
            None => {}
            Some((task, update)) => self.say(now, Action::SendUpdate { task, update }, out),
        }
    }

    fn computed(&mut self, now: Time, task: &Task, update: Digest, out: &mut Vec<Action>) {
        if let Some(task) = self.jobs.computed(task, update, out) {
            self.say(now, Action::SendUpdate { task, update }, out);
        }
    }

    /// A task that cannot be computed here now cannot be computed here at all: the samples and params are what they are.
    fn failed(&mut self, now: Time, task: &Task, why: String, out: &mut Vec<Action>) {
        if self.jobs.has(task) {
            self.unfit(now, task.run, why, out);
        }
    }

    fn answered(&mut self, now: Time, lease: LeaseId, answer: Answer, out: &mut Vec<Action>) {
        if !self.jobs.answered(lease, out) {
            return;
        }
        match answer {
            // A link that carried work was a good one: if it breaks, the next is tried at once.
            Answer::Accepted => self.tries = 0,
            Answer::Duplicate | Answer::Late => {}
            Answer::Rejected { why } => self.tell(Report::Rejected { why }, out),
        }
        self.leave_if_drained(now, out);
    }

    fn run_closed(&mut self, now: Time, run: RunId, how: String, out: &mut Vec<Action>) {
        if self.run.as_ref().is_none_or(|membership| membership.run != run) {
            return;
        }
        self.jobs.forget_all(out);
        self.run = None;
        self.newest = None;
        out.push(Action::Report(Report::RunClosed { run, how }));
        self.leave_if_drained(now, out);
    }
}
