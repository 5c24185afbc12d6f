//! Rounds: when they are kept, and which wait for the disk.

use super::*;

#[test]
fn rows_go_out_ten_times_a_second_and_never_two_orders_at_once() {
    let mut desk = Desk::with_run(CADENCE);
    assert_eq!(desk.commit(0), [step(0)]);
    assert_eq!(desk.wait(100).commit(1), [rows(&[0, 1]), step(1)]);
    assert_eq!(desk.wait(100).commit(2), [step(2)], "the order before is not kept yet");
    assert_eq!(desk.send(Event::Kept), []);
    assert_eq!(desk.commit(3), [rows(&[2, 3]), step(3)]);
}

#[test]
fn the_state_is_kept_every_few_rounds_every_few_seconds_and_at_the_end() {
    let mut desk = Desk::with_run(Cadence { rounds: 22, ..CADENCE });
    let wholes: Vec<u32> =
        (0..22).filter(|&round| desk.commit(round).iter().any(|a| matches!(a, Action::Keep { .. }))).collect();
    assert_eq!(wholes, [9, 19, 21], "every 10 rounds, and after the last one");
    let mut desk = Desk::with_run(CADENCE);
    assert_eq!(desk.wait(10_000).commit(0), [whole(&[0]), step(0)], "10 seconds have passed");
}

#[test]
fn rounds_go_on_four_orders_ahead_of_the_disk() {
    let mut desk = Desk::with_run(Cadence { checkpoint_rounds: 1, ..CADENCE });
    for round in 0..4 {
        assert_eq!(desk.commit(round), [whole(&[round]), step(round)]);
    }
    assert_eq!(desk.commit(4), [whole(&[4])], "the fifth waits");
    assert_eq!(desk.send(Event::Kept), [step(4)]);
}

#[test]
fn where_updates_are_archived_the_rows_of_each_round_go_out_with_them() {
    let mut desk = Desk::with_run(Cadence { rows: Rows::EachRound, ..CADENCE });
    for round in 0..4 {
        assert_eq!(desk.commit(round), [rows(&[round]), step(round)]);
    }
    assert_eq!(desk.commit(4), [rows(&[4])], "no more than four rounds of updates wait in memory");
    assert_eq!(desk.send(Event::Kept), [step(4)]);
}

#[test]
fn with_every_round_each_waits_until_it_is_kept() {
    let mut desk = Desk::with_run(Cadence { durability: Durability::EveryRound, ..CADENCE });
    assert_eq!(desk.commit(0), [whole(&[0])]);
    assert_eq!(desk.send(Event::Kept), [step(0)]);
    assert_eq!(desk.commit(1), [whole(&[1])]);
}

#[test]
fn a_full_disk_pauses_the_run_with_a_reason_until_there_is_room() {
    let mut desk = Desk::with_run(Cadence { durability: Durability::EveryRound, ..CADENCE });
    desk.commit(0);
    assert_eq!(desk.keeping.view().paused, None, "it only takes its time");
    assert_eq!(desk.send(delayed()), []);
    assert_eq!(desk.keeping.view().paused.as_deref(), Some("the disk is full"));
    assert_eq!(desk.send(Event::Kept), [step(0)]);
    assert_eq!(desk.keeping.view().paused, None);
}

#[test]
fn an_end_keeps_the_state_unless_it_is_of_no_use() {
    for (end, action) in [(RunEnd::Orderly, whole(&[0])), (RunEnd::Failed, rows(&[0]))] {
        let mut desk = Desk::with_run(CADENCE);
        desk.commit(0);
        assert_eq!(desk.end(end), [action]);
        assert_eq!(desk.keeping.outstanding(), 1);
        assert_eq!(desk.commit(1), [], "{end:?}: nothing is committed after it");
    }
}

#[test]
fn a_round_without_some_of_its_units_goes_out_with_its_state() {
    let mut desk = Desk::with_run(CADENCE);
    desk.commit(0);
    let short = Commit { units: 3, ..commit(1) };
    let whole = Action::Keep { contents: Contents::Whole, rounds: vec![commit(0), short.clone()] };
    assert_eq!(desk.send(Event::Committed(short)), [whole, step(1)], "it cannot be computed again");
}
