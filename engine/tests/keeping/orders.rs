//! An order on its way to the disk, and what comes of failures.

use syngrad_engine::keeping::{Counted, Epoch, Setback, Step, Trouble, Writing};
use syngrad_engine::{LeaseId, MemberId};

use super::*;

fn steps(contents: Contents) -> Vec<Step> {
    let mut writing = Writing::new(contents);
    let mut steps = Vec::new();
    while let Some(step) = writing.next() {
        steps.push(step);
        writing.done();
    }
    steps
}

#[test]
fn a_state_is_durable_before_a_row_names_it() {
    assert_eq!(steps(Contents::Whole), [Step::Blob, Step::Rows, Step::Sweep]);
    assert_eq!(steps(Contents::Update), [Step::Blob, Step::Rows]);
    assert_eq!(steps(Contents::Rows), [Step::Rows]);
}

#[test]
fn whoever_computed_an_update_hears_of_it_once_it_is_durable() {
    let counted = Counted { member: MemberId(3), lease: LeaseId(5) };
    let mut desk = Desk::new(Storage::Durable);
    desk.begin(CADENCE, 0, Vec::new(), Origin::Resumed);
    let update = Action::Keep { contents: Contents::Update, rounds: Vec::new() };
    assert_eq!(desk.send(Event::Counted(counted)), [update]);
    assert_eq!(desk.send(Event::Committed(commit(0))), [Action::Step { round: Round(0) }], "the round need not wait");
    assert_eq!(desk.send(delayed()), []);
    assert_eq!(desk.send(Event::Kept), [Action::Accept(counted)]);
    let mut forgetful = Desk::new(Storage::Absent);
    forgetful.begin(CADENCE, 0, Vec::new(), Origin::Asked);
    assert_eq!(forgetful.send(Event::Counted(counted)), [Action::Accept(counted)]);
}

#[test]
fn a_full_disk_is_tried_again_at_the_same_step_and_a_broken_one_is_not() {
    let mut writing = Writing::new(Contents::Whole);
    writing.done();
    assert_eq!(writing.failed(Trouble::Full), Setback::Again(Duration::from_secs(1)));
    assert_eq!(writing.next(), Some(Step::Rows));
    assert_eq!(writing.failed(Trouble::Broken), Setback::Final);
}

#[test]
fn whoever_started_a_run_hears_of_it_once_it_is_durable() {
    let mut desk = Desk::new(Storage::Durable);
    assert_eq!(desk.begin(CADENCE, 0, Vec::new(), Origin::Asked), [rows(&[])]);
    assert_eq!(desk.send(delayed()), []);
    assert_eq!(desk.send(Event::Kept), [acknowledge()]);
}

#[test]
fn a_model_is_served_once_its_number_is_kept_and_the_rounds_before_it_are_kept_with_it() {
    let mut desk = Desk::with_run(CADENCE);
    let (evaluated, serve) = (Event::Evaluated { round: Round(0) }, [Action::Serve { round: Round(0) }]);
    assert_eq!(desk.commit(0), [step(0)]);
    assert_eq!(desk.send(evaluated.clone()), [rows(&[0])]);
    assert_eq!(desk.send(delayed()), []);
    assert_eq!(desk.keeping.view().paused.as_deref(), Some("the disk is full"));
    assert_eq!(desk.send(Event::Kept), serve);
    let mut desk = Desk::new(Storage::Absent);
    desk.begin(CADENCE, 0, Vec::new(), Origin::Asked);
    assert_eq!(desk.send(evaluated), serve);
}

#[test]
fn a_run_is_over_for_others_once_that_is_kept() {
    let mut desk = Desk::with_run(CADENCE);
    assert_eq!(desk.end(RunEnd::Orderly), [whole(&[])]);
    assert_eq!(desk.send(delayed()), []);
    assert_eq!(desk.send(Event::Kept), [Action::Tell]);
}

#[test]
fn a_run_of_an_earlier_process_is_not_begun_again() {
    let mut desk = Desk::new(Storage::Durable);
    assert_eq!(desk.begin(CADENCE, 3, Vec::new(), Origin::Resumed), []);
}

#[test]
fn where_nothing_is_kept_nothing_is_waited_for() {
    let mut desk = Desk::new(Storage::Absent);
    let cadence = Cadence { durability: Durability::EveryRound, ..CADENCE };
    assert_eq!(desk.begin(cadence, 0, Vec::new(), Origin::Asked), [acknowledge()]);
    assert_eq!(desk.wait(5_000).commit(0), [step(0)]);
    assert_eq!(desk.end(RunEnd::Orderly), [Action::Tell]);
}

#[test]
fn after_a_disk_has_failed_nothing_is_acknowledged() {
    let mut desk = Desk::new(Storage::Durable);
    desk.begin(CADENCE, 0, Vec::new(), Origin::Asked);
    assert_eq!(desk.send(Event::Lost), [Action::GiveUp]);
    assert_eq!(desk.send(Event::Kept), []);
    assert_eq!(desk.commit(0), []);
}

#[test]
fn only_the_newest_epoch_writes_and_each_has_leases_of_its_own() {
    assert_eq!(Epoch(2).check(Epoch(2)), Ok(()));
    let fenced = Epoch(2).check(Epoch(3)).expect_err("an older one");
    assert_eq!((fenced.ours, fenced.found), (2, 3));
    assert!(Epoch(3).check(Epoch(2)).is_err(), "a state that was put back to an older copy");
    assert_eq!(Epoch(3).first_lease().0 - Epoch(2).first_lease().0, 1 << 40);
}
