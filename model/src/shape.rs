//! The one mistake that every door of this crate can be given: a length that does not fit.

use thiserror::Error;

/// Something has another length than the model needs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}: the model takes {expected}, found {found}")]
pub struct ShapeError {
    /// What was given.
    pub what: &'static str,
    /// The length it must have.
    pub expected: usize,
    /// The length it has.
    pub found: usize,
}

impl ShapeError {
    pub(crate) fn check(what: &'static str, expected: usize, found: usize) -> Result<(), Self> {
        match expected == found {
            true => Ok(()),
            false => Err(Self { what, expected, found }),
        }
    }
}
