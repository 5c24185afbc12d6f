//! The hot loops of quantisation. Each is element-wise; the tests hold them against plain scalar code.

use crate::spec::UpdateBits;
use crate::vectorized::vectorized;

/// Where a unit's stochastic rounding takes its randomness from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coin {
    /// The key of the unit's stream.
    pub key: u64,
    /// Index in the flat params of the first value.
    pub first: u32,
}

/// Values whose thresholds are drawn at once: two simple loops vectorise better than one long one.
const BLOCK: usize = 256;

/// 1.5 · 2^23: a float near it has a last bit worth 1.
const TO_INTEGER: f32 = 12_582_912.0;

/// Whether no value is NaN or infinite.
pub(super) fn all_finite(values: &[f32]) -> bool {
    largest_magnitude(values) < f32::INFINITY.to_bits() << 1
}

/// Writes the sums as little-endian integers of `bits`; `out` has their length. Every sum fits by construction.
pub(super) fn narrow(sums: &[i32], bits: UpdateBits, out: &mut [u8]) {
    match bits {
        UpdateBits::Eight => narrow_to_8(sums, out),
        UpdateBits::Sixteen => narrow_to_16(sums, out.as_chunks_mut().0),
        UpdateBits::ThirtyTwo => copy_32(sums, out.as_chunks_mut().0),
    }
}

vectorized! {
    /// Adds round(value · `factor`), ties to even, clamped to ±`limit`, to the sums; returns how many were clamped.
    pub(super) fn add_nearest(values: &[f32], sums: &mut [i32], factor: f32, limit: f32) -> u32 {
        let mut saturated = 0;
        for (sum, &value) in sums.iter_mut().zip(values) {
            let scaled = value * factor;
            saturated += u32::from(scaled.abs() > limit);
            *sum = sum.wrapping_add(nearest(clamp(scaled, limit)));
        }
        saturated
    }

    /// Adds value · `factor`, clamped to ±`limit` and rounded up with the probability of its fraction, to the sums;
    /// returns how many were clamped.
    pub(super) fn add_stochastic(values: &[f32], sums: &mut [i32], factor: f32, limit: f32, coin: Coin) -> u32 {
        let mut saturated = 0;
        let mut thresholds = [0.0; BLOCK];
        let mut first = coin.first;
        for (sums, values) in sums.chunks_mut(BLOCK).zip(values.chunks(BLOCK)) {
            for (threshold, index) in thresholds.iter_mut().zip(0..BLOCK as u32) {
                *threshold = uniform(coin.key, first.wrapping_add(index));
            }
            first = first.wrapping_add(BLOCK as u32);
            for ((sum, &value), &threshold) in sums.iter_mut().zip(values).zip(&thresholds) {
                let scaled = value * factor;
                saturated += u32::from(scaled.abs() > limit);
                let clamped = clamp(scaled, limit);
                let below = clamped.floor();
                let up = i32::from(threshold < clamped - below);
                *sum = sum.wrapping_add(nearest_of_small(below) + up);
            }
        }
        saturated
    }

    /// The largest bit pattern without its sign, in the upper 31 bits.
    fn largest_magnitude(values: &[f32]) -> u32 {
        let mut largest = 0;
        for value in values {
            largest = (value.to_bits() << 1).max(largest);
        }
        largest
    }

    fn narrow_to_8(sums: &[i32], out: &mut [u8]) {
        for (byte, &sum) in out.iter_mut().zip(sums) {
            *byte = sum as u8;
        }
    }

    fn narrow_to_16(sums: &[i32], out: &mut [[u8; 2]]) {
        for (bytes, &sum) in out.iter_mut().zip(sums) {
            *bytes = (sum as i16).to_le_bytes();
        }
    }

    fn copy_32(sums: &[i32], out: &mut [[u8; 4]]) {
        for (bytes, &sum) in out.iter_mut().zip(sums) {
            *bytes = sum.to_le_bytes();
        }
    }
}

#[inline(always)]
fn clamp(value: f32, limit: f32) -> f32 {
    let below = if value > limit { limit } else { value };
    if below < -limit { -limit } else { below }
}

/// The integer nearest to `value`, ties to even, for magnitudes up to 2^31 - 128.
///
/// Saturating casts do not vectorise, so the value is split into a multiple of 2^16 and a rest: both are exact, and
/// taking away an even number leaves ties where they were.
#[inline(always)]
fn nearest(value: f32) -> i32 {
    let shifted = value * (1.0 / 65_536.0) + TO_INTEGER;
    let high = shifted.to_bits().wrapping_sub(TO_INTEGER.to_bits()) as i32;
    let rest = value - (shifted - TO_INTEGER) * 65_536.0;
    (high << 16).wrapping_add(nearest_of_small(rest))
}

/// The integer nearest to `value`, ties to even, for magnitudes up to 2^22: adding 1.5 · 2^23 rounds, and leaves the
/// integer in the low bits.
#[inline(always)]
fn nearest_of_small(value: f32) -> i32 {
    (value + TO_INTEGER).to_bits().wrapping_sub(TO_INTEGER.to_bits()) as i32
}

/// A uniform multiple of 2^-24 in [0, 1): 24 bits of a keyed hash of the index.
///
/// A Weyl sequence starts at the key's low half and a multiply-xorshift finaliser takes the high half in the middle, so
/// that two keys never give shifted copies of one sequence. Multipliers and shifts are the first two rounds of
/// Wellons' triple32 ("Prospecting for hash functions", 2018).
#[inline(always)]
fn uniform(key: u64, index: u32) -> f32 {
    let mut hash = index.wrapping_mul(0x9e37_79b9).wrapping_add(key as u32);
    hash = (hash ^ (hash >> 17)).wrapping_mul(0xed5a_d4bb);
    hash ^= (key >> 32) as u32;
    hash = (hash ^ (hash >> 11)).wrapping_mul(0xac4c_1b51);
    hash ^= hash >> 15;
    ((hash >> 8) as i32) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests;
