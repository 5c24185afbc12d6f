//! After a crash: where a run goes on, and what it must come out as.

use syngrad_engine::keeping::{History, NoneWhole, newest_whole, settled};

use super::*;

#[test]
fn a_run_goes_on_from_the_newest_state_that_is_whole() {
    let from = |whole: &[u32]| {
        let read = |_, blob| whole.contains(&blob).then_some(blob);
        newest_whole([(Round(8), 80), (Round(4), 40)], read)
    };
    assert_eq!(from(&[80, 40]), Ok(Some((Round(8), 80))));
    assert_eq!(from(&[40]), Ok(Some((Round(4), 40))));
    assert_eq!(from(&[]), Err(NoneWhole), "what was trained is not thrown away");
    assert_eq!(newest_whole([], |_, blob: u32| Some(blob)), Ok(None), "a run without any begins anew");
}

#[test]
fn a_round_that_comes_out_otherwise_than_the_ledger_says_ends_the_run_and_leaves_the_ledger() {
    let mut desk = Desk::new(Storage::Durable);
    desk.begin(CADENCE, 3, vec![commit(3), commit(4)], Origin::Resumed);
    assert_eq!(desk.keeping.view().again, 2);
    assert_eq!(desk.commit(3), [step(3)]);
    assert_eq!(desk.keeping.view().again, 1);
    let other = Commit { params_digest: Digest([99; 32]), ..commit(4) };
    let actions = desk.send(Event::Committed(other));
    let [Action::Contradict(differs)] = &actions[..] else { panic!("{actions:?}") };
    assert!(differs.to_string().contains("round 4"), "{differs}");
    assert_eq!(desk.end(RunEnd::Failed), [rows(&[3])], "the other round 4 is not written");
}

#[test]
fn the_rounds_that_a_ledger_has_are_settled() {
    assert_eq!(settled(&[commit(3), commit(4)]), Round(5));
    assert_eq!(settled(&[]), Round(0));
}

#[test]
fn history_has_params_and_chains() {
    let history = History::new(vec![commit(3), commit(4)]);
    assert_eq!(history.check(&commit(3)), Ok(()));
    for other in
        [Commit { params_digest: Digest([9; 32]), ..commit(3) }, Commit { chain: Digest([9; 32]), ..commit(3) }]
    {
        assert!(history.check(&other).is_err());
    }
    assert_eq!(history.check(&commit(5)), Ok(()), "the ledger does not know of it");
    assert_eq!([3, 4, 5].map(|round| history.ahead_of(Round(round))), [2, 1, 0]);
}
