//! The programs of the targets: which there are, how they are built, how one is run.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::outcome::{Found, Outcome};
use super::{Failure, folder};

/// What makes the compiler count which code is reached, and compare what is compared, for libFuzzer.
const INSTRUMENTATION: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// Memory of a target that is in use, in MiB; more is a finding.
const MOST_USED: u32 = 1 << 10;

/// Memory that a target may ask for, in KiB: no length in an input may make it ask for more.
const MOST_ASKED: u32 = 3 << 20;

/// Seconds that one input may take.
const MOST_SECONDS: u32 = 20;

/// The longest input. Nothing is gained by longer ones: a frame's size is tried with bytes that are not from the input.
const MOST_BYTES: u32 = 8 << 10;

/// A filesystem in memory, where there is one: a target that writes files does so thousands of times.
const MEMORY: &str = "/dev/shm";

/// A target and what it feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) what: String,
}

/// Where built targets are.
#[derive(Debug)]
pub(super) struct Programs {
    built: PathBuf,
}

impl Programs {
    /// The targets there are, by name: a source each, whose first line says what it feeds.
    pub(super) fn listed() -> Result<Vec<Program>, Failure> {
        let sources = folder().join("fuzz_targets");
        let reading = || Failure::system(format!("reading {}", sources.display()));
        let mut programs = Vec::new();
        for entry in fs::read_dir(&sources).map_err(reading())? {
            let path = entry.map_err(reading())?.path();
            let (Some(name), true) = (path.file_stem(), path.extension().is_some_and(|ending| ending == "rs")) else {
                continue;
            };
            let source = fs::read_to_string(&path).map_err(reading())?;
            let what = source.lines().next().unwrap_or_default().trim_start_matches("//! ").trim_end_matches('.');
            programs.push(Program { name: name.to_string_lossy().into_owned(), what: what.to_owned() });
        }
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(programs)
    }

    /// Builds all of them.
    pub(super) fn build() -> Result<Self, Failure> {
        let host = host()?;
        let locks = [crate::root(), folder()].map(|of| of.join("Cargo.lock"));
        fs::copy(&locks[0], &locks[1]).map_err(Failure::system("copying Cargo.lock to fuzz"))?;
        let mut cargo = Command::new("cargo");
        // With a target named, what runs during the build is not instrumented.
        cargo.args(["build", "--release", "--bins", "--target", &host]).current_dir(folder());
        cargo.env("RUSTFLAGS", INSTRUMENTATION.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
        let built = cargo.status().map_err(Failure::system("starting cargo"))?;
        match built.success() {
            true => Ok(Self { built: folder().join("target").join(host).join("release") }),
            false => Err(Failure::Build),
        }
    }

    /// Runs one for so long.
    pub(super) fn run(&self, name: &str, time: Duration) -> Result<Outcome, Failure> {
        let program = self.built.join(name);
        let [corpus, seeds, artifacts] =
            [folder().join("corpus"), folder().join("target/seeds"), folder().join("artifacts")]
                .map(|of| of.join(name));
        for made in [&corpus, &seeds, &artifacts] {
            fs::create_dir_all(made).map_err(Failure::system(format!("making {}", made.display())))?;
        }
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(artifacts.join(""));
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -v {MOST_ASKED} && exec \"$0\" \"$@\"")).arg(&program);
        command.args([&corpus, &seeds]).arg(prefix).args([
            format!("-max_total_time={}", time.as_secs().max(1)),
            format!("-timeout={MOST_SECONDS}"),
            format!("-rss_limit_mb={MOST_USED}"),
            format!("-max_len={MOST_BYTES}"),
            "-print_final_stats=1".to_owned(),
        ]);
        command.env("SYNGRAD_SEEDS", &seeds).env("RUST_BACKTRACE", "1");
        if Path::new(MEMORY).is_dir() {
            command.env("TMPDIR", MEMORY);
        }
        let ended = command.output().map_err(Failure::system(format!("starting {}", program.display())))?;
        let said = String::from_utf8_lossy(&ended.stderr);
        let found = match ended.status.success() {
            true => None,
            false => {
                let log = artifacts.join("log");
                fs::write(&log, &ended.stderr).map_err(Failure::system(format!("writing {}", log.display())))?;
                Some(Found::read(&said, &program, &log))
            }
        };
        Ok(Outcome::read(&said, found))
    }
}

/// The machine that the compiler builds for if nobody says otherwise.
fn host() -> Result<String, Failure> {
    let said = Command::new("rustc").arg("-vV").output().map_err(Failure::system("starting rustc"))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).ok_or(Failure::Build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_says_what_it_feeds() {
        let listed = Programs::listed().expect("the folder of targets");
        assert!(listed.iter().any(|program| program.name == "wire"));
        assert!(listed.iter().all(|program| program.what.len() > 10), "{listed:?}");
    }
}
