//! The worker: a partner's process. It dials out, takes leases, computes units and sends their sum.
//!
//! ```text
//!   coordinator ⇄ link ⇄ join ⇄ engine::session   what to do next, decided without I/O
//!                        │  ⇅
//!                        │  round     the params of the open round
//!                        │  data      samples of the leased shards, fetched once a run
//!                        ▼  guard     the partner's policy, the last look at what leaves, and the journal of it
//!                     trainer         a thread of its own
//!   the partner's people ⇄ control     a socket in the worker's state folder
//! ```
//!
//! One task owns everything but the trainer. It never blocks, so heartbeats go out while a unit is computed, and a
//! lease that has become useless is dropped between two units.

mod config;
pub mod control;
mod data;
mod guard;
mod join;
mod link;
mod preflight;
mod reading;
mod report;
mod round;
mod sums;
mod trainer;

pub use config::{Config, Patience, read_data};
pub use guard::{
    Filter, Inspection, PolicyInForce, Record, Sent, StatePlace, Total, Totals, UnitNorm, UpdateRecord,
    default_policy_file, default_state_root, inspect, read_policy,
};
pub use join::join;
pub use preflight::{Met, preflight, try_state};
pub use reading::Keys;
pub use report::{Line, Reporter, Tone};
