//! The coordinator: sessions of workers, the driver of a run, evaluation and serving.
//!
//! ```text
//!  workers ──► rpc::training ──► session ──► driver ──► outbox ──► workers
//!  operator ─► rpc::runs ───────────────────►  │  └──► evaluate ──► driver ──► served model ──► serving ──► clients
//!                                  engine::{run, state, aggregate}
//! ```

mod access;
mod active;
mod config;
mod driver;
mod evaluate;
mod governance;
mod outbox;
mod prepare;
mod recall;
mod receipts;
mod roster;
mod rpc;
mod serve;
mod served;
mod serving;
mod session;
mod shards;
mod status;

pub use config::{Config, Patience, default_state_dir};
pub use governance::{Founded, Founding, OPERATOR, found};
pub use receipts::{LogKey, Signer};
pub use serve::{State, serve};
pub use served::ServedModel;
