//! Samples that stay with their partners.

use std::collections::BTreeMap;

use syngrad_engine::run::{Outcome, Participation};

use super::*;

/// A unit for each of the partners a, b and c.
fn private(on_missing: OnMissing) -> RunConfig {
    let owners = ["a", "b", "c"].map(partner).to_vec();
    let quorum = QuorumRule { min_units: 2, max_partner_units: 3, on_missing, ..config().quorum };
    RunConfig { units: 3, quorum, ownership: Ownership::Private { owners }, ..config() }
}

fn part(used: u64, late: u64, missing: u64) -> Participation {
    Participation { used, late, missing }
}

fn participation(table: &Table) -> Vec<(String, Participation)> {
    table.run.view().participation.into_iter().map(|(partner, of)| (partner.to_string(), of)).collect()
}

#[test]
fn a_unit_goes_to_its_owner_alone_and_a_round_waits_for_those_who_are_not_there_yet() {
    let mut table = Table::new(private(OnMissing::ReLease));
    assert_eq!(table.join(1, "b"), [admit(1), open(0), assign(1, 0, 0, &[1])]);
    let absent = ["a", "c"].map(partner).to_vec();
    let waiting = Waiting::ForOwners { round: Round(0), absent };
    assert_eq!(table.run.waiting_for(), waiting);
    assert_eq!(waiting.to_string(), "round 0 waits for partners who have no worker here: a, c");
    assert_eq!(table.join(2, "x"), [admit(2)], "a partner without samples in this run gets nothing");
    assert_eq!(table.join(3, "a"), [admit(3), assign(3, 0, 1, &[0])]);
    assert_eq!(table.update(1, 0, 0, &[1]), [accept(1, 0, &[1])]);
    assert_eq!(table.update(3, 0, 1, &[0]), [accept(3, 1, &[0])]);
    assert_eq!(table.join(4, "c"), [admit(4), assign(4, 0, 2, &[2])]);
    assert_eq!(table.update(4, 0, 2, &[2]), [accept(4, 2, &[2]), close(0, &[0, 1, 2])]);
    assert_eq!(participation(&table), ["a", "b", "c"].map(|name| (name.to_owned(), part(1, 0, 0))));
}

#[test]
fn a_lost_units_only_refuge_is_another_worker_of_its_owner() {
    let mut table = Table::new(private(OnMissing::ReLease));
    table.join(1, "a");
    table.join(2, "b");
    assert_eq!(table.send(left(1)), []);
    assert_eq!(table.join(3, "a"), [admit(3), assign(3, 0, 2, &[0])]);
    table.join(4, "a");
    assert_eq!(table.wait(5).send(Event::Tick), [assign(4, 0, 3, &[0])], "the same partner's other worker");
}

#[test]
fn what_outlived_a_restart_is_counted_and_not_leased() {
    let spooled = BTreeMap::from([(Round(1), units(&[1])), (Round(2), units(&[0, 2]))]);
    let run = Run::new(private(OnMissing::ReLease)).resumed(Round(2), LeaseId(100), Round(0)).with_spooled(spooled);
    let mut table = Table { run, now: Time(0) };
    let reuse = Action::Reuse { round: Round(2), units: units(&[0, 2]) };
    assert_eq!(table.join(1, "a"), [admit(1), open(2), reuse]);
    assert_eq!(table.join(2, "b"), [admit(2), assign(2, 2, 100, &[1])]);
    assert_eq!(table.update(2, 2, 100, &[1]), [accept(2, 100, &[1]), close(2, &[0, 1, 2])]);
    assert_eq!(participation(&table), ["a", "b", "c"].map(|name| (name.to_owned(), part(1, 0, 0))));
}

#[test]
fn a_round_that_is_spooled_whole_closes_at_once() {
    let spooled = BTreeMap::from([(Round(0), units(&[0, 1, 2]))]);
    let mut table = Table { run: Run::new(private(OnMissing::Wait)).with_spooled(spooled), now: Time(0) };
    let reuse = Action::Reuse { round: Round(0), units: units(&[0, 1, 2]) };
    assert_eq!(table.join(1, "a"), [admit(1), open(0), reuse, close(0, &[0, 1, 2])]);
}

#[test]
fn who_was_late_or_missing_is_named() {
    let mut table = Table::new(private(OnMissing::Skip));
    table.join(1, "a");
    table.join(2, "b");
    table.join(3, "c");
    table.update(1, 0, 0, &[0]);
    table.update(2, 0, 1, &[1]);
    assert_eq!(table.wait(5).send(Event::Tick), [close(0, &[0, 1])]);
    let late = table.update(3, 0, 2, &[2]);
    assert_eq!(late, [reject(3, 2, Rejection::RoundClosed { found: Round(0) })]);
    let expected = [("a", part(1, 0, 0)), ("b", part(1, 0, 0)), ("c", part(0, 1, 1))];
    assert_eq!(participation(&table), expected.map(|(name, of)| (name.to_owned(), of)));
}

#[test]
fn a_run_that_skips_does_not_wait_for_ever_below_its_quorum() {
    let quorum = QuorumRule { min_partners: 2, ..private(OnMissing::Skip).quorum };
    let mut table = Table::new(RunConfig { quorum, ..private(OnMissing::Skip) });
    table.join(1, "a");
    assert_eq!(table.run.deadline(), Some(Time(0).after(Duration::from_secs(20))), "only the member's silence");
    table.join(2, "b");
    table.send(left(2));
    let failed = table.wait(5).send(Event::Tick);
    let [Action::Finish(Outcome::Failed { round: Round(0), why })] = failed.as_slice() else { panic!("{failed:?}") };
    assert!(why.contains("1 partners were present") && why.contains("min_partners is 2"), "{why}");
}

#[test]
fn nor_between_two_rounds() {
    let quorum = QuorumRule { min_partners: 2, ..private(OnMissing::Skip).quorum };
    let mut table = Table::new(RunConfig { quorum, ..private(OnMissing::Skip) });
    table.join(1, "a");
    table.join(2, "b");
    table.update(1, 0, 0, &[0]);
    table.update(2, 0, 1, &[1]);
    table.wait(5).send(Event::Tick);
    table.send(left(2));
    assert_eq!(table.send(stepped(0)), []);
    let failed = table.wait(5).send(Event::Tick);
    let [Action::Finish(Outcome::Failed { round: Round(1), why })] = failed.as_slice() else { panic!("{failed:?}") };
    assert!(why.contains("1 of 2 are present"), "{why}");
}
