//! How long a lease may take before others are asked too: as long as what was seen lately can explain.
//!
//! A member's own answers say how long it needs ([`Pace`]); the answers of all say how far off such an expectation can be
//! without anything being wrong ([`Spread`]): the median of `took / expected`, and ten median absolute
//! deviations on top. Medians, because a few stragglers must not move what counts as one (Rousseeuw and Croux,
//! "Alternatives to the Median Absolute Deviation", 1993). If everything becomes slower at once, as on a machine that
//! others use too, so does the expectation. All is integer arithmetic on what the run was told: the same events give the
//! same deadlines.

use std::collections::VecDeque;
use std::time::Duration;

/// Answers of one member that are looked at. Few, so that a member that has become slower for good is believed after five.
const ANSWERS: usize = 8;
/// Answers without which nothing is expected of a member.
const FIRST_ANSWERS: usize = 3;
/// Answers of all members that are looked at: some rounds of some members.
const RATIOS: usize = 64;
/// Answers of all without which nothing counts as too long.
const FIRST_RATIOS: usize = 8;
/// Median absolute deviations above the median that an answer may take. In a normal distribution one is 0.67 standard
/// deviations, so that these are nearly seven; whatever the distribution, at most one answer in 45 lies beyond
/// (Chebyshev).
const DEVIATIONS: u64 = 10;
/// An answer may always take so many times what is expected, in thousandths: a copy that is begun earlier would seldom be
/// the first to end.
const LEAST_TOLERANCE: u64 = 2_000;
/// The shortest patience. Two retransmissions of a lost packet take 600 ms on Linux (200 ms and twice that), and a shared
/// machine takes a process away for as long as that; a dead worker is noticed soon enough all the same.
const FLOOR: Duration = Duration::from_millis(800);

/// Thousandths of a unit and nanoseconds in a second, so that speed = units · this / nanoseconds.
const MILLI_NANOS: u128 = 1_000 * 1_000_000_000;
/// What is right on the scale of [`Spread`].
const ONE: u64 = 1_000;

/// How long a member took for its last leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pace(VecDeque<Answer>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Answer {
    nanos: u64,
    units: u32,
}

impl Pace {
    /// Takes note that `units` units took so long.
    pub fn note(&mut self, took: Duration, units: u32) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        push(&mut self.0, Answer { nanos, units: units.max(1) }, ANSWERS);
    }

    /// Thousandths of a unit a second, by the middle of its answers; none if too little is known of it.
    #[must_use]
    pub fn milli_units_per_second(&self) -> Option<u64> {
        let speed = |answer: &Answer| {
            let speed = u128::from(answer.units) * MILLI_NANOS / u128::from(answer.nanos.max(1));
            u64::try_from(speed.max(1)).unwrap_or(u64::MAX)
        };
        (self.0.len() >= FIRST_ANSWERS).then(|| median(self.0.iter().map(speed).collect()))
    }

    /// The time in which the member should answer a lease of `units` units; none if too little is known of it. More units
    /// take longer in proportion; fewer are not expected to take less, since a part of the time may not depend on them.
    #[must_use]
    pub fn expected(&self, units: u32) -> Option<Duration> {
        let scaled = |answer: &Answer| {
            let nanos = u128::from(answer.nanos) * u128::from(units.max(answer.units)) / u128::from(answer.units);
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        (self.0.len() >= FIRST_ANSWERS).then(|| Duration::from_nanos(median(self.0.iter().map(scaled).collect())))
    }
}

/// How far from what was expected all members' last answers were, in thousandths of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spread(VecDeque<u64>);

impl Spread {
    /// Takes note of an answer that was expected to take so long.
    pub fn note(&mut self, took: Duration, expected: Duration) {
        let ratio = took.as_nanos() * u128::from(ONE) / expected.as_nanos().max(1);
        push(&mut self.0, u64::try_from(ratio).unwrap_or(u64::MAX), RATIOS);
    }

    /// The time that a lease may take which is expected to take `expected`; none if too little is known.
    #[must_use]
    pub fn patience(&self, expected: Duration) -> Option<Duration> {
        if self.0.len() < FIRST_RATIOS {
            return None;
        }
        let usual = median(self.0.iter().copied().collect());
        let deviation = median(self.0.iter().map(|ratio| ratio.abs_diff(usual)).collect());
        let tolerance = usual.saturating_add(deviation.saturating_mul(DEVIATIONS)).max(LEAST_TOLERANCE);
        let nanos = expected.as_nanos().saturating_mul(u128::from(tolerance)) / u128::from(ONE);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(FLOOR))
    }
}

/// Forgets the oldest for the newest.
fn push<T>(window: &mut VecDeque<T>, newest: T, most: usize) {
    window.push_back(newest);
    if window.len() > most {
        window.pop_front();
    }
}

/// The upper of the two in the middle, of at least one value.
fn median(mut values: Vec<u64>) -> u64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests;
