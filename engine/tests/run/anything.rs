//! Whatever comes, in whatever order: nothing panics and the books stay right.

use proptest::prelude::*;

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
    let updates =
        (member(), round(), lease(), of).prop_map(|(member, round, lease, of)| update(member, round, lease, &of));
    prop_oneof![
        3 => join,
        1 => member().prop_map(left),
        1 => member().prop_map(|member| Event::Heartbeat { member: MemberId(member) }),
        8 => updates,
        1 => (member(), prop::option::of(lease())).prop_map(|(member, lease)| malformed(member, lease)),
        1 => member().prop_map(|member| Event::Stalled { member: MemberId(member) }),
        3 => Just(Event::Tick),
        2 => round().prop_map(stepped),
        1 => round().prop_map(evaluated),
    ]
}

fn configs() -> impl Strategy<Value = RunConfig> {
    let on_missing = prop_oneof![Just(OnMissing::Wait), Just(OnMissing::ReLease), Just(OnMissing::Skip)];
    (1u32..6, 1u32..4, 1u32..3, 0u32..3, 1u32..6, on_missing, any::<bool>()).prop_map(
        |(units, rounds, min_partners, min_members, most, on_missing, private)| {
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
            RunConfig { units, rounds, min_members, quorum, ownership, ..config() }
        },
    )
}

/// What the run has leased, so that some updates can be right.
fn answer(actions: &[Action]) -> Vec<Event> {
    let leased = actions.iter().filter_map(|action| match action {
        Action::Assign { member, lease } => {
            let of: Vec<u32> = lease.units.iter().map(|unit| unit.0).collect();
            Some(update(member.0, lease.round.0, lease.id.0, &of))
        }
        Action::Close { round, .. } => Some(stepped(round.0)),
        Action::Evaluate { round } => Some(evaluated(round.0)),
        Action::Admit { .. }
        | Action::Dismiss { .. }
        | Action::Open { .. }
        | Action::Reuse { .. }
        | Action::Accept { .. }
        | Action::Reject { .. }
        | Action::Audit { .. }
        | Action::Judge { .. }
        | Action::Retract { .. }
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
