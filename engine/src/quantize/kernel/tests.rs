use super::*;
use crate::random::{Purpose, Stream};

const COIN: Coin = Coin { key: 0x0123_4567_89ab_cdef, first: u32::MAX - 300 };

/// Values of many magnitudes, among them zeros of both signs, subnormals, ties and the largest.
fn values() -> Vec<f32> {
    let mut stream = Stream::new(1, Purpose::Samples, &[]);
    let mut values = vec![0.0, -0.0, 1e-45, -1e-45, f32::MIN_POSITIVE, f32::MAX, -f32::MAX, 0.5, -0.5, 1.5, 2.5, -2.5];
    values.extend((0..2000).map(|_| (stream.unit_f32() - 0.5) * libm::ldexpf(1.0, stream.below(60) as i32 - 20)));
    values
}

/// The definition, one value at a time, in f64.
fn reference(values: &[f32], factor: f32, limit: f32, round: impl Fn(f64, u32) -> f64) -> (Vec<i32>, u32) {
    let mut saturated = 0;
    let sums = values.iter().enumerate().map(|(index, &value)| {
        let (scaled, limit) = (f64::from(value) * f64::from(factor), f64::from(limit));
        saturated += u32::from(scaled.abs() > limit);
        round(scaled.clamp(-limit, limit), index as u32) as i32
    });
    (sums.collect(), saturated)
}

#[test]
fn nearest_is_its_definition_at_every_scale_and_limit() {
    let values = values();
    for exponent in [-60, -10, 0, 3, 20, 60] {
        for limit in [1.0, 15.0, 2_097_151.0, 268_435_440.0, 2_147_483_520.0] {
            let factor = libm::ldexpf(1.0, exponent);
            let mut sums = vec![0; values.len()];
            let saturated = add_nearest(&values, &mut sums, factor, limit);
            let expected = reference(&values, factor, limit, |value, _| value.round_ties_even());
            assert_eq!((sums, saturated), expected, "2^{exponent}, limit {limit}");
        }
    }
}

#[test]
fn stochastic_is_its_definition_at_every_scale_and_limit() {
    let values = values();
    for exponent in [-10, 0, 3, 20] {
        for limit in [1.0, 15.0, 127.0, 4095.0, 32_767.0] {
            let factor = libm::ldexpf(1.0, exponent);
            let mut sums = vec![0; values.len()];
            let saturated = add_stochastic(&values, &mut sums, factor, limit, COIN);
            let expected = reference(&values, factor, limit, |value, index| {
                let threshold = uniform(COIN.key, COIN.first.wrapping_add(index));
                // The fraction is rounded to f32, which matters for values just below zero only.
                value.floor() + f64::from(u8::from(threshold < (value - value.floor()) as f32))
            });
            assert_eq!((sums, saturated), expected, "2^{exponent}, limit {limit}");
        }
    }
}

#[test]
fn a_value_becomes_the_same_integer_in_every_lane_and_block() {
    let values = values();
    let mut whole = vec![0; values.len()];
    add_stochastic(&values, &mut whole, 4.0, 127.0, COIN);
    for start in [1, 2, 3, 5, 7, 8, 31, 255, 256, 257, 1999] {
        let mut part = vec![0; values.len() - start];
        let coin = Coin { first: COIN.first.wrapping_add(start as u32), ..COIN };
        add_stochastic(&values[start..], &mut part, 4.0, 127.0, coin);
        assert_eq!(part, whole[start..], "from {start}");
    }
}

#[test]
fn finiteness_is_seen_in_every_lane() {
    for at in 0..67 {
        for poison in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![-f32::MAX; 67];
            assert!(all_finite(&values));
            values[at] = poison;
            assert!(!all_finite(&values), "{poison} at {at}");
        }
    }
}

#[test]
fn narrow_keeps_sums_that_fit() {
    let sums = [-127, -1, 0, 1, 127];
    for (bits, expected) in [
        (UpdateBits::Eight, sums.iter().flat_map(|&sum| (sum as i8).to_le_bytes()).collect::<Vec<u8>>()),
        (UpdateBits::Sixteen, sums.iter().flat_map(|&sum| (sum as i16).to_le_bytes()).collect()),
        (UpdateBits::ThirtyTwo, sums.iter().flat_map(|&sum: &i32| sum.to_le_bytes()).collect()),
    ] {
        let mut out = vec![0; sums.len() * bits.bytes()];
        narrow(&sums, bits, &mut out);
        assert_eq!(out, expected, "{bits:?}");
    }
}
