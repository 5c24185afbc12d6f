//! The exact sum of a round: integers in, one mean out.
//!
//! Updates are added as they arrive and dropped, so a round costs the same memory for one worker as for a thousand.
//! Since a grid's limit leaves room for every set of the round's units, the sum of all of them fits i32: an update is
//! checked to be one that its units can give, each unit is counted once, and so no sum overflows. Addition is
//! associative and commutative, which makes order, partition and relays irrelevant, and has an inverse, which makes
//! retraction exact.

mod kernel;

use std::sync::Arc;

use thiserror::Error;

use crate::id::{Unit, Units};
use crate::layout::Layout;
use crate::quantize::Grid;
use crate::scale::{Measured, power_of_two};

/// Entries that are read at a time: with the params and moments of a server step they fit a core's own cache.
const BLOCK: usize = 16 << 10;

/// What stands behind a sum: an update's own, or an aggregate's so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The units in it.
    pub units: Units,
    /// Examples behind it: assigned by the plan, never claimed.
    pub weight: u64,
    /// Entries that were clamped to the grid's limit, counted per unit.
    pub saturated: u64,
}

/// The sum of the updates of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    layout: Arc<Layout>,
    grid: Grid,
    sums: Vec<i32>,
    tally: Tally,
}

/// Why an update was not added, taken back or merged. The aggregate is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AggregateError {
    /// The update has another length than the layout and the width ask for.
    #[error("the update has {found} bytes, but {expected} are {params} params at {bits} bits; refuse it")]
    WrongLength {
        /// Bytes given.
        found: usize,
        /// Bytes of an update on this grid.
        expected: usize,
        /// Params of the layout.
        params: usize,
        /// Width of the grid.
        bits: u8,
    },
    /// An entry is larger than so many units can give.
    #[error("the update has an entry of {found}, but {units} units give at most {most}; it is damaged or forged")]
    OutOfRange {
        /// The entry.
        found: i32,
        /// Units behind the update.
        units: usize,
        /// The largest magnitude.
        most: i64,
    },
    /// More entries are said to have been clamped than there are.
    #[error("the update says that {found} of its {most} entries were clamped; it is damaged or forged")]
    TooManySaturated {
        /// Entries said to have been clamped.
        found: u64,
        /// Entries of all the update's units.
        most: u64,
    },
    /// No units stand behind the update.
    #[error("the update names no units; refuse it")]
    NoUnits,
    /// A unit has been counted already.
    #[error("unit {unit} has been counted already; drop the update as a duplicate")]
    Counted {
        /// The unit.
        unit: Unit,
    },
    /// A unit to take back was never counted.
    #[error("unit {unit} has not been counted, so it cannot be taken back; nothing was changed")]
    NotCounted {
        /// The unit.
        unit: Unit,
    },
    /// More units than the grid leaves room for.
    #[error("{units} units do not fit the grid, which leaves room for {capacity}; the plan and the grid differ")]
    TooManyUnits {
        /// Units there would be.
        units: usize,
        /// Units whose sum is sure to fit.
        capacity: usize,
    },
    /// The two aggregates are of different rounds or models.
    #[error("the aggregates were summed on different grids or layouts; merge only those of one round of one run")]
    OtherGrid,
}

impl Aggregate {
    /// An empty aggregate of `layout` on `grid`.
    ///
    /// # Panics
    /// If the grid is of another layout: [`Grid::validated`] has checked it.
    #[must_use]
    pub fn new(layout: Arc<Layout>, grid: &Grid) -> Self {
        assert_eq!(grid.exponents().len(), layout.tensors().len(), "a grid has an exponent for every tensor");
        let sums = vec![0; layout.params()];
        Self { layout, grid: grid.clone(), sums, tally: Tally::default() }
    }

    /// Empties the aggregate for a round on `grid`, keeping its buffers.
    ///
    /// # Panics
    /// If the grid is of another layout.
    pub fn clear(&mut self, grid: &Grid) {
        assert_eq!(grid.exponents().len(), self.layout.tensors().len(), "a grid has an exponent for every tensor");
        self.grid.clone_from(grid);
        self.sums.fill(0);
        self.tally = Tally::default();
    }

    /// The grid of the round.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// What has been counted so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The sums so far, in quanta, in layout order.
    #[must_use]
    pub fn sums(&self) -> &[i32] {
        &self.sums
    }

    /// Adds an update: `packed` as [`crate::quantize::UnitSum::pack`] makes it, and what stands behind it.
    ///
    /// # Errors
    /// [`AggregateError`]; the aggregate is then unchanged.
    pub fn add(&mut self, packed: &[u8], update: &Tally) -> Result<(), AggregateError> {
        self.admit(update)?;
        self.check_length(packed)?;
        let seen = kernel::add(packed, self.grid.bits(), &mut self.sums);
        // Checking while adding costs one pass instead of two; taking back is exact, so a refusal leaves no trace.
        if let Err(error) = self.check_range(seen, update.units.len()) {
            kernel::subtract(packed, self.grid.bits(), &mut self.sums);
            return Err(error);
        }
        self.tally.absorb(update);
        Ok(())
    }

