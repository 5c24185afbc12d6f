//! What rounding does to values: the coin is fair and repeatable, and 32 bits are at least as good as f32.

use std::sync::Arc;

use crate::fixture::{ROUND, SEED, WIDTHS, layout, values};
use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::{Grid, UnitSum, limit};
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::scale::{Measured, first_exponent, next_exponent};
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Round, Unit};

fn vector(len: usize) -> Arc<Layout> {
    Arc::new(Layout::new(vec![Tensor { name: "x".into(), shape: vec![len] }]).expect("a layout"))
}

/// The integers that one unit's values become.
fn rounded(layout: &Arc<Layout>, grid: &Grid, round: Round, unit: Unit, values: &[f32]) -> Vec<i32> {
    let mut sum = UnitSum::new(layout.clone());
    sum.begin(SEED, round, grid);
    sum.add(unit, values).expect("finite values");
    let mut packed = Vec::new();
    sum.pack(&mut packed);
    let mut aggregate = Aggregate::new(layout.clone(), grid);
    let tally = Tally { units: [unit].into(), weight: 1, saturated: sum.saturated() };
    aggregate.add(&packed, &tally).expect("an honest update");
    aggregate.sums().to_vec()
}

#[test]
fn the_coin_is_fair_for_every_fraction_over_units_rounds_and_indices() {
    let values: Vec<f32> = [-7.0, -2.75, -0.999, -0.5, -0.01, 0.0, 0.001, 0.25, 0.5, 3.9, 14.9375].repeat(8);
    let layout = vector(values.len());
    let grid = Grid::validated(UpdateBits::Eight, 15, vec![0], &layout).expect("a grid");
    let (rounds, units) = (100, 40);
    let mut sums = vec![0i64; values.len()];
    for (round, unit) in (0..rounds).flat_map(|round| (0..units).map(move |unit| (Round(round), Unit(unit)))) {
        for (sum, q) in sums.iter_mut().zip(rounded(&layout, &grid, round, unit, &values)) {
            *sum += i64::from(q);
        }
    }
    let draws = f64::from(rounds * units);
    for (sum, value) in sums.into_iter().zip(values.into_iter().map(f64::from)) {
        let fraction = value - value.floor();
        let sigma = (fraction * (1.0 - fraction) / draws).sqrt();
        let mean = sum as f64 / draws;
        assert!((mean - value).abs() <= 5.0 * sigma, "{value} became {mean} on average, sigma {sigma}");
    }
}

#[test]
fn coins_of_different_units_and_neighbours_are_independent() {
    let len = 20_000;
    let (layout, halves) = (vector(len), vec![0.5; len]);
    let grid = Grid::validated(UpdateBits::Sixteen, 100, vec![0], &layout).expect("a grid");
    let coins = |round, unit| rounded(&layout, &grid, Round(round), Unit(unit), &halves);
    let agreement = |a: &[i32], b: &[i32]| a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64;
    let first = coins(0, 0);
    for lag in [1, 2, 3, 8, 64, 784] {
        let share = agreement(&first[lag..], &first[..len - lag]);
        assert!((share - 0.5).abs() < 0.02, "coins {lag} apart agree in {share}");
    }
    for (round, unit) in [(0, 1), (0, 2), (1, 0), (1, 1), (7, 3)] {
        let share = agreement(&first, &coins(round, unit));
        assert!((share - 0.5).abs() < 0.02, "round {round} unit {unit} agrees in {share}");
    }
    assert_eq!(first, coins(0, 0));
}

#[test]
fn thirty_two_bits_round_to_nearest_with_ties_to_even() {
    let cases = [(0.5, 0), (1.5, 2), (-0.5, 0), (-1.5, -2), (2.4, 2), (65_535.5, 65_536), (32_768.5, 32_768)];
    let large = [
        (8_388_609.0, 8_388_609),
        (-16_777_215.0, -16_777_215),
        (2_147_483_500.0, 2_147_483_520),
        (3e9, 2_147_483_520),
    ];
    let (values, expected): (Vec<f32>, Vec<i32>) = cases.into_iter().chain(large).unzip();
    let layout = vector(values.len());
    let limit = limit(UpdateBits::ThirtyTwo, 1).expect("one unit fits");
    let grid = Grid::validated(UpdateBits::ThirtyTwo, limit, vec![0], &layout).expect("a grid");
    assert_eq!(rounded(&layout, &grid, ROUND, Unit(0), &values), expected);
}

