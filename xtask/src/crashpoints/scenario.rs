//! Runs of three rounds that are crashed at each of their steps.

use std::fs;
use std::io;
use std::path::Path;

use super::samples;

/// The samples of each partner that keeps its own.
const PARTNERS: [u32; 2] = [60, 90];

/// A network, and samples for it that the coordinator draws.
const SYNTHETIC: &str = "[model]\nkind = \"mlp\"\ninputs = 32\nhidden = [24]\nclasses = 4\n\n\
                         [data]\nkind = \"synthetic\"\nsamples = 360\ninputs = 32\nclasses = 4\n";

/// A run, and what is in the state folder before.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The run spec, as TOML.
    pub(crate) spec: String,
    pub(crate) start: Start,
    /// Whether a round is durable before the next one opens.
    pub(crate) every_round: bool,
    /// Samples of each worker that keeps its own; none if the coordinator has them, and then there is one worker.
    pub(crate) partners: &'static [u32],
}

impl Scenario {
    pub(crate) fn workers(&self) -> usize {
        self.partners.len().max(1)
    }
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
pub(crate) fn all() -> [Scenario; 6] {
    let sync = "kind = \"sync-sgd\"\nepochs = 1\nunits = 6\nunit_samples = 20";
    let fedavg = "kind = \"fedavg\"\nrounds = 3\nunits = 3\nlocal_epochs = 1\nlocal_batch = 40\n\
                  local_optimizer = { kind = \"sgd\", learning_rate = 0.05 }";
    let each = Scenario {
        name: "fresh",
        spec: spec(sync, SYNTHETIC, "every_round", 100),
        start: Start::Empty,
        every_round: true,
        partners: &[],
    };
    let cadence = spec(fedavg, SYNTHETIC, "checkpoint", 2);
    let cadence = Scenario { name: "cadence", spec: cadence, every_round: false, ..each };
    // An update of such a run is spooled before it is acknowledged.
    let private = fedavg.replace("units = 3", &format!("units = {}", PARTNERS.len()));
    let private = spec(&private, &kept_by_partners(), "checkpoint", 2);
    let private = Scenario { name: "private", spec: private, partners: &PARTNERS, ..cadence };
    let resumed = |scenario: &Scenario, name| Scenario { name, start: Start::Interrupted, ..scenario.clone() };
    [
        resumed(&each, "fresh-resumed"),
        resumed(&cadence, "cadence-resumed"),
        resumed(&private, "private-resumed"),
        each,
        cadence,
        private,
    ]
}

fn kept_by_partners() -> String {
    let partner = |(index, samples): (usize, &u32)| format!("{{ partner = \"partner-{index}\", samples = {samples} }}");
    let partners: Vec<String> = PARTNERS.iter().enumerate().map(partner).collect();
    let (inputs, classes) = (samples::SIDE * samples::SIDE, samples::CLASSES);
    format!(
        "[model]\nkind = \"mlp\"\ninputs = {inputs}\nhidden = [12]\nclasses = {classes}\n\n\
         [data]\nkind = \"private\"\ninputs = {inputs}\nclasses = {classes}\npartners = [{}]\n",
        partners.join(", ")
    )
}

fn spec(algorithm: &str, data: &str, durability: &str, cadence: u32) -> String {
    format!(
        "name = \"crashpoints\"\nseed = 4\nupdate_bits = 16\ndurability = \"{durability}\"\n\n\
         {data}\n[algorithm]\n{algorithm}\n\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.002\n\n\
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
