//! What a worker finds of a coordinator that lies to it, and that nothing is found of one that does not.

use syngrad_engine::receipt::{
    Breach, Check, Checks, Closed, Log, Next, Notice, Record, Root, Signature, Verdict, Whole, Witness,
};
use syngrad_engine::{Digest, Round};

use crate::world::{Mischief, World, given, is_logs, notice, rewritten};

/// Worker 0 lives through a round.
fn live(world: &mut World, witness: &mut Witness, mischief: Mischief<'_>) -> Result<(), Breach> {
    witness.params(world.state.round(), world.state.params_digest())?;
    let sent = world.round_with(mischief);
    witness.give(given(&sent[0]));
    witness.answered(sent[0].lease, Verdict::Accepted);
    Ok(())
}

fn hear(witness: &mut Witness, notices: Vec<Notice>) -> Result<(), Breach> {
    for notice in notices {
        assert_eq!(witness.notice(notice, is_logs)?, Next::Notice);
    }
    Ok(())
}

/// Whether the mischief in the fifth of ten rounds is found, with these checks.
fn found(checks: Checks, mischief: Mischief<'_>) -> Result<(), Breach> {
    let mut world = World::new();
    let mut witness = world.witness(0).with_checks(checks);
    for round in 0..10 {
        live(&mut world, &mut witness, if round == 4 { mischief } else { &|_| {} })?;
        if round % 3 != 1 {
            let notices = world.publish(0);
            hear(&mut witness, notices)?;
        }
    }
    Ok(())
}

/// The mischief goes through where nobody looks, and is found where somebody does.
fn found_only_by(check: Check, mischief: Mischief<'_>) -> Breach {
    assert_eq!(found(Checks::without([check]), mischief), Ok(()), "it succeeds without the check");
    found(Checks::all(), mischief).expect_err("it is found with the check")
}

#[test]
fn an_honest_log_is_followed_to_its_end() {
    let mut world = World::new();
    let mut witness = world.witness(0);
    for round in 0..40 {
        live(&mut world, &mut witness, &|_| {}).expect("honest params");
        if round % 7 == 6 {
            let notices = world.publish(0);
            hear(&mut witness, notices).expect("an honest log");
        }
    }
    let notices = world.publish(0);
    hear(&mut witness, notices).expect("an honest log");
    assert_eq!((witness.seen(), witness.unshown()), (Some(world.log.handed_out().root()), 0));
}

#[test]
fn an_update_that_is_hidden_is_found() {
    let breach = found_only_by(Check::Presence, &|noted| drop(noted.remove(0)));
    assert!(matches!(breach, Breach::Missing { round: Round(4), .. }), "{breach}");
}

#[test]
fn an_update_that_is_counted_twice_is_found() {
    let breach = found_only_by(Check::Once, &|noted| noted.push(noted[0].clone()));
    assert_eq!(breach, Breach::Twice { round: Round(4) });
}

#[test]
fn another_weight_is_found() {
    let breach = found_only_by(Check::Weights, &|noted| noted[0].weight *= 3);
    assert!(matches!(breach, Breach::Changed { what: "its weight", .. }), "{breach}");
}

#[test]
fn an_update_that_is_not_what_was_sent_is_found() {
    let changes: [Mischief<'_>; 4] = [
        &|noted| noted[0].payload.0[3] ^= 1,
        &|noted| noted[0].signature = Signature::ABSENT,
        &|noted| noted[0].params = Digest([1; 32]),
        &|noted| noted[0].saturated += 1,
    ];
    for change in changes {
        let breach = found_only_by(Check::Fidelity, change);
        assert!(matches!(breach, Breach::Changed { round: Round(4), .. }), "{breach}");
    }
}

#[test]
fn a_forged_head_is_found() {
    let mut world = World::new();
    let mut witness = world.witness(0);
    world.round();
    let mut notices = world.publish(0);
    notices[0].signature.0[9] ^= 1;
    assert_eq!(hear(&mut witness, notices), Err(Breach::Forged { size: 1 }));
}

#[test]
fn other_params_than_others_were_sent_are_found() {
    let other = Digest([9; 32]);
    let lives = |checks: Checks| {
        let mut world = World::new();
        let mut witness = world.witness(0).with_checks(checks);
        witness.params(Round(0), other)?;
        world.round();
        let notices = world.publish(0);
        hear(&mut witness, notices)
    };
    assert_eq!(lives(Checks::without([Check::Params])), Ok(()));
    assert!(matches!(lives(Checks::all()), Err(Breach::Params { round: Round(0), .. })));
    // Of the round after the newest record, as soon as they come.
    let mut world = World::new();
    let mut witness = world.witness(0);
    world.round();
    let notices = world.publish(0);
    hear(&mut witness, notices).expect("an honest log");
    assert!(matches!(witness.params(Round(1), other), Err(Breach::Params { round: Round(1), .. })));
}

#[test]
fn history_that_is_rewritten_is_found() {
    let lives = |checks: Checks| {
        let mut world = World::new();
        let mut witness = world.witness(0).with_checks(checks);
        for _ in 0..6 {
            world.round();
            let notices = world.publish(0);
            hear(&mut witness, notices)?;
        }
        world.round();
        world.publish(0);
        // The seventh notice is of a log whose third record is another one.
        hear(&mut witness, vec![notice(&rewritten(&world.receipts, 2)[6], 0)])
    };
    assert_eq!(lives(Checks::without([Check::Growth])), Ok(()));
    assert!(matches!(lives(Checks::all()), Err(Breach::Forked { seen: 6, size: 6, .. })));
}

