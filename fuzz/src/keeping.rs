//! What is kept and when: whatever comes, nobody hears of what is not durable, and each row is ordered once.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use syngrad_engine::keeping::{
    Action, Begun, Cadence, Contents, Counted, Event, Keeping, Origin, Rows, RunEnd, Setback, Step, Storage, Trouble,
    Writing,
};
use syngrad_engine::spec::Durability;
use syngrad_engine::state::Commit;
use syngrad_engine::{Digest, LeaseId, MemberId, Round, RunId, Time};

/// The most events of an input.
const MOST_EVENTS: usize = 400;

/// Reads events and looks at what is ordered and told.
pub fn check(data: &[u8]) {
    // Bytes that are no whole input are no input.
    let _ = attempt(&mut Unstructured::new(data));
}

fn commit(round: Round, units: u32, params: u8) -> Commit {
    let (params_digest, chain) = (Digest([params; 32]), Digest([params ^ 0xff; 32]));
    Commit { round, params_digest, units, weight: 8, saturated: 0, chain }
}

fn begun(input: &mut Unstructured<'_>) -> Result<Begun> {
    let next = Round(input.int_in_range(0..=4)?);
    let ledger = (0..input.int_in_range(0..=3)?)
        .map(|ahead| Ok(commit(Round(next.0 + ahead), input.int_in_range(3..=4)?, input.int_in_range(0..=2)?)))
        .collect::<Result<_>>()?;
    let cadence = Cadence {
        rounds: input.int_in_range(1..=12)?,
        units: 4,
        checkpoint_rounds: input.int_in_range(1..=4)?,
        checkpoint_time: Duration::from_millis(input.int_in_range(0..=10_000)?),
        rows: *input.choose(&[Rows::Paced, Rows::EachRound])?,
        durability: *input.choose(&[Durability::Checkpoint, Durability::EveryRound])?,
    };
    let origin = *input.choose(&[Origin::Asked, Origin::Resumed])?;
    Ok(Begun { run: RunId([input.int_in_range(1..=2)?; 16]), cadence, next, ledger, origin })
}

/// A shell that does what it is told, and remembers.
#[derive(Default)]
struct Shell {
    /// What was ordered and is not kept yet, and who is to hear of it then.
    orders: VecDeque<Contents>,
    durability: Option<Durability>,
    /// The round of the run that is next, and whether the last one waits.
    next: Round,
    held: Option<Round>,
    /// The first round whose row was not ordered.
    unordered: Round,
    counted: VecDeque<Counted>,
    asked: VecDeque<RunId>,
    /// Whether the run is not the one that the ledger tells of: it can only end.
    is_contradicted: bool,
    is_over: bool,
}

impl Shell {
    fn take(&mut self, storage: Storage, event: &Event, actions: &[Action]) {
        let has_kept = *event == Event::Kept;
        for action in actions {
            assert!(!self.is_over, "nothing follows the end: {action:?}");
            match action {
                Action::Keep { contents, rounds } => {
                    assert_eq!(storage, Storage::Durable);
                    for commit in rounds {
                        assert_eq!(commit.round, self.unordered, "rows are ordered once and in order");
                        self.unordered = commit.round.next();
                    }
                    self.orders.push_back(*contents);
                }
                Action::Accept(counted) => {
                    assert!(has_kept || storage == Storage::Absent, "told before it was durable");
                    assert_eq!(self.counted.pop_front(), Some(*counted), "told in the order of counting");
                }
                Action::Acknowledge { run } => {
                    assert!(has_kept || storage == Storage::Absent, "told before it was durable");
                    assert_eq!(self.asked.pop_front(), Some(*run));
                }
                Action::Step { round } => {
                    assert_eq!(self.held.take(), Some(*round), "a round goes on once");
                    let waits = self.durability == Some(Durability::EveryRound) && storage == Storage::Durable;
                    assert!(!waits || self.orders.is_empty(), "a round goes on before its state is durable");
                }
                Action::Contradict(_) => (self.held, self.is_contradicted) = (None, true),
                Action::GiveUp => self.is_over = true,
                Action::Serve { .. } | Action::Tell => {
                    let waits = storage == Storage::Durable;
                    assert!(!waits || has_kept, "told before it was durable");
                }
            }
        }
    }

