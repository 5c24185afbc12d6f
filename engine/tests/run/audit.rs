//! Audits: another partner computes an update again, and whoever is wrong is found.

use syngrad_engine::run::{AuditCounters, Caught, Finding};

use super::*;

const RIGHT: &[u8] = b"a sum";
const WRONG: &[u8] = b"another";

fn audited(on_missing: OnMissing) -> RunConfig {
    let quorum = QuorumRule { on_missing, ..config().quorum };
    RunConfig { quorum, min_members: 2, audit: AuditRule::new(1.0, 8, AuditSeed([7; 32])), ..config() }
}

/// Members 1 of partner a and 2 of partner b; round 0 is open under leases 0 (units 0 and 1) and 1 (2 and 3).
fn table_of(config: RunConfig) -> Table {
    let mut table = Table::new(config);
    table.join(1, "a");
    table.join(2, "b");
    table
}

fn table() -> Table {
    table_of(audited(OnMissing::ReLease))
}

pub(super) fn judged(sum: &[u8], round: u32, lease: u64) -> Event {
    Event::Judged { round: Round(round), lease: LeaseId(lease), digest: Digest::of(Domain::Update, sum) }
}

fn audit(lease: u64) -> Action {
    Action::Audit { lease: LeaseId(lease) }
}

fn ended(lease: u64, finding: Finding) -> Action {
    Action::Audited { lease: LeaseId(lease), finding }
}

fn convict(lease: u64) -> Action {
    Action::Convict { lease: LeaseId(lease) }
}

fn judge(lease: u64, of: &[u32]) -> Action {
    Action::Judge { round: Round(0), lease: LeaseId(lease), units: units(of) }
}

fn duplicate(member: u64, lease: u64, unit: u32) -> Action {
    reject(member, lease, Rejection::AlreadyCounted { unit: Unit(unit) })
}

fn wrong(of: &str, these: &[u32]) -> Rejection {
    Rejection::WrongUpdate { partner: partner(of), round: Round(0), units: units(these) }
}

fn counted(table: &Table) -> (u64, u64, u64, u64) {
    let AuditCounters { made, passed, failed, lapsed } = table.run.view().counters.audits;
    (made, passed, failed, lapsed)
}

/// Both answer; member 1 sends `sum`, and leases 2 and 3 are the audits of leases 0 and 1.
fn both_answer(table: &mut Table, sum: &[u8]) {
    let actions = table.send(update_of(sum, 1, 0, 0, &[0, 1]));
    assert_eq!(actions, [accept(1, 0, &[0, 1]), audit(0), assign(2, 0, 2, &[0, 1])]);
    let actions = table.update(2, 0, 1, &[2, 3]);
    assert_eq!(actions, [accept(2, 1, &[2, 3]), audit(1), assign(1, 0, 3, &[2, 3])]);
    let members = vec![MemberId(1), MemberId(2)];
    assert_eq!(table.run.waiting_for(), Waiting::ForAudits { round: Round(0), audits: 2, members });
}

#[test]
fn a_round_closes_when_its_audits_have_passed_and_an_auditor_hears_what_a_straggler_would() {
    let mut table = table();
    both_answer(&mut table, RIGHT);
    assert_eq!(table.update(1, 0, 3, &[2, 3]), [duplicate(1, 3, 2), ended(1, Finding::Passed)]);
    let last = table.update(2, 0, 2, &[0, 1]);
    assert_eq!(last, [duplicate(2, 2, 0), ended(0, Finding::Passed), close(0, &[0, 1, 2, 3])]);
    assert_eq!(counted(&table), (2, 2, 0, 0));
    let counters = table.run.view().counters;
    assert_eq!((counters.accepted, counters.duplicates, counters.rejected), (2, 0, 0));
}

