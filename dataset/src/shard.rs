//! A shard as it travels: all its samples in one blob, named by its digest.
//!
//! ```text
//! "sgSH"  version  samples  inputs  classes        features            labels
//! 4 B     u32      u32      u32     u32            samples × inputs    samples         (little endian)
//! ```

use syngrad_engine::Digest;
use syngrad_engine::digest::Domain;
use thiserror::Error;

use super::{Samples, SamplesError};

const MAGIC: [u8; 4] = *b"sgSH";
const VERSION: u32 = 1;
const HEADER: usize = 20;

/// Why bytes are not a shard.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShardError {
    /// It does not begin as a shard does.
    #[error("the bytes are no shard: they do not begin with {MAGIC:?}")]
    Magic,
    /// Another version of the format.
    #[error("the shard has format version {found}; this build reads version {VERSION}, so update the older side")]
    Version {
        /// The version found.
        found: u32,
    },
    /// The length is not what the header says.
    #[error("the shard has {found} bytes; its header says {expected}")]
    Length {
        /// Bytes that the header says.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The header or a label is out of range.
    #[error("the shard's samples are not valid: {0}")]
    Samples(#[from] SamplesError),
}

/// Encodes the samples at `indices`, in that order.
///
/// # Panics
/// If an index is that of no sample.
#[must_use]
pub fn encode(samples: &Samples, indices: &[u32]) -> Vec<u8> {
    let field = |value: usize| u32::try_from(value).expect("a dataset's shape fits u32").to_le_bytes();
    let mut blob = Vec::with_capacity(HEADER + indices.len() * (samples.inputs() + 1));
    blob.extend_from_slice(&MAGIC);
    blob.extend_from_slice(&VERSION.to_le_bytes());
    for value in [indices.len(), samples.inputs(), samples.classes()] {
        blob.extend_from_slice(&field(value));
    }
    for &index in indices {
        blob.extend_from_slice(samples.image(index as usize));
    }
    blob.extend(indices.iter().map(|&index| samples.label(index as usize)));
    blob
}

/// Decodes a shard; nothing in it is trusted, and no more is allocated than the blob has bytes.
///
/// # Errors
/// [`ShardError`] naming what is wrong.
pub fn decode(blob: &[u8]) -> Result<Samples, ShardError> {
    let found = blob.len() as u64;
    if !blob.starts_with(&MAGIC) {
        return Err(ShardError::Magic);
    }
    let (header, body) = blob.split_at_checked(HEADER).ok_or(ShardError::Length { expected: HEADER as u64, found })?;
    let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let version = field(4);
    if version != VERSION {
        return Err(ShardError::Version { found: version });
    }
    let [count, inputs, classes] = [field(8), field(12), field(16)];
    // At most (2^32 - 1) · 2^32 + 20, which fits.
    let expected = u64::from(count) * (u64::from(inputs) + 1) + HEADER as u64;
    if expected != found {
        return Err(ShardError::Length { expected, found });
    }
    let (features, labels) = body.split_at(body.len() - count as usize);
    Ok(Samples::new(inputs as usize, classes as usize, features.to_vec(), labels.to_vec())?)
}

/// The digest that names a shard's blob.
#[must_use]
pub fn digest(blob: &[u8]) -> Digest {
    Digest::of(Domain::Shard, blob)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> Samples {
        Samples::new(2, 3, vec![1, 2, 3, 4, 5, 6], vec![0, 2, 1]).expect("valid samples")
    }

    #[test]
    fn a_shard_round_trips_in_the_order_asked_for() {
        let blob = encode(&samples(), &[2, 0]);
        assert_eq!(decode(&blob), Ok(samples().select(&[2, 0])));
        assert_eq!(&blob[..HEADER], b"sgSH\x01\0\0\0\x02\0\0\0\x02\0\0\0\x03\0\0\0");
        assert_ne!(digest(&blob), digest(&encode(&samples(), &[0, 2])));
    }

    #[test]
    fn every_field_is_checked() {
        let blob = encode(&samples(), &[0, 1, 2]);
        let with = |at: usize, value: u8| {
            let mut blob = blob.clone();
            blob[at] = value;
            decode(&blob)
        };
        assert_eq!(with(0, b'x'), Err(ShardError::Magic));
        assert_eq!(with(4, 2), Err(ShardError::Version { found: 2 }));
        assert_eq!(with(8, 4), Err(ShardError::Length { expected: 32, found: 29 }));
        assert_eq!(with(11, 255).map_err(|error| error.to_string().contains("header says")), Err(true));
        assert!(matches!(with(16, 1), Err(ShardError::Samples(SamplesError::Shape { .. }))));
        assert!(matches!(with(28, 3), Err(ShardError::Samples(SamplesError::Label { index: 2, label: 3, .. }))));
        assert_eq!(decode(&blob[..10]), Err(ShardError::Length { expected: 20, found: 10 }));
        assert_eq!(decode(&blob[..28]), Err(ShardError::Length { expected: 29, found: 28 }));
        assert_eq!(decode(&[blob.as_slice(), &[0]].concat()), Err(ShardError::Length { expected: 29, found: 30 }));
    }

    proptest! {
        #[test]
        fn bytes_are_a_shard_or_an_error(
            header in proptest::collection::vec(0u32..6, 3),
            body in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut blob = MAGIC.to_vec();
            blob.extend(VERSION.to_le_bytes());
            blob.extend(header.iter().flat_map(|field| field.to_le_bytes()));
            blob.extend(body);
            if let Ok(samples) = decode(&blob) {
                let all: Vec<u32> = (0..samples.len() as u32).collect();
                prop_assert_eq!(encode(&samples, &all), blob);
            }
        }

        #[test]
        fn any_bytes_are_survived(blob in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&blob);
        }

        #[test]
        fn a_flipped_bit_is_seen(at in 0usize..29, bit in 0u8..8) {
            let blob = encode(&samples(), &[0, 1, 2]);
            let mut flipped = blob.clone();
            flipped[at] ^= 1 << bit;
            prop_assert_ne!(decode(&flipped).ok(), decode(&blob).ok());
        }
    }
}
