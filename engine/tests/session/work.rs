//! Runs open, units are leased, sums are sent.

use super::*;

#[test]
fn a_run_is_prepared_once_and_answered_on_every_link() {
    let mut desk = Desk::welcomed();
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), [Action::Prepare { run: RUN }]);
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), []);
    desk.lose();
    assert_eq!(desk.send(Event::Prepared { run: RUN }), [working()], "there is nobody to tell");
    assert_eq!(desk.connect(), [Action::Report(Report::Connected)]);
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), [Action::SendReady { run: RUN }]);
    assert_eq!(desk.send(Event::Prepared { run: RUN }), []);
}

#[test]
fn a_machine_that_cannot_take_part_says_so() {
    let mut desk = Desk::welcomed();
    desk.send(Event::RunOpened { run: RUN });
    let why = "the layout is another".to_owned();
    let declined = Action::SendDeclined { run: RUN, why: why.clone() };
    let report = Action::Report(Report::Unfit { run: RUN, why: why.clone() });
    assert_eq!(desk.send(Event::Unfit { run: RUN, why }), [report, declined.clone()]);
    assert_eq!(desk.send(Event::Leased(task(0, 0, 0))), []);
    desk.lose();
    desk.connect();
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), [declined]);
}

#[test]
fn a_leased_task_is_computed_sent_and_forgotten_when_answered() {
    let mut desk = Desk::ready();
    let task = task(0, 7, 1);
    assert_eq!(desk.send(Event::Leased(task.clone())), [Action::Compute(task.clone())]);
    assert_eq!(desk.send(Event::Leased(task.clone())), [], "once is enough");
    assert_eq!(desk.send(answered(7, Answer::Late)), [], "nothing was sent yet");
    assert_eq!(desk.send(computed(&task)), [sent(&task)]);
    assert_eq!(desk.send(computed(&task)), []);
    assert_eq!(desk.send(answered(8, Answer::Accepted)), []);
    assert_eq!(desk.send(answered(7, Answer::Accepted)), [forget(7)]);
    assert_eq!(desk.send(answered(7, Answer::Accepted)), []);
}

#[test]
fn a_newer_round_forgets_older_ones_and_an_older_one_is_ignored() {
    let mut desk = Desk::ready();
    let [old, also_old, new] = [task(4, 1, 1), task(4, 2, 2), task(5, 3, 1)];
    desk.send(Event::Leased(old.clone()));
    assert_eq!(desk.send(Event::Leased(also_old.clone())), [Action::Compute(also_old.clone())]);
    desk.send(computed(&also_old));
    assert_eq!(desk.send(Event::Leased(new.clone())), [forget(1), forget(2), Action::Compute(new.clone())]);
    assert_eq!(desk.send(computed(&old)), [forget(1)], "it crossed the word to forget it");
    assert_eq!(desk.send(Event::Leased(old)), []);
    assert_eq!(desk.send(computed(&new)), [sent(&new)]);
}

#[test]
fn a_sum_that_is_held_is_sent_under_a_new_lease_and_never_under_the_old_one() {
    let mut desk = Desk::ready();
    let [first, second] = [task(2, 10, 1), task(2, 11, 2)];
    desk.send(Event::Leased(first.clone()));
    desk.send(Event::Leased(second.clone()));
    assert_eq!(desk.send(computed(&first)), [sent(&first)]);
    desk.reconnect();
    assert_eq!(desk.send(computed(&second)), [], "its lease went with the link");
    assert_eq!(desk.send(answered(10, Answer::Accepted)), []);
    let [first, second] = [task(2, 20, 1), task(2, 21, 2)];
    assert_eq!(desk.send(Event::Leased(first.clone())), [sent(&first)]);
    assert_eq!(desk.send(Event::Leased(second.clone())), [sent(&second)]);
    assert_eq!(desk.send(answered(20, Answer::Accepted)), [forget(10)], "the shell knows it by its first lease");
}

#[test]
fn a_computation_under_way_answers_the_new_lease() {
    let mut desk = Desk::ready();
    let old = task(2, 10, 1);
    desk.send(Event::Leased(old.clone()));
    desk.reconnect();
    let new = task(2, 20, 1);
    assert_eq!(desk.send(Event::Leased(new.clone())), []);
    assert_eq!(desk.send(computed(&old)), [sent(&new)]);
}

