//! Connecting, being refused, falling silent, coming back.

use super::*;

/// How long the session waits before it tries again.
fn pause(desk: &Desk) -> Duration {
    desk.session.deadline().expect("it will try again").since(desk.now)
}

#[test]
fn it_connects_at_once_and_says_hello() {
    let mut desk = Desk::new();
    assert_eq!(desk.session.deadline(), Some(Time(0)));
    assert_eq!(desk.send(Event::Tick), [Action::Connect]);
    assert_eq!(desk.send(Event::Tick), []);
    assert_eq!(desk.send(Event::Connected), [Action::SendHello]);
    let welcomed = Event::Welcomed { heartbeat: HEARTBEAT, silence: SILENCE };
    assert_eq!(desk.send(welcomed.clone()), [Action::Report(Report::Connected)]);
    assert_eq!(desk.send(welcomed), []);
    assert_eq!(desk.session.deadline(), Some(Time(0).after(HEARTBEAT)));
}

#[test]
fn it_backs_off_with_jitter_and_tells_each_trouble_once() {
    let mut desk = Desk::new();
    let mut pauses = Vec::new();
    for attempt in 0..20 {
        assert_eq!(desk.tick(), [Action::Connect]);
        let told = desk.send(Event::Disconnected { why: "connection refused".to_owned() });
        let again = desk.session.deadline().expect("it will try again");
        let report = Report::Unreachable { why: "connection refused".to_owned(), again };
        let expected = if attempt == 0 { vec![Action::Report(report)] } else { vec![] };
        assert_eq!(told, expected);
        let longest = Duration::from_millis(100).saturating_mul(1 << attempt).min(Duration::from_secs(30));
        assert!(pause(&desk) <= longest, "try {attempt} waits {:?}", pause(&desk));
        pauses.push(pause(&desk));
    }
    assert!(pauses.iter().max() > Some(&Duration::from_secs(15)), "{pauses:?}");
    pauses.sort();
    pauses.dedup();
    assert_eq!(pauses.len(), 20, "jitter makes every pause another");
    assert_eq!(desk.tick(), [Action::Connect]);
    let other = desk.send(Event::Disconnected { why: "no route".to_owned() });
    assert!(matches!(&other[..], [Action::Report(Report::Unreachable { why, .. })] if why == "no route"), "{other:?}");
}

#[test]
fn a_link_that_lasted_makes_the_next_try_quick() {
    let mut desk = Desk::new();
    for _ in 0..15 {
        desk.tick();
        desk.lose();
    }
    desk.connect();
    desk.wait(Duration::from_secs(31)).send(Event::Heard);
    desk.lose();
    assert!(pause(&desk) <= Duration::from_millis(100));
}

#[test]
fn it_says_something_when_nothing_else_was_said() {
    let mut desk = Desk::ready();
    assert_eq!(desk.tick(), [Action::SendHeartbeat]);
    assert_eq!(desk.now, Time(0).after(HEARTBEAT));
    let task = task(0, 1, 1);
    desk.wait(Duration::from_secs(2)).send(Event::Leased(task.clone()));
    desk.wait(Duration::from_secs(1)).send(computed(&task));
    assert_eq!(desk.session.deadline(), Some(desk.now.after(HEARTBEAT)), "the update was a sign of life");
}

#[test]
fn a_silent_coordinator_is_taken_for_dead() {
    let mut desk = Desk::welcomed();
    assert_eq!(desk.tick(), [Action::SendHeartbeat]);
    assert_eq!(desk.tick(), [Action::SendHeartbeat]);
    let actions = desk.tick();
    assert_eq!(desk.now, Time(0).after(SILENCE));
    let why = "nothing was heard from the coordinator for 15.0 s".to_owned();
    let again = desk.session.deadline().expect("it will try again");
    assert_eq!(actions, [Action::Disconnect, Action::Report(Report::Unreachable { why, again })]);
    assert_eq!(desk.lose(), [], "it knows");
    assert_eq!(desk.tick(), [Action::Connect]);
}

#[test]
fn neither_connecting_nor_a_welcome_may_take_for_ever() {
    let mut desk = Desk::new();
    desk.tick();
    let silence = Duration::from_secs(10);
    assert_eq!(desk.session.deadline(), Some(Time(0).after(silence)));
    assert_eq!(desk.tick()[0], Action::Disconnect);
    assert_eq!(desk.send(Event::Connected), [Action::Disconnect], "too late: it has given up on this one");
    desk.tick();
    assert_eq!(desk.send(Event::Connected), [Action::SendHello]);
    assert_eq!(desk.session.deadline(), Some(desk.now.after(silence)));
    assert_eq!(desk.tick()[0], Action::Disconnect);
}

#[test]
fn a_refusal_is_told_once_and_obeyed() {
    let mut desk = Desk::new();
    let later = Event::Refused { why: "identity in use".to_owned(), retry: Retry::Later };
    let report = Action::Report(Report::Refused { why: "identity in use".to_owned() });
    desk.tick();
    desk.send(Event::Connected);
    assert_eq!(desk.send(later.clone()), [report, Action::Disconnect]);
    desk.tick();
    desk.send(Event::Connected);
    assert_eq!(desk.send(later), [Action::Disconnect]);
    desk.tick();
    desk.send(Event::Connected);
    let why = "this build is too old".to_owned();
    let told = Action::Report(Report::Refused { why: why.clone() });
    let never = Event::Refused { why: why.clone(), retry: Retry::Never };
    assert_eq!(desk.send(never), [told, Action::Exit(Exit::Refused { why })]);
    assert_eq!(desk.session.deadline(), None);
    assert_eq!(desk.send(Event::Tick), []);
}

#[test]
fn before_the_welcome_nothing_is_believed() {
    let mut desk = Desk::new();
    desk.tick();
    desk.send(Event::Connected);
    assert_eq!(desk.send(Event::RunOpened { run: RUN }), []);
    assert_eq!(desk.send(Event::Leased(task(0, 0, 0))), []);
    assert_eq!(desk.send(answered(0, Answer::Accepted)), []);
    assert_eq!(desk.send(Event::RunClosed { run: RUN, how: "completed".to_owned() }), []);
}
