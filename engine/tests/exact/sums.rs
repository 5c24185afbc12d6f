//! Whoever computes which unit, in whatever order updates arrive and over whatever relays: the sum is the same.

use crate::fixture::{ROUND, SEED, WIDTHS, aggregate, grid, layout, update, values};
use proptest::prelude::*;
use syngrad_engine::aggregate::{Aggregate, AggregateError, Tally};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::{Grid, UnitError, UnitSum, limit};
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Round, Unit};

/// Which of `workers` workers holds each of `units` units, and the order in which updates arrive.
fn leases() -> impl Strategy<Value = (u32, Vec<Vec<Unit>>)> {
    (1u32..24, 1usize..6, any::<u64>()).prop_map(|(units, workers, seed)| {
        let mut stream = Stream::new(seed, Purpose::Simulation, &[]);
        let mut order: Vec<Unit> = (0..units).map(Unit).collect();
        stream.shuffle(&mut order);
        let mut leases = vec![Vec::new(); workers];
        for unit in order {
            leases[stream.below(workers as u64) as usize].push(unit);
        }
        leases.retain(|lease| !lease.is_empty());
        (units, leases)
    })
}

fn width() -> impl Strategy<Value = UpdateBits> {
    proptest::sample::select(WIDTHS.to_vec())
}

fn alone(grid: &Grid, units: u32) -> Aggregate {
    aggregate(grid, &[(0..units).map(Unit).collect()])
}

fn mean(aggregate: &Aggregate) -> Vec<u32> {
    let mut mean = vec![0.0; aggregate.sums().len()];
    aggregate.mean(&mut mean);
    mean.into_iter().map(f32::to_bits).collect()
}

proptest! {
    #[test]
    fn any_partition_and_order_gives_the_same_bits((units, leases) in leases(), bits in width(), exponent in -3i16..8) {
        let grid = grid(bits, units, exponent);
        let together = aggregate(&grid, &leases);
        let alone = alone(&grid, units);
        prop_assert_eq!(together.tally(), alone.tally());
        prop_assert_eq!(mean(&together), mean(&alone));
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn any_tree_of_relays_gives_the_same_bits((units, leases) in leases(), bits in width(), seed in any::<u64>()) {
        let grid = grid(bits, units, 3);
        let mut stream = Stream::new(seed, Purpose::Simulation, &[]);
        let mut relays: Vec<_> = leases.iter().map(|lease| aggregate(&grid, std::slice::from_ref(lease))).collect();
        while relays.len() > 1 {
            let from = relays.swap_remove(stream.below(relays.len() as u64) as usize);
            let into = stream.below(relays.len() as u64) as usize;
            relays[into].merge(&from).expect("relays of one round, each with units of its own");
        }
        prop_assert_eq!(&relays[0], &alone(&grid, units));
    }

    #[test]
    fn what_is_taken_back_was_never_there((units, leases) in leases(), bits in width(), pick in any::<prop::sample::Index>()) {
        let grid = grid(bits, units, 3);
        let gone = pick.index(leases.len());
        let mut with = aggregate(&grid, &leases);
        let (packed, tally) = update(&grid, &leases[gone]);
        with.subtract(&packed, &tally).expect("it was counted");
        let without: Vec<_> = leases.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, lease)| lease.clone()).collect();
        prop_assert_eq!(&with, &aggregate(&grid, &without));
        with.add(&packed, &tally).expect("it may come again");
        prop_assert_eq!(with, aggregate(&grid, &leases));
    }
}

#[test]
fn the_largest_entries_of_all_units_fit_every_width() {
    for bits in WIDTHS {
        for units in [1, 2, 3, 7, 8, 100, 127, 128, 1000, 1024] {
            let Some(limit) = limit(bits, units) else {
                assert!(bits == UpdateBits::Eight && units > 127, "{units} units have room in {bits:?}");
                continue;
            };
            let tensor = Tensor { name: "pair".into(), shape: vec![2] };
            let layout = std::sync::Arc::new(Layout::new(vec![tensor]).expect("a layout"));
            let grid = Grid::validated(bits, limit, vec![0], &layout).expect("a grid");
            let mut sum = UnitSum::new(layout.clone());
            sum.begin(SEED, ROUND, &grid);
            for unit in (0..units).map(Unit) {
                sum.add(unit, &[f32::MAX, -1e30]).expect("large values saturate");
            }
            assert_eq!(sum.saturated(), 2 * u64::from(units));
            let mut packed = Vec::new();
            sum.pack(&mut packed);
            let mut aggregate = Aggregate::new(layout, &grid);
            let tally = Tally { units: sum.units().clone(), weight: 1, saturated: sum.saturated() };
            aggregate.add(&packed, &tally).expect("an honest update");
            assert_eq!(aggregate.sums(), [limit * units as i32, -limit * units as i32], "{units} units, {bits:?}");
        }
    }
}

