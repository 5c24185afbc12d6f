//! The worker's side of a run: when to connect, what to compute, what to say.

mod message;

pub use message::*;