#[test]
fn a_wrong_update_is_taken_back_its_partner_is_out_and_its_units_are_leased_again() {
    let mut table = table();
    both_answer(&mut table, WRONG);
    assert_eq!(table.update(2, 0, 2, &[0, 1]), [duplicate(2, 2, 0), judge(0, &[0, 1])]);
    assert_eq!(table.update(1, 0, 3, &[2, 3]), [duplicate(1, 3, 2), ended(1, Finding::Passed)]);
    assert!(table.run.waiting_for().to_string().contains("computing the units of 1 updates of round 0"));
    let actions = table.send(judged(RIGHT, 0, 0));
    let retract = Action::Retract { lease: LeaseId(0) };
    let out =
        [retract, ended(0, Finding::Failed), convict(0), dismiss(1, wrong("a", &[0, 1])), assign(2, 0, 4, &[0, 1])];
    assert_eq!(actions, out);
    let caught = Caught { partner: partner("a"), worker: worker(1), round: Round(0), units: units(&[0, 1]) };
    assert_eq!(table.run.view().caught, [caught]);
    // Nobody of another partner is left: the audit lapses when all is counted.
    let last = table.update(2, 0, 4, &[0, 1]);
    assert_eq!(last, [accept(2, 4, &[0, 1]), audit(4), ended(4, Finding::Lapsed), close(0, &[0, 1, 2, 3])]);
    assert_eq!(counted(&table), (3, 1, 1, 1));
    assert_eq!(table.join(9, "a"), [dismiss(9, wrong("a", &[0, 1]))], "nor do other workers of the partner");
}

#[test]
fn an_auditor_that_is_wrong_is_out_and_the_update_stays() {
    let mut table = table();
    both_answer(&mut table, RIGHT);
    table.update(1, 0, 3, &[2, 3]);
    table.send(update_of(WRONG, 2, 0, 2, &[0, 1]));
    let actions = table.send(judged(RIGHT, 0, 0));
    let out = [ended(0, Finding::Failed), convict(2), dismiss(2, wrong("b", &[0, 1])), close(0, &[0, 1, 2, 3])];
    assert_eq!(actions, out);
}

#[test]
fn both_may_be_wrong() {
    let mut table = table();
    table.join(3, "c");
    table.send(update_of(WRONG, 1, 0, 0, &[0, 1]));
    let auditor = if table.run.view().members[1].units > 2 { 2 } else { 3 };
    table.send(update_of(b"a third", auditor, 0, 2, &[0, 1]));
    let actions = table.send(judged(RIGHT, 0, 0));
    let dismissed = |action: &&Action| matches!(action, Action::Dismiss { .. });
    assert_eq!(actions.iter().filter(dismissed).count(), 2, "{actions:?}");
    assert!([Action::Retract { lease: LeaseId(0) }, convict(0), convict(2)].iter().all(|due| actions.contains(due)));
}

#[test]
fn when_an_auditor_leaves_another_is_asked_and_when_nobody_is_left_the_audit_lapses() {
    let mut table = table();
    both_answer(&mut table, RIGHT);
    table.join(3, "b");
    table.update(1, 0, 3, &[2, 3]);
    assert_eq!(table.send(left(2)), [assign(3, 0, 4, &[0, 1])]);
    assert_eq!(table.send(left(3)), [ended(0, Finding::Lapsed), close(0, &[0, 1, 2, 3])]);
}

#[test]
fn while_the_round_cannot_close_an_audit_waits_for_its_auditor_to_come_back() {
    let quorum = QuorumRule { min_partners: 2, ..config().quorum };
    let mut table = table_of(RunConfig { quorum, ..audited(OnMissing::ReLease) });
    both_answer(&mut table, RIGHT);
    table.update(1, 0, 3, &[2, 3]);
    assert_eq!(table.send(left(2)), []);
    assert_eq!(table.join(3, "b"), [admit(3), assign(3, 0, 4, &[0, 1])]);
    let last = table.update(3, 0, 4, &[0, 1]);
    assert_eq!(last, [duplicate(3, 4, 0), ended(0, Finding::Passed), close(0, &[0, 1, 2, 3])]);
}