#[test]
fn every_entry_is_within_one_quantum_of_its_value() {
    let layout = layout();
    for bits in WIDTHS {
        let grid = crate::fixture::grid(bits, 1, 3);
        let values = values(Unit(0), layout.params());
        let sums = rounded(&layout, &grid, ROUND, Unit(0), &values);
        for (range, &exponent) in layout.ranges().zip(grid.exponents()) {
            for index in range {
                let exact = (f64::from(values[index]) * libm::ldexp(1.0, i32::from(exponent)))
                    .clamp(-f64::from(grid.limit()), f64::from(grid.limit()));
                let most = if bits == UpdateBits::ThirtyTwo { 0.5 } else { 1.0 };
                assert!((f64::from(sums[index]) - exact).abs() <= most, "{exact} became {}", sums[index]);
            }
        }
    }
}

/// Gradients of `units` units in a round: normal, over eleven binary orders of magnitude.
fn gradients(len: usize, round: u32, units: u32) -> Vec<Vec<f32>> {
    let gradient = |unit: u32| {
        let mut stream = Stream::new(SEED, Purpose::Samples, &[u64::from(round), u64::from(unit)]);
        let mut normal = || (0..12).map(|_| stream.unit_f32()).sum::<f32>() - 6.0;
        (0..len).map(|index| normal() * libm::ldexpf(1.0, -((index % 12) as i32))).collect()
    };
    (0..units).map(gradient).collect()
}

fn summed(layout: &Arc<Layout>, exponent: i16, gradients: &[Vec<f32>]) -> Aggregate {
    let units = gradients.len() as u32;
    let limit = limit(UpdateBits::ThirtyTwo, units).expect("the units fit");
    let grid = Grid::validated(UpdateBits::ThirtyTwo, limit, vec![exponent], layout).expect("a grid");
    let mut sum = UnitSum::new(layout.clone());
    sum.begin(SEED, ROUND, &grid);
    (0..units).zip(gradients).for_each(|(unit, gradient)| sum.add(Unit(unit), gradient).expect("finite values"));
    let mut packed = Vec::new();
    sum.pack(&mut packed);
    let mut aggregate = Aggregate::new(layout.clone(), &grid);
    let tally = Tally { units: sum.units().clone(), weight: u64::from(units), saturated: sum.saturated() };
    aggregate.add(&packed, &tally).expect("an honest update");
    aggregate
}

/// Root-mean-square relative errors of the exact mean and of a sequential f32 sum, over the entries within a factor
/// of `within` of the largest. The scale comes from the aggregate of the round before, as in a run.
fn errors(units: u32, within: f64) -> (f64, f64) {
    let len = 4096;
    let layout = vector(len);
    let limit = limit(UpdateBits::ThirtyTwo, units).expect("the units fit");
    let exponent = first_exponent(limit, 1);
    let first = summed(&layout, exponent, &gradients(len, 0, units));
    let largest = first.sums().iter().map(|q| q.unsigned_abs()).max().expect("there are entries");
    let exponent = next_exponent(Measured { largest, exponent, limit, units }, UpdateBits::ThirtyTwo, limit);
    let gradients = gradients(len, 1, units);
    let aggregate = summed(&layout, exponent, &gradients);
    assert_eq!(aggregate.tally().saturated, 0);

    let mut exact = vec![0.0; len];
    aggregate.mean(&mut exact);
    let column = |index: usize| gradients.iter().map(move |gradient| gradient[index]);
    let wide: Vec<f64> = (0..len).map(|index| column(index).map(f64::from).sum::<f64>() / f64::from(units)).collect();
    let top = wide.iter().fold(0.0, |top: f64, value| top.max(value.abs()));
    let large: Vec<usize> = (0..len).filter(|&index| wide[index].abs() >= top / within).collect();
    assert!(large.len() > 50, "{} entries are too few to judge by", large.len());
    let rms = |of: &dyn Fn(usize) -> f32| {
        let relative = |index: usize| (f64::from(of(index)) - wide[index]) / wide[index];
        let squares = large.iter().map(|&index| relative(index) * relative(index));
        (squares.sum::<f64>() / large.len() as f64).sqrt()
    };
    (rms(&|index| exact[index]), rms(&|index| column(index).sum::<f32>() / units as f32))
}

#[test]
fn thirty_two_bits_are_at_least_as_accurate_as_f32_for_the_larger_entries() {
    for units in [2, 4, 8] {
        let (exact, plain) = errors(units, 4.0);
        assert!(exact <= plain, "{units} units: exact {exact:e}, f32 {plain:e}");
    }
}

/// Twice the units are half the limit of each, so a relative error that grows with their number; f32 sums do not have
/// that, but the mean of 64 units is still good to half a millionth.
#[test]
fn each_doubling_of_the_units_costs_one_bit() {
    for units in [64, 256, 1024] {
        let (exact, _) = errors(units, 8.0);
        let bound = f64::from(units) * libm::ldexp(1.0, -26);
        assert!(exact <= bound, "{units} units: exact {exact:e}, allowed {bound:e}");
    }
}
