//! Whatever comes, in whatever order: nothing panics and the books stay right.

use proptest::prelude::*;

use super::audit::judged;
use super::*;

fn event() -> impl Strategy<Value = Event> {
    let member = || 0u64..5;
    let round = || 0u32..4;
    let lease = || 0u64..14;
    let speed = prop_oneof![Just(0), Just(u64::MAX), 1u64..5_000];
    let join = (member(), 0u64..4, "[abc]", speed).prop_map(|(member, identity, of, milli_units_per_second)| {
        let (member, worker, partner) = (MemberId(member), worker(identity), partner(&of));
        Event::Joined(Joined { member, worker, partner, milli_units_per_second })
    });
    let of = prop::collection::vec(0u32..6, 0..5);
    let sum = || prop_oneof![4 => Just(&b"a sum"[..]), 1 => Just(&b"another"[..])];
    let updates = (sum(), member(), round(), lease(), of)
        .prop_map(|(sum, member, round, lease, of)| update_of(sum, member, round, lease, &of));
    let judged = (sum(), round(), lease()).prop_map(|(sum, round, lease)| judged(sum, round, lease));
    prop_oneof![
        3 => join,
        1 => member().prop_map(left),
        1 => member().prop_map(|member| Event::Heartbeat { member: MemberId(member) }),
        8 => updates,
        1 => (member(), prop::option::of(lease())).prop_map(|(member, lease)| malformed(member, lease)),
        1 => member().prop_map(|member| Event::Stalled { member: MemberId(member) }),
        3 => Just(Event::Tick),
        2 => judged,
        2 => round().prop_map(stepped),
        1 => round().prop_map(evaluated),
    ]
}

fn configs() -> impl Strategy<Value = RunConfig> {
    let on_missing = prop_oneof![Just(OnMissing::Wait), Just(OnMissing::ReLease), Just(OnMissing::Skip)];
    let audits = prop_oneof![Just((0.0, 1)), Just((1.0, 1)), Just((1.0, 9)), Just((0.5, 9))];
    (1u32..6, 1u32..4, 1u32..3, 0u32..3, 1u32..6, on_missing, any::<bool>(), audits).prop_map(
        |(units, rounds, min_partners, min_members, most, on_missing, private, (rate, most_open))| {
            let max_partner_units = most.min(units);
            let quorum = QuorumRule {
                min_partners,
                min_units: units.div_ceil(2),
                max_partner_units,
                on_missing,
                ..config().quorum
            };
            let owners = (0..units).map(|unit| partner(["a", "b"][unit as usize % 2])).collect();
            let ownership = if private { Ownership::Private { owners } } else { Ownership::Assigned };
            let audit = AuditRule::new(if private { 0.0 } else { rate }, most_open, AuditSeed([7; 32]));
            RunConfig { units, rounds, min_members, quorum, ownership, audit, ..config() }
        },
    )
}

/// What the run has leased, so that some updates can be right.
fn answer(actions: &[Action]) -> Vec<Event> {
    let leased = actions.iter().filter_map(|action| match action {
        Action::Assign { member, lease } => {
            let of: Vec<u32> = lease.units.iter().map(|unit| unit.0).collect();
            let sum = if lease.id.0.is_multiple_of(5) { &b"another"[..] } else { b"a sum" };
            Some(update_of(sum, member.0, lease.round.0, lease.id.0, &of))
        }
        Action::Judge { round, lease, .. } => Some(judged(b"a sum", round.0, lease.0)),
        Action::Close { round, .. } => Some(stepped(round.0)),
        Action::Evaluate { round } => Some(evaluated(round.0)),
        Action::Admit { .. }
        | Action::Dismiss { .. }
        | Action::Open { .. }
        | Action::Reuse { .. }
        | Action::Accept { .. }
        | Action::Reject { .. }
        | Action::Audit { .. }
        | Action::Retract { .. }
        | Action::Convict { .. }
        | Action::Audited { .. }
        | Action::Finish(_) => None,
    });
    leased.collect()
}

proptest! {
    #[test]
    fn the_run_takes_any_event_at_any_time(
        config in configs(), events in prop::collection::vec((event(), 0u64..4, any::<bool>()), 1..120)
    ) {
        let mut table = Table::new(config);
        let mut due = Vec::new();
        for (event, seconds, answers) in events {
            table.wait(seconds);
            due.extend(answer(&table.send(event)));
            if let Some(event) = due.pop().filter(|_| answers) {
                due.extend(answer(&table.send(event)));
            }
            let view = table.run.view();
            prop_assert_eq!(view.outcome.is_some(), table.run.waiting_for() == Waiting::Over);
            prop_assert!(!table.run.waiting_for().to_string().is_empty());
            prop_assert!(view.outcome.is_some() || view.members.is_empty() || table.run.deadline().is_some());
        }
    }
}
