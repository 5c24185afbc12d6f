//! The hot loops of aggregation: integers throughout, but for the one product that makes the mean.

use crate::spec::UpdateBits;
use crate::vectorized::vectorized;

/// The smallest and the largest entry of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extremes {
    pub smallest: i32,
    pub largest: i32,
}

vectorized! {
    /// Adds packed entries to the sums, wrapping, and returns the extremes of the entries.
    pub(super) fn add(packed: &[u8], bits: UpdateBits, sums: &mut [i32]) -> Extremes {
        let (mut smallest, mut largest) = (0, 0);
        each(packed, bits, sums, |sum, entry| {
            *sum = sum.wrapping_add(entry);
            smallest = entry.min(smallest);
            largest = entry.max(largest);
        });
        Extremes { smallest, largest }
    }

    /// Subtracts packed entries from the sums, wrapping: the inverse of [`add`].
    pub(super) fn subtract(packed: &[u8], bits: UpdateBits, sums: &mut [i32]) {
        each(packed, bits, sums, |sum, entry| *sum = sum.wrapping_sub(entry));
    }

    /// Adds sums to sums.
    pub(super) fn add_sums(from: &[i32], to: &mut [i32]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = to.wrapping_add(from);
        }
    }

    /// Writes sum · `factor`, computed in f64, rounded to f32.
    pub(super) fn scale(sums: &[i32], factor: f64, out: &mut [f32]) {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = (f64::from(sum) * factor) as f32;
        }
    }

    /// The largest magnitude.
    pub(super) fn largest(sums: &[i32]) -> u32 {
        let mut largest = 0;
        for sum in sums {
            largest = sum.unsigned_abs().max(largest);
        }
        largest
    }
}

#[inline(always)]
fn each(packed: &[u8], bits: UpdateBits, sums: &mut [i32], mut with: impl FnMut(&mut i32, i32)) {
    match bits {
        UpdateBits::Eight => {
            for (sum, &byte) in sums.iter_mut().zip(packed) {
                with(sum, i32::from(byte as i8));
            }
        }
        UpdateBits::Sixteen => {
            for (sum, &bytes) in sums.iter_mut().zip(packed.as_chunks().0) {
                with(sum, i32::from(i16::from_le_bytes(bytes)));
            }
        }
        UpdateBits::ThirtyTwo => {
            for (sum, &bytes) in sums.iter_mut().zip(packed.as_chunks().0) {
                with(sum, i32::from_le_bytes(bytes));
            }
        }
    }
}
