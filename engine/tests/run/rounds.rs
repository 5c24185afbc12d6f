//! Steps, evaluations and the end.

use syngrad_engine::run::Outcome;

use super::*;

#[test]
fn a_run_goes_from_round_to_round_without_waiting_for_evaluations() {
    let mut table = Table::of_two();
    let next = |round, lease| [open(round), assign(1, round, lease, &[0, 1]), assign(2, round, lease + 1, &[2, 3])];
    assert_eq!(table.finish_round(0, 0), next(1, 2));
    assert_eq!(table.finish_round(1, 2), [vec![evaluate(1)], next(2, 4).to_vec()].concat());
    assert_eq!(table.finish_round(2, 4), [evaluate(2)]);
    let view = table.run.view();
    assert_eq!((view.round, view.committed, view.rounds, view.outcome), (Round(3), 3, 3, None));
    assert_eq!(table.run.waiting_for(), Waiting::ForEvaluation { round: Round(2) });
    assert_eq!(table.send(evaluated(1)), [], "an earlier evaluation may end late, or never");
    assert_eq!(table.send(evaluated(2)), [Action::Finish(Outcome::Completed)]);
    assert_eq!(table.run.view().outcome, Some(Outcome::Completed));
    assert_eq!((table.run.deadline(), table.run.waiting_for()), (None, Waiting::Over));
}

#[test]
fn a_step_that_was_not_asked_for_is_none() {
    let mut table = Table::of_two();
    let before = table.run.clone();
    assert_eq!(table.send(stepped(0)), []);
    assert_eq!(table.send(evaluated(0)), []);
    assert_eq!(table.run, before);
    table.update(1, 0, 0, &[0, 1]);
    table.update(2, 0, 1, &[2, 3]);
    assert_eq!(table.send(stepped(1)), []);
    assert_eq!(table.run.waiting_for(), Waiting::ForStep { round: Round(0) });
}

#[test]
fn members_come_and_go_while_the_step_is_taken() {
    let mut table = Table::of_two();
    table.update(1, 0, 0, &[0, 1]);
    table.update(2, 0, 1, &[2, 3]);
    assert_eq!(table.send(left(1)), []);
    assert_eq!(table.join(3, "a"), [admit(3)]);
    assert_eq!(table.send(stepped(0)), [open(1), assign(2, 1, 2, &[2, 3]), assign(3, 1, 3, &[0, 1])]);
}

#[test]
fn the_operator_ends_a_run_once() {
    let mut table = Table::of_two();
    table.finish_round(0, 0);
    assert_eq!(table.send(Event::Stop), [Action::Finish(Outcome::Stopped { rounds: 1 })]);
    assert_eq!(table.send(Event::Stop), []);
    assert_eq!(table.send(stepped(1)), []);
    assert_eq!(table.wait(100).send(Event::Tick), []);
    assert_eq!(table.update(1, 1, 2, &[0, 1]), [reject(1, 2, Rejection::RunOver)]);
    assert_eq!(table.join(3, "a"), [dismiss(3, Rejection::RunOver)]);
    assert_eq!(table.send(left(1)), []);
    assert_eq!(table.run.view().members.len(), 1);
}

#[test]
fn after_the_last_round_every_update_is_late() {
    let mut table = Table::of_two_with(RunConfig { rounds: 1, ..config() });
    table.finish_round(0, 0);
    let closed = Rejection::RoundClosed { found: Round(0) };
    assert_eq!(table.update(1, 0, 0, &[0, 1]), [reject(1, 0, closed)]);
    assert_eq!(table.run.view().counters.late, 1);
}

#[test]
fn units_stay_where_they_are_until_speeds_differ_much() {
    let mut table = Table::of_two_with(RunConfig { rounds: 100, ..of_units(8) });
    let mut shares = [4, 4];
    for round in 0..40 {
        let leases = 2 * u64::from(round);
        let held: Vec<u32> = (0..8).collect();
        let (first, second) = held.split_at(shares[0]);
        table.wait(1).update(1, round, leases, first);
        table.wait(3).update(2, round, leases + 1, second);
        let actions = table.send(stepped(round));
        let [.., Action::Assign { member: MemberId(1), lease }, _] = &actions[..] else { panic!("{actions:?}") };
        let now = lease.units.len();
        let replanned = (round + 1) % 16 == 0;
        assert!(replanned || now == shares[0], "units moved before round {}", round + 1);
        if now != shares[0] {
            shares = [now, 8 - now];
            break;
        }
    }
    assert_eq!(shares, [7, 1], "member 1 is four times as fast");
}
