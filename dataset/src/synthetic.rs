//! Samples drawn from a seed: each class is a point, each sample its class's point half blended with noise.

use syngrad_engine::random::{Purpose, Stream};

use super::{Dataset, Samples};

/// `train` samples and a quarter as many more to test on (at least one); any sample is a function of the seed and its
/// index.
///
/// # Panics
/// If `inputs` or `classes` pass the limits that `RunSpec::check` enforces.
#[must_use]
pub fn dataset(train: u32, inputs: usize, classes: usize, seed: u64) -> Dataset {
    let centres: Vec<Vec<u8>> = (0..classes as u64)
        .map(|class| {
            let mut stream = Stream::new(seed, Purpose::Samples, &[0, class]);
            (0..inputs).map(|_| byte(&mut stream)).collect()
        })
        .collect();
    let test = (train / 4).max(1);
    let end = train.saturating_add(test);
    Dataset { train: draw(&centres, 0..train, seed), test: draw(&centres, train..end, seed), origins: Vec::new() }
}

fn draw(centres: &[Vec<u8>], indices: std::ops::Range<u32>, seed: u64) -> Samples {
    let inputs = centres[0].len();
    let mut features = Vec::with_capacity(indices.len() * inputs);
    let mut labels = Vec::with_capacity(indices.len());
    for index in indices {
        let mut stream = Stream::new(seed, Purpose::Samples, &[1, u64::from(index)]);
        let label = stream.below(centres.len() as u64);
        features.extend(centres[label as usize].iter().map(|&centre| centre / 2 + byte(&mut stream) / 2));
        labels.push(label as u8);
    }
    Samples::new(inputs, centres.len(), features, labels).expect("drawn within the shape")
}

fn byte(stream: &mut Stream) -> u8 {
    (stream.next_u64() >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_depend_on_the_seed_and_the_index_alone() {
        let few = dataset(8, 5, 3, 7);
        let many = dataset(64, 5, 3, 7);
        assert_eq!(few.train.features(), &many.train.features()[..8 * 5]);
        assert_eq!((few.train.len(), few.test.len(), many.test.len()), (8, 2, 16));
        assert_eq!(few.test.features(), &many.train.features()[8 * 5..10 * 5]);
        assert_ne!(few, dataset(8, 5, 3, 8));
    }

    #[test]
    fn every_class_occurs() {
        assert!(dataset(1000, 2, 10, 1).train.histogram().iter().all(|&count| count > 50));
    }
}
