//! The operator wants the worker to finish and leave.

use super::*;

const LEAVES: [Action; 2] = [Action::SendLeave, Action::Exit(Exit::Drained)];

#[test]
fn without_work_it_leaves_at_once() {
    let mut desk = Desk::ready();
    assert_eq!(desk.send(Event::Drain), LEAVES);
    assert_eq!(desk.session.deadline(), None);
    assert_eq!(desk.send(Event::Leased(task(0, 1, 1))), []);
    assert_eq!(Desk::new().send(Event::Drain), [Action::Exit(Exit::Drained)]);
}

#[test]
fn work_in_hand_is_finished_and_its_answer_awaited() {
    let mut desk = Desk::ready();
    let task_in_hand = task(0, 1, 1);
    desk.send(Event::Leased(task_in_hand.clone()));
    assert_eq!(desk.send(Event::Drain), []);
    assert_eq!(desk.send(Event::Leased(task(0, 2, 2))), [], "nothing new is begun");
    assert_eq!(desk.send(computed(&task_in_hand)), [sent(&task_in_hand)]);
    assert_eq!(desk.send(answered(1, Answer::Accepted)), [vec![forget(1)], LEAVES.to_vec()].concat());
}

#[test]
fn it_does_not_wait_for_ever() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    desk.send(Event::Drain);
    assert_eq!(desk.tick(), [Action::SendHeartbeat]);
    assert_eq!(desk.tick(), LEAVES);
    assert_eq!(desk.now, Time(0).after(Duration::from_secs(8)));
}

#[test]
fn asked_twice_or_without_a_link_it_leaves() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    desk.send(Event::Drain);
    assert_eq!(desk.send(Event::Drain), LEAVES);

    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    desk.send(Event::Drain);
    assert_eq!(desk.lose(), [Action::Exit(Exit::Drained)]);
}

#[test]
fn the_end_of_the_run_ends_the_drain() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    desk.send(Event::Drain);
    let how = "completed".to_owned();
    let report = Action::Report(Report::RunClosed { run: RUN, how: how.clone() });
    let expected = [vec![forget(1), report], LEAVES.to_vec()].concat();
    assert_eq!(desk.send(Event::RunClosed { run: RUN, how }), expected);
}
