use super::*;
use crate::quantize::limit;

fn measured(largest: u32, exponent: i16) -> Measured {
    Measured { largest, exponent, limit: limit_at(UpdateBits::ThirtyTwo), units: 16 }
}

fn limit_at(bits: UpdateBits) -> i32 {
    limit(bits, 16).expect("16 units fit")
}

#[test]
fn logarithms_are_read_off_exponents() {
    for exponent in -200..200 {
        let power = power_of_two(exponent);
        assert_eq!(power, libm::ldexp(1.0, i32::from(exponent)));
        assert_eq!(floor_log2(power), exponent);
        assert_eq!(floor_log2(power * 1.999_999), exponent);
        assert_eq!(floor_log2(power * 0.999_999), exponent - 1);
    }
}

#[test]
fn the_first_scale_has_room_for_the_bound() {
    for weight in [1, 31, 32, 7500, 1 << 30] {
        let exponent = first_exponent(limit_at(UpdateBits::ThirtyTwo), weight);
        let room = f64::from(limit_at(UpdateBits::ThirtyTwo)) * power_of_two(-exponent);
        let bound = FIRST_BOUND * f64::from(weight);
        assert!(room >= bound && room < 2.0 * bound, "weight {weight}: room for {room}");
    }
}

#[test]
fn the_next_scale_leaves_the_head_room_of_its_width() {
    for bits in [UpdateBits::Eight, UpdateBits::Sixteen, UpdateBits::ThirtyTwo] {
        // 64 Mi quanta of 2^-20 in the sum of 16 units: about 16 in one of them.
        let exponent = next_exponent(measured(64 << 20, 20), bits, limit_at(bits));
        let ratio = f64::from(limit_at(bits)) / (16.0 * power_of_two(exponent));
        let headroom = headroom(bits, limit_at(bits));
        assert!(ratio >= headroom && ratio < 2.0 * headroom, "{bits:?}: {ratio}");
    }
}

#[test]
fn a_range_narrows_a_few_bits_at_a_time_and_widens_at_once() {
    let (bits, limit) = (UpdateBits::ThirtyTwo, limit_at(UpdateBits::ThirtyTwo));
    assert_eq!(next_exponent(measured(0, 20), bits, limit), 20 + MAX_NARROWING);
    assert_eq!(next_exponent(measured(1, 20), bits, limit), 20 + MAX_NARROWING);
    let wide = next_exponent(measured(1 << 30, 20), bits, limit);
    assert!(wide < 20 - 3, "{wide}");
    // Limits of 7 and 2^27 - 8: the same range needs an exponent smaller by 24.2, and so by 25.
    let narrow = next_exponent(measured(0, 20), UpdateBits::Eight, limit_at(UpdateBits::Eight));
    assert_eq!(narrow, 20 + MAX_NARROWING - 25);
}

#[test]
fn a_saturated_tensor_recovers_faster_than_its_estimate_says() {
    let (bits, limit) = (UpdateBits::ThirtyTwo, limit_at(UpdateBits::ThirtyTwo));
    let clamped = limit as u32;
    let just_below = next_exponent(measured(4 * clamped, 40), bits, limit);
    let beyond = next_exponent(measured(4 * clamped + 64, 40), bits, limit);
    assert_eq!(just_below, 40 - 3);
    assert_eq!(beyond, 40 - 4 - RECOVERY);
}

#[test]
fn exponents_stay_in_their_range() {
    for bits in [UpdateBits::Eight, UpdateBits::Sixteen, UpdateBits::ThirtyTwo] {
        for largest in [0, 1, 1 << 20, i32::MAX.unsigned_abs()] {
            for exponent in [MIN_EXPONENT, MAX_EXPONENT] {
                let next = next_exponent(measured(largest, exponent), bits, limit_at(bits));
                assert!((MIN_EXPONENT..=MAX_EXPONENT).contains(&next), "{next}");
            }
        }
    }
}
