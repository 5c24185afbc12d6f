//! From floating point to integers and the exact sum of one lease.
//!
//! Floating-point addition is not associative, integer addition is: once a unit's entries are integers, it no longer
//! matters who adds them up, in which order, or over how many relays. An entry x of a tensor with exponent s becomes
//! q = round(x · 2^s), clamped to the grid's limit. At 32 bits rounding is to nearest, ties to even. Below that it is
//! stochastic (up with the probability of the fraction), so that what the grid is too coarse for survives in the mean:
//! IntSGD, Mishchenko et al. 2022, arXiv 2102.08374. The coin is a function of (seed, round, unit, index) alone.
//!
//! At 32 bits the mean of up to 8 units is at least as accurate as an f32 sum for the larger entries of a tensor. Each
//! doubling of the units takes a bit from every one of them: the relative error of the largest entries is about
//! 7 · 10^-9 times the number of units, because the sum of all of them must fit the width.

mod grid;
mod kernel;

use std::sync::Arc;

use thiserror::Error;

pub use grid::{Grid, GridError, limit};

use crate::digest::{Digest, Domain, Hasher};
use crate::id::{Round, Unit, Units};
use crate::layout::Layout;
use crate::random::{Purpose, Stream};
use crate::spec::UpdateBits;

/// Entries that are handled at a time: a core's own cache holds them until the next step wants them.
const BLOCK: usize = 16 << 10;

/// A worker's running sum of the units of one lease.
///
/// Its buffers live as long as it does: no round allocates.
#[derive(Clone, Debug)]
pub struct UnitSum {
    layout: Arc<Layout>,
    seed: u64,
    round: Round,
    grid: Grid,
    sums: Vec<i32>,
    units: Units,
    saturated: u64,
}

/// Why a unit's values were not added. The sum is as it was before.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum UnitError {
    /// A value is NaN or infinite.
    #[error(
        "unit {unit} has {value} at index {index} of tensor {tensor:?}; nothing was added. The params have diverged \
         (lower the learning rate) or the samples hold a value that is not finite"
    )]
    NotFinite {
        /// The unit.
        unit: Unit,
        /// The tensor's name.
        tensor: String,
        /// The value's index in the tensor, row-major.
        index: usize,
        /// The value.
        value: f32,
    },
    /// There are more or fewer values than params.
    #[error("unit {unit} has {found} values, but the layout has {expected} params; compute it with the run's model")]
    WrongLength {
        /// The unit.
        unit: Unit,
        /// Values given.
        found: usize,
        /// Params of the layout.
        expected: usize,
    },
    /// The unit is in the sum already.
    #[error("unit {unit} is in the sum already; add each unit of a lease once")]
    Repeated {
        /// The unit.
        unit: Unit,
    },
    /// One more unit might not fit the width.
    #[error("the sum already holds {units} units, all that fit the round's {bits} bits; the lease has too many")]
    Full {
        /// Units in the sum.
        units: usize,
        /// Width of the sum.
        bits: u8,
    },
}

