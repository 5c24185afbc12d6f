//! What decodes bytes of others, or decides on events of theirs, and what must hold whatever comes.
//!
//! A module is a target: `check` takes any bytes and panics if something does not hold that must, `seeds` are inputs to
//! begin with. What must hold is more than the absence of a panic: what was read can be written and read again to the
//! same, a refusal changes nothing, and no limit is passed.
//!
//! To add a target: a module here with its two functions, its row in [`TARGETS`], a program of five lines in
//! `fuzz_targets`, and its `[[bin]]` in the manifest. A test holds the four together.
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod database;
pub mod identity;
pub mod idx;
pub mod keeping;
pub mod names;
pub mod payload;
pub mod policy;
pub mod receipt;
pub mod run;
pub mod session;
pub mod spec;
pub mod state;
pub mod wire;

use std::path::PathBuf;

/// A target by its name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What its program is called.
    pub name: &'static str,
    /// Panics if something does not hold for these bytes.
    pub check: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "aggregate", check: aggregate::check, seeds: aggregate::seeds },
    Target { name: "database", check: database::check, seeds: database::seeds },
    Target { name: "identity", check: identity::check, seeds: identity::seeds },
    Target { name: "idx", check: idx::check, seeds: idx::seeds },
    Target { name: "keeping", check: keeping::check, seeds: keeping::seeds },
    Target { name: "names", check: names::check, seeds: names::seeds },
    Target { name: "payload", check: payload::check, seeds: payload::seeds },
    Target { name: "policy", check: policy::check, seeds: policy::seeds },
    Target { name: "receipt", check: receipt::check, seeds: receipt::seeds },
    Target { name: "run", check: run::check, seeds: run::seeds },
    Target { name: "session", check: session::check, seeds: session::seeds },
    Target { name: "spec", check: spec::check, seeds: spec::seeds },
    Target { name: "state", check: state::check, seeds: state::seeds },
    Target { name: "wire", check: wire::check, seeds: wire::seeds },
];

/// Writes the seeds of a target into the folder that the environment names, if it names one; its program does so before
/// it begins.
///
/// # Panics
/// If there is no such target, or the folder cannot be written to.
pub fn sow(name: &str) {
    let Some(folder) = std::env::var_os("SYNGRAD_SEEDS").map(PathBuf::from) else { return };
    let target = TARGETS.iter().find(|target| target.name == name).expect("a program is that of a target");
    std::fs::create_dir_all(&folder).expect("the folder for seeds can be made");
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("{number:03}")), seed).expect("a seed can be written");
    }
}

/// Bytes that look like nothing, the same each time: seeds for targets that read choices from their input.
fn noise(number: u64, len: usize) -> Vec<u8> {
    let mut stream =
        syngrad_engine::random::Stream::new(number, syngrad_engine::random::Purpose::Samples, &[len as u64]);
    (0..len).map(|_| stream.below(256) as u8).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_target_passes_its_own_seeds() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            assert_eq!(seeds, (target.seeds)(), "the seeds of {} are the same each time", target.name);
            seeds.iter().for_each(|seed| (target.check)(seed));
        }
    }

    #[test]
    fn every_target_has_its_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
        for Target { name, .. } in TARGETS {
            let program = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).expect("its program");
            assert!(program.contains(&format!("syngrad_fuzz::{name}::check")), "{name}");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        }
        let programs = std::fs::read_dir(root.join("fuzz_targets")).expect("the folder").count();
        assert_eq!(programs, TARGETS.len());
    }
}
