//! The hot loops of quantisation.
//!
//! Each is element-wise, so the vector width the machine gives them does not change a bit; the tests hold them against
//! plain scalar code. `pulp` picks AVX2 at run time where there is any.

use pulp::Arch;

use crate::spec::UpdateBits;

/// Where a unit's stochastic rounding takes its randomness from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coin {
    /// The key of the unit's stream.
    pub key: u64,
    /// Index in the flat params of the first value.
    pub first: u32,
}

/// Whether no value is NaN or infinite.
pub(super) fn all_finite(values: &[f32]) -> bool {
    let largest = Arch::new().dispatch(|| values.iter().fold(0, |largest: u32, v| largest.max(v.to_bits() << 1)));
    largest < f32::INFINITY.to_bits() << 1
}

/// Adds round(value · `factor`), ties to even, clamped to ±`limit`, to the sums; returns how many were clamped.
pub(super) fn add_nearest(values: &[f32], sums: &mut [i32], factor: f32, limit: f32) -> u32 {
    Arch::new().dispatch(|| {
        let mut saturated = 0;
        for (sum, &value) in sums.iter_mut().zip(values) {
            let scaled = value * factor;
            saturated += u32::from(scaled.abs() > limit);
            *sum = sum.wrapping_add(clamp(scaled, limit).round_ties_even() as i32);
        }
        saturated
    })
}

/// Adds value · `factor`, clamped to ±`limit` and rounded up with the probability of its fraction, to the sums;
/// returns how many were clamped.
pub(super) fn add_stochastic(values: &[f32], sums: &mut [i32], factor: f32, limit: f32, coin: Coin) -> u32 {
    Arch::new().dispatch(|| {
        let mut saturated = 0;
        for (index, (sum, &value)) in sums.iter_mut().zip(values).enumerate() {
            let scaled = value * factor;
            saturated += u32::from(scaled.abs() > limit);
            let clamped = clamp(scaled, limit);
            let below = clamped.floor();
            let up = i32::from(uniform(coin.key, coin.first.wrapping_add(index as u32)) < clamped - below);
            *sum = sum.wrapping_add(below as i32 + up);
        }
        saturated
    })
}

/// Writes the sums as little-endian integers of `bits`; `out` has their length. Every sum fits by construction.
pub(super) fn narrow(sums: &[i32], bits: UpdateBits, out: &mut [u8]) {
    Arch::new().dispatch(|| match bits {
        UpdateBits::Eight => out.iter_mut().zip(sums).for_each(|(byte, &sum)| *byte = sum as u8),
        UpdateBits::Sixteen => {
            out.as_chunks_mut().0.iter_mut().zip(sums).for_each(|(bytes, &sum)| *bytes = (sum as i16).to_le_bytes());
        }
        UpdateBits::ThirtyTwo => {
            out.as_chunks_mut().0.iter_mut().zip(sums).for_each(|(bytes, &sum)| *bytes = sum.to_le_bytes());
        }
    });
}

#[inline(always)]
fn clamp(value: f32, limit: f32) -> f32 {
    let below = if value > limit { limit } else { value };
    if below < -limit { -limit } else { below }
}

/// A uniform multiple of 2^-24 in [0, 1): 24 bits of a keyed hash of the index.
///
/// A Weyl sequence starts at the key's low half and a multiply-xorshift finaliser (Wellons' "triple32" family, two of
/// its rounds) takes the high half in the middle, so that two keys never give shifted copies of one sequence.
#[inline(always)]
fn uniform(key: u64, index: u32) -> f32 {
    let mut hash = index.wrapping_mul(0x9e37_79b9).wrapping_add(key as u32);
    hash = (hash ^ (hash >> 17)).wrapping_mul(0xed5a_d4bb);
    hash ^= (key >> 32) as u32;
    hash = (hash ^ (hash >> 11)).wrapping_mul(0xac4c_1b51);
    hash ^= hash >> 15;
    ((hash >> 8) as i32) as f32 * (1.0 / 16_777_216.0)
}