    /// What may happen next, as a shell would send it.
    fn event(&mut self, input: &mut Unstructured<'_>, storage: Storage) -> Result<Option<Event>> {
        Ok(match input.int_in_range(0..=12)? {
            0 if self.durability.is_none() => {
                let begun = begun(input)?;
                (self.next, self.unordered, self.durability) = (begun.next, begun.next, Some(begun.cadence.durability));
                (self.held, self.is_contradicted) = (None, false);
                if begun.origin == Origin::Asked {
                    self.asked.push_back(begun.run);
                }
                Some(Event::Begun(begun))
            }
            1..=4 if self.durability.is_some() && self.held.is_none() && !self.is_contradicted => {
                let commit = commit(self.next, input.int_in_range(3..=4)?, input.int_in_range(0..=2)?);
                (self.held, self.next) = (Some(self.next), self.next.next());
                Some(Event::Committed(commit))
            }
            5 => {
                let counted = Counted { member: MemberId(input.arbitrary()?), lease: LeaseId(input.arbitrary()?) };
                self.counted.push_back(counted);
                Some(Event::Counted(counted))
            }
            6 => Some(Event::Evaluated { round: Round(input.int_in_range(0..=9)?) }),
            7 if self.durability.take().is_some() => {
                self.held = None;
                Some(Event::Ended(*input.choose(&[RunEnd::Orderly, RunEnd::Failed])?))
            }
            8..=10 if self.orders.pop_front().is_some() => Some(Event::Kept),
            11 if storage == Storage::Durable => Some(Event::Delayed { why: "full".into() }),
            12 if input.ratio(1, 20)? => Some(Event::Lost),
            _ => None,
        })
    }
}

fn attempt(input: &mut Unstructured<'_>) -> Result<()> {
    let storage = *input.choose(&[Storage::Durable, Storage::Durable, Storage::Durable, Storage::Absent])?;
    let (mut keeping, mut shell, mut now) = (Keeping::new(storage), Shell::default(), Time(0));
    for _ in 0..MOST_EVENTS {
        if input.is_empty() {
            break;
        }
        now = now.after(Duration::from_millis(input.int_in_range(0..=400)?));
        let Some(event) = shell.event(input, storage)? else { continue };
        let mut actions = Vec::new();
        keeping.handle(now, event.clone(), &mut actions);
        shell.take(storage, &event, &actions);
        if !shell.is_over {
            assert_eq!(keeping.outstanding(), shell.orders.len(), "every order is waited for");
            let _ = keeping.view();
        }
        check_writing(input)?;
    }
    Ok(())
}

/// The steps of an order end, whatever fails on the way; only a full disk is worth another try.
fn check_writing(input: &mut Unstructured<'_>) -> Result<()> {
    let contents = *input.choose(&[Contents::Rows, Contents::Update, Contents::Whole])?;
    let (mut writing, mut steps) = (Writing::new(contents), Vec::new());
    while let Some(step) = writing.next() {
        match writing.failed(Trouble::Broken) {
            Setback::Final => {}
            Setback::Again(after) => panic!("after {step:?} broke it is tried again in {after:?}"),
        }
        steps.push(step);
        writing.done();
        assert!(steps.len() <= 3);
    }
    let rows = steps.iter().position(|step| *step == Step::Rows).expect("rows are written");
    let blob = steps.iter().position(|step| *step == Step::Blob);
    assert!(blob.is_none_or(|blob| blob < rows), "a row names a blob that is not durable");
    Ok(())
}

/// Choices that lead everywhere.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..24).map(|number| crate::noise(number, 128 + 64 * number as usize)).collect()
}
