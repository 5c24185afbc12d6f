//! Receipts: what a committed round leaves behind, so that everybody who took part can check it and anybody can compute it
//! again.
//!
//! ```text
//!   worker ── signs ──► Statement ──► Contribution ─┐
//!                                     Contribution ─┼─► tree ──► Record ─┐
//!                                     Contribution ─┘            Record ─┼─► tree ──► Head ◄── signs ── log's key
//!                                                                Record ─┘
//! ```
//!
//! * [`Log`] writes: contributions are noted as they are judged, a round is sealed when it is committed.
//! * [`Witness`] reads along, at a worker: the log only grows, and says of the worker what the worker knows.
//! * [`Audit`] reads all of it, afterwards: from the records alone, and from the updates too if they were archived.
//!
//! Signatures are checked by whoever has the keys; here they are bytes. `docs/receipts.md` has every byte of the encodings.

mod audit;
mod bytes;
mod check;
mod contribution;
mod log;
mod record;
mod tree;
mod witness;

pub use audit::{Audit, Fault, Finding, Subject};
pub use bytes::EncodingError;
pub use check::{Check, Checks};
pub use contribution::{Contribution, Fingerprint, RefusalCode, Signature, Statement, Verdict};
pub use log::{Batch, Closed, Facts, Log, MAX_BATCH, MAX_REFUSED, Receipt};
pub use record::{Branch, Head, Record, policy};
pub use tree::{Frontier, ProofError, Root, Tree, Whole};
pub use witness::{Breach, Given, Next, Notice, NoticedRecord, Proof, Witness};
