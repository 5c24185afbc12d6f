//! Runs of three rounds that are crashed at each of their steps.

use std::fs;
use std::io;
use std::path::Path;

/// A run, and what is in the state folder before.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The run spec, as TOML.
    pub(crate) spec: String,
    pub(crate) start: Start,
    /// Whether a round is durable before the next one opens.
    pub(crate) every_round: bool,
}

/// What a coordinator finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing.
    Empty,
    /// What a coordinator left that was killed in the middle of the run.
    Interrupted,
}

/// All scenarios.
pub(crate) fn all() -> [Scenario; 4] {
    let sync = "kind = \"sync-sgd\"\nepochs = 1\nunits = 6\nunit_samples = 20";
    let fedavg = "kind = \"fedavg\"\nrounds = 3\nunits = 3\nlocal_epochs = 1\nlocal_batch = 40\n\
                  local_optimizer = { kind = \"sgd\", learning_rate = 0.05 }";
    let each = |algorithm| spec(algorithm, "every_round", 100);
    [
        Scenario { name: "fresh", spec: each(sync), start: Start::Empty, every_round: true },
        Scenario { name: "resumed", spec: each(sync), start: Start::Interrupted, every_round: true },
        Scenario { name: "cadence", spec: spec(fedavg, "checkpoint", 2), start: Start::Empty, every_round: false },
        Scenario {
            name: "cadence-resumed",
            spec: spec(fedavg, "checkpoint", 2),
            start: Start::Interrupted,
            every_round: false,
        },
    ]
}

fn spec(algorithm: &str, durability: &str, cadence: u32) -> String {
    format!(
        "name = \"crashpoints\"\nseed = 4\nupdate_bits = 16\ndurability = \"{durability}\"\n\n\
         [model]\nkind = \"mlp\"\ninputs = 32\nhidden = [24]\nclasses = 4\n\n\
         [data]\nkind = \"synthetic\"\nsamples = 360\ninputs = 32\nclasses = 4\n\n\
         [algorithm]\n{algorithm}\n\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.002\n\n\
         [checkpoint]\nrounds = {cadence}\nseconds = 3600.0\n"
    )
}

/// Copies a state folder.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
