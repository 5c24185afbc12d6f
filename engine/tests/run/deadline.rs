//! The round's deadline: wait, lease again, or skip.

use syngrad_engine::run::Outcome;

use super::*;

fn on_missing(on_missing: OnMissing) -> Table {
    Table::of_two_with(RunConfig { quorum: QuorumRule { on_missing, ..config().quorum }, ..config() })
}

#[test]
fn missing_units_are_leased_to_others_and_the_first_answer_counts() {
    let mut table = on_missing(OnMissing::ReLease);
    table.wait(1).update(2, 0, 1, &[2, 3]);
    assert_eq!(table.wait(4).send(Event::Tick), [assign(2, 0, 2, &[0, 1])]);
    assert_eq!(table.run.waiting_for(), for_updates(0, 2, &[1, 2]));
    assert_eq!(table.run.deadline(), Some(Time(10_000_000_000)));
    assert_eq!(table.update(1, 0, 0, &[0, 1]), [accept(1, 0, &[0, 1]), close(0, &[0, 1, 2, 3])]);
    let late = Rejection::RoundClosed { found: Round(0) };
    assert_eq!(table.update(2, 0, 2, &[0, 1]), [reject(2, 2, late)]);
    assert_eq!(table.run.view().counters.units_released, 2);
}

#[test]
fn a_sum_of_which_some_units_are_counted_is_a_duplicate_as_a_whole() {
    let mut table = on_missing(OnMissing::ReLease);
    table.join(3, "a");
    table.join(4, "a");
    assert_eq!(table.wait(5).send(Event::Tick), [assign(3, 0, 2, &[0, 2]), assign(4, 0, 3, &[1, 3])]);
    assert_eq!(table.wait(1).update(3, 0, 2, &[0, 2]), [accept(3, 2, &[0, 2])]);
    let counted = Rejection::AlreadyCounted { unit: Unit(0) };
    assert_eq!(table.update(1, 0, 0, &[0, 1]), [reject(1, 0, counted)]);
    assert_eq!(table.run.waiting_for(), for_updates(0, 2, &[4]));
    let others = [assign(2, 0, 4, &[3]), assign(3, 0, 5, &[1])];
    assert_eq!(table.send(left(4)), others, "no sum that is under way could bring units 1 and 3");
    assert_eq!(table.update(2, 0, 4, &[3]), [accept(2, 4, &[3])]);
    assert_eq!(table.update(3, 0, 5, &[1]), [accept(3, 5, &[1]), close(0, &[0, 1, 2, 3])]);
}

#[test]
fn nobody_is_asked_twice_for_the_same_unit() {
    let mut table = Table::new(config());
    table.join(1, "a");
    assert_eq!(table.wait(5).send(Event::Tick), []);
    assert_eq!(table.run.deadline(), Some(Time(10_000_000_000)));
    table.send(Event::Heartbeat { member: MemberId(1) });
    table.join(2, "a");
    assert_eq!(table.wait(5).send(Event::Tick), [assign(2, 0, 1, &[0, 1, 2, 3])]);
    assert_eq!(table.wait(5).send(Event::Tick), []);
}

#[test]
fn a_partner_never_holds_more_than_it_may() {
    let quorum = QuorumRule { max_partner_units: 2, ..config().quorum };
    let mut table = Table::new(RunConfig { quorum, min_members: 3, ..config() });
    table.join(1, "a");
    table.join(2, "b");
    table.join(3, "b");
    table.update(1, 0, 0, &[0, 1]);
    let actions = table.wait(5).send(Event::Tick);
    assert_eq!(actions, [assign(2, 0, 3, &[3]), assign(3, 0, 4, &[2])], "partner b may lease only what it has");
    assert_eq!(table.send(left(2)), []);
    assert_eq!(table.send(left(3)), []);
    assert_eq!(table.run.waiting_for(), for_members((1, 1), (1, 3), 2));
}

#[test]
fn waiting_has_no_deadline() {
    let mut table = on_missing(OnMissing::Wait);
    assert_eq!(table.run.deadline(), Some(Time(20_000_000_000)), "only silence ends it");
    assert_eq!(table.wait(6).send(Event::Tick), []);
    assert_eq!(table.run.waiting_for(), for_updates(0, 0, &[1, 2]));
}

#[test]
fn missing_units_are_skipped_if_enough_were_counted() {
    let quorum = QuorumRule { on_missing: OnMissing::Skip, min_units: 2, ..config().quorum };
    let mut table = Table::of_two_with(RunConfig { quorum, ..config() });
    assert_eq!(table.update(2, 0, 1, &[2, 3]), [accept(2, 1, &[2, 3])]);
    assert_eq!(table.wait(5).send(Event::Tick), [close(0, &[2, 3])]);
    assert_eq!(table.update(1, 0, 0, &[0, 1]), [reject(1, 0, Rejection::RoundClosed { found: Round(0) })]);
    assert_eq!(table.send(stepped(0)), [open(1), assign(1, 1, 2, &[0, 1]), assign(2, 1, 3, &[2, 3])]);
}

#[test]
fn a_run_fails_if_too_few_were_counted() {
    let mut table = on_missing(OnMissing::Skip);
    table.update(2, 0, 1, &[2, 3]);
    let actions = table.wait(5).send(Event::Tick);
    let [Action::Finish(outcome)] = &actions[..] else { panic!("{actions:?}") };
    let Outcome::Failed { round: Round(0), why } = outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("2 units were counted at the deadline and min_units is 3"), "{why}");
    assert_eq!(table.run.view().outcome.as_ref(), Some(outcome));
    assert_eq!((table.run.deadline(), table.run.waiting_for()), (None, Waiting::Over));
}

#[test]
fn without_a_quorum_the_deadline_waits_too() {
    let quorum = QuorumRule { min_partners: 2, on_missing: OnMissing::ReLease, ..config().quorum };
    let mut table = Table::new(RunConfig { quorum, ..config() });
    table.join(1, "a");
    table.join(2, "b");
    table.wait(1).send(left(2));
    assert_eq!(table.run.deadline(), Some(Time(20_000_000_000)));
    assert_eq!(table.wait(6).send(Event::Tick), []);
    assert_eq!(table.join(3, "b"), [admit(3), assign(3, 0, 2, &[2, 3])]);
    assert_eq!(table.run.deadline(), Some(Time(12_000_000_000)), "it begins anew");
}

#[test]
fn a_round_that_the_ledger_has_is_computed_again_with_all_its_units() {
    let quorum = QuorumRule { on_missing: OnMissing::Skip, ..config().quorum };
    let run = Run::new(RunConfig { quorum, ..config() }).resumed(Round(1), LeaseId(1 << 40), Round(2));
    let mut table = Table { run, now: Time(0) };
    table.join(1, "a");
    let lease = 1 << 40;
    assert_eq!(table.wait(5).send(Event::Tick), [], "round 1 is in the ledger, complete");
    assert_eq!(table.update(1, 1, lease, &[0, 1, 2, 3]).len(), 2);
    table.send(stepped(1));
    let failed = table.wait(5).send(Event::Tick);
    assert!(
        matches!(failed[..], [Action::Finish(Outcome::Failed { round: Round(2), .. })]),
        "round 2 is not: {failed:?}"
    );
}
