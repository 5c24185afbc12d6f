//! The grid of a round: which integers stand for which numbers.

use thiserror::Error;

use crate::layout::Layout;
use crate::scale::{MAX_EXPONENT, MIN_EXPONENT, power_of_two};
use crate::spec::UpdateBits;

/// The grid on which a round's entries are rounded: a width, a limit, and a scale exponent for every tensor.
///
/// The limit is so small that the sum of any set of the round's units fits the width.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    bits: UpdateBits,
    limit: i32,
    exponents: Vec<i16>,
}

impl Clone for Grid {
    fn clone(&self) -> Self {
        Self { bits: self.bits, limit: self.limit, exponents: self.exponents.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.bits = source.bits;
        self.limit = source.limit;
        self.exponents.clone_from(&source.exponents);
    }
}

/// Why numbers are no grid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GridError {
    /// Not one exponent for each tensor.
    #[error("the grid has {found} exponents, but the layout has {expected} tensors; the two sides' models differ")]
    WrongLength {
        /// Exponents given.
        found: usize,
        /// Tensors of the layout.
        expected: usize,
    },
    /// An exponent outside its range.
    #[error("exponent {found} of tensor {tensor} is outside {MIN_EXPONENT} to {MAX_EXPONENT}; refuse the round")]
    Exponent {
        /// The tensor's index.
        tensor: usize,
        /// The exponent.
        found: i16,
    },
    /// A limit that its width has no room for, or that f32 cannot express.
    #[error("a limit of {found} does not suit {bits} bits: it may be 1 to {most} and must be exact in f32")]
    Limit {
        /// The limit.
        found: i32,
        /// The width.
        bits: u8,
        /// The largest integer of the width.
        most: i32,
    },
}

impl Grid {
    /// A grid for `layout`, from numbers that may come off the wire.
    ///
    /// # Errors
    /// [`GridError`] when lengths or ranges are wrong.
    pub fn validated(bits: UpdateBits, limit: i32, exponents: Vec<i16>, layout: &Layout) -> Result<Self, GridError> {
        let most = largest(bits);
        if !(1..=most).contains(&limit) || limit != exact_in_f32(limit) {
            return Err(GridError::Limit { found: limit, bits: bits.into(), most });
        }
        let (found, expected) = (exponents.len(), layout.tensors().len());
        if found != expected {
            return Err(GridError::WrongLength { found, expected });
        }
        let outside = exponents.iter().position(|exponent| !(MIN_EXPONENT..=MAX_EXPONENT).contains(exponent));
        match outside {
            Some(tensor) => Err(GridError::Exponent { tensor, found: exponents[tensor] }),
            None => Ok(Self { bits, limit, exponents }),
        }
    }

    /// A grid before any round: no unit fits a quantum of it.
    pub(super) fn coarsest(tensors: usize) -> Self {
        Self { bits: UpdateBits::ThirtyTwo, limit: 1, exponents: vec![MIN_EXPONENT; tensors] }
    }

    /// Width of a sum on the wire.
    #[must_use]
    pub fn bits(&self) -> UpdateBits {
        self.bits
    }

    /// The largest magnitude of one unit's entry, in quanta; exact in f32.
    #[must_use]
    pub fn limit(&self) -> i32 {
        self.limit
    }

    /// The scale exponent of every tensor: an entry x is x · 2^exponent quanta.
    #[must_use]
    pub fn exponents(&self) -> &[i16] {
        &self.exponents
    }

    /// The number of units whose sum is sure to fit the width.
    #[must_use]
    pub fn capacity(&self) -> usize {
        (largest(self.bits) / self.limit) as usize
    }
}

/// The largest magnitude of one unit's entry in a round of `units` units: any set of them sums within the width.
/// None if the width is too narrow to leave each unit a single quantum.
#[must_use]
pub fn limit(bits: UpdateBits, units: u32) -> Option<i32> {
    let share = largest(bits) / i32::try_from(units).ok()?.max(1);
    (share > 0).then(|| exact_in_f32(share))
}

/// 2^`exponent` in f32: a power of two, so that scaling is exact.
pub(super) fn factor(exponent: i16) -> f32 {
    power_of_two(exponent) as f32
}

fn largest(bits: UpdateBits) -> i32 {
    match bits {
        UpdateBits::Eight => i32::from(i8::MAX),
        UpdateBits::Sixteen => i32::from(i16::MAX),
        UpdateBits::ThirtyTwo => i32::MAX,
    }
}

/// `value` with all but its 24 leading bits cleared.
fn exact_in_f32(value: i32) -> i32 {
    let excess = (i32::BITS - value.leading_zeros()).saturating_sub(f32::MANTISSA_DIGITS);
    value >> excess << excess
}
