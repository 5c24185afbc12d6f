//! The pure half of syngrad: every word of the domain and every decision.
//!
//! ```text
//!            Event                         Action
//!   shell ──────────►  Run::handle(now)  ──────────►  shell
//!   (coordinator: sockets, clocks, tensors)      metadata only
//!
//!            Event                         Action
//!   shell ──────────►  Session::handle(now) ─────────►  shell
//!   (worker: link, trainer)
//! ```
//!
//! Nothing here reads a clock, opens a socket, draws randomness from the system, iterates a hash map or knows a
//! tensor library. Time and seeds are arguments, so a run can be cloned, hashed, replayed and simulated by the million.
//!
//! * what is trained: [`spec`], [`layout`], [`partition`], [`plan`]
//! * who decides: [`run`] (the coordinator's side), [`session`] (the worker's side), [`lease`],
//!   [`straggler`]; [`keeping`] (what outlives a crash); [`policy`] (what a partner lets its worker do)
//! * who takes part: [`consortium`], [`principal`], and on what [`terms`]; what each gave, so that anybody can check it:
//!   [`receipt`]
//! * the same bits: [`random`], [`quantize`], [`aggregate`], [`optimizer`], [`state`]

pub mod aggregate;
pub mod consortium;
pub mod digest;
pub mod id;
pub mod keeping;
pub mod layout;
pub mod lease;
pub mod optimizer;
pub mod partition;
pub mod plan;
mod planted;
pub mod policy;
pub mod principal;
pub mod quantize;
pub mod random;
pub mod receipt;
pub mod reject;
pub mod run;
pub mod scale;
pub mod schedule;
pub mod session;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod spec;
pub mod state;
pub mod straggler;
pub mod terms;
mod vectorized;

pub use digest::Digest;
pub use id::{LeaseId, MemberId, PartnerName, Round, RunId, Time, Unit, Units, WorkerId};
pub use layout::Layout;
pub use partition::Cut;
pub use plan::Plan;
pub use principal::{ConsortiumName, HolderName, Principal};
pub use reject::Rejection;
pub use spec::RunSpec;
