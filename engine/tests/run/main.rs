//! The run, event by event: what it then is, and exactly what it asks for.

mod anything;
mod audit;
mod conduct;
mod deadline;
mod members;
mod private;
mod rounds;
mod straggler;
mod update;

use std::time::Duration;

use syngrad_engine::digest::{Digest, Domain};
use syngrad_engine::run::{
    Action, AuditRule, AuditSeed, Event, Joined, Lease, Ownership, QuorumRule, Run, RunConfig, UpdateHeader, Waiting,
};
use syngrad_engine::spec::OnMissing;
use syngrad_engine::{LeaseId, MemberId, PartnerName, Rejection, Round, Time, Unit, Units, WorkerId};

/// A run and the time it is told.
struct Table {
    run: Run,
    now: Time,
}

fn config() -> RunConfig {
    RunConfig {
        units: 4,
        rounds: 3,
        evaluate_every: 2,
        min_members: 1,
        quorum: QuorumRule {
            min_partners: 1,
            min_units: 3,
            round_deadline: Duration::from_secs(5),
            max_partner_units: 4,
            on_missing: OnMissing::ReLease,
        },
        silence: Duration::from_secs(20),
        ownership: Ownership::Assigned,
        audit: AuditRule::never(),
    }
}

impl Table {
    fn new(config: RunConfig) -> Self {
        Self { run: Run::new(config), now: Time(0) }
    }

    /// Two equal members of one partner; round 0 is open under leases 0 and 1.
    fn of_two() -> Self {
        Self::of_two_with(config())
    }

    fn of_two_with(config: RunConfig) -> Self {
        let mut table = Self::new(RunConfig { min_members: 2, ..config });
        table.join(1, "a");
        table.join(2, "a");
        table
    }

    fn send(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.run.handle(self.now, event, &mut actions);
        assert_eq!(self.run.check_invariants(), Ok(()));
        actions
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.after(Duration::from_secs(seconds));
        self
    }

    fn join(&mut self, member: u64, partner: &str) -> Vec<Action> {
        self.send(joined(member, partner, 1_000))
    }

    fn update(&mut self, member: u64, round: u32, lease: u64, of: &[u32]) -> Vec<Action> {
        self.send(update(member, round, lease, of))
    }

    /// Members 1 and 2 answer their leases `first` and the one after it, and the shell takes the step.
    fn finish_round(&mut self, round: u32, first: u64) -> Vec<Action> {
        self.update(1, round, first, &[0, 1]);
        self.update(2, round, first + 1, &[2, 3]);
        self.send(stepped(round))
    }
}

/// So many units a round, all of which one partner may hold.
fn of_units(units: u32) -> RunConfig {
    let quorum = QuorumRule { max_partner_units: units, min_units: units, ..config().quorum };
    RunConfig { units, quorum, ..config() }
}

fn units(of: &[u32]) -> Units {
    of.iter().copied().map(Unit).collect()
}

fn partner(name: &str) -> PartnerName {
    PartnerName::parse(name).expect("a partner's name")
}

fn worker(member: u64) -> WorkerId {
    WorkerId([u8::try_from(member).expect("a small number"); 16])
}

fn joined(member: u64, of: &str, milli_units_per_second: u64) -> Event {
    let (worker, partner) = (worker(member), partner(of));
    Event::Joined(Joined { member: MemberId(member), worker, partner, milli_units_per_second })
}

fn left(member: u64) -> Event {
    Event::Left { member: MemberId(member) }
}

fn update(member: u64, round: u32, lease: u64, of: &[u32]) -> Event {
    update_of(b"a sum", member, round, lease, of)
}

fn update_of(sum: &[u8], member: u64, round: u32, lease: u64, of: &[u32]) -> Event {
    let digest = Digest::of(Domain::Update, sum);
    let header = UpdateHeader { round: Round(round), lease: LeaseId(lease), units: units(of), digest };
    Event::Update { member: MemberId(member), header }
}

fn malformed(member: u64, lease: Option<u64>) -> Event {
    Event::Malformed { member: MemberId(member), lease: lease.map(LeaseId), why: "half of it".to_owned() }
}

fn stepped(round: u32) -> Event {
    Event::Stepped { round: Round(round), params: Digest::default() }
}

fn evaluated(round: u32) -> Event {
    Event::Evaluated { round: Round(round) }
}

fn admit(member: u64) -> Action {
    Action::Admit { member: MemberId(member) }
}

fn dismiss(member: u64, why: Rejection) -> Action {
    Action::Dismiss { member: MemberId(member), why }
}

fn open(round: u32) -> Action {
    Action::Open { round: Round(round) }
}

fn assign(member: u64, round: u32, lease: u64, of: &[u32]) -> Action {
    let lease = Lease { id: LeaseId(lease), round: Round(round), units: units(of) };
    Action::Assign { member: MemberId(member), lease }
}

fn accept(member: u64, lease: u64, of: &[u32]) -> Action {
    Action::Accept { member: MemberId(member), lease: LeaseId(lease), units: units(of) }
}

fn reject(member: u64, lease: u64, why: Rejection) -> Action {
    Action::Reject { member: MemberId(member), lease: LeaseId(lease), why }
}

fn close(round: u32, of: &[u32]) -> Action {
    Action::Close { round: Round(round), units: units(of) }
}

fn evaluate(round: u32) -> Action {
    Action::Evaluate { round: Round(round) }
}

fn for_updates(round: u32, counted: u32, members: &[u64]) -> Waiting {
    let members = members.iter().copied().map(MemberId).collect();
    Waiting::ForUpdates { round: Round(round), counted, needed: 4, members }
}

fn for_members(partners: (u32, u32), workers: (u32, u32), unassigned: u32) -> Waiting {
    let ((partners, needed), (workers, workers_needed)) = (partners, workers);
    Waiting::ForMembers { partners, needed, workers, workers_needed, unassigned }
}
