//! Workers come and go.

use super::*;

#[test]
fn the_first_round_opens_when_enough_workers_are_there() {
    let mut table = Table::new(RunConfig { min_members: 2, ..config() });
    assert_eq!(table.run.deadline(), None);
    assert_eq!(table.run.waiting_for(), for_members((0, 1), (0, 2), 4));
    assert_eq!(table.join(1, "a"), [admit(1)]);
    assert_eq!(table.run.waiting_for(), for_members((1, 1), (1, 2), 0));
    assert_eq!(table.run.waiting_for().to_string(), "waiting for workers: 1 of 2 are present");
    assert_eq!(table.join(2, "a"), [admit(2), open(0), assign(1, 0, 0, &[0, 1]), assign(2, 0, 1, &[2, 3])]);
    assert_eq!(table.run.waiting_for(), for_updates(0, 0, &[1, 2]));
    assert_eq!(table.run.deadline(), Some(Time(5_000_000_000)));
}

#[test]
fn shares_follow_the_speeds_that_workers_measured() {
    let mut table = Table::new(RunConfig { min_members: 2, ..config() });
    table.send(joined(1, "a", 3_000));
    let actions = table.send(joined(2, "a", 1_000));
    assert_eq!(actions, [admit(2), open(0), assign(1, 0, 0, &[0, 1, 2]), assign(2, 0, 1, &[3])]);
}

#[test]
fn a_round_needs_its_partners() {
    let quorum = QuorumRule { min_partners: 2, ..config().quorum };
    let mut table = Table::new(RunConfig { quorum, ..config() });
    assert_eq!(table.join(1, "a"), [admit(1)]);
    assert_eq!(table.join(2, "a"), [admit(2)]);
    assert_eq!(table.run.waiting_for().to_string(), "waiting for partners: 1 of 2 are present");
    assert_eq!(table.join(3, "b")[..2], [admit(3), open(0)]);
}

#[test]
fn a_round_that_could_not_get_its_units_does_not_open() {
    let quorum = QuorumRule { max_partner_units: 3, ..config().quorum };
    let mut table = Table::new(RunConfig { quorum, ..config() });
    assert_eq!(table.join(1, "a"), [admit(1)]);
    assert_eq!(table.run.waiting_for(), for_members((1, 1), (1, 1), 1));
    assert!(table.run.waiting_for().to_string().contains("1 units are left over"));
    assert_eq!(table.join(2, "b").len(), 4);
}

#[test]
fn a_newcomer_gets_its_share_in_the_next_round() {
    let mut table = Table::of_two();
    assert_eq!(table.join(3, "a"), [admit(3)]);
    let actions = table.finish_round(0, 0);
    assert_eq!(actions, [open(1), assign(1, 1, 2, &[0, 1]), assign(2, 1, 3, &[2]), assign(3, 1, 4, &[3])]);
}

#[test]
fn who_leaves_loses_what_it_has_not_answered() {
    let mut table = Table::of_two();
    assert_eq!(table.send(left(1)), [assign(2, 0, 2, &[0, 1])]);
    assert_eq!(table.update(1, 0, 0, &[0, 1]), [reject(1, 0, Rejection::NotAMember)]);
    assert_eq!(table.run.waiting_for(), for_updates(0, 0, &[2]));
    let counters = table.run.view().counters;
    assert_eq!((counters.units_released, counters.leaves, counters.rejected), (2, 1, 1));
}

#[test]
fn what_a_leaver_answered_stays_counted() {
    let mut table = Table::of_two();
    table.update(1, 0, 0, &[0, 1]);
    assert_eq!(table.send(left(1)), []);
    assert_eq!(table.run.waiting_for(), for_updates(0, 2, &[2]));
    assert_eq!(table.update(2, 0, 1, &[2, 3]), [accept(2, 1, &[2, 3]), close(0, &[0, 1, 2, 3])]);
    assert_eq!(table.send(stepped(0)), [open(1), assign(2, 1, 2, &[0, 1, 2, 3])]);
    assert_eq!(table.run.view().counters.units_released, 0);
}

