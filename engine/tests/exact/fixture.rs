//! What the tests of the arithmetic share: a small layout, seeded values, and workers and relays in one line.

use std::sync::Arc;

use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::{Grid, UnitSum, limit};
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Round, Unit};

pub(crate) const SEED: u64 = 5;
pub(crate) const ROUND: Round = Round(3);
pub(crate) const WIDTHS: [UpdateBits; 3] = [UpdateBits::Eight, UpdateBits::Sixteen, UpdateBits::ThirtyTwo];

/// 337 params in tensors whose sizes are no multiple of any vector's.
pub(crate) fn layout() -> Arc<Layout> {
    let tensor = |name: &str, shape: &[usize]| Tensor { name: name.into(), shape: shape.into() };
    let tensors = vec![tensor("hidden.weight", &[19, 17]), tensor("hidden.bias", &[13]), tensor("temperature", &[])];
    Arc::new(Layout::new(tensors).expect("a layout"))
}

/// A grid for `units` units whose first tensor is `exponent` fine and the others differ from it.
pub(crate) fn grid(bits: UpdateBits, units: u32, exponent: i16) -> Grid {
    let limit = limit(bits, units).expect("the units fit the width");
    Grid::validated(bits, limit, vec![exponent, exponent + 2, exponent - 1], &layout()).expect("a grid")
}

/// What `unit` computes: values of a few binary orders of magnitude around 1.
pub(crate) fn values(unit: Unit, len: usize) -> Vec<f32> {
    let mut stream = Stream::new(SEED, Purpose::Samples, &[u64::from(unit.0)]);
    let mut value = || (stream.unit_f32() - 0.5) * libm::ldexpf(1.0, stream.below(9) as i32 - 4);
    (0..len).map(|_| value()).collect()
}

/// What a worker sends for a lease of `units`.
pub(crate) fn update(grid: &Grid, units: &[Unit]) -> (Vec<u8>, Tally) {
    let layout = layout();
    let mut sum = UnitSum::new(layout.clone());
    sum.begin(SEED, ROUND, grid);
    for &unit in units {
        sum.add(unit, &values(unit, layout.params())).expect("finite values");
    }
    let mut packed = Vec::new();
    sum.pack(&mut packed);
    let weight = units.iter().map(|unit| weight(*unit)).sum();
    (packed, Tally { units: sum.units().clone(), weight, saturated: sum.saturated() })
}

/// Examples behind `unit`.
pub(crate) fn weight(unit: Unit) -> u64 {
    7 + u64::from(unit.0 % 3)
}

/// The aggregate of updates that arrive in the given order.
pub(crate) fn aggregate(grid: &Grid, leases: &[Vec<Unit>]) -> Aggregate {
    let mut aggregate = Aggregate::new(layout(), grid);
    for lease in leases.iter().filter(|lease| !lease.is_empty()) {
        let (packed, tally) = update(grid, lease);
        aggregate.add(&packed, &tally).expect("an honest update");
    }
    aggregate
}
