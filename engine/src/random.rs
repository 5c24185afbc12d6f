//! Randomness without a source: every value is a function of (seed, purpose, coordinates, index).
//!
//! The generator is SplitMix64 read as a counter-based one: value `i` of a stream with key `k` is `mix(k + (i + 1) · γ)`
//! (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; the finaliser is Stafford's
//! variant 13). Any value can be had without the ones before it, on any machine, in any order.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a stream of values is for; part of its key, so that two uses of a seed never share values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial params; coordinate: the tensor's index.
    Init = 1,
    /// Which samples a shard holds.
    Shards = 2,
    /// The order of a shard's samples in an epoch; coordinates: shard, epoch.
    Epoch = 3,
    /// Stochastic rounding; coordinates: round, unit.
    Rounding = 4,
    /// Synthetic samples.
    Samples = 5,
    /// Back-off jitter of a worker.
    Jitter = 6,
    /// The virtual network of the simulation.
    Simulation = 7,
    /// The input of a numerics fingerprint.
    Fingerprint = 8,
    /// Uneven cuts of the samples; coordinates: what is drawn, of which class, unit or group.
    Partition = 9,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An endless, addressable sequence of uniform values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    key: u64,
    index: u64,
}

impl Stream {
    /// The stream of `seed` for `purpose` at `coordinates`.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, coordinates: &[u64]) -> Self {
        let start = mix(mix(seed.wrapping_add(GOLDEN)) ^ (purpose as u64).wrapping_mul(GOLDEN));
        let key = coordinates.iter().fold(start, |key, &c| mix(key.wrapping_add(GOLDEN) ^ mix(c.wrapping_add(GOLDEN))));
        Self { key, index: 0 }
    }

    /// The stream's key, for kernels that derive values of their own from it.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The next 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.index += 1;
        mix(self.key.wrapping_add(self.index.wrapping_mul(GOLDEN)))
    }

    /// The next value in `0..bound`, by multiplication (bias below `bound` / 2^64).
    ///
    /// # Panics
    /// If `bound` is zero: there is no such value.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no value below 0");
        u64::try_from((u128::from(self.next_u64()) * u128::from(bound)) >> 64).expect("the upper half fits")
    }

    /// The next value in `[0, 1)`, a multiple of 2^-24 and so exact in f32.
    pub fn unit_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / 16_777_216.0
    }

    /// The next value strictly between 0 and 1, an odd multiple of 2^-53 and so exact in f64.
    pub fn open_f64(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Puts `items` in a uniformly drawn order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let pick = self.below(end as u64 + 1) as usize;
            items.swap(end, pick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the reference `splitmix64.c` for state 0.
    #[test]
    fn values_are_those_of_splitmix64() {
        let mut stream = Stream { key: 0, index: 0 };
        assert_eq!(stream.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(stream.next_u64(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(stream.next_u64(), 0x06c4_5d18_8009_454f);
    }

    #[test]
    fn seeds_purposes_and_coordinates_all_separate() {
        let first = |seed, purpose, at: &[u64]| Stream::new(seed, purpose, at).next_u64();
        let values = [
            first(0, Purpose::Init, &[0]),
            first(1, Purpose::Init, &[0]),
            first(0, Purpose::Epoch, &[0]),
            first(0, Purpose::Init, &[1]),
            first(0, Purpose::Init, &[0, 0]),
            first(0, Purpose::Init, &[]),
        ];
        let distinct: std::collections::BTreeSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len());
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_depends_on_the_seed() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            Stream::new(seed, Purpose::Epoch, &[]).shuffle(&mut items);
            items
        };
        let mut sorted = order(1);
        assert_ne!(sorted, order(2));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn values_below_a_bound_are_uniform() {
        let mut stream = Stream::new(3, Purpose::Simulation, &[]);
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[stream.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 400), "{counts:?}");
    }
}