#[test]
fn a_lease_that_is_delivered_late_does_not_replace_a_newer_one() {
    let mut desk = Desk::ready();
    let [old, new] = [task(2, 10, 1), task(2, 11, 1)];
    desk.send(Event::Leased(old.clone()));
    desk.send(Event::Leased(new.clone()));
    assert_eq!(desk.send(Event::Leased(old.clone())), []);
    assert_eq!(desk.send(computed(&old)), [sent(&new)]);
}

/// Found by the simulation of crashing coordinators (seeds 14,850, 27,474, 44,949 and 84,159 of its first form).
#[test]
fn a_sum_of_a_forgotten_job_is_of_no_use_even_if_its_units_come_back() {
    let mut desk = Desk::ready();
    let [old, again, new] = [task(5, 1, 1), task(4, 2, 1), task(5, 3, 1)];
    desk.send(Event::Leased(old.clone()));
    desk.lose();
    desk.connect();
    desk.send(Event::RunOpened { run: RUN });
    // The coordinator has crashed and computes an earlier round again.
    assert_eq!(desk.send(Event::Leased(again.clone())), [forget(1), Action::Compute(again)]);
    assert_eq!(desk.send(Event::Leased(new.clone())), [forget(2), Action::Compute(new.clone())]);
    assert_eq!(desk.send(computed(&old)), [forget(1)], "the shell was told to forget it");
    assert_eq!(desk.send(computed(&new)), [sent(&new)]);
}

#[test]
fn other_params_of_the_same_round_are_computed_anew() {
    let mut desk = Desk::ready();
    let old = task(2, 10, 1);
    desk.send(Event::Leased(old.clone()));
    desk.send(computed(&old));
    desk.reconnect();
    let other = Task { params: Digest::default(), ..task(2, 20, 1) };
    assert_eq!(desk.send(Event::Leased(other.clone())), [forget(10), Action::Compute(other)]);
}

#[test]
fn after_a_new_link_an_earlier_round_is_as_good_as_any() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(9, 1, 1)));
    desk.reconnect();
    let earlier = task(3, 2, 1);
    assert_eq!(desk.send(Event::Leased(earlier.clone())), [forget(1), Action::Compute(earlier)]);
}

#[test]
fn held_sums_are_few() {
    let mut desk = Desk::ready();
    for unit in 0..6 {
        desk.send(Event::Leased(task(0, u64::from(unit), unit)));
    }
    assert_eq!(desk.lose()[..2], [forget(0), forget(1)]);
}

#[test]
fn a_rejection_is_told_once() {
    let mut desk = Desk::ready();
    for (lease, reports) in [(1, 1), (2, 0)] {
        let task = task(0, lease, 1);
        desk.send(Event::Leased(task.clone()));
        desk.send(computed(&task));
        let why = "its digest is another".to_owned();
        let told = Action::Report(Report::Rejected { why: why.clone() });
        let actions = desk.send(answered(lease, Answer::Rejected { why }));
        assert_eq!(actions[0], forget(lease));
        assert_eq!(actions[1..], vec![told; reports]);
    }
}

#[test]
fn a_task_that_fails_takes_the_worker_out_of_the_run() {
    let mut desk = Desk::ready();
    let task = task(0, 1, 1);
    desk.send(Event::Leased(task.clone()));
    let why = "unit 1 is not finite".to_owned();
    let actions = desk.send(Event::Failed { task: task.clone(), why: why.clone() });
    let report = Action::Report(Report::Unfit { run: RUN, why: why.clone() });
    assert_eq!(actions, [forget(1), report, Action::SendDeclined { run: RUN, why: why.clone() }]);
    assert_eq!(desk.send(Event::Failed { task, why }), []);
}

#[test]
fn the_end_of_a_run_is_told_and_the_next_one_prepared() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    let how = "completed".to_owned();
    let report = Action::Report(Report::RunClosed { run: RUN, how: how.clone() });
    assert_eq!(desk.send(Event::RunClosed { run: RunId([9; 16]), how: how.clone() }), []);
    assert_eq!(desk.send(Event::RunClosed { run: RUN, how }), [forget(1), report]);
    let next = RunId([2; 16]);
    assert_eq!(desk.send(Event::RunOpened { run: next }), [Action::Prepare { run: next }]);
    assert_eq!(desk.send(Event::Prepared { run: RUN }), [], "of the run before");
}
