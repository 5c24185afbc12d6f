//! Updates come: what counts, and what does not.

use super::*;

/// The update is refused so, and nothing else happens but that it was counted as refused.
fn refused(table: &mut Table, event: Event, lease: u64, why: Rejection) {
    let waiting = table.run.waiting_for();
    let Event::Update { member, .. } = &event else { panic!("{event:?} is no update") };
    let member = member.0;
    assert_eq!(table.send(event), [reject(member, lease, why)]);
    assert_eq!(table.run.waiting_for(), waiting);
}

#[test]
fn the_last_unit_closes_the_round() {
    let mut table = Table::of_two();
    assert_eq!(table.update(2, 0, 1, &[2, 3]), [accept(2, 1, &[2, 3])]);
    assert_eq!(table.run.waiting_for(), for_updates(0, 2, &[1]));
    assert_eq!(table.update(1, 0, 0, &[0, 1]), [accept(1, 0, &[0, 1]), close(0, &[0, 1, 2, 3])]);
    assert_eq!(table.run.waiting_for(), Waiting::ForStep { round: Round(0) });
    assert_eq!(table.run.view().counters.accepted, 2);
}

#[test]
fn nothing_counts_twice() {
    let mut table = Table::of_two();
    table.update(1, 0, 0, &[0, 1]);
    refused(&mut table, update(1, 0, 0, &[0, 1]), 0, Rejection::AlreadyCounted { unit: Unit(0) });
    let counters = table.run.view().counters;
    assert_eq!((counters.duplicates, counters.rejected), (1, 0));
}

#[test]
fn only_a_members_own_lease_counts_and_only_whole() {
    let mut table = Table::of_two();
    refused(&mut table, update(1, 0, 9, &[0, 1]), 9, Rejection::NotLeased { lease: LeaseId(9) });
    refused(&mut table, update(1, 0, 1, &[2, 3]), 1, Rejection::NotLeased { lease: LeaseId(1) });
    refused(&mut table, update(1, 0, 0, &[0]), 0, Rejection::UnitsDiffer { lease: LeaseId(0) });
    refused(&mut table, update(1, 0, 0, &[0, 1, 2]), 0, Rejection::UnitsDiffer { lease: LeaseId(0) });
    refused(&mut table, update(1, 0, 0, &[]), 0, Rejection::UnitsDiffer { lease: LeaseId(0) });
    refused(&mut table, update(1, 0, 0, &[0, 4_000_000_000]), 0, Rejection::UnitsDiffer { lease: LeaseId(0) });
    refused(&mut table, update(7, 0, 0, &[0, 1]), 0, Rejection::NotAMember);
    assert_eq!(table.run.view().counters.rejected, 7);
}

#[test]
fn only_the_open_round_counts() {
    let mut table = Table::of_two();
    let later = Rejection::FutureRound { found: Round(1), open: Round(0) };
    refused(&mut table, update(1, 1, 0, &[0, 1]), 0, later);
    table.update(1, 0, 0, &[0, 1]);
    table.update(2, 0, 1, &[2, 3]);
    refused(&mut table, update(1, 0, 0, &[0, 1]), 0, Rejection::RoundClosed { found: Round(0) });
    let later = Rejection::FutureRound { found: Round(1), open: Round(0) };
    refused(&mut table, update(1, 1, 0, &[0, 1]), 0, later);
    table.send(stepped(0));
    let earlier = Rejection::StaleRound { found: Round(0), open: Round(1) };
    refused(&mut table, update(1, 0, 0, &[0, 1]), 0, earlier);
    let counters = table.run.view().counters;
    assert_eq!((counters.late, counters.rejected), (2, 2));
}

#[test]
fn between_rounds_nothing_counts() {
    let mut table = Table::of_two();
    table.update(1, 0, 0, &[0, 1]);
    table.update(2, 0, 1, &[2, 3]);
    table.send(left(1));
    table.send(left(2));
    table.send(stepped(0));
    table.run.handle(table.now, joined(3, "a", 1), &mut Vec::new());
    assert_eq!(table.run.view().round, Round(1));
    refused(&mut table, update(3, 1, 0, &[0, 1]), 0, Rejection::NotLeased { lease: LeaseId(0) });
}

#[test]
fn units_of_a_malformed_update_are_leased_again_and_the_third_ends_it() {
    let mut table = Table::of_two();
    assert_eq!(table.send(malformed(1, Some(0))), [assign(1, 0, 2, &[0, 1])], "its hands are free");
    refused(&mut table, update(1, 0, 0, &[0, 1]), 0, Rejection::NotLeased { lease: LeaseId(0) });
    assert_eq!(table.send(malformed(1, Some(77))), []);
    let why = Rejection::BadPayload { why: "half of it".to_owned() };
    assert_eq!(table.send(malformed(1, None)), [dismiss(1, why), assign(2, 0, 3, &[0, 1])]);
    let counters = table.run.view().counters;
    assert_eq!((counters.rejected, counters.units_released), (4, 4));
}

#[test]
fn a_good_update_makes_up_for_malformed_ones() {
    let mut table = Table::of_two();
    table.send(malformed(1, None));
    table.send(malformed(1, None));
    let Some(Action::Assign { lease, .. }) = table.send(left(2)).pop() else { panic!("the rest goes to member 1") };
    let whole: Vec<u32> = lease.units.iter().map(|unit| unit.0).collect();
    assert_eq!(table.update(1, 0, lease.id.0, &whole).len(), 1);
    assert!(table.send(malformed(1, None)).iter().all(|action| !matches!(action, Action::Dismiss { .. })));
}

#[test]
fn speed_is_measured_from_lease_to_answer() {
    let mut table = Table::new(of_units(8));
    table.send(joined(1, "a", 0));
    assert_eq!(table.run.view().members[0].milli_units_per_second, 0);
    table.wait(2).update(1, 0, 0, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(table.run.view().members[0].milli_units_per_second, 4_000);
    table.send(stepped(0));
    table.wait(1).update(1, 1, 1, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(table.run.view().members[0].milli_units_per_second, 5_000);
}
