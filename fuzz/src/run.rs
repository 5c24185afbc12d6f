//! A run's decisions: any events in any order, with answers to what it asks mixed in so that it also gets somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use syngrad_engine::run::{
    Action, AuditRule, Event, Joined, Lease, Ownership, QuorumRule, Run, RunConfig, UpdateHeader, Waiting,
};
use syngrad_engine::spec::OnMissing;
use syngrad_engine::{Digest, LeaseId, MemberId, PartnerName, Round, Time, Unit, Units, WorkerId};

/// The most events of an input.
const MOST_EVENTS: usize = 400;

/// Reads a config and events, and holds the run to its books after each.
pub fn check(data: &[u8]) {
    // Bytes that are no whole input are no input.
    let _ = attempt(&mut Unstructured::new(data));
}

fn partner(index: u8) -> PartnerName {
    PartnerName::parse(["a", "b", "c", "d"][usize::from(index % 4)]).expect("a partner's name")
}

fn config(input: &mut Unstructured<'_>) -> Result<RunConfig> {
    let units = input.int_in_range(1..=9)?;
    let owned = (0..units).map(|_| Ok(partner(input.arbitrary()?))).collect::<Result<Vec<_>>>()?;
    Ok(RunConfig {
        units,
        rounds: input.int_in_range(1..=5)?,
        evaluate_every: input.int_in_range(1..=4)?,
        min_members: input.int_in_range(0..=3)?,
        quorum: QuorumRule {
            min_partners: input.int_in_range(0..=3)?,
            min_units: input.int_in_range(1..=units)?,
            round_deadline: Duration::from_secs(input.int_in_range(1..=8)?),
            max_partner_units: input.int_in_range(1..=units)?,
            on_missing: *input.choose(&[OnMissing::Wait, OnMissing::ReLease, OnMissing::Skip])?,
        },
        silence: Duration::from_secs(input.int_in_range(1..=20)?),
        ownership: if input.ratio(1, 3)? { Ownership::Private { owners: owned } } else { Ownership::Assigned },
        audit: AuditRule::never(),
    })
}

fn units(input: &mut Unstructured<'_>) -> Result<Units> {
    (0..input.int_in_range(0..=4)?).map(|_| Ok(Unit(input.int_in_range(0..=10)?))).collect()
}

fn member(input: &mut Unstructured<'_>) -> Result<MemberId> {
    Ok(MemberId(input.int_in_range(0..=5)?))
}

fn round(input: &mut Unstructured<'_>) -> Result<Round> {
    Ok(Round(if input.ratio(1, 50)? { input.arbitrary()? } else { input.int_in_range(0..=6)? }))
}

fn event(input: &mut Unstructured<'_>) -> Result<Event> {
    Ok(match input.int_in_range(0..=9)? {
        0 | 1 => Event::Joined(Joined {
            member: member(input)?,
            worker: WorkerId([input.int_in_range(0..=4)?; 16]),
            partner: partner(input.arbitrary()?),
            milli_units_per_second: input.arbitrary()?,
        }),
        2 => Event::Left { member: member(input)? },
        3 => Event::Heartbeat { member: member(input)? },
        4 => {
            let (lease, digest) = (LeaseId(input.int_in_range(0..=40)?), Digest([input.arbitrary()?; 32]));
            let header = UpdateHeader { round: round(input)?, lease, units: units(input)?, digest };
            Event::Update { member: member(input)?, header }
        }
        5 => {
            let lease = input.arbitrary::<Option<u8>>()?.map(|lease| LeaseId(lease.into()));
            Event::Malformed { member: member(input)?, lease, why: "half of it".into() }
        }
        6 => Event::Stalled { member: member(input)? },
        7 => Event::Stepped { round: round(input)?, params: Digest::default() },
        8 => Event::Evaluated { round: round(input)? },
        _ => {
            if input.ratio(1, 20)? {
                Event::Stop
            } else {
                Event::Tick
            }
        }
    })
}

