//! The IDX format of the original MNIST files: a magic number that says type and axes, the length of each axis as
//! big-endian u32, then the elements.

use thiserror::Error;

/// The magic number of unsigned bytes without its last digit, the number of axes.
const UNSIGNED_BYTES: u32 = 0x0800;

/// Why bytes are not the IDX array that was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdxError {
    /// It ends early.
    #[error("it is truncated: expected {expected} bytes, found {found}")]
    Truncated {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// It goes on after its end.
    #[error("it is too long: expected {expected} bytes, found more")]
    TooLong {
        /// Bytes expected.
        expected: usize,
    },
    /// It holds something else.
    #[error("it is {found}; expected {expected}")]
    WrongKind {
        /// What was expected.
        expected: String,
        /// What the magic number says.
        found: String,
    },
    /// It has other axes.
    #[error("its axes are {found:?}; expected {expected:?}")]
    WrongShape {
        /// Axes expected.
        expected: Vec<u32>,
        /// Axes found.
        found: Vec<u32>,
    },
}

/// Bytes of an IDX array of `shape`, header included; saturates.
#[must_use]
pub fn len(shape: &[u32]) -> usize {
    let elements = shape.iter().fold(1usize, |elements, &axis| elements.saturating_mul(axis as usize));
    elements.saturating_add(header_len(shape.len()))
}

fn header_len(axes: usize) -> usize {
    4 + 4 * axes
}

/// The elements of an IDX array of unsigned bytes, which must have exactly `shape`. The buffer is reused.
///
/// # Errors
/// [`IdxError`] naming what differs. A file of another kind is named as such, whatever its length.
pub fn elements(raw: Vec<u8>, shape: &[u32]) -> Result<Vec<u8>, IdxError> {
    let axes = axes(&raw, shape.len(), len(shape))?;
    if axes != shape {
        return Err(IdxError::WrongShape { expected: shape.into(), found: axes });
    }
    body(raw, shape)
}

/// The elements of an IDX array of unsigned bytes with `axes` axes, and how long each axis is. The buffer is reused.
///
/// # Errors
/// [`IdxError`] naming what is wrong.
pub fn array(raw: Vec<u8>, axes: usize) -> Result<(Vec<u8>, Vec<u32>), IdxError> {
    let shape = self::axes(&raw, axes, header_len(axes))?;
    Ok((body(raw, &shape)?, shape))
}

/// The axes that the header says, `count` of them; a file that ends before is short of `expected` bytes.
fn axes(raw: &[u8], count: usize, expected: usize) -> Result<Vec<u32>, IdxError> {
    let word = |index: usize| {
        let bytes = raw.get(4 * index..4 * index + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("four bytes")))
    };
    let truncated = IdxError::Truncated { expected, found: raw.len() };
    let magic = word(0).ok_or_else(|| truncated.clone())?;
    let wanted = UNSIGNED_BYTES + count as u32;
    if magic != wanted {
        return Err(IdxError::WrongKind { expected: kind(wanted), found: kind(magic) });
    }
    (1..=count).map(word).collect::<Option<_>>().ok_or(truncated)
}

fn body(mut raw: Vec<u8>, shape: &[u32]) -> Result<Vec<u8>, IdxError> {
    let expected = len(shape);
    match raw.len() {
        found if found < expected => Err(IdxError::Truncated { expected, found }),
        found if found > expected => Err(IdxError::TooLong { expected }),
        _ => {
            raw.drain(..header_len(shape.len()));
            Ok(raw)
        }
    }
}

/// An IDX array of unsigned bytes with these elements.
///
/// # Panics
/// If there are not as many elements as the shape has.
#[must_use]
pub fn encode(shape: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(len(shape));
    raw.extend((UNSIGNED_BYTES + shape.len() as u32).to_be_bytes());
    raw.extend(shape.iter().flat_map(|axis| axis.to_be_bytes()));
    raw.extend_from_slice(elements);
    assert_eq!(raw.len(), len(shape), "the elements are those of the shape");
    raw
}

fn kind(magic: u32) -> String {
    match magic.wrapping_sub(UNSIGNED_BYTES) {
        1 => "an IDX file of labels".to_owned(),
        3 => "an IDX file of images".to_owned(),
        axes @ (2 | 4..=255) => format!("an IDX file of bytes with {axes} axes"),
        _ => format!("no IDX file of bytes (it begins with {magic:#010x})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(magic: u32, axes: &[u32], elements: &[u8]) -> Vec<u8> {
        let words = [&[magic], axes].concat();
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend_from_slice(elements);
        bytes
    }

    #[test]
    fn elements_come_out_without_the_header() {
        assert_eq!(elements(file(0x803, &[1, 2, 2], &[1, 2, 3, 4]), &[1, 2, 2]), Ok(vec![1, 2, 3, 4]));
        assert_eq!(elements(encode(&[1, 2, 2], &[1, 2, 3, 4]), &[1, 2, 2]), Ok(vec![1, 2, 3, 4]));
        assert_eq!(encode(&[1, 2, 2], &[1, 2, 3, 4]), file(0x803, &[1, 2, 2], &[1, 2, 3, 4]));
        assert_eq!(len(&[60_000, 28, 28]), 47_040_016);
    }

    #[test]
    fn every_difference_is_named() {
        let labels = file(0x801, &[4], &[1, 2, 3, 4]);
        let cases = [
            (vec![], "truncated: expected 20 bytes, found 0"),
            (labels, "an IDX file of labels; expected an IDX file of images"),
            (b"<!DOCTYPE html>".to_vec(), "no IDX file of bytes (it begins with 0x3c21444f)"),
            (file(0x803, &[1, 2], &[]), "truncated: expected 20 bytes, found 12"),
            (file(0x803, &[1, 2, 3], &[0; 6]), "axes are [1, 2, 3]; expected [1, 2, 2]"),
            (file(0x803, &[1, 2, 2], &[0; 3]), "truncated: expected 20 bytes, found 19"),
            (file(0x803, &[1, 2, 2], &[0; 5]), "too long: expected 20 bytes"),
            (file(0xd03, &[1, 2, 2], &[0; 4]), "no IDX file of bytes"),
            (file(0x802, &[2, 2], &[0; 4]), "bytes with 2 axes"),
        ];
        for (bytes, expected) in cases {
            let error = elements(bytes, &[1, 2, 2]).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }
}
