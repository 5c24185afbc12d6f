//! What an audit finds in a log whose writer lied, and that it finds nothing in an honest one.

use std::collections::BTreeSet;

use syngrad_engine::Digest;
use syngrad_engine::receipt::{Check, Checks, Contribution, Fault, Record, RefusalCode, Signature, Verdict};

use crate::world::{Mischief, World, sign};

/// What is done, the checks that could find it, and what is found.
type Case<'a> = (Mischief<'a>, &'a [Check], Fault);

fn world_with(mischief: Mischief<'_>) -> World {
    let mut world = World::new();
    for round in 0..10 {
        world.round_with(if round == 4 { mischief } else { &|_| {} });
        world.publish(0);
    }
    world
}

fn faults(world: &World, checks: Checks) -> BTreeSet<Fault> {
    world.audit(checks).findings().iter().map(|finding| finding.fault).collect()
}

#[test]
fn an_honest_log_of_a_hundred_rounds_is_computed_again() {
    let mut world = World::new();
    let wrong = Verdict::Rejected(RefusalCode::new(1301).expect("a code"));
    for round in 0..100 {
        if round % 10 == 3 {
            let (mut refused, _) = world.contribution(1);
            (refused.verdict, refused.signature) = (wrong, Signature::ABSENT);
            world.log.note(refused);
        }
        world.round();
        if round % 3 == 0 {
            world.publish(0);
        }
    }
    world.publish(0);
    let audit = world.audit(Checks::all());
    assert_eq!(audit.findings(), []);
    assert_eq!(audit.state(), Some(&world.state), "the audit comes to the same state, bit by bit");
    assert_eq!(audit.root(), world.log.handed_out().root());
}

#[test]
fn what_was_accepted_and_then_shown_to_be_wrong_is_rejected_in_its_record() {
    let mut world = World::new();
    let code = RefusalCode::new(1501).expect("a code");
    let (wrong, _) = world.contribution(1);
    let (mut auditors, _) = world.contribution(0);
    auditors.verdict = Verdict::Duplicate(RefusalCode::new(307).expect("a code"));
    for given in [&wrong, &auditors] {
        world.log.note(given.clone());
        world.log.convict(given.lease, code);
    }
    world.round();
    world.publish(0);
    let recorded = world.receipts[0].contributions.iter().map(|bytes| Contribution::decode(bytes).expect("its own"));
    let of =
        |lease| recorded.clone().filter(|given| given.lease == lease).map(|given| given.verdict).collect::<Vec<_>>();
    for lease in [wrong.lease, auditors.lease] {
        assert_eq!(of(lease), [Verdict::Rejected(code)]);
    }
    assert_eq!(world.audit(Checks::all()).findings(), []);
}

#[test]
fn each_mischief_is_found_by_its_check_and_by_no_other() {
    let twice: Mischief<'_> = &|noted| {
        noted[1].verdict = Verdict::Audited;
        noted.push(noted[0].clone());
    };
    let cases: [Case<'_>; 5] = [
        (&|noted| drop(noted.remove(0)), &[Check::Presence, Check::Arithmetic], Fault::Uncounted),
        (twice, &[Check::Once, Check::Presence, Check::Arithmetic], Fault::CountedTwice),
        (&|noted| noted[0].weight *= 3, &[Check::Weights, Check::Presence], Fault::OtherWeight),
        (
            &|noted| {
                noted[0].params = Digest([1; 32]);
                noted[0].signature =
                    sign(0, &noted[0].statement(syngrad_engine::RunId([3; 16]), Digest([4; 32])).encode());
            },
            &[Check::Params],
            Fault::OtherParams,
        ),
        (&|noted| noted[1].signature.0[0] ^= 1, &[Check::Signatures], Fault::Unsigned),
    ];
    for (mischief, checks, fault) in cases {
        let world = world_with(mischief);
        let unseen = faults(&world, Checks::without(checks.iter().copied()));
        assert!(unseen.is_empty(), "{fault:?} succeeds where nobody looks: {unseen:?}");
        let found = world.audit(Checks::all());
        let of_round = found.findings().iter().find(|finding| finding.fault == fault);
        let of_round = of_round.unwrap_or_else(|| panic!("{fault:?} is found: {:?}", found.findings()));
        assert_eq!(of_round.round.map(|round| round.0), Some(4));
        assert!(!fault.conclusion().is_empty());
    }
}

#[test]
fn an_update_that_is_not_the_archived_one_is_found() {
    let mut world = world_with(&|_| {});
    let payload = Contribution::decode(&world.receipts[3].contributions[1]).expect("a contribution").payload;
    world.updates.get_mut(&payload).expect("it is archived")[5] ^= 1;
    assert_eq!(faults(&world, Checks::all()), BTreeSet::from([Fault::UpdateMissing]));
    world.updates.remove(&payload);
    assert_eq!(faults(&world, Checks::all()), BTreeSet::from([Fault::UpdateMissing]));
}

#[test]
fn params_that_the_updates_do_not_come_to_are_found() {
    let mut world = world_with(&|_| {});
    for receipt in &mut world.receipts[6..] {
        let mut record = Record::decode(&receipt.record).expect("a record");
        record.chain.0[0] ^= 1;
        receipt.record = record.encode();
    }
    let found = world.audit(Checks::without([Check::Growth]));
    let faults: Vec<_> =
        found.findings().iter().map(|finding| (finding.round.map(|round| round.0), finding.fault)).collect();
    assert_eq!(faults, [(Some(6), Fault::OtherResult)]);
}

#[test]
fn a_rewritten_record_breaks_the_chain_and_the_heads() {
    let mut world = world_with(&|_| {});
    let mut record = Record::decode(&world.receipts[2].record).expect("a record");
    record.overflow = 0;
    record.saturated += 1;
    world.receipts[2].record = record.encode();
    let found = faults(&world, Checks::all());
    assert!(found.contains(&Fault::Broken), "{found:?}");
    assert!(found.contains(&Fault::Uncounted), "{found:?}");
}