impl UnitSum {
    /// An empty sum over `layout`; [`UnitSum::begin`] opens it for a round.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        let sums = vec![0; layout.params()];
        let grid = Grid::coarsest(layout.tensors().len());
        Self { layout, seed: 0, round: Round(0), grid, sums, units: Units::new(), saturated: 0 }
    }

    /// Empties the sum for a lease of `round` on `grid`; `seed` is the run's.
    ///
    /// # Panics
    /// If the grid is of another layout: [`Grid::validated`] has checked it against the run's.
    pub fn begin(&mut self, seed: u64, round: Round, grid: &Grid) {
        assert_eq!(grid.exponents().len(), self.layout.tensors().len(), "a grid has an exponent for every tensor");
        self.seed = seed;
        self.round = round;
        self.grid.clone_from(grid);
        self.units.clear();
        self.saturated = 0;
    }

    /// Adds what `unit` computed: a flat vector in layout order.
    ///
    /// # Errors
    /// [`UnitError`]; the sum is then unchanged.
    pub fn add(&mut self, unit: Unit, values: &[f32]) -> Result<(), UnitError> {
        self.admit(unit, values)?;
        let limit = self.grid.limit() as f32;
        let coin = Stream::new(self.seed, Purpose::Rounding, &[u64::from(self.round.0), u64::from(unit.0)]).key();
        let is_first = self.units.is_empty();
        for (range, &exponent) in self.layout.ranges().zip(self.grid.exponents()) {
            let factor = grid::factor(exponent);
            let blocks = values[range.clone()].chunks(BLOCK).zip(self.sums[range.clone()].chunks_mut(BLOCK));
            for (first, (values, sums)) in range.step_by(BLOCK).zip(blocks) {
                if is_first {
                    sums.fill(0);
                }
                let saturated = match self.grid.bits() {
                    UpdateBits::ThirtyTwo => kernel::add_nearest(values, sums, factor, limit),
                    UpdateBits::Sixteen | UpdateBits::Eight => {
                        let coin = kernel::Coin { key: coin, first: first as u32 };
                        kernel::add_stochastic(values, sums, factor, limit, coin)
                    }
                };
                self.saturated += u64::from(saturated);
            }
        }
        self.units.insert(unit);
        Ok(())
    }

    /// Entries clamped to the limit, counted per unit, so that the count does not depend on who holds which unit.
    #[must_use]
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// The units in the sum.
    #[must_use]
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// The sum as it travels, into `out`: little-endian integers of the grid's width in layout order.
    pub fn pack(&self, out: &mut Vec<u8>) {
        self.pack_blocks(out, |_| {});
    }

    /// As [`UnitSum::pack`]; returns the digest too, taken block by block while they are in the cache.
    pub fn pack_with_digest(&self, out: &mut Vec<u8>) -> Digest {
        let mut hasher = Hasher::new(Domain::Update);
        self.pack_blocks(out, |block| {
            hasher.update(block);
        });
        hasher.finish()
    }

    fn pack_blocks(&self, out: &mut Vec<u8>, mut packed: impl FnMut(&[u8])) {
        let bits = self.grid.bits();
        out.resize(self.sums.len() * bits.bytes(), 0);
        if self.units.is_empty() {
            // The sum of nothing; what the memory holds is of an earlier one.
            out.fill(0);
            return packed(out);
        }
        for (sums, out) in self.sums.chunks(BLOCK).zip(out.chunks_mut(BLOCK * bits.bytes())) {
            kernel::narrow(sums, bits, out);
            packed(out);
        }
    }

    fn admit(&self, unit: Unit, values: &[f32]) -> Result<(), UnitError> {
        let (found, expected) = (values.len(), self.layout.params());
        if found != expected {
            return Err(UnitError::WrongLength { unit, found, expected });
        }
        if self.units.contains(&unit) {
            return Err(UnitError::Repeated { unit });
        }
        if self.units.len() >= self.grid.capacity() {
            return Err(UnitError::Full { units: self.units.len(), bits: self.grid.bits().into() });
        }
        match kernel::all_finite(values) {
            true => Ok(()),
            false => Err(self.not_finite(unit, values)),
        }
    }

    fn not_finite(&self, unit: Unit, values: &[f32]) -> UnitError {
        let (tensor, index, value) =
            first_not_finite(&self.layout, values).expect("the kernel found a value that is not finite");
        UnitError::NotFinite { unit, tensor, index, value }
    }
}

/// Whether no value is NaN or infinite.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    kernel::all_finite(values)
}

/// The first value that is NaN or infinite: its tensor, its index in the tensor, itself.
pub(crate) fn first_not_finite(layout: &Layout, values: &[f32]) -> Option<(String, usize, f32)> {
    if kernel::all_finite(values) {
        return None;
    }
    let at = values.iter().position(|value| !value.is_finite())?;
    let tensor = layout.ranges().position(|range| range.contains(&at))?;
    Some((layout.tensors()[tensor].name.clone(), at - layout.range(tensor).start, values[at]))
}
