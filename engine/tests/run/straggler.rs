//! Stragglers: what takes longer than can be explained is given to others, long before the round's deadline.

use super::*;

/// The fixed deadline of these runs, in seconds: far away.
const DEADLINE: u64 = 1_000;

fn long_run(on_missing: OnMissing) -> Table {
    let quorum = QuorumRule { on_missing, round_deadline: Duration::from_secs(DEADLINE), ..config().quorum };
    Table::of_two_with(RunConfig { quorum, rounds: 10_000, silence: Duration::from_secs(100_000), ..config() })
}

/// Both members answer each of `rounds` rounds from `first` on, so many milliseconds after its opening.
fn rounds(table: &mut Table, first: u32, rounds: u32, took: impl Fn(u32) -> [u64; 2]) {
    for round in first..first + rounds {
        let opened = table.now;
        let mut answers = [(took(round)[0], 1, [0, 1]), (took(round)[1], 2, [2, 3])];
        answers.sort_unstable();
        for (millis, member, of) in answers {
            let answered = opened.after(Duration::from_millis(millis));
            while let Some(due) = table.run.deadline().filter(|due| *due <= answered) {
                table.now = due;
                assert_eq!(table.send(Event::Tick), [], "round {round}: a healthy worker counts as a straggler");
            }
            table.now = answered;
            let lease = u64::from(round) * 2 + member - 1;
            assert_eq!(table.update(member, round, lease, &of)[0], accept(member, lease, &of));
        }
        table.send(stepped(round));
    }
    assert_eq!(table.run.view().counters.units_released, 0);
}

#[test]
fn two_equal_workers_are_never_leased_each_other_s_units_whatever_the_jitter() {
    let mut table = long_run(OnMissing::ReLease);
    let jitter = |round: u32, salt: u32| {
        let drawn = u64::from((round * 2 + salt).wrapping_mul(2_654_435_761) >> 16) % 1_000;
        // Around two seconds, one answer in 50 takes half as long again.
        2_000 + drawn * 2 / 5 - 200 + if drawn < 20 { 1_000 } else { 0 }
    };
    rounds(&mut table, 0, 1_000, |round| [jitter(round, 0), jitter(round, 1)]);
}

#[test]
fn workers_of_different_speeds_are_measured_by_their_own() {
    let mut table = long_run(OnMissing::ReLease);
    rounds(&mut table, 0, 15, |_| [1_000, 9_000]);
}

#[test]
fn noise_does_not_shake_rounds_of_milliseconds() {
    let mut table = long_run(OnMissing::ReLease);
    rounds(&mut table, 0, 200, |round| [2, if round % 10 == 9 { 700 } else { 3 }]);
}

#[test]
fn a_stopped_worker_s_units_are_leased_to_others_when_its_own_pace_says_so() {
    let mut table = long_run(OnMissing::ReLease);
    rounds(&mut table, 0, 10, |_| [1_000, 1_000]);
    let opened = table.now;
    assert_eq!(table.run.due(LeaseId(21)), Some(opened.after(Duration::from_secs(2))));
    table.wait(1).update(1, 10, 20, &[0, 1]);
    assert_eq!(table.run.deadline(), Some(opened.after(Duration::from_secs(2))), "not {DEADLINE} seconds");
    assert_eq!(table.wait(1).send(Event::Tick), [assign(1, 10, 22, &[2, 3])]);
    assert_eq!(table.wait(1).update(1, 10, 22, &[2, 3])[0], accept(1, 22, &[2, 3]));
    let next = table.send(stepped(10));
    assert_eq!(next.last(), Some(&assign(1, 11, 23, &[0, 1, 2, 3])), "it gets nothing more until it answers");
    let late = Rejection::StaleRound { found: Round(10), open: Round(11) };
    assert_eq!(table.wait(1).update(2, 10, 21, &[2, 3]), [reject(2, 21, late)]);
    table.wait(1).update(1, 11, 23, &[0, 1, 2, 3]);
    let next = table.send(stepped(11));
    assert_eq!(next.last(), Some(&assign(2, 12, 25, &[2, 3])), "it has answered, and is one of them again: {next:?}");
}

#[test]
fn a_suspect_gets_what_nobody_else_may_take() {
    let quorum = QuorumRule { round_deadline: Duration::from_secs(DEADLINE), max_partner_units: 2, ..config().quorum };
    let mut table =
        Table::new(RunConfig { quorum, rounds: 100, min_members: 2, silence: Duration::from_secs(9_000), ..config() });
    table.join(1, "a");
    table.join(2, "b");
    rounds(&mut table, 0, 10, |_| [1_000, 1_000]);
    table.wait(1).update(1, 10, 20, &[0, 1]);
    assert_eq!(table.wait(1).send(Event::Tick), [], "its partner may hold no more");
    assert_eq!(table.wait(5).update(2, 10, 21, &[2, 3])[0], accept(2, 21, &[2, 3]));
}

#[test]
fn a_worker_that_has_become_slower_is_believed() {
    let mut table = long_run(OnMissing::ReLease);
    rounds(&mut table, 0, 10, |_| [1_000, 1_000]);
    let mut released = Vec::new();
    let mut lease = 20;
    for round in 10..30 {
        let before = table.run.view().counters.units_released;
        let opened = table.now;
        let ours = (table.run.due(LeaseId(lease)), table.run.due(LeaseId(lease + 1)));
        assert!(ours.0.is_some() && ours.1.is_some());
        table.wait(1).update(1, round, lease, &[0, 1]);
        let slow = opened.after(Duration::from_secs(4));
        let mut copies = 0;
        while let Some(due) = table.run.deadline().filter(|due| *due < slow) {
            table.now = due;
            copies += table.send(Event::Tick).len() as u64;
        }
        table.now = slow;
        assert_eq!(table.update(2, round, lease + 1, &[2, 3])[0], accept(2, lease + 1, &[2, 3]));
        lease += 2 + copies;
        let next = table.send(stepped(round));
        released.push(table.run.view().counters.units_released - before);
        if next.iter().any(|action| matches!(action, Action::Assign { lease, .. } if lease.units.len() != 2)) {
            break;
        }
    }
    assert!(released[0] > 0 && released.last() == Some(&0), "{released:?}");
}

#[test]
fn only_re_lease_has_deadlines_of_its_own() {
    for on_missing in [OnMissing::Wait, OnMissing::Skip] {
        let mut table = long_run(on_missing);
        rounds(&mut table, 0, 10, |_| [1_000, 1_000]);
        let fixed = table.now.after(Duration::from_secs(DEADLINE));
        let expected = if on_missing == OnMissing::Skip { Some(fixed) } else { None };
        assert_eq!(table.run.due(LeaseId(20)), expected);
    }
}
