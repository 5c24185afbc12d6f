//! The scales of a round's integers: a pure function of the last committed aggregate.
//!
//! Every tensor has an exponent s: an entry x travels as round(x · 2^s), clamped to the grid's limit. The largest entry
//! of the last sum, divided by √units, estimates the largest entry of one unit (exactly so for independent entries, on
//! the safe side for equal ones); the next exponent is the largest one that leaves that estimate a head-room below the
//! limit. Only IEEE basic operations and exponent bits are used, so every machine finds the same exponents.

use crate::spec::UpdateBits;

/// The smallest exponent: a quantum of 2^60.
pub const MIN_EXPONENT: i16 = -60;

/// The largest exponent: a quantum of 2^-60.
pub const MAX_EXPONENT: i16 = 60;

/// In round 0 nothing has been measured: scales leave room for entries up to this bound times the unit's weight.
///
/// It stands for a gradient entry of 16 per sample (softmax cross-entropy with inputs and activations of order one
/// stays below about 4), or a param that moves by 16 in one round of local steps. A larger entry saturates, which is
/// counted, and the next round's scale knows better.
pub const FIRST_BOUND: f64 = 16.0;

/// The most bits by which a tensor's range narrows in one round: a sum that cancelled by chance, or a tensor that is
/// all zero for a while, must not leave the next round saturated.
pub const MAX_NARROWING: i16 = 4;

/// Bits by which the range widens beyond the estimate when the last round was saturated, since its estimate then
/// only is a lower bound.
pub const RECOVERY: i16 = 4;

/// How far below the limit the estimate of the next round's largest entry is kept, as a factor.
///
/// At 32 and 16 bits eight: three bits of 28 or 12 (of 8 units) buy freedom from saturation. At 8 bits a unit of a
/// round of 8 has 15 steps either way, and each bit of head-room doubles the noise of its rounding, while less of it
/// clips; with very few steps clipping is the lesser evil. MNIST MLP, global batch 256, Adam, mean test accuracy of 3
/// seeds after 3 epochs (f32 0.9620): 8 units, head-room 4 0.9541, 2 0.9594, 1 0.9566, 1/2 0.9560; 32 units (3 steps),
/// 2 0.9371, 1 0.9491. So many units are better off at 16 bits.
#[must_use]
pub fn headroom(bits: UpdateBits, limit: i32) -> f64 {
    match bits {
        UpdateBits::ThirtyTwo | UpdateBits::Sixteen => 8.0,
        UpdateBits::Eight if limit < FEW_STEPS => 1.0,
        UpdateBits::Eight => 2.0,
    }
}

/// Limits below this one are few steps.
const FEW_STEPS: i32 = 7;

/// What the scale rule reads of a committed tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Largest magnitude of the sum, in quanta.
    pub largest: u32,
    /// The exponent under which it was summed.
    pub exponent: i16,
    /// The limit of one unit's entry under which it was summed.
    pub limit: i32,
    /// Units in the sum, at least one.
    pub units: u32,
}

/// The exponent of every tensor in round 0, for units of `weight` examples and entries of at most `limit` quanta.
#[must_use]
pub fn first_exponent(limit: i32, weight: u32) -> i16 {
    fitted(f64::from(limit) / (FIRST_BOUND * f64::from(weight.max(1))))
}

/// The exponent of a tensor in the round after the one that `last` was measured in; the round's entries travel at
/// `bits` with the limit `limit`.
#[must_use]
pub fn next_exponent(last: Measured, bits: UpdateBits, limit: i32) -> i16 {
    // The exponent that gives the next round the last one's range.
    let same_range = last.exponent + floor_log2(f64::from(limit) / f64::from(last.limit));
    let narrowest = (same_range + MAX_NARROWING).clamp(MIN_EXPONENT, MAX_EXPONENT);
    if last.largest == 0 {
        return narrowest;
    }
    let entry_in_quanta = f64::from(last.largest) / f64::from(last.units.max(1)).sqrt();
    let entry = entry_in_quanta * power_of_two(-last.exponent);
    let room = fitted(f64::from(limit) / (headroom(bits, limit) * entry));
    let saturated = entry_in_quanta > f64::from(last.limit);
    let exponent = if saturated { room - RECOVERY } else { room };
    exponent.clamp(MIN_EXPONENT, narrowest)
}

/// 2^`exponent`, exact, for the exponents a grid may have and their negatives.
pub(crate) fn power_of_two(exponent: i16) -> f64 {
    debug_assert!((-1022..=1023).contains(&exponent), "2^{exponent} is no normal f64");
    f64::from_bits(((i64::from(exponent) + 1023) as u64) << 52)
}

fn fitted(ratio: f64) -> i16 {
    floor_log2(ratio).clamp(MIN_EXPONENT, MAX_EXPONENT)
}

/// ⌊log₂ `value`⌋ of a positive normal number, read off its exponent bits.
fn floor_log2(value: f64) -> i16 {
    debug_assert!(value.is_normal() && value > 0.0, "{value} has no logarithm here");
    ((value.to_bits() >> 52) as i16) - 1023
}

#[cfg(test)]
mod tests;
