use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pace(answers: &[(u64, u32)]) -> Pace {
    let mut pace = Pace::default();
    answers.iter().for_each(|&(took, units)| pace.note(millis(took), units));
    pace
}

/// Answers in so many thousandths of what was expected.
fn spread(ratios: &[u64]) -> Spread {
    let mut spread = Spread::default();
    ratios.iter().for_each(|&ratio| spread.note(millis(ratio), millis(ONE)));
    spread
}

#[test]
fn nothing_is_expected_before_anything_was_seen() {
    assert_eq!(pace(&[(100, 1); FIRST_ANSWERS - 1]).expected(1), None);
    assert_eq!(spread(&[ONE; FIRST_RATIOS - 1]).patience(millis(5)), None);
}

#[test]
fn more_units_take_longer_and_fewer_do_not_take_less() {
    let pace = pace(&[(100, 4), (120, 4), (110, 4)]);
    assert_eq!([1, 4, 8].map(|units| pace.expected(units)), [Some(millis(110)), Some(millis(110)), Some(millis(220))]);
}

#[test]
fn one_answer_that_was_held_up_does_not_change_the_speed() {
    assert_eq!(pace(&[(500, 2), (500, 2), (90_000, 2)]).milli_units_per_second(), Some(4_000));
    assert_eq!(pace(&[(500, 2), (500, 2)]).milli_units_per_second(), None);
}

#[test]
fn one_straggling_answer_changes_nothing_and_a_slower_member_is_believed_after_five() {
    let mut pace = pace(&[(100, 1); ANSWERS]);
    for slow in 1..=4 {
        pace.note(millis(900), 1);
        let expected = if slow < 4 { 100 } else { 900 };
        assert_eq!(pace.expected(1), Some(millis(expected)), "after {slow}");
    }
}

#[test]
fn patience_is_twice_what_is_expected_or_what_the_spread_explains() {
    let calm = spread(&[ONE; 16]);
    assert_eq!(calm.patience(millis(3_000)), Some(millis(6_000)));
    assert_eq!(calm.patience(millis(1)), Some(FLOOR), "noise does not shake short rounds");
    let alternating: Vec<u64> = (0..RATIOS as u64).map(|index| if index % 2 == 0 { 800 } else { 1_200 }).collect();
    assert_eq!(spread(&alternating).patience(millis(1_000)), Some(millis(1_200 + 10 * 400)));
    let wide: Vec<u64> = (0..64).map(|index| 500 + 16 * index).collect();
    assert_eq!(spread(&wide).patience(millis(1_000)), Some(millis(1_012 + 10 * 256)));
}

#[test]
fn if_all_become_slower_patience_grows() {
    let mut spread = spread(&[ONE; RATIOS]);
    (0..RATIOS).for_each(|_| spread.note(millis(5_000), millis(1_000)));
    assert_eq!(spread.patience(millis(1_000)), Some(millis(5_000)));
}

proptest! {
    #[test]
    fn whatever_was_seen_patience_is_at_least_the_floor_and_twice_what_is_expected(
        ratios in proptest::collection::vec(0u64..u64::MAX / 2_000, FIRST_RATIOS..200),
        expected in 0u64..u64::MAX / 4,
    ) {
        let mut spread = Spread::default();
        for ratio in ratios {
            spread.note(Duration::from_nanos(ratio), Duration::from_nanos(ONE));
        }
        let expected = Duration::from_nanos(expected);
        let patience = spread.patience(expected).expect("enough was seen");
        prop_assert!(patience >= FLOOR && patience >= expected * 2);
    }

    #[test]
    fn fewer_than_half_stragglers_do_not_move_what_counts_as_one(
        slow in proptest::collection::vec(10_000u64..1_000_000, 0..RATIOS / 2),
    ) {
        let mut spread = spread(&[ONE; RATIOS]);
        slow.iter().for_each(|&ratio| spread.note(millis(ratio), millis(ONE)));
        prop_assert_eq!(spread.patience(millis(10_000)), Some(millis(20_000)));
    }
}
