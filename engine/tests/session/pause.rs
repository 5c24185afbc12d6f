//! The worker's partner wants no work for a while, or wants the worker to go.

use super::*;

fn paused(cause: Cause) -> Action {
    Action::Report(Report::Paused { cause })
}

fn declined(why: &str) -> Action {
    Action::SendDeclined { run: RUN, why: format!("this worker is paused: {why}") }
}

const RESUMED: Action = Action::Report(Report::Resumed);
const READY: Action = Action::SendReady { run: RUN };
const LEAVES: [Action; 2] = [Action::SendLeave, Action::Exit(Exit::Drained)];

#[test]
fn a_pause_gives_the_units_back_and_its_end_asks_for_others() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    let asked = [paused(Cause::Asked), forget(1), declined("its partner asked for it")];
    assert_eq!(desk.send(Event::Pause(Cause::Asked)), asked);
    assert_eq!(desk.send(Event::Pause(Cause::Asked)), [], "it is paused already");
    assert_eq!(desk.send(Event::Leased(task(0, 2, 2))), [], "a lease that was on its way");
    assert_eq!(desk.send(computed(&task(0, 1, 1))), [forget(1)], "a sum that was nearly ready");
    assert_eq!(desk.tick(), [Action::SendHeartbeat], "it stays connected");
    assert_eq!(desk.send(Event::Resume(Cause::Asked)), [RESUMED, READY]);
    assert_eq!(desk.send(Event::Leased(task(0, 3, 1))), [Action::Compute(task(0, 3, 1))]);
}

#[test]
fn what_is_computed_is_of_use_after_the_pause() {
    let mut desk = Desk::ready();
    let before = task(0, 1, 1);
    desk.send(Event::Leased(before.clone()));
    desk.send(computed(&before));
    let asked = [paused(Cause::Asked), declined("its partner asked for it")];
    assert_eq!(desk.send(Event::Pause(Cause::Asked)), asked);
    desk.send(Event::Resume(Cause::Asked));
    let after = task(0, 2, 1);
    assert_eq!(desk.send(Event::Leased(after.clone())), [sent(&after)]);
}

#[test]
fn an_answer_that_was_on_its_way_ends_its_task() {
    let mut desk = Desk::ready();
    let before = task(0, 1, 1);
    desk.send(Event::Leased(before.clone()));
    desk.send(computed(&before));
    desk.send(Event::Pause(Cause::Asked));
    assert_eq!(desk.send(answered(1, Answer::Accepted)), [forget(1)]);
    desk.send(Event::Resume(Cause::Asked));
    assert_eq!(desk.send(Event::Leased(task(0, 2, 1))), [Action::Compute(task(0, 2, 1))]);
}

#[test]
fn it_works_again_when_the_last_reason_is_gone() {
    let mut desk = Desk::ready();
    desk.send(Event::Pause(Cause::Asked));
    assert_eq!(desk.send(Event::Pause(Cause::Hours)), [paused(Cause::Hours)]);
    assert_eq!(desk.send(Event::Resume(Cause::Asked)), []);
    assert_eq!(desk.send(Event::Resume(Cause::Spent)), [], "it was none");
    assert_eq!(desk.send(Event::Resume(Cause::Hours)), [RESUMED, READY]);
}

#[test]
fn a_run_that_opens_during_a_pause_is_prepared_after_it() {
    let mut desk = Desk::welcomed();
    assert_eq!(desk.send(Event::Pause(Cause::Hours)), [paused(Cause::Hours)]);
    let over = declined("the hours of its partner's policy are over");
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), [over]);
    assert_eq!(desk.send(Event::Resume(Cause::Hours)), [RESUMED, Action::Prepare { run: RUN }]);
    assert_eq!(desk.send(Event::Prepared { run: RUN }), [working(), READY]);
}

#[test]
fn a_pause_outlives_the_link() {
    let mut desk = Desk::ready();
    desk.send(Event::Pause(Cause::Spent));
    desk.lose();
    desk.connect();
    let spent = declined("the bytes that its partner's policy lets out in a day are used up");
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), [spent]);
    desk.lose();
    assert_eq!(desk.send(Event::Resume(Cause::Spent)), [RESUMED]);
    desk.connect();
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), [READY]);
}

#[test]
fn what_it_prepares_during_a_pause_is_offered_after_it() {
    let mut desk = Desk::welcomed();
    desk.send(Event::RunOpened { run: RUN });
    let asked = [paused(Cause::Asked), declined("its partner asked for it")];
    assert_eq!(desk.send(Event::Pause(Cause::Asked)), asked);
    assert_eq!(desk.send(Event::Prepared { run: RUN }), [working()]);
    assert_eq!(desk.send(Event::Resume(Cause::Asked)), [RESUMED, READY]);
}

#[test]
fn a_run_that_it_cannot_work_for_stays_declined() {
    let mut desk = Desk::ready();
    let why = || "too large".to_owned();
    desk.send(Event::Unfit { run: RUN, why: why() });
    assert_eq!(desk.send(Event::Pause(Cause::Asked)), [paused(Cause::Asked)]);
    assert_eq!(desk.send(Event::Resume(Cause::Asked)), [RESUMED]);
}

#[test]
fn finishing_has_no_end_but_the_answer() {
    let mut desk = Desk::ready();
    let in_hand = task(0, 1, 1);
    desk.send(Event::Leased(in_hand.clone()));
    assert_eq!(desk.send(Event::Finish), []);
    assert_eq!(desk.send(Event::Finish), [], "once is enough");
    for _ in 0..8 {
        desk.send(Event::Heard);
        assert_eq!(desk.tick(), [Action::SendHeartbeat]);
    }
    assert_eq!(desk.send(computed(&in_hand)), [sent(&in_hand)]);
    assert_eq!(desk.send(answered(1, Answer::Accepted)), [vec![forget(1)], LEAVES.to_vec()].concat());
    assert_eq!(Desk::ready().send(Event::Finish), LEAVES, "nothing is in hand");
}

#[test]
fn finishing_can_be_hurried() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    desk.send(Event::Finish);
    assert_eq!(desk.send(Event::Drain), [], "now it has an end");
    assert_eq!(desk.send(Event::Drain), LEAVES);
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    desk.send(Event::Finish);
    assert_eq!(
        desk.send(Event::Pause(Cause::Spent)),
        [
            vec![paused(Cause::Spent), forget(1)],
            vec![declined("the bytes that its partner's policy lets out in a day are used up",)],
            LEAVES.to_vec()
        ]
        .concat()
    );
}

#[test]
fn leaving_waits_for_nothing() {
    let mut desk = Desk::ready();
    desk.send(Event::Leased(task(0, 1, 1)));
    assert_eq!(desk.send(Event::Leave), LEAVES);
    assert_eq!(Desk::new().send(Event::Leave), [Action::Exit(Exit::Drained)]);
}