#[test]
fn a_round_waits_for_the_last_member_to_come_back() {
    let mut table = Table::of_two();
    table.update(1, 0, 0, &[0, 1]);
    assert_eq!(table.send(left(1)), []);
    assert_eq!(table.send(left(2)), []);
    assert_eq!(table.run.waiting_for(), for_members((0, 1), (0, 2), 2));
    assert_eq!(table.run.deadline(), None);
    assert_eq!(table.wait(100).join(3, "b"), [admit(3), assign(3, 0, 2, &[2, 3])]);
    assert_eq!(table.run.waiting_for(), for_updates(0, 2, &[3]));
    assert_eq!(table.update(3, 0, 2, &[2, 3]), [accept(3, 2, &[2, 3]), close(0, &[0, 1, 2, 3])]);
}

#[test]
fn a_round_neither_leases_nor_closes_below_its_quorum() {
    let quorum = QuorumRule { min_partners: 2, ..config().quorum };
    let mut table = Table::new(RunConfig { quorum, ..config() });
    table.join(1, "a");
    table.join(2, "b");
    assert_eq!(table.send(left(2)), []);
    assert_eq!(table.wait(2).update(1, 0, 0, &[0, 1]), [accept(1, 0, &[0, 1])]);
    assert_eq!(table.run.waiting_for(), for_members((1, 2), (1, 1), 2));
    assert_eq!(table.join(3, "b"), [admit(3), assign(1, 0, 2, &[2]), assign(3, 0, 3, &[3])]);
    table.update(1, 0, 2, &[2]);
    assert_eq!(table.update(3, 0, 3, &[3]), [accept(3, 3, &[3]), close(0, &[0, 1, 2, 3])]);
}

#[test]
fn a_silent_member_is_dismissed_and_a_heard_one_is_not() {
    let mut table = Table::of_two_with(RunConfig {
        quorum: QuorumRule { on_missing: OnMissing::Wait, ..config().quorum },
        ..config()
    });
    assert_eq!(table.run.deadline(), Some(Time(20_000_000_000)));
    table.wait(15).send(Event::Heartbeat { member: MemberId(2) });
    assert_eq!(table.wait(4).send(Event::Tick), []);
    assert_eq!(table.wait(1).send(Event::Tick), [dismiss(1, Rejection::Silent), assign(2, 0, 2, &[0, 1])]);
    assert_eq!(table.run.deadline(), Some(Time(35_000_000_000)));
    assert_eq!(table.run.view().counters.leaves, 1);
}

#[test]
fn a_stalled_member_is_dismissed() {
    let mut table = Table::of_two();
    let stalled = Event::Stalled { member: MemberId(2) };
    assert_eq!(table.send(stalled.clone()), [dismiss(2, Rejection::Stalled), assign(1, 0, 2, &[2, 3])]);
    assert_eq!(table.send(stalled), []);
}

#[test]
fn an_identity_is_one_member() {
    let mut table = Table::of_two();
    let again = Joined { member: MemberId(9), worker: worker(1), partner: partner("b"), milli_units_per_second: 0 };
    assert_eq!(table.send(Event::Joined(again.clone())), [dismiss(9, Rejection::IdentityInUse)]);
    assert_eq!(table.run.view().members.len(), 2);
    table.send(left(1));
    assert_eq!(table.send(Event::Joined(again)), [admit(9)]);
}

#[test]
fn strangers_change_nothing() {
    let mut table = Table::of_two();
    let before = table.run.clone();
    assert_eq!(table.send(left(7)), []);
    assert_eq!(table.send(Event::Heartbeat { member: MemberId(7) }), []);
    assert_eq!(table.send(Event::Stalled { member: MemberId(7) }), []);
    assert_eq!(table.send(malformed(7, Some(0))), []);
    assert_eq!(table.join(1, "a"), []);
    assert_eq!(table.run, before);
}
