//! The session, event by event: exactly what it asks for, and when it wants to be woken.

mod anything;
mod drain;
mod link;
mod pause;
mod work;

use std::time::Duration;

use syngrad_engine::digest::{Digest, Domain};
use syngrad_engine::session::{Action, Answer, Cause, Event, Exit, Report, Retry, Session, SessionConfig, Task};
use syngrad_engine::{LeaseId, Round, RunId, Time, Unit};

const RUN: RunId = RunId([1; 16]);
const HEARTBEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(15);

/// A session and the time it is told.
struct Desk {
    session: Session,
    now: Time,
}

impl Desk {
    fn new() -> Self {
        let config = SessionConfig {
            seed: 3,
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            drain: Duration::from_secs(8),
        };
        Self { session: Session::new(config), now: Time(0) }
    }

    /// Connected and known.
    fn welcomed() -> Self {
        let mut desk = Self::new();
        desk.connect();
        desk
    }

    /// Ready for the leases of a run.
    fn ready() -> Self {
        let mut desk = Self::welcomed();
        desk.send(Event::RunOpened { run: RUN });
        assert_eq!(desk.send(Event::Prepared { run: RUN }), [working(), Action::SendReady { run: RUN }]);
        desk
    }

    fn send(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.session.handle(self.now, event, &mut actions);
        actions
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.after(time);
        self
    }

    /// Sleeps until the session wants to be woken, and wakes it.
    fn tick(&mut self) -> Vec<Action> {
        self.now = self.session.deadline().expect("the session has plans").max(self.now);
        self.send(Event::Tick)
    }

    fn connect(&mut self) -> Vec<Action> {
        assert_eq!(self.tick(), [Action::Connect]);
        assert_eq!(self.send(Event::Connected), [Action::SendHello]);
        self.send(Event::Welcomed { heartbeat: HEARTBEAT, silence: SILENCE })
    }

    fn lose(&mut self) -> Vec<Action> {
        self.send(Event::Disconnected { why: "reset".to_owned() })
    }

    /// Loses the link and comes back to the same run.
    fn reconnect(&mut self) {
        self.lose();
        self.connect();
        assert_eq!(self.send(Event::RunOpened { run: RUN }), [Action::SendReady { run: RUN }]);
    }
}

fn task(round: u32, lease: u64, unit: u32) -> Task {
    let params = Digest::of(Domain::Params, &round.to_le_bytes());
    Task { run: RUN, round: Round(round), lease: LeaseId(lease), units: [Unit(unit)].into(), params }
}

fn sum(of: &Task) -> Digest {
    let units: Vec<u8> = of.units.iter().flat_map(|unit| unit.0.to_le_bytes()).collect();
    Digest::of(Domain::Update, &units)
}

fn computed(task: &Task) -> Event {
    Event::Computed { task: task.clone(), update: sum(task) }
}

fn sent(task: &Task) -> Action {
    Action::SendUpdate { task: task.clone(), update: sum(task) }
}

fn answered(lease: u64, answer: Answer) -> Event {
    Event::Answered { lease: LeaseId(lease), answer }
}

fn forget(lease: u64) -> Action {
    Action::Forget { lease: LeaseId(lease) }
}

fn working() -> Action {
    Action::Report(Report::Working { run: RUN })
}
