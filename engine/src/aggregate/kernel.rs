//! The hot loops of aggregation: element-wise integers, so the vector width does not change a bit.

use pulp::Arch;

use crate::spec::UpdateBits;

/// The smallest and the largest entry of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extremes {
    pub smallest: i32,
    pub largest: i32,
}

/// Adds packed entries to the sums, wrapping, and returns the extremes of the entries.
pub(super) fn add(packed: &[u8], bits: UpdateBits, sums: &mut [i32]) -> Extremes {
    Arch::new().dispatch(|| {
        let (mut smallest, mut largest) = (0, 0);
        each(packed, bits, sums, |sum, entry| {
            *sum = sum.wrapping_add(entry);
            smallest = entry.min(smallest);
            largest = entry.max(largest);
        });
        Extremes { smallest, largest }
    })
}

/// Subtracts packed entries from the sums, wrapping: the inverse of [`add`].
pub(super) fn subtract(packed: &[u8], bits: UpdateBits, sums: &mut [i32]) {
    Arch::new().dispatch(|| each(packed, bits, sums, |sum, entry| *sum = sum.wrapping_sub(entry)));
}

/// Adds sums to sums.
pub(super) fn add_sums(from: &[i32], to: &mut [i32]) {
    Arch::new().dispatch(|| to.iter_mut().zip(from).for_each(|(to, &from)| *to = to.wrapping_add(from)));
}

/// Writes sum · `factor`, computed in f64, rounded to f32.
pub(super) fn scale(sums: &[i32], factor: f64, out: &mut [f32]) {
    Arch::new().dispatch(|| {
        out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = (f64::from(sum) * factor) as f32);
    });
}

/// The largest magnitude.
pub(super) fn largest(sums: &[i32]) -> u32 {
    Arch::new().dispatch(|| sums.iter().fold(0, |largest: u32, sum| largest.max(sum.unsigned_abs())))
}

#[inline(always)]
fn each(packed: &[u8], bits: UpdateBits, sums: &mut [i32], mut with: impl FnMut(&mut i32, i32)) {
    let sums = sums.iter_mut();
    match bits {
        UpdateBits::Eight => sums.zip(packed).for_each(|(sum, &byte)| with(sum, i32::from(byte as i8))),
        UpdateBits::Sixteen => {
            sums.zip(packed.as_chunks().0).for_each(|(sum, &bytes)| with(sum, i32::from(i16::from_le_bytes(bytes))));
        }
        UpdateBits::ThirtyTwo => {
            sums.zip(packed.as_chunks().0).for_each(|(sum, &bytes)| with(sum, i32::from_le_bytes(bytes)));
        }
    }
}
