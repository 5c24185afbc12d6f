//! What the partner's people can ask of a running worker, over a socket in its state folder that only they can open.
//!
//! A connection carries one line of JSON each way: a [`Wish`], and the worker's [`WorkerStatus`] after it was granted.

mod asking;
mod listening;

use serde::{Deserialize, Serialize};

pub use asking::{Found, ask, choose, workers};
pub(crate) use listening::{Asked, Control};

/// Something that is asked of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To say how it is.
    Status,
    /// To take no work until it is resumed.
    Pause,
    /// To take work again.
    Resume,
    /// To answer what it has in hand, and to leave then.
    Finish,
    /// To leave at once.
    Leave,
}

/// How a worker is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its identity.
    pub worker: String,
    /// Its partner.
    pub partner: String,
    /// The coordinator's address.
    pub coordinator: String,
    /// Whether it is connected and known.
    pub connected: bool,
    /// The run that it works for.
    pub run: Option<String>,
    /// The latest round in which it was leased something on this connection.
    pub round: Option<u32>,
    /// Leases that it has not answered, or whose answer it has not heard of.
    pub in_hand: usize,
    /// Why it takes no work; empty if it does.
    pub paused: Vec<String>,
    /// Whether it leaves when nothing is in hand.
    pub leaving: bool,
    /// The policy's file.
    pub policy: Option<String>,
    /// Bytes of updates that left today, by UTC.
    pub update_bytes_today: u64,
    /// The most of them that the policy lets out.
    pub max_update_bytes_a_day: Option<u64>,
    /// Rounds of the run that updates left for.
    pub rounds: u32,
    /// The most of them that the policy lets out.
    pub max_rounds: Option<u32>,
}