    /// Takes back an update that was added: afterwards the aggregate is as if it had never come.
    ///
    /// # Errors
    /// [`AggregateError`] when the length is wrong or a unit was not counted; the aggregate is then unchanged.
    pub fn subtract(&mut self, packed: &[u8], update: &Tally) -> Result<(), AggregateError> {
        self.check_length(packed)?;
        if let Some(&unit) = update.units.difference(&self.tally.units).next() {
            return Err(AggregateError::NotCounted { unit });
        }
        kernel::subtract(packed, self.grid.bits(), &mut self.sums);
        self.tally.release(update);
        Ok(())
    }

    /// Adds what another aggregate of the same round has counted, as a relay does.
    ///
    /// # Errors
    /// [`AggregateError`] when grids differ or a unit is in both; the aggregate is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), AggregateError> {
        if self.grid != other.grid || self.layout.digest() != other.layout.digest() {
            return Err(AggregateError::OtherGrid);
        }
        if other.tally.units.is_empty() {
            return Ok(());
        }
        self.admit(&other.tally)?;
        kernel::add_sums(&other.sums, &mut self.sums);
        self.tally.absorb(&other.tally);
        Ok(())
    }

    /// The weighted mean, Σq · 2^-s / Σweight, into `out`: computed in f64, where the sum is exact, and rounded to f32
    /// once. All zero if nothing was counted.
    ///
    /// # Panics
    /// If `out` has another length than the layout.
    pub fn mean(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.sums.len(), "the mean has the layout's length");
        self.read(|first, mean| out[first..first + mean.len()].copy_from_slice(mean));
    }

    /// Reads the sum once, block by block: each block's mean goes to `visit` with the number of its first entry. Returns
    /// what the scale rule needs to know of every tensor.
    pub(crate) fn read(&self, mut visit: impl FnMut(usize, &[f32])) -> Vec<Measured> {
        let weight = self.tally.weight.max(1) as f64;
        let mut mean = vec![0.0; BLOCK.min(self.sums.len())];
        let tensors = self.layout.ranges().zip(self.grid.exponents());
        let measured = tensors.map(|(range, &exponent)| {
            let factor = power_of_two(-exponent) / weight;
            let mut largest = 0;
            for (first, block) in range.clone().step_by(BLOCK).zip(self.sums[range].chunks(BLOCK)) {
                let mean = &mut mean[..block.len()];
                kernel::scale(block, factor, mean);
                largest = kernel::largest(block).max(largest);
                visit(first, mean);
            }
            Measured { largest, exponent, limit: self.grid.limit(), units: self.tally.units.len() as u32 }
        });
        measured.collect()
    }

    fn admit(&self, update: &Tally) -> Result<(), AggregateError> {
        if update.units.is_empty() {
            return Err(AggregateError::NoUnits);
        }
        if let Some(&unit) = update.units.intersection(&self.tally.units).next() {
            return Err(AggregateError::Counted { unit });
        }
        let (units, capacity) = (self.tally.units.len() + update.units.len(), self.grid.capacity());
        if units > capacity {
            return Err(AggregateError::TooManyUnits { units, capacity });
        }
        let most = (self.sums.len() * update.units.len()) as u64;
        match update.saturated <= most {
            true => Ok(()),
            false => Err(AggregateError::TooManySaturated { found: update.saturated, most }),
        }
    }

    fn check_length(&self, packed: &[u8]) -> Result<(), AggregateError> {
        let (bits, params) = (self.grid.bits(), self.sums.len());
        let (found, expected) = (packed.len(), params * bits.bytes());
        match found == expected {
            true => Ok(()),
            false => Err(AggregateError::WrongLength { found, expected, params, bits: bits.into() }),
        }
    }

    fn check_range(&self, seen: kernel::Extremes, units: usize) -> Result<(), AggregateError> {
        let most = i64::from(self.grid.limit()) * units as i64;
        let beyond = [seen.smallest, seen.largest].into_iter().find(|&entry| i64::from(entry).abs() > most);
        match beyond {
            None => Ok(()),
            Some(found) => Err(AggregateError::OutOfRange { found, units, most }),
        }
    }
}

impl Tally {
    fn absorb(&mut self, other: &Self) {
        self.units.extend(&other.units);
        self.weight += other.weight;
        self.saturated += other.saturated;
    }

    fn release(&mut self, other: &Self) {
        self.units.retain(|unit| !other.units.contains(unit));
        self.weight = self.weight.saturating_sub(other.weight);
        self.saturated = self.saturated.saturating_sub(other.saturated);
    }
}