#[test]
fn limits_leave_room_for_every_unit_and_are_exact_in_f32() {
    for bits in WIDTHS {
        let largest = (1i64 << (u8::from(bits) - 1)) - 1;
        for units in 1..=1024 {
            let Some(limit) = limit(bits, units) else {
                assert!(i64::from(units) > largest);
                continue;
            };
            assert!(i64::from(limit) * i64::from(units) <= largest, "{units} units, {bits:?}");
            assert_eq!(limit as f32 as i64, i64::from(limit), "{units} units, {bits:?}");
        }
    }
}

#[test]
fn a_value_that_is_not_finite_changes_nothing() {
    let (layout, grid) = (layout(), grid(UpdateBits::ThirtyTwo, 4, 20));
    let mut sum = UnitSum::new(layout.clone());
    sum.begin(SEED, ROUND, &grid);
    sum.add(Unit(0), &values(Unit(0), layout.params())).expect("finite values");
    let mut before = Vec::new();
    sum.pack(&mut before);
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut poisoned = values(Unit(1), layout.params());
        poisoned[19 * 17 + 4] = poison;
        let error = sum.add(Unit(1), &poisoned).expect_err("it is refused");
        assert!(
            matches!(&error, UnitError::NotFinite { unit: Unit(1), tensor, index: 4, .. } if tensor == "hidden.bias")
        );
        let mut after = Vec::new();
        sum.pack(&mut after);
        assert_eq!((&after, sum.units().len()), (&before, 1));
    }
}

#[test]
fn a_unit_sum_takes_each_unit_once_and_no_more_than_fit() {
    let (layout, grid) = (layout(), grid(UpdateBits::Eight, 100, 0));
    let mut sum = UnitSum::new(layout.clone());
    sum.begin(SEED, ROUND, &grid);
    let values = vec![0.5; layout.params()];
    assert_eq!(
        sum.add(Unit(0), &values[1..]),
        Err(UnitError::WrongLength { unit: Unit(0), found: values.len() - 1, expected: values.len() })
    );
    (0..127).for_each(|unit| sum.add(Unit(unit), &values).expect("it fits"));
    assert_eq!(sum.add(Unit(5), &values), Err(UnitError::Repeated { unit: Unit(5) }));
    assert_eq!(sum.add(Unit(127), &values), Err(UnitError::Full { units: 127, bits: 8 }));
    sum.begin(SEED, Round(4), &grid);
    assert_eq!(sum.add(Unit(127), &values), Ok(()));
}

#[test]
fn damaged_and_forged_updates_leave_no_trace() {
    let grid = grid(UpdateBits::Sixteen, 4, 8);
    let mut counted = aggregate(&grid, &[vec![Unit(0), Unit(2)]]);
    let before = counted.clone();
    let (packed, tally) = update(&grid, &[Unit(1)]);

    let mut forged = packed.clone();
    forged[200..202].copy_from_slice(&i16::MIN.to_le_bytes());
    let most = i64::from(grid.limit());
    let refusals = [
        (counted.add(&packed[2..], &tally), "length"),
        (counted.add(&forged, &tally), "range"),
        (counted.add(&packed, &Tally::default()), "no units"),
        (counted.add(&packed, &Tally { units: [Unit(1), Unit(2)].into(), ..tally.clone() }), "counted"),
        (counted.add(&packed, &Tally { saturated: u64::MAX, ..tally.clone() }), "saturated"),
        (
            counted.add(&packed, &Tally { units: (1..9).map(Unit).filter(|u| u.0 != 2).collect(), ..tally.clone() }),
            "many",
        ),
        (counted.subtract(&packed, &tally), "not counted"),
        (counted.merge(&aggregate(&crate::fixture::grid(UpdateBits::Sixteen, 4, 9), &[vec![Unit(1)]])), "grid"),
        (counted.merge(&before), "merged twice"),
    ];
    for (refusal, what) in &refusals {
        assert!(refusal.is_err(), "{what}");
    }
    assert_eq!(refusals[1].0, Err(AggregateError::OutOfRange { found: i32::from(i16::MIN), units: 1, most }));
    assert_eq!(counted, before);
    assert_eq!(counted.add(&packed, &tally), Ok(()));
}

#[test]
fn a_cleared_aggregate_is_a_new_one() {
    let (first, second) = (grid(UpdateBits::ThirtyTwo, 4, 20), grid(UpdateBits::Eight, 4, 2));
    let mut used = aggregate(&first, &[vec![Unit(1)]]);
    used.clear(&second);
    assert_eq!(used, Aggregate::new(layout(), &second));
    assert!(mean(&used).iter().all(|&bits| bits == 0));
}
