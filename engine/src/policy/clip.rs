//! The L2 norm of what a unit computes, and the bound on it.
//!
//! Clipping comes before the grid, so what travels is still integers on the round's grid, and the sum is as exact as
//! ever. It is a function of the unit's values alone, in IEEE operations of a fixed order: the same unit gives the same
//! bits wherever it is clipped to the same bound.

use crate::vectorized::vectorized;

/// Partial sums: independent of each other, so that they fill vectors of any width to the same bits.
const LANES: usize = 16;

/// What a bound did to a unit's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    /// The norm before.
    pub before: f64,
    /// The norm after; equal if nothing was scaled.
    pub after: f64,
}

vectorized! {
    fn squares(values: &[f32]) -> f64 {
        let mut sums = [0.0f64; LANES];
        let (whole, rest) = values.as_chunks::<LANES>();
        for chunk in whole {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                let value = f64::from(*value);
                *sum += value * value;
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            let value = f64::from(*value);
            *sum += value * value;
        }
        sums.iter().sum()
    }

    fn scale(values: &mut [f32], factor: f64) {
        for value in values {
            *value = (f64::from(*value) * factor) as f32;
        }
    }
}

/// The L2 norm. The squares of f32 do not overflow f64 for any length that fits memory.
#[must_use]
pub fn norm(values: &[f32]) -> f64 {
    squares(values).sqrt()
}

/// Scales `values` down to an L2 norm of `most`, if theirs is larger. Values that are not finite stay as they are, for
/// whoever refuses them.
pub fn clip(values: &mut [f32], most: f64) -> Clipping {
    let before = norm(values);
    if !before.is_finite() || before <= most {
        return Clipping { before, after: before };
    }
    // Rounding to f32 may leave the norm a hair above the bound: a second, smaller factor ends that.
    scale(values, most / before);
    let mut after = norm(values);
    if after > most {
        scale(values, most / after * (1.0 - f64::from(f32::EPSILON)));
        after = norm(values);
    }
    if after > most {
        // The bound is among the smallest numbers of f32, between which there is no room to round in.
        values.fill(0.0);
        after = 0.0;
    }
    Clipping { before, after }
}
