//! Whatever comes, in whatever order: nothing panics, and nothing is sent that must not be.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn event() -> impl Strategy<Value = Event> {
    let run = || (1u8..3).prop_map(|run| RunId([run; 16]));
    let task = || {
        (run(), 0u32..3, 0u64..8, 0u32..3)
            .prop_map(|(run, round, lease, unit)| Task { run, ..task(round, lease, unit) })
    };
    let answer = prop_oneof![
        Just(Answer::Accepted),
        Just(Answer::Duplicate),
        Just(Answer::Late),
        Just(Answer::Rejected { why: "its digest is another".to_owned() }),
    ];
    let why = || "[ab]".prop_map(String::from);
    prop_oneof![
        6 => Just(Event::Tick),
        4 => Just(Event::Connected),
        1 => why().prop_map(|why| Event::Disconnected { why }),
        4 => Just(Event::Welcomed { heartbeat: HEARTBEAT, silence: SILENCE }),
        1 => why().prop_map(|why| Event::Refused { why, retry: Retry::Later }),
        4 => run().prop_map(|run| Event::RunOpened { run }),
        4 => run().prop_map(|run| Event::Prepared { run }),
        1 => (run(), why()).prop_map(|(run, why)| Event::Unfit { run, why }),
        8 => task().prop_map(Event::Leased),
        8 => task().prop_map(|task| computed(&task)),
        1 => (task(), why()).prop_map(|(task, why)| Event::Failed { task, why }),
        4 => (0u64..8, answer).prop_map(|(lease, answer)| answered(lease, answer)),
        1 => run().prop_map(|run| Event::RunClosed { run, how: "completed".to_owned() }),
        4 => Just(Event::Heard),
        2 => cause().prop_map(Event::Pause),
        4 => cause().prop_map(Event::Resume),
    ]
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![Just(Cause::Asked), Just(Cause::Hours), Just(Cause::Spent)]
}

proptest! {
    #[test]
    fn the_session_takes_any_event_at_any_time(events in prop::collection::vec((event(), 0u64..3), 1..200)) {
        let mut desk = Desk::new();
        let mut leased = BTreeSet::new();
        let mut pauses = BTreeSet::new();
        for (event, seconds) in events {
            desk.wait(Duration::from_secs(seconds));
            if let Event::Leased(task) = &event {
                leased.insert(task.lease);
            }
            if let Event::Pause(cause) = &event {
                pauses.insert(*cause);
            }
            if let Event::Resume(cause) = &event {
                pauses.remove(cause);
            }
            for action in desk.send(event) {
                match action {
                    Action::Connect | Action::Disconnect => leased.clear(),
                    Action::SendUpdate { task, .. } => {
                        prop_assert!(leased.contains(&task.lease) && pauses.is_empty(), "{task:?}");
                    }
                    Action::Compute(_) | Action::SendReady { .. } => prop_assert!(pauses.is_empty()),
                    Action::SendHello
                    | Action::Prepare { .. }
                    | Action::SendDeclined { .. }
                    | Action::Forget { .. }
                    | Action::SendHeartbeat
                    | Action::SendLeave
                    | Action::Report(_)
                    | Action::Exit(_) => {}
                }
            }
            prop_assert!(desk.session.deadline().is_some());
        }
        let actions = [desk.send(Event::Drain), desk.send(Event::Drain)].concat();
        prop_assert_eq!(actions.last(), Some(&Action::Exit(Exit::Drained)));
    }
}
