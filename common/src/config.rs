//! Run specs as text: TOML or JSON in, canonical JSON out.
//!
//! An error says where it is and what could have been meant.

mod complaint;
mod policy;

pub use policy::{PolicyTextError, parse_policy};

use std::fmt;

use bytes::Bytes;
use syngrad_engine::digest::Domain;
use syngrad_engine::spec::SpecError;
use syngrad_engine::{Digest, RunSpec};
use thiserror::Error;

use crate::error::{Code, Failure};
use crate::limits::MAX_SPEC;

/// A place in a text; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is no run spec.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConfigError {
    /// The text is too long.
    #[error("the run spec has {found} bytes; it may have {MAX_SPEC}")]
    TooLong {
        /// Bytes of the text.
        found: usize,
    },
    /// The text is not well-formed, or a value has the wrong type.
    #[error("{at}: {what}")]
    Syntax {
        /// Where.
        at: Position,
        /// What.
        what: String,
    },
    /// A key, or the name of a choice, that does not exist.
    #[error("{at}: there is no {what} {key:?}{}", complaint::suggestion(.meant.as_deref(), .known))]
    Unknown {
        /// Where.
        at: Position,
        /// What was looked for: a key or a choice.
        what: &'static str,
        /// What the text says.
        key: String,
        /// What it could have said there.
        known: Vec<String>,
        /// The likeliest of them, if one is like it at all.
        meant: Option<String>,
    },
    /// A value is out of its range.
    #[error(transparent)]
    Value(#[from] SpecError),
    /// Canonical JSON that is not what its digest says, or not canonical.
    #[error("the run spec's digest is {found}; {expected} was announced")]
    Differs {
        /// Digest announced.
        expected: Digest,
        /// Digest of this build's reading.
        found: Digest,
    },
}

impl From<&ConfigError> for Code {
    fn from(error: &ConfigError) -> Self {
        match error {
            ConfigError::TooLong { .. } | ConfigError::Syntax { .. } => Self::SpecSyntax,
            ConfigError::Unknown { .. } => Self::SpecUnknownKey,
            ConfigError::Value(_) => Self::SpecValue,
            ConfigError::Differs { .. } => Self::SpecDiffers,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new((&error).into(), error.to_string())
    }
}

/// A checked run spec with its one encoding. Two builds that agree on the digest agree on every value.
#[derive(Clone, Debug, PartialEq)]
pub struct CanonicalSpec {
    spec: RunSpec,
    json: Bytes,
    digest: Digest,
}

impl CanonicalSpec {
    /// Checks a spec and encodes it.
    ///
    /// Reading a decimal of 17 digits from JSON may miss the nearest f64 by one place, and a run's bits depend on it.
    /// So the spec becomes what a reader of its own encoding sees; a run and its reference start from that.
    ///
    /// # Errors
    /// [`SpecError`] if a value is out of its range.
    pub fn new(mut spec: RunSpec) -> Result<Self, SpecError> {
        spec.check()?;
        loop {
            let json = encode(&spec);
            let read: RunSpec = serde_json::from_slice(&json).expect("a checked spec can be read back");
            if read == spec {
                let digest = Digest::of(Domain::Spec, &json);
                return Ok(Self { spec, json: json.into(), digest });
            }
            spec = read;
            spec.check()?;
        }
    }

    /// Reads a spec that a person wrote, TOML or JSON.
    ///
    /// # Errors
    /// [`ConfigError`] with the place of what is wrong.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_SPEC {
            return Err(ConfigError::TooLong { found: text.len() });
        }
        let spec = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| complaint::of_json(text, &error))?,
            false => toml::from_str(text).map_err(|error| complaint::of_toml(text, &error))?,
        };
        Ok(Self::new(spec)?)
    }

    /// Reads canonical JSON that came with its digest.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a spec, or this build does not read and write it as the sender does.
    pub fn from_wire(json: &[u8], digest: Digest) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(json).map_err(|error| ConfigError::Syntax {
            at: Position { line: 1, column: error.valid_up_to() + 1 },
            what: "the run spec is not UTF-8".to_owned(),
        })?;
        let canonical = Self::parse(text)?;
        match canonical.digest == digest && canonical.json == json {
            true => Ok(canonical),
            false => Err(ConfigError::Differs { expected: digest, found: canonical.digest }),
        }
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// Its canonical JSON.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The same as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.json).expect("JSON is UTF-8")
    }

    /// The digest of the canonical JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Fields in the order of their declaration, no white space, shortest decimals.
fn encode(spec: &RunSpec) -> Vec<u8> {
    serde_json::to_vec(spec).expect("a spec has text keys and finite numbers only")
}

#[cfg(test)]
mod tests;
