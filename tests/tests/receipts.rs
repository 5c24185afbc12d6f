//! Receipts, over the real protocol: workers follow the log, runs are exported and verified, and whatever is changed in
//! an archive is found.

#[path = "receipts/cluster.rs"]
mod cluster;
#[path = "receipts/forger.rs"]
mod forger;
#[path = "receipts/tampering.rs"]
mod tampering;

use syngrad_engine::receipt::{Check, Checks, Verdict};

use cluster::{Cluster, Party, verify};
use forger::Forger;

/// What a coordinator does to its own archive.
type Lie<'a> = &'a dyn Fn(&mut Forger<'_>);

#[test]
fn an_honest_run_of_a_hundred_rounds_verifies_and_its_workers_have_seen_it() {
    let party = Party::new();
    let archive = party.run(100);
    let verified = verify(&archive, &Checks::all());
    assert_eq!(verified.findings, []);
    assert_eq!((verified.rounds, verified.computed), (100, 100));
    assert!(verified.contributions >= 200, "two partners a round: {}", verified.contributions);
    assert_eq!(verified.params_digest, archive.params);
    eprintln!("100 rounds verified in {:.3} s", verified.seconds);
    // Each worker's own memory of the log is a head of it.
    for seen in party.witnesses() {
        let verified = archive.verified_with(|args| args.witness = vec![seen.clone()], &Checks::all());
        assert_eq!(verified.expect("an archive").findings, [], "{}", seen.display());
    }
    // Pinned to the right authority it verifies, and to another it does not.
    let pinned = |sha256: String| {
        let verified = archive.verified_with(|args| args.authority = Some(sha256.clone()), &Checks::all());
        verified.expect("an archive")
    };
    let right = pinned(party.authority());
    assert!(right.findings.is_empty() && right.pinned);
    assert!(!pinned("0".repeat(64)).findings.is_empty());
    // The samples are synthetic: every unit is computed again.
    let again = archive.verified_with(|args| args.data = vec![cluster::any_samples()], &Checks::all());
    let again = again.expect("an archive");
    assert_eq!((again.findings, again.units), (Vec::new(), 100 * u64::from(cluster::UNITS)));
}

#[test]
fn a_log_goes_on_over_a_crash_and_never_forks() {
    let party = Party::new();
    let mut cluster = Cluster::start(&party);
    cluster.begin(60);
    cluster.until_round(20);
    cluster.crash();
    let mut cluster = Cluster::start(&party);
    cluster.until_over();
    let archive = cluster.export();
    let verified = verify(&archive, &Checks::all());
    assert_eq!((verified.findings, verified.rounds), (Vec::new(), 60));
    let told = party.told();
    assert!(!told.iter().any(|line| line.contains("cannot take part")), "no worker saw a breach: {told:?}");
}

#[test]
fn a_coordinator_that_lies_is_found_by_the_check_that_is_for_it() {
    let party = Party::new();
    let archive = party.run(12);
    let hide = |forger: &mut Forger<'_>| drop(forger.contributions(5).remove(0));
    let twice = |forger: &mut Forger<'_>| {
        let again = forger.contributions(5)[0].clone();
        forger.contributions(5)[1].verdict = Verdict::Audited;
        forger.contributions(5).push(again);
    };
    let weight = |forger: &mut Forger<'_>| forger.contributions(5)[0].weight *= 2;
    let params = |forger: &mut Forger<'_>| forger.sign_over_other_params(5);
    let forge = |forger: &mut Forger<'_>| forger.contributions(5)[0].signature.0[7] ^= 1;
    let history = |forger: &mut Forger<'_>| forger.change_params(5);
    let cases: [(&str, Lie<'_>, &[Check]); 6] = [
        ("hides an update", &hide, &[Check::Presence, Check::Arithmetic]),
        ("counts one twice", &twice, &[Check::Once, Check::Presence, Check::Arithmetic]),
        ("changes a weight", &weight, &[Check::Weights, Check::Presence]),
        ("serves other params", &params, &[Check::Params]),
        ("forges an update", &forge, &[Check::Signatures]),
        ("changes the params", &history, &[Check::Params, Check::Arithmetic]),
    ];
    for (name, lie, checks) in cases {
        let forged = Forger::open(&archive, &party).forged(lie);
        let unseen = verify(&forged, &Checks::without(checks.iter().copied()));
        assert_eq!(unseen.findings, [], "{name} succeeds where nobody looks");
        let found = verify(&forged, &Checks::all());
        assert!(found.findings.iter().any(|wrong| wrong.round == Some(5)), "{name}: {:?}", found.findings);
        assert!(found.failure().is_some(), "{name}");
    }
}

#[test]
fn history_that_is_rewritten_for_everybody_is_found_by_what_one_worker_saw() {
    let party = Party::new();
    let archive = party.run(12);
    // Another claim about clamped entries in one round, and all that follows made to fit and signed again.
    let forged = Forger::open(&archive, &party).forged(&|forger: &mut Forger<'_>| {
        forger.contributions(3)[0].micros += 1;
    });
    assert_eq!(verify(&forged, &Checks::all()).findings, [], "by itself it is a log like any other");
    let seen = party.witnesses().remove(0);
    let found = forged.verified_with(|args| args.witness = vec![seen.clone()], &Checks::all());
    assert!(!found.expect("an archive").findings.is_empty(), "the head that the worker saw is none of it");
    let unseen = forged.verified_with(|args| args.witness = vec![seen.clone()], &Checks::without([Check::Growth]));
    assert_eq!(unseen.expect("an archive").findings, []);
}

#[test]
fn whatever_is_changed_in_an_archive_is_found() {
    let party = Party::new();
    let archive = party.run(12);
    let began = std::time::Instant::now();
    for seed in 0..1_000 {
        let (what, found) = tampering::tamper(&archive, seed, &Checks::all());
        assert!(found, "tampering {seed} is not found: {what}");
    }
    // What the files hold says it too, without the manifest's digests.
    for seed in 0..300 {
        let (what, found) = tampering::tamper(&archive, seed, &Checks::without([Check::Files]));
        assert!(found, "tampering {seed} is not found without the manifest: {what}");
    }
    eprintln!("1,300 tamperings found in {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
fn a_run_without_keys_has_no_receipts_and_says_so() {
    let party = Party::without_keys();
    let mut cluster = Cluster::start(&party);
    cluster.begin(4);
    cluster.until_over();
    let failure = cluster.try_export().expect_err("there is nothing to export");
    assert_eq!(failure.code().as_str(), "E1313", "{failure:?}");
}
