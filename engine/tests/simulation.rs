//! Thousands of worlds in which things go wrong, and the bugs that they must find.

#![allow(clippy::disallowed_macros, reason = "what was found, and by which seed, is worth reading")]

use syngrad_engine::run::Outcome;
use syngrad_engine::simulation::{Bug, Totals, Trace, Violation, simulate, simulate_undisturbed};

/// Of these, two thousand and more have a coordinator that dies.
const SEEDS: u64 = 4_000;

fn story(violation: &Violation) -> String {
    format!("{violation}; replay it with: cargo xtask sim --seed {} --trace", violation.seed)
}

#[test]
fn the_same_bits_come_out_whatever_goes_wrong() {
    let mut totals = Totals::default();
    let (mut completed, mut failed, mut crashing) = (0, 0, 0);
    for seed in 0..SEEDS {
        let summary = simulate(seed, None, Trace::Off).unwrap_or_else(|violation| panic!("{}", story(&violation)));
        totals.add(&summary.totals);
        crashing += u64::from(summary.totals.coordinator_crashes > 0);
        match summary.outcome {
            Outcome::Completed => completed += 1,
            Outcome::Failed { .. } => failed += 1,
            Outcome::Stopped { .. } => {}
        }
    }
    println!("{completed} completed, {failed} failed, {crashing} saw the coordinator die: {totals:?}");
    assert!(crashing >= 2_000, "too few coordinators die: {crashing}");
    assert!(completed > SEEDS * 3 / 4, "most runs come to their end: {completed}");
    for (what, count) in [
        ("cuts", totals.cuts),
        ("kills", totals.kills),
        ("stalls", totals.stalls),
        ("pauses", totals.pauses),
        ("forgeries", totals.forgeries),
        ("duplicates", totals.duplicates),
        ("late updates", totals.late),
        ("rejected updates", totals.rejected),
        ("units leased again", totals.units_released),
        ("audits", totals.audits),
        ("restarts", totals.restarts),
        ("rounds computed again", totals.rounds_again),
        ("private units kept over a restart", totals.units_reused),
    ] {
        assert!(count > SEEDS / 3, "too little goes wrong to prove anything: {count} {what}");
    }
    for (what, count) in [
        ("writes lost at a crash", totals.lost_writes),
        ("torn training states", totals.torn_blobs),
        ("damaged training states", totals.damaged_blobs),
        ("falls back to an older state", totals.fallbacks),
        ("waits for a full disk", totals.disk_pauses),
        ("failed writes", totals.io_errors),
        ("fenced writes", totals.fenced),
        ("contradicted ledgers", totals.contradictions),
        ("audits that found a wrong update", totals.audits_failed),
        ("wrong updates taken back", totals.retractions),
        ("audits that nobody could answer", totals.audits_lapsed),
    ] {
        assert!(count > SEEDS / 200, "too little of what is rare goes wrong to prove anything: {count} {what}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (0..SEEDS).find_map(|seed| simulate(seed, Some(bug), Trace::Off).err());
        match found {
            Some(violation) => println!("{bug:?}: {violation}"),
            None => panic!("{SEEDS} worlds do not find {bug:?}"),
        }
    }
}

#[test]
fn a_seed_is_a_world() {
    for seed in [1, 17, 1_999] {
        let trace = |seed| simulate(seed, None, Trace::On).map(|summary| summary.trace);
        assert_eq!(trace(seed), trace(seed), "the same seed tells the same story");
        assert_ne!(trace(seed), trace(seed + 1), "another seed tells another");
    }
}

#[test]
fn without_faults_nothing_is_leased_again() {
    for seed in 0..200 {
        let summary =
            simulate_undisturbed(seed, Trace::Off).unwrap_or_else(|violation| panic!("{}", story(&violation)));
        assert_eq!((summary.totals.cuts, summary.totals.kills), (0, 0));
    }
}
