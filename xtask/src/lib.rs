//! The chores of the repository, as functions that tests call too.
//!
//! * [`tidy`]: the rules that keep the source as ARCHITECTURE.md describes it
//! * [`licences`]: what the crates we build on allow us to do
//! * [`sim`]: worlds in which things go wrong, by the thousand
//! * [`chaos`]: real processes to which things are done
//! * [`crashpoints`]: each durable step of a real coordinator, failed
//! * [`fuzz`]: decoders and state machines, fed with anything
//! * [`ci`]: the levels that a change passes before it lands

pub mod chaos;
pub mod ci;
mod cluster;
pub mod crashpoints;
pub mod fuzz;
mod ledger;
pub mod licences;
mod processes;
mod report;
pub mod sim;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The root of the checkout that this program was built from.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_path_buf()
}