#[test]
fn at_the_deadline_others_are_asked_too_and_the_first_answer_is_compared() {
    let mut table = table();
    both_answer(&mut table, RIGHT);
    table.join(3, "b");
    table.update(1, 0, 3, &[2, 3]);
    assert_eq!(table.wait(5).send(Event::Tick), [assign(3, 0, 4, &[0, 1])]);
    let first = table.update(3, 0, 4, &[0, 1]);
    assert_eq!(first, [duplicate(3, 4, 0), ended(0, Finding::Passed), close(0, &[0, 1, 2, 3])]);
    table.send(stepped(0));
    let late = Rejection::StaleRound { found: Round(0), open: Round(1) };
    assert_eq!(table.update(2, 0, 2, &[0, 1]), [reject(2, 2, late)]);
}

#[test]
fn a_deadline_that_skips_lets_audits_lapse_but_waits_for_a_judgement() {
    let mut table = table_of(audited(OnMissing::Skip));
    both_answer(&mut table, WRONG);
    table.update(2, 0, 2, &[0, 1]);
    assert_eq!(table.wait(5).send(Event::Tick), [ended(1, Finding::Lapsed)]);
    let actions = table.send(judged(RIGHT, 0, 0));
    assert!(actions.contains(&assign(2, 0, 4, &[0, 1])), "there is time for its units: {actions:?}");
    assert_eq!(table.run.deadline(), Some(table.now.after(Duration::from_secs(5))));
}

#[test]
fn a_malformed_answer_of_an_auditor_is_asked_for_again() {
    let mut table = table();
    both_answer(&mut table, RIGHT);
    assert_eq!(table.send(malformed(2, Some(2))), [assign(2, 0, 4, &[0, 1])]);
    assert_eq!(table.update(2, 0, 4, &[0, 1]), [duplicate(2, 4, 0), ended(0, Finding::Passed)]);
}

#[test]
fn what_a_wrong_update_overtook_does_not_count_when_that_is_taken_back() {
    let mut table = table();
    assert_eq!(table.wait(5).send(Event::Tick), [assign(1, 0, 2, &[2, 3]), assign(2, 0, 3, &[0, 1])]);
    table.send(update_of(WRONG, 1, 0, 0, &[0, 1]));
    // Member 2 has its own lease of these units, which was overtaken, and now their audit.
    table.update(2, 0, 4, &[0, 1]);
    let actions = table.send(judged(RIGHT, 0, 0));
    assert!(actions.contains(&assign(2, 0, 5, &[0, 1])), "{actions:?}");
    assert_eq!(table.update(2, 0, 3, &[0, 1]), [duplicate(2, 3, 0)]);
    assert_eq!(table.update(2, 0, 5, &[0, 1]).first(), Some(&accept(2, 5, &[0, 1])));
}

#[test]
fn more_audits_than_may_be_open_lapse_and_a_run_that_ends_lets_all_lapse() {
    let mut table =
        table_of(RunConfig { audit: AuditRule::new(1.0, 1, AuditSeed([7; 32])), ..audited(OnMissing::Wait) });
    table.update(1, 0, 0, &[0, 1]);
    assert_eq!(table.update(2, 0, 1, &[2, 3]), [accept(2, 1, &[2, 3])]);
    assert_eq!(counted(&table), (2, 0, 0, 1));
    table.send(Event::Stop);
    assert_eq!(counted(&table), (2, 0, 0, 2));
    assert_eq!(table.send(judged(WRONG, 0, 0)), [], "nobody waits for it any more");
}

#[test]
fn a_partner_that_an_earlier_process_caught_stays_out() {
    let caught = Caught { partner: partner("a"), worker: worker(9), round: Round(0), units: units(&[1]) };
    let config = audited(OnMissing::ReLease);
    let run = Run::new(config).resumed(Round(1), LeaseId(1 << 40), Round(0)).with_caught([caught.clone()]);
    let mut table = Table { run, now: Time(0) };
    assert_eq!(table.join(1, "a"), [dismiss(1, wrong("a", &[1]))]);
    assert_eq!(table.join(2, "b").first(), Some(&admit(2)));
    assert_eq!(table.run.view().caught, [caught]);
}
