//! How much somebody may ask for: a bucket that fills at a steady rate, up to a brim.

use crate::id::Time;

const NANOS: u128 = 1_000_000_000;

/// A token bucket. Time is an argument, and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens a second.
    rate: u64,
    /// Tokens that it holds at most.
    brim: u64,
    /// Billionths of a token that are in it; below zero for what was taken on credit.
    level: i128,
    filled: Time,
}

impl Bucket {
    /// A full bucket of `brim` tokens that `rate` tokens a second flow into.
    ///
    /// # Panics
    /// If nothing flows into it: whoever waits for it would wait for ever.
    #[must_use]
    pub fn new(now: Time, rate: u64, brim: u64) -> Self {
        assert!(rate > 0, "something flows into a bucket");
        Self { rate, brim, level: i128::from(brim) * NANOS as i128, filled: now }
    }

    fn fill(&mut self, now: Time) {
        let flown = now.since(self.filled).as_nanos() * u128::from(self.rate);
        let brim = i128::from(self.brim) * NANOS as i128;
        self.level = self.level.saturating_add(i128::try_from(flown).unwrap_or(i128::MAX)).min(brim);
        self.filled = self.filled.max(now);
    }

    /// Takes `tokens` if they are there; false, and takes nothing, if they are not.
    #[must_use]
    pub fn take(&mut self, now: Time, tokens: u64) -> bool {
        self.fill(now);
        let wanted = i128::from(tokens) * NANOS as i128;
        let is_there = self.level >= wanted;
        if is_there {
            self.level -= wanted;
        }
        is_there
    }

    /// Takes `tokens` in any case; whoever takes more than there is waits until the moment that this gives.
    #[must_use]
    pub fn take_on_credit(&mut self, now: Time, tokens: u64) -> Time {
        self.fill(now);
        self.level = self.level.saturating_sub(i128::from(tokens) * NANOS as i128);
        let lacking = u128::try_from(-self.level).unwrap_or(0);
        let nanos = lacking.div_ceil(u128::from(self.rate));
        Time(now.0.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(seconds: f64) -> Time {
        Time::default().after(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_full_bucket_gives_its_brim_at_once_and_then_its_rate() {
        let mut bucket = Bucket::new(seconds(5.0), 10, 3);
        let taken = |bucket: &mut Bucket, at: f64| bucket.take(seconds(at), 1);
        assert!((0..3).all(|_| taken(&mut bucket, 5.0)));
        assert!(!taken(&mut bucket, 5.0) && !taken(&mut bucket, 5.099));
        assert!(taken(&mut bucket, 5.1) && !taken(&mut bucket, 5.1));
        assert!((0..3).all(|_| taken(&mut bucket, 100.0)), "it is full again");
        assert!(!taken(&mut bucket, 100.0), "and never fuller");
    }

    #[test]
    fn what_is_taken_on_credit_is_waited_for() {
        let mut bucket = Bucket::new(seconds(0.0), 10, 10);
        assert_eq!(bucket.take_on_credit(seconds(0.0), 10), seconds(0.0));
        assert_eq!(bucket.take_on_credit(seconds(0.0), 5), seconds(0.5));
        assert_eq!(bucket.take_on_credit(seconds(0.5), 5), seconds(1.0));
        assert!(!bucket.take(seconds(0.9), 1), "credit is paid back first");
    }

    #[test]
    fn a_clock_that_stands_still_or_jumps_gives_nothing_away() {
        let mut bucket = Bucket::new(seconds(9.0), u64::MAX, 1);
        assert!(bucket.take(seconds(9.0), 1) && !bucket.take(seconds(3.0), 1));
        assert!(bucket.take(Time(u64::MAX), 1) && !bucket.take(Time(u64::MAX), 1));
    }
}
