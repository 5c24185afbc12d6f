//! Draws of a simulated world.

use std::time::Duration;

use crate::random::{Purpose, Stream};

/// A stream of the world's seed.
pub(super) struct Dice(Stream);

impl Dice {
    /// Streams of different `use_` never share values.
    pub(super) fn new(seed: u64, use_: u64) -> Self {
        Self(Stream::new(seed, Purpose::Simulation, &[use_]))
    }

    /// A value from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high.saturating_sub(low) + 1)
    }

    pub(super) fn small(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.between(u64::from(low), u64::from(high))).expect("drawn from a range of u32")
    }

    pub(super) fn micros(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low, high))
    }

    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        self.micros(low * 1_000, high * 1_000)
    }

    /// True in `percent` of a hundred draws.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.below(items.len() as u64) as usize]
    }
}
