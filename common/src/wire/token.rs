//! The secret that ties a worker's connections together.

use std::fmt;

use bytes::Bytes;

/// What a coordinator gives a worker so that only this worker can replace its own connection.
#[derive(Clone, Copy)]
pub struct ResumeToken([u8; ResumeToken::LEN]);

impl ResumeToken {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A token of these bytes, which must come from the system's random source.
    #[must_use]
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(super) fn to_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

/// Takes the same time wherever the two differ.
impl PartialEq for ResumeToken {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl Eq for ResumeToken {}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}
