//! A worker's decisions: any events in any order, and nothing is sent that must not be.

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use syngrad_engine::session::{Action, Answer, Event, Exit, Retry, Session, SessionConfig, Task};
use syngrad_engine::{Digest, LeaseId, Round, RunId, Time, Unit};

/// The most events of an input.
const MOST_EVENTS: usize = 400;

/// Reads events and looks at what the session asks for.
pub fn check(data: &[u8]) {
    // Bytes that are no whole input are no input.
    let _ = attempt(&mut Unstructured::new(data));
}

fn run(input: &mut Unstructured<'_>) -> Result<RunId> {
    Ok(RunId([input.int_in_range(1..=3)?; 16]))
}

fn task(input: &mut Unstructured<'_>) -> Result<Task> {
    let round: u32 = if input.ratio(1, 50)? { input.arbitrary()? } else { input.int_in_range(0..=3)? };
    Ok(Task {
        run: run(input)?,
        round: Round(round),
        lease: LeaseId(input.int_in_range(0..=9)?),
        units: (0..input.int_in_range(0..=3)?).map(|_| Ok(Unit(input.int_in_range(0..=3)?))).collect::<Result<_>>()?,
        params: Digest([round as u8; 32]),
    })
}

fn duration(input: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(Duration::from_millis(if input.ratio(1, 20)? { input.arbitrary()? } else { input.int_in_range(0..=30_000)? }))
}

fn answer(input: &mut Unstructured<'_>) -> Result<Answer> {
    let rejected = Answer::Rejected { why: "its digest is another".into() };
    Ok(input.choose(&[Answer::Accepted, Answer::Duplicate, Answer::Late, rejected])?.clone())
}

fn event(input: &mut Unstructured<'_>) -> Result<Event> {
    let why = || "why".to_owned();
    Ok(match input.int_in_range(0..=15)? {
        0 => Event::Disconnected { why: why() },
        1 | 2 => Event::Connected,
        3 | 4 => Event::Welcomed { heartbeat: duration(input)?, silence: duration(input)? },
        5 => Event::Refused {
            why: why(),
            retry: *input.choose(&[Retry::Later, Retry::Later, Retry::Later, Retry::Never])?,
        },
        6 => Event::RunOpened { run: run(input)? },
        7 => Event::Prepared { run: run(input)? },
        8 => Event::Unfit { run: run(input)?, why: why() },
        9 | 10 => Event::Leased(task(input)?),
        11 => Event::Computed { task: task(input)?, update: Digest([input.int_in_range(0..=3)?; 32]) },
        12 => Event::Failed { task: task(input)?, why: why() },
        13 => Event::Answered { lease: LeaseId(input.int_in_range(0..=9)?), answer: answer(input)? },
        14 => Event::RunClosed { run: run(input)?, how: "completed".into() },
        _ => match input.int_in_range(0..=20)? {
            0 => Event::Drain,
            1..=10 => Event::Heard,
            _ => Event::Tick,
        },
    })
}

/// What was seen of a session from outside.
#[derive(Default)]
struct Seen {
    /// Leases of this link.
    leased: BTreeSet<LeaseId>,
    /// Tasks that the shell works on.
    computing: Vec<Task>,
    /// Whether a link was asked for and not given up.
    is_linked: bool,
    is_gone: bool,
}

impl Seen {
    fn take(&mut self, action: &Action) {
        assert!(!self.is_gone, "nothing follows the end: {action:?}");
        match action {
            Action::Connect => {
                assert!(!self.is_linked, "a second link");
                self.is_linked = true;
                self.leased.clear();
            }
            Action::Disconnect => {
                self.is_linked = false;
                self.leased.clear();
            }
            Action::Compute(task) => {
                assert!(self.leased.contains(&task.lease), "nothing is computed that was not leased: {task:?}");
                self.computing.push(task.clone());
            }
            Action::SendUpdate { task, .. } => {
                assert!(self.leased.contains(&task.lease), "nothing is sent that was not leased: {task:?}");
                assert!(self.is_linked);
            }
            Action::SendHello
            | Action::SendReady { .. }
            | Action::SendDeclined { .. }
            | Action::SendHeartbeat
            | Action::SendLeave => assert!(self.is_linked, "{action:?} without a link"),
            Action::Exit(_) => self.is_gone = true,
            _ => {}
        }
    }
}

fn attempt(input: &mut Unstructured<'_>) -> Result<()> {
    let mut session = Session::new(SessionConfig {
        seed: input.arbitrary()?,
        heartbeat: Duration::from_secs(1),
        silence: Duration::from_secs(10),
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(30),
        drain: Duration::from_secs(8),
    });
    let (mut now, mut seen) = (Time(0), Seen::default());
    for _ in 0..MOST_EVENTS {
        if input.is_empty() {
            break;
        }
        now = match session.deadline() {
            Some(deadline) if input.ratio(1, 4)? => now.max(deadline),
            Some(_) | None => now.after(Duration::from_millis(input.int_in_range(0..=4_000)?)),
        };
        let event = match seen.computing.is_empty() || input.ratio(3, 4)? {
            true => event(input)?,
            false => {
                let task = seen.computing.swap_remove(input.choose_index(seen.computing.len())?);
                Event::Computed { task, update: Digest([input.int_in_range(0..=3)?; 32]) }
            }
        };
        match &event {
            Event::Leased(task) => drop(seen.leased.insert(task.lease)),
            Event::Disconnected { .. } => seen.is_linked = false,
            _ => {}
        }
        let mut actions = Vec::new();
        session.handle(now, event, &mut actions);
        actions.iter().for_each(|action| seen.take(action));
        assert_eq!(session.deadline().is_none(), seen.is_gone, "a session that goes on has plans");
    }
    let mut actions = Vec::new();
    session.handle(now, Event::Drain, &mut actions);
    session.handle(now, Event::Drain, &mut actions);
    let is_over = seen.is_gone || actions.last() == Some(&Action::Exit(Exit::Drained));
    assert!(is_over, "a second drain ends it: {actions:?}");
    Ok(())
}

/// Choices that lead everywhere.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..24).map(|number| crate::noise(number, 128 + 64 * number as usize)).collect()
}
