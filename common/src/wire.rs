//! Protocol messages as values of the domain.
//!
//! This is the only place where generated types and the engine's words meet. Decoding checks every field; what comes
//! out of it needs no further look at lengths, ranges or absent parts. Encoding cannot fail.

mod enrolment;
mod field;
mod governance;
pub mod receipt;
mod shard;
mod to_coordinator;
mod to_worker;
mod token;

use thiserror::Error;

pub use enrolment::{Enrol, granted, renewal};
pub(crate) use enrolment::{decode_ticket, encode_ticket, ticket_too_long};
pub use field::{digest, run_id};
pub use governance::{holder, partner_name, reason, worker_of};
pub use shard::{FetchShard, shard_frame, shard_payload};
pub use to_coordinator::{Declined, Hello, Ready, Signed, ToCoordinator, Update};
pub use to_worker::{
    Answer, Fence, Leased, LeasedUnit, Refused, RoundOpened, RunClosed, RunOpened, ShardRef, Source, ToWorker, Verdict,
    Welcome,
};
pub use token::ResumeToken;

/// A field of a message that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("field {field} is {found}; expected {expected}")]
pub struct WireError {
    /// The field, with its message.
    pub field: &'static str,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

#[cfg(test)]
mod tests;