#[test]
fn a_log_that_forks_where_nobody_watched_is_found() {
    let mut world = World::new();
    let mut witness = world.witness(0);
    for _ in 0..3 {
        world.round();
        let notices = world.publish(0);
        hear(&mut witness, notices).expect("an honest log");
    }
    let seen = witness.seen();
    for _ in 3..9 {
        world.round();
        world.publish(0);
    }
    let leaves = |receipts: &[Vec<u8>]| receipts.iter().map(|record| Record::digest(record)).collect::<Vec<_>>();
    let records: Vec<Vec<u8>> = world.receipts.iter().map(|receipt| receipt.record.clone()).collect();
    let honest = Whole::new(syngrad_engine::receipt::Tree::Log, leaves(&records[..8]));
    let ninth = || notice(&world.batches[8], 0);
    // The honest one is proved to have grown.
    let mut on = Witness::new(world.facts(), crate::world::worker(0), (4, 32), seen);
    assert_eq!(on.notice(ninth(), is_logs), Ok(Next::Proof { seen: 3, size: 8 }));
    assert_eq!(on.proof(&honest.consistency(3)), Ok(Next::Notice));
    assert_eq!(on.seen().map(|root| root.size), Some(9));
    // One whose second record is another is not, whatever is said to prove it.
    let forks = rewritten(&world.receipts, 1);
    let records: Vec<Vec<u8>> = forks.iter().map(|batch| batch.receipts[0].record.clone()).collect();
    let forged = Whole::new(syngrad_engine::receipt::Tree::Log, leaves(&records[..8]));
    for path in [forged.consistency(3), honest.consistency(3)] {
        let mut on = Witness::new(world.facts(), crate::world::worker(0), (4, 32), seen);
        assert_eq!(on.notice(notice(&forks[8], 0), is_logs), Ok(Next::Proof { seen: 3, size: 8 }));
        assert!(matches!(on.proof(&path), Err(Breach::Forked { seen: 3, size: 8, .. })));
    }
    // A log that is shorter than what was seen is none that grew.
    let mut on =
        Witness::new(world.facts(), crate::world::worker(0), (4, 32), Some(Root { size: 20, ..seen.expect("seen") }));
    assert!(matches!(on.notice(ninth(), is_logs), Err(Breach::Forked { seen: 20, .. })));
}

#[test]
fn rounds_computed_again_keep_their_first_record() {
    let mut world = World::new();
    let mut witness = world.witness(0);
    for _ in 0..5 {
        live(&mut world, &mut witness, &|_| {}).expect("honest params");
    }
    let notices = world.publish(0);
    hear(&mut witness, notices).expect("an honest log");
    // The coordinator dies: its state is that of round 2, its log has five records.
    let log = world.log.clone();
    let mut again = World::new();
    for _ in 0..2 {
        again.round();
    }
    let last = Record::digest(&world.receipts[4].record);
    again.log = Log::resumed(world.facts(), log.handed_out().clone(), last);
    witness.restarted();
    for _ in 2..8 {
        live(&mut again, &mut witness, &|_| {}).expect("the same params");
    }
    let notices = again.publish(0);
    assert_eq!(notices.iter().map(|notice| notice.records.len()).sum::<usize>(), 3, "rounds 5 to 7 are new");
    hear(&mut witness, notices).expect("the log goes on from the older head");
    assert_eq!(witness.seen().map(|root| root.size), Some(8));
}

#[test]
fn what_was_refused_while_a_round_was_computed_again_is_in_the_next_new_record() {
    let mut world = World::new();
    world.round();
    world.publish(0);
    let mut again = World::new();
    let last = Record::digest(&world.receipts[0].record);
    again.log = Log::resumed(world.facts(), world.log.handed_out().clone(), last);
    let code = syngrad_engine::receipt::RefusalCode::new(302).expect("a code");
    let (mut late, _) = again.contribution(1);
    late.verdict = Verdict::Late(code);
    again.log.note(late.clone());
    again.round();
    again.round();
    again.publish(0);
    assert_eq!(again.receipts.len(), 1);
    assert!(again.receipts[0].contributions.contains(&late.encode()));
}

#[test]
fn refusals_beyond_the_limit_are_counted() {
    let mut world = World::new();
    let (mut wrong, _) = world.contribution(1);
    wrong.verdict = Verdict::Rejected(syngrad_engine::receipt::RefusalCode::new(309).expect("a code"));
    for _ in 0..syngrad_engine::receipt::MAX_REFUSED + 7 {
        world.log.note(wrong.clone());
    }
    world.round();
    world.publish(0);
    let record = Record::decode(&world.receipts[0].record).expect("a record");
    assert_eq!((record.overflow, record.contributions.size as usize), (7, syngrad_engine::receipt::MAX_REFUSED + 2));
}

#[test]
fn a_sealed_round_that_is_sealed_again_changes_nothing() {
    let mut world = World::new();
    let (before, grid) = (world.state.params_digest(), world.state.grid().clone());
    world.round();
    let log = world.log.clone();
    let record = world.log.clone().hand_out()[0].receipts[0].record.clone();
    let record = Record::decode(&record).expect("a record");
    let commit = syngrad_engine::state::Commit {
        round: Round(0),
        params_digest: record.after,
        units: record.units,
        weight: record.weight,
        saturated: record.saturated,
        chain: record.chain,
    };
    world.log.seal(Closed { commit: &commit, before, grid: &grid, at: 1_800_000_000 });
    assert_eq!(world.log, log);
}