/// What a shell and honest workers would answer.
fn answers(actions: &[Action]) -> impl Iterator<Item = Event> + '_ {
    actions.iter().filter_map(|action| match action {
        Action::Assign { member, lease: Lease { id, round, units } } => {
            let header = UpdateHeader { round: *round, lease: *id, units: units.clone(), digest: Digest::default() };
            Some(Event::Update { member: *member, header })
        }
        Action::Close { round, .. } => Some(Event::Stepped { round: *round, params: Digest::default() }),
        Action::Evaluate { round } => Some(Event::Evaluated { round: *round }),
        _ => None,
    })
}

/// What was seen of a run from outside.
#[derive(Default)]
struct Books {
    counted: BTreeMap<Round, BTreeSet<Unit>>,
    closed: BTreeSet<Round>,
    leases: BTreeSet<LeaseId>,
    is_over: bool,
}

impl Books {
    /// Holds what the run asks for against what it asked for before.
    fn take(&mut self, actions: &[Action]) {
        for action in actions {
            // Who is silent or stalled after the end is still dismissed.
            let is_farewell = matches!(action, Action::Dismiss { .. } | Action::Reject { .. });
            assert!(!self.is_over || is_farewell, "after its end a run asks for nothing: {action:?}");
            match action {
                Action::Assign { lease, .. } => {
                    assert!(self.leases.insert(lease.id), "no lease has the number of another");
                    assert!(!self.closed.contains(&lease.round) && !lease.units.is_empty());
                }
                Action::Close { round, units } => {
                    assert!(self.closed.insert(*round), "a round closes once");
                    let counted = self.counted.remove(round).unwrap_or_default();
                    assert_eq!(*units, counted, "what is closed is what was counted");
                }
                Action::Finish(_) => self.is_over = true,
                _ => {}
            }
        }
    }

    /// A unit is counted once in a round.
    fn count(&mut self, round: Round, units: &Units) {
        let counted = self.counted.entry(round).or_default();
        assert!(units.iter().all(|unit| counted.insert(*unit)), "{units:?} of round {round} are counted again");
    }
}

fn attempt(input: &mut Unstructured<'_>) -> Result<()> {
    let config = config(input)?;
    let (total, rounds) = (config.units, config.rounds);
    let mut run = Run::new(config);
    if input.ratio(1, 4)? {
        let spooled = BTreeMap::from([(Round(input.int_in_range(0..=3)?), known(units(input)?, total))]);
        let settled = Round(input.int_in_range(0..=4)?);
        run = run.resumed(Round(input.int_in_range(0..=rounds)?), LeaseId(1 << 20), settled).with_spooled(spooled);
    }
    let (mut now, mut books, mut due) = (Time(0), Books::default(), Vec::new());
    for _ in 0..MOST_EVENTS {
        if input.is_empty() {
            break;
        }
        now = now.after(Duration::from_millis(input.int_in_range(0..=2_500)?));
        let next = match due.is_empty() || input.ratio(1, 2)? {
            true => event(input)?,
            false => due.swap_remove(input.choose_index(due.len())?),
        };
        let mut actions = Vec::new();
        run.handle(now, next.clone(), &mut actions);
        assert_eq!(run.check_invariants(), Ok(()));
        if let Event::Update { header, .. } = &next {
            actions.iter().filter_map(accepted).for_each(|units| books.count(header.round, units));
        }
        for action in &actions {
            if let Action::Reuse { round, units } = action {
                books.count(*round, units);
            }
        }
        books.take(&actions);
        due.extend(answers(&actions));
        let view = run.view();
        assert_eq!(view.outcome.is_some(), run.waiting_for() == Waiting::Over);
        assert!(!run.waiting_for().to_string().is_empty());
        assert!(view.outcome.is_some() || view.members.is_empty() || run.deadline().is_some(), "nothing ends the wait");
        assert!(view.committed <= view.rounds);
    }
    Ok(())
}

/// What the shell has spooled is of units that the run has.
fn known(units: Units, total: u32) -> Units {
    units.into_iter().filter(|unit| unit.0 < total).collect()
}

fn accepted(action: &Action) -> Option<&Units> {
    match action {
        Action::Accept { units, .. } => Some(units),
        _ => None,
    }
}

/// Choices that lead everywhere.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..24).map(|number| crate::noise(number, 128 + 64 * number as usize)).collect()
}
