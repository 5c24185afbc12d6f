//! A training state as bytes: the one canonical form, for checkpoints.
//!
//! Little-endian throughout: magic `SGTS`, version (u16), layout digest, round (u32), width in bits (u8), limit (i32),
//! number of tensors (u32) and their exponents (i16), chain digest, optimiser steps (u32), then three vectors of f32
//! with their lengths (u64) before them: params, first moment, second moment. What the run spec fixes is not in it.

use std::sync::Arc;

use thiserror::Error;

use super::{Course, StateError, TrainingState};
use crate::digest::Digest;
use crate::id::Round;
use crate::layout::Layout;
use crate::optimizer::{Optimizer, OptimizerState, OptimizerStateError};
use crate::plan::Plan;
use crate::quantize::{Grid, GridError, first_not_finite, limit};
use crate::spec::{RunSpec, UpdateBits};

const MAGIC: [u8; 4] = *b"SGTS";
const VERSION: u16 = 1;

/// Why bytes are not the training state of a run.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DecodeError {
    /// The bytes are something else.
    #[error("these bytes are not a training state; choose a checkpoint file")]
    Foreign,
    /// The bytes are of a version that this program does not read.
    #[error(
        "the training state has version {found}, this program reads version {VERSION}; use the program that wrote it"
    )]
    Version {
        /// The version found.
        found: u16,
    },
    /// The bytes end early.
    #[error("the training state ends after {len} bytes, within its {part}; the file is truncated, take an earlier one")]
    Truncated {
        /// Bytes there are.
        len: usize,
        /// What could not be read.
        part: &'static str,
    },
    /// There are bytes after the end.
    #[error("{extra} bytes follow the training state; the file is damaged, take an earlier one")]
    Trailing {
        /// Bytes too many.
        extra: usize,
    },
    /// The state belongs to another run spec.
    #[error("the training state does not fit the run spec: its {part} differs; use the spec it was made with")]
    OtherRun {
        /// What differs.
        part: &'static str,
    },
    /// The grid is no grid.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The optimiser's state is not one of the run's optimiser.
    #[error(transparent)]
    Optimizer(#[from] OptimizerStateError),
    /// The run spec itself cannot begin, or a param is not finite.
    #[error(transparent)]
    State(#[from] StateError),
}

impl TrainingState {
    /// The state as bytes: equal states have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let OptimizerState { steps, first, second } = self.optimizer.state();
        let vectors = [&*self.params, first, second];
        let floats: usize = vectors.iter().map(|vector| vector.len()).sum();
        let mut out = Vec::with_capacity(128 + 2 * self.grid.exponents().len() + 4 * floats);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.layout.digest().0);
        out.extend(self.round.0.to_le_bytes());
        out.push(self.grid.bits().into());
        out.extend(self.grid.limit().to_le_bytes());
        out.extend((self.grid.exponents().len() as u32).to_le_bytes());
        out.extend(self.grid.exponents().iter().flat_map(|exponent| exponent.to_le_bytes()));
        out.extend(self.chain.0);
        out.extend(steps.to_le_bytes());
        for vector in vectors {
            out.extend((vector.len() as u64).to_le_bytes());
            out.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
        }
        out
    }

    /// The state of a run of `spec` that [`TrainingState::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] unless the bytes are exactly one state of such a run.
    pub fn decode(spec: &RunSpec, plan: &Plan, layout: Arc<Layout>, bytes: &[u8]) -> Result<Self, DecodeError> {
        let course = Course::new(spec, plan)?;
        let mut reader = Reader { bytes, at: 0 };
        reader.header(&layout)?;
        let round = Round(u32::from_le_bytes(reader.array("round")?));
        if round.0 > course.rounds {
            return Err(DecodeError::OtherRun { part: "number of rounds" });
        }
        let grid = reader.grid(&layout, plan)?;
        let expected = if round.0 == 0 { UpdateBits::ThirtyTwo } else { course.update_bits };
        if grid.bits() != expected {
            return Err(DecodeError::OtherRun { part: "width" });
        }
        let chain = Digest(reader.array("chain")?);
        let steps = u32::from_le_bytes(reader.array("steps")?);
        let params = reader.floats("params")?;
        let state =
            OptimizerState { steps, first: reader.floats("first moment")?, second: reader.floats("second moment")? };
        reader.end()?;
        let (found, expected) = (params.len(), layout.params());
        if found != expected {
            return Err(StateError::WrongLength { found, expected }.into());
        }
        if let Some((tensor, index, value)) = first_not_finite(&layout, &params) {
            return Err(StateError::NotFinite { tensor, index, value }.into());
        }
        let optimizer = Optimizer::from_state(&spec.optimizer, expected, state)?;
        let params_digest = Digest::of_params(&params);
        let params = Arc::new(params);
        Ok(Self { layout, course, round, grid, params, params_digest, chain, optimizer })
    }
}

/// Reads a state's parts one after another.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, part: &'static str) -> Result<&'a [u8], DecodeError> {
        let truncated = DecodeError::Truncated { len: self.bytes.len(), part };
        let end = self.at.checked_add(len).ok_or_else(|| truncated.clone())?;
        let taken = self.bytes.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], DecodeError> {
        self.take(N, part).map(|bytes| bytes.try_into().expect("as many bytes were taken as the array has"))
    }

    fn header(&mut self, layout: &Layout) -> Result<(), DecodeError> {
        if self.array("magic")? != MAGIC {
            return Err(DecodeError::Foreign);
        }
        let found = u16::from_le_bytes(self.array("version")?);
        if found != VERSION {
            return Err(DecodeError::Version { found });
        }
        match self.array("layout digest")? == layout.digest().0 {
            true => Ok(()),
            false => Err(DecodeError::OtherRun { part: "layout" }),
        }
    }

    fn grid(&mut self, layout: &Layout, plan: &Plan) -> Result<Grid, DecodeError> {
        let [bits] = self.array("width")?;
        let bits = UpdateBits::try_from(bits).map_err(|_| DecodeError::OtherRun { part: "width" })?;
        let found = i32::from_le_bytes(self.array("limit")?);
        let tensors = u32::from_le_bytes(self.array("tensors")?) as usize;
        let exponents = self.take(tensors.saturating_mul(2), "exponents")?;
        let exponents = exponents.as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect();
        match limit(bits, plan.units()) == Some(found) {
            true => Ok(Grid::validated(bits, found, exponents, layout)?),
            false => Err(DecodeError::OtherRun { part: "number of units" }),
        }
    }

    fn floats(&mut self, part: &'static str) -> Result<Vec<f32>, DecodeError> {
        let len = usize::try_from(u64::from_le_bytes(self.array(part)?)).unwrap_or(usize::MAX);
        let bytes = self.take(len.saturating_mul(4), part)?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    fn end(&self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { extra }),
        }
    }
}
