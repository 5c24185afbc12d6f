//! Partners whose workers send updates that are none.

use super::*;

fn quarantined(of: &str) -> Rejection {
    Rejection::Quarantined { partner: partner(of) }
}

/// Workers of partner a come one after another, and each sends malformed updates until it is dismissed; how many came.
fn worn_out(table: &mut Table, first: u64) -> (u64, Vec<Action>) {
    for member in first.. {
        let told = table.send(joined(member, "a", 1));
        if told == [Action::Dismiss { member: MemberId(member), why: quarantined("a") }] {
            return (member - first, told);
        }
        for _ in 0..3 {
            let told = table.send(malformed(member, None));
            if told.iter().any(|action| matches!(action, Action::Dismiss { why, .. } if *why == quarantined("a"))) {
                return (member - first + 1, told);
            }
        }
    }
    unreachable!("a budget has an end")
}

#[test]
fn the_budget_is_the_partners_whoever_of_its_workers_comes_back() {
    let mut table = Table::of_two();
    let (workers, _) = worn_out(&mut table, 10);
    assert_eq!(workers, 6, "the seventeenth malformed update is the sixth worker's");
    assert_eq!(table.send(joined(99, "a", 1)), [dismiss(99, quarantined("a"))], "nobody of it is let in any more");
    assert_eq!(table.run.view().members.iter().filter(|member| member.partner == partner("a")).count(), 0);
}

#[test]
fn all_workers_of_a_partner_in_quarantine_lose_their_leases_to_others() {
    let mut table = Table::new(of_units(4));
    table.send(joined(1, "a", 1));
    table.send(joined(2, "b", 1));
    let (_, told) = worn_out(&mut table, 10);
    assert!(told.contains(&dismiss(1, quarantined("a"))), "{told:?}");
    assert_eq!(table.run.view().members.iter().map(|member| member.member).collect::<Vec<_>>(), [MemberId(2)]);
    table.send(joined(3, "b", 1));
    assert_eq!(table.run.view().members.iter().map(|member| member.units).sum::<u32>(), 4, "b has all units");
}

/// How many malformed updates of 40 a partner sends, each followed by so many good ones, before it is in quarantine.
fn with_good_ones_between(good: u32) -> Option<u32> {
    let mut table = Table::new(RunConfig { rounds: u32::MAX, evaluate_every: u32::MAX, ..of_units(1) });
    let assigned = |told: &[Action]| match told.last() {
        Some(Action::Assign { lease, .. }) => Some(lease.id.0),
        _ => None,
    };
    let mut lease = assigned(&table.send(joined(1, "a", 1))).expect("the first lease");
    (0..40).find(|time| {
        let Some(again) = assigned(&table.send(malformed(1, None))) else { return true };
        lease = again;
        for round in time * good..(time + 1) * good {
            assert!(matches!(table.update(1, round, lease, &[0])[0], Action::Accept { .. }), "{round}");
            lease = assigned(&table.send(stepped(round))).expect("the next round's");
        }
        false
    })
}

#[test]
fn sixteen_good_updates_make_up_for_a_malformed_one() {
    assert_eq!(with_good_ones_between(16), None);
    assert_eq!(with_good_ones_between(8), Some(31));
}

#[test]
fn a_quarantine_is_of_one_partner() {
    let mut table = Table::of_two();
    worn_out(&mut table, 10);
    assert_eq!(table.send(joined(98, "b", 1))[0], admit(98));
}
