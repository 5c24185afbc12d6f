//! The run: who is a member, which round is open, what counts.

mod message;

pub use message::*;
