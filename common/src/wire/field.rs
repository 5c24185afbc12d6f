//! Checks of single fields.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use syngrad_engine::receipt::Signature;
use syngrad_engine::spec::check::MAX_UNITS;
use syngrad_engine::{Digest, PartnerName, RunId, Unit, Units, WorkerId};

use super::{ResumeToken, WireError};
use crate::error::Code;
use crate::limits::{MAX_FRAME, MAX_PATH, MAX_TEXT};

pub(super) fn wrong(field: &'static str, expected: impl Display, found: impl Display) -> WireError {
    WireError { field, expected: expected.to_string(), found: found.to_string() }
}

pub(super) fn present<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| wrong(field, "a message", "absent"))
}

pub(super) fn exactly<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| wrong(field, format_args!("{N} bytes"), format_args!("{} bytes", bytes.len())))
}

/// Reads the id of a run.
///
/// # Errors
/// [`WireError`] unless there are sixteen bytes.
pub fn run_id(field: &'static str, bytes: &[u8]) -> Result<RunId, WireError> {
    exactly(field, bytes).map(RunId)
}

/// Reads a digest.
///
/// # Errors
/// [`WireError`] unless there are 32 bytes.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, WireError> {
    exactly(field, bytes).map(Digest)
}

pub(super) fn signature(field: &'static str, bytes: &[u8]) -> Result<Signature, WireError> {
    exactly(field, bytes).map(Signature)
}

/// Digests of a path of a proof, in order.
pub(super) fn path(field: &'static str, path: &[Bytes]) -> Result<Vec<Digest>, WireError> {
    within(field, path.len(), 0..=MAX_PATH)?;
    path.iter().map(|bytes| digest(field, bytes)).collect()
}

pub(super) fn uuid(field: &'static str, bytes: &[u8]) -> Result<[u8; 16], WireError> {
    exactly(field, bytes)
}

pub(super) fn worker_id(field: &'static str, bytes: &[u8]) -> Result<WorkerId, WireError> {
    exactly(field, bytes).map(WorkerId)
}

pub(super) fn token(field: &'static str, bytes: &[u8]) -> Result<ResumeToken, WireError> {
    exactly(field, bytes).map(ResumeToken::new)
}

pub(super) fn partner(field: &'static str, text: &str) -> Result<PartnerName, WireError> {
    PartnerName::parse(text).map_err(|error| wrong(field, "a partner's name", error))
}

pub(super) fn within<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, WireError> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(wrong(field, format_args!("{} to {}", range.start(), range.end()), value)),
    }
}

pub(super) fn millis(field: &'static str, value: u32, most: Duration) -> Result<Duration, WireError> {
    let most = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
    within(field, value, 1..=most).map(|value| Duration::from_millis(u64::from(value)))
}

pub(super) fn to_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Text for people: short, without control characters that could repaint a terminal.
pub(super) fn text(field: &'static str, text: String) -> Result<String, WireError> {
    within(field, text.len(), 0..=MAX_TEXT)?;
    match text.chars().find(|c| c.is_control()) {
        None => Ok(text),
        Some(found) => Err(wrong(field, "text without control characters", format_args!("text with {found:?}"))),
    }
}

/// The same from the sending side, which has errors of operating systems and libraries to pass on.
pub(super) fn clean(text: &str) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.truncate(clean.floor_char_boundary(MAX_TEXT));
    clean
}

/// A code; one that only a newer release knows is kept apart from nonsense.
pub(super) fn code(field: &'static str, text: &str) -> Result<Code, WireError> {
    let well_formed =
        text.len() == 5 && text.starts_with('E') && text.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    match well_formed {
        true => Ok(Code::parse(text).unwrap_or(Code::Unlisted)),
        false => Err(wrong(field, "a code such as E0101", format_args!("{text:?}"))),
    }
}

pub(super) fn finite(field: &'static str, value: f64) -> Result<f64, WireError> {
    match value.is_finite() {
        true => Ok(value),
        false => Err(wrong(field, "a finite number", value)),
    }
}

pub(super) fn unit(field: &'static str, unit: u32) -> Result<Unit, WireError> {
    within(field, unit, 0..=MAX_UNITS - 1).map(Unit)
}

/// Units in index order, each once.
pub(super) fn units(field: &'static str, list: &[u32]) -> Result<Units, WireError> {
    within(field, list.len(), 1..=MAX_UNITS as usize)?;
    if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(wrong(field, "units in rising order", format_args!("{} before {}", pair[0], pair[1])));
    }
    list.iter().map(|&index| unit(field, index)).collect()
}

pub(super) fn frame(field: &'static str, payload: Bytes) -> Result<Bytes, WireError> {
    let found = payload.len();
    match (1..=MAX_FRAME).contains(&found) {
        true => Ok(payload),
        false => Err(wrong(field, format_args!("1 to {MAX_FRAME} bytes"), format_args!("{found} bytes"))),
    }
}
