//! Params and updates as bytes: little-endian, cut into frames, put together again and checked.

use std::sync::Arc;

use bytemuck::NoUninit;
use bytes::{Bytes, BytesMut};
use syngrad_engine::Digest;
use syngrad_engine::digest::{Domain, Hasher};
use thiserror::Error;

use crate::limits::MAX_FRAME;

/// Bytes that are hashed and copied at a time.
const BLOCK: usize = 64 << 10;

/// Why frames are not the payload that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The announced size is not the one that the receiver knows it must be.
    #[error("a payload of {found} bytes was announced; expected {expected}")]
    WrongSize {
        /// Bytes expected.
        expected: u64,
        /// Bytes announced.
        found: u64,
    },
    /// The announced size is over the limit.
    #[error("a payload of {found} bytes was announced; at most {most} are taken")]
    Oversize {
        /// The most bytes that are taken.
        most: u64,
        /// Bytes announced.
        found: u64,
    },
    /// A frame is larger than a frame may be.
    #[error("a frame of {found} bytes arrived; a frame has at most {MAX_FRAME}")]
    FrameTooLarge {
        /// Bytes of the frame.
        found: usize,
    },
    /// A frame is empty although bytes are missing.
    #[error("an empty frame arrived at byte {at} of {expected}")]
    EmptyFrame {
        /// Bytes received before it.
        at: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// More bytes than announced.
    #[error("{found} bytes arrived of a payload of {expected}")]
    Overrun {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// Fewer bytes than announced.
    #[error("only {found} bytes arrived of a payload of {expected}")]
    Underrun {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// The bytes are not the ones that were announced.
    #[error("the payload's digest is {found}; {expected} was announced")]
    WrongDigest {
        /// Digest announced.
        expected: Digest,
        /// Digest of what arrived.
        found: Digest,
    },
}

/// Flat params as they travel: little-endian f32. Where that is how they lie in memory, the bytes share it.
#[must_use]
pub fn params_to_bytes(params: Arc<Vec<f32>>) -> Bytes {
    match cfg!(target_endian = "little") {
        true => Bytes::from_owner(InPlace(params)),
        false => params.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// Numbers, seen as their bytes.
struct InPlace<E>(Arc<Vec<E>>);

impl<E: NoUninit> AsRef<[u8]> for InPlace<E> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Cuts a payload into frames; the frames share its memory.
pub fn frames(payload: &Bytes) -> impl Iterator<Item = Bytes> + use<> {
    let payload = payload.clone();
    (0..payload.len()).step_by(MAX_FRAME).map(move |start| payload.slice(start..payload.len().min(start + MAX_FRAME)))
}

/// What is common to all payloads: how many bytes, and which.
#[derive(Debug)]
struct Intake {
    hasher: Hasher,
    digest: Digest,
    expected: u64,
    received: u64,
}

impl Intake {
    fn new(domain: Domain, digest: Digest, expected: u64) -> Self {
        Self { hasher: Hasher::new(domain), digest, expected, received: 0 }
    }

    /// Counts a frame before anything is done with it.
    fn admit(&mut self, frame: &[u8]) -> Result<(), CodecError> {
        let (len, at, expected) = (frame.len(), self.received, self.expected);
        if len > MAX_FRAME {
            return Err(CodecError::FrameTooLarge { found: len });
        }
        if len == 0 {
            return Err(CodecError::EmptyFrame { at, expected });
        }
        let found = at + len as u64;
        if found > expected {
            return Err(CodecError::Overrun { expected, found });
        }
        self.received = found;
        Ok(())
    }

    /// Takes bytes of a frame that was admitted, in order.
    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn is_complete(&self) -> bool {
        self.received == self.expected
    }

    fn verify(&self) -> Result<(), CodecError> {
        if !self.is_complete() {
            return Err(CodecError::Underrun { expected: self.expected, found: self.received });
        }
        let found = self.hasher.finish();
        match found == self.digest {
            true => Ok(()),
            false => Err(CodecError::WrongDigest { expected: self.digest, found }),
        }
    }
}

/// Puts a payload of bytes together. A payload of one frame is not copied.
#[derive(Debug)]
pub struct Assembler {
    intake: Intake,
    first: Bytes,
    joined: BytesMut,
}

impl Assembler {
    /// Expects `size` bytes with `digest` in `domain`.
    ///
    /// # Errors
    /// [`CodecError::Oversize`] if that is more than `most`; nothing is allocated before.
    pub fn new(domain: Domain, digest: Digest, size: u64, most: u64) -> Result<Self, CodecError> {
        if size > most || usize::try_from(size).is_err() {
            return Err(CodecError::Oversize { most, found: size });
        }
        Ok(Self { intake: Intake::new(domain, digest, size), first: Bytes::new(), joined: BytesMut::new() })
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`CodecError`] if the frame is no frame of this payload; the payload is lost then.
    pub fn push(&mut self, frame: Bytes) -> Result<(), CodecError> {
        self.intake.admit(&frame)?;
        self.intake.take(&frame);
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = frame;
            return Ok(());
        }
        if self.joined.is_empty() {
            self.joined.reserve(usize::try_from(self.intake.expected).expect("checked when the payload was announced"));
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&frame);
        Ok(())
    }

    /// Whether all announced bytes have arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.intake.is_complete()
    }

    /// The payload.
    ///
    /// # Errors
    /// [`CodecError`] if bytes are missing or are not those that were announced.
    pub fn finish(self) -> Result<Bytes, CodecError> {
        self.intake.verify()?;
        Ok(if self.joined.is_empty() { self.first } else { self.joined.freeze() })
    }
}

/// Puts params together, straight into the memory they are used from.
#[derive(Debug)]
pub struct ParamsAssembler {
    intake: Intake,
    params: Vec<f32>,
}

impl ParamsAssembler {
    /// Expects `count` params with `digest`, announced as `size` bytes; `memory` is used again if it has room.
    ///
    /// # Errors
    /// [`CodecError::WrongSize`] if that is not the size of so many params.
    pub fn new(mut memory: Vec<f32>, count: usize, digest: Digest, size: u64) -> Result<Self, CodecError> {
        let expected = count as u64 * size_of::<f32>() as u64;
        if size != expected {
            return Err(CodecError::WrongSize { expected, found: size });
        }
        memory.resize(count, 0.0);
        Ok(Self { intake: Intake::new(Domain::Params, digest, size), params: memory })
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`CodecError`] if the frame is no frame of these params; they are lost then.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), CodecError> {
        let start = usize::try_from(self.intake.received).expect("no more than the params take");
        self.intake.admit(frame)?;
        let params = &mut bytemuck::cast_slice_mut(&mut self.params)[start..start + frame.len()];
        // Block by block, so that what was hashed is copied while it is in the cache.
        for (block, params) in frame.chunks(BLOCK).zip(params.chunks_mut(BLOCK)) {
            self.intake.take(block);
            params.copy_from_slice(block);
        }
        Ok(())
    }

    /// Whether all announced bytes have arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.intake.is_complete()
    }

    /// The params.
    ///
    /// # Errors
    /// [`CodecError`] if bytes are missing or are not those that were announced.
    pub fn finish(mut self) -> Result<Vec<f32>, CodecError> {
        self.intake.verify()?;
        if cfg!(target_endian = "big") {
            self.params.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
        }
        Ok(self.params)
    }

    /// The memory, for the next params, when these are not wanted any more.
    #[must_use]
    pub fn into_memory(self) -> Vec<f32> {
        self.params
    }
}

#[cfg(test)]
mod tests;
