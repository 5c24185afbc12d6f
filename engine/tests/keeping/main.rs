//! What is kept, when, and what waits for it: event by event.

mod orders;
mod recovery;
mod rounds;

use std::time::Duration;

use syngrad_engine::keeping::{Action, Begun, Cadence, Contents, Event, Keeping, Origin, Rows, RunEnd, Storage};
use syngrad_engine::spec::Durability;
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, Round, RunId, Time};

const RUN: RunId = RunId([7; 16]);
const CADENCE: Cadence = Cadence {
    rounds: 1_000,
    units: 4,
    checkpoint_rounds: 10,
    checkpoint_time: Duration::from_secs(10),
    durability: Durability::Checkpoint,
    rows: Rows::Paced,
};

/// The machine and the time it is told.
struct Desk {
    keeping: Keeping,
    now: Time,
}

fn commit(round: u32) -> Commit {
    Commit {
        round: Round(round),
        params_digest: Digest([round as u8; 32]),
        units: 4,
        weight: 8,
        saturated: 0,
        chain: Digest([round as u8 ^ 0xff; 32]),
    }
}

fn rows(rounds: &[u32]) -> Action {
    Action::Keep { contents: Contents::Rows, rounds: rounds.iter().copied().map(commit).collect() }
}

fn whole(rounds: &[u32]) -> Action {
    Action::Keep { contents: Contents::Whole, rounds: rounds.iter().copied().map(commit).collect() }
}

fn step(round: u32) -> Action {
    Action::Step { round: Round(round) }
}

fn acknowledge() -> Action {
    Action::Acknowledge { run: RUN }
}

fn delayed() -> Event {
    Event::Delayed { why: "the disk is full".into() }
}

impl Desk {
    fn new(storage: Storage) -> Self {
        Self { keeping: Keeping::new(storage), now: Time(0) }
    }

    /// A run that an operator asked for and that is kept.
    fn with_run(cadence: Cadence) -> Self {
        let mut desk = Self::new(Storage::Durable);
        assert_eq!(desk.begin(cadence, 0, Vec::new(), Origin::Asked), [rows(&[])]);
        assert_eq!(desk.send(Event::Kept), [acknowledge()]);
        desk
    }

    fn send(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.keeping.handle(self.now, event, &mut actions);
        actions
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now = self.now.after(Duration::from_millis(millis));
        self
    }

    fn begin(&mut self, cadence: Cadence, next: u32, ledger: Vec<Commit>, origin: Origin) -> Vec<Action> {
        self.send(Event::Begun(Begun { run: RUN, cadence, next: Round(next), ledger, origin }))
    }

    fn commit(&mut self, round: u32) -> Vec<Action> {
        self.send(Event::Committed(commit(round)))
    }

    fn end(&mut self, end: RunEnd) -> Vec<Action> {
        self.send(Event::Ended(end))
    }
}
