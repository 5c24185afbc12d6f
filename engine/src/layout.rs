//! The layout of flat params: which tensor lies where in one vector of f32.

use std::ops::Range;

use thiserror::Error;

use crate::digest::{Digest, Domain, Hasher};

/// The most params a model may have (1 GiB of f32).
pub const MAX_PARAMS: usize = 1 << 28;

/// The most tensors a model may have.
pub const MAX_TENSORS: usize = 4096;

/// One tensor: its dotted path in the model and its shape, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    /// Dotted path, stable over processes and releases (`hidden.0.weight`).
    pub name: String,
    /// Length of each axis; a scalar has none.
    pub shape: Vec<usize>,
}

/// Names, shapes and places of all tensors of a model, in the order in which they lie in the flat params.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    tensors: Vec<Tensor>,
    starts: Vec<usize>,
    digest: Digest,
}

/// Why a list of tensors is no layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// More tensors than [`MAX_TENSORS`].
    #[error("{found} tensors are more than the {MAX_TENSORS} a model may have")]
    TooManyTensors {
        /// Tensors in the list.
        found: usize,
    },
    /// No tensors, or one of no elements.
    #[error("tensor {name:?} has no elements")]
    Empty {
        /// The tensor's name, empty if there was no tensor at all.
        name: String,
    },
    /// More params than [`MAX_PARAMS`].
    #[error("the model has more than the {MAX_PARAMS} params it may have")]
    TooManyParams,
}

impl Layout {
    /// Lays the tensors out one after another.
    ///
    /// # Errors
    /// [`LayoutError`] when there is nothing to lay out or a limit is passed.
    pub fn new(tensors: Vec<Tensor>) -> Result<Self, LayoutError> {
        if tensors.len() > MAX_TENSORS {
            return Err(LayoutError::TooManyTensors { found: tensors.len() });
        }
        if tensors.is_empty() {
            return Err(LayoutError::Empty { name: String::new() });
        }
        let mut starts = vec![0];
        let mut end = 0usize;
        for tensor in &tensors {
            let len = tensor.shape.iter().try_fold(1usize, |len, &axis| len.checked_mul(axis));
            end = len.and_then(|len| end.checked_add(len)).ok_or(LayoutError::TooManyParams)?;
            match len {
                Some(0) => return Err(LayoutError::Empty { name: tensor.name.clone() }),
                _ if end > MAX_PARAMS => return Err(LayoutError::TooManyParams),
                _ => starts.push(end),
            }
        }
        let digest = digest_of(&tensors);
        Ok(Self { tensors, starts, digest })
    }

    /// The tensors, in order.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Where tensor `index` lies in the flat params.
    ///
    /// # Panics
    /// If there is no such tensor.
    #[must_use]
    pub fn range(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index + 1]
    }

    /// The places of all tensors, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.starts.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// Number of params.
    #[must_use]
    pub fn params(&self) -> usize {
        *self.starts.last().expect("a layout has an end")
    }

    /// Digest of names and shapes: two sides that agree on it agree on the meaning of every param.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

fn digest_of(tensors: &[Tensor]) -> Digest {
    let mut hasher = Hasher::new(Domain::Layout);
    for tensor in tensors {
        hasher.update(&(tensor.name.len() as u64).to_le_bytes()).update(tensor.name.as_bytes());
        hasher.update(&(tensor.shape.len() as u64).to_le_bytes());
        for &axis in &tensor.shape {
            hasher.update(&(axis as u64).to_le_bytes());
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize]) -> Tensor {
        Tensor { name: name.into(), shape: shape.into() }
    }

    #[test]
    fn tensors_lie_one_after_another() {
        let layout = Layout::new(vec![tensor("w", &[2, 3]), tensor("b", &[3])]).expect("a layout");
        assert_eq!(layout.params(), 9);
        assert_eq!(layout.ranges().collect::<Vec<_>>(), [0..6, 6..9]);
        assert_eq!(layout.range(1), 6..9);
    }

    #[test]
    fn the_digest_sees_names_and_shapes() {
        let digest = |tensors| Layout::new(tensors).expect("a layout").digest();
        assert_ne!(digest(vec![tensor("w", &[2, 3])]), digest(vec![tensor("w", &[3, 2])]));
        assert_ne!(digest(vec![tensor("w", &[6])]), digest(vec![tensor("v", &[6])]));
        assert_ne!(
            digest(vec![tensor("ab", &[1]), tensor("c", &[1])]),
            digest(vec![tensor("a", &[1]), tensor("bc", &[1])])
        );
    }

    #[test]
    fn impossible_layouts_are_refused() {
        assert!(matches!(Layout::new(vec![]), Err(LayoutError::Empty { .. })));
        assert!(matches!(Layout::new(vec![tensor("w", &[3, 0])]), Err(LayoutError::Empty { .. })));
        assert_eq!(Layout::new(vec![tensor("w", &[usize::MAX, 2])]), Err(LayoutError::TooManyParams));
        assert_eq!(Layout::new(vec![tensor("w", &[MAX_PARAMS]), tensor("b", &[1])]), Err(LayoutError::TooManyParams));
        let many = vec![tensor("w", &[1]); MAX_TENSORS + 1];
        assert_eq!(Layout::new(many), Err(LayoutError::TooManyTensors { found: MAX_TENSORS + 1 }));
    }
}
