//! The levels that a change passes before it lands, from the quick ones to the slow ones.

use std::fmt;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use thiserror::Error;

use crate::{licences, tidy};

/// One level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Source is formatted.
    Fmt,
    /// The rules of the repository hold.
    Tidy,
    /// Every crate we build on has a licence we accept.
    Licences,
    /// Clippy has nothing to say.
    Clippy,
    /// Documentation builds, and its links lead somewhere.
    Doc,
    /// Every test passes.
    Test,
    /// The other backend builds and passes the model's tests.
    Ndarray,
    /// The release build trains, survives a kill and predicts.
    Demo,
    /// Real processes are killed and stopped by seed, and their runs end at the right digest.
    Chaos,
    /// A real coordinator is crashed at a sample of its durable steps, and loses nothing.
    Crashpoints,
    /// Decoders and state machines survive minutes of anything.
    Fuzz,
}

/// A level that did not pass.
#[derive(Debug, Error)]
pub enum Failure {
    /// A command failed after saying why.
    #[error("`{0}` failed; what it said is above")]
    Command(String),
    /// A command did not start.
    #[error("`{command}` did not start: {source}")]
    Start {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// Objections of our own, one a line.
    #[error("{} objections:\n{}", .0.len(), .0.join("\n"))]
    Objections(Vec<String>),
    /// The checkout could not be read.
    #[error(transparent)]
    Tree(#[from] tidy::TreeError),
    /// Cargo could not say what we build on.
    #[error(transparent)]
    Crates(#[from] licences::ListError),
    /// The report itself could not be written.
    #[error("standard output is closed: {0}")]
    Output(#[from] io::Error),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Licences => "licences",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Test => "test",
            Self::Ndarray => "ndarray",
            Self::Demo => "demo",
            Self::Chaos => "chaos",
            Self::Crashpoints => "crashpoints",
            Self::Fuzz => "fuzz",
        })
    }
}

impl Level {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Fmt => {
                cargo("fmt --all --check", &[])?;
                cargo("fmt --check --manifest-path fuzz/Cargo.toml", &[])
            }
            Self::Tidy => tidy(),
            Self::Licences => licences(),
            Self::Clippy => cargo("clippy --workspace --all-targets --locked -- -D warnings", &[]),
            Self::Doc => cargo("doc --workspace --no-deps --locked", &[("RUSTDOCFLAGS", "-D warnings")]),
            Self::Test => cargo("test --workspace", &[("SYNGRAD_CI", "1")]),
            Self::Ndarray => {
                cargo("test --locked -p syngrad-model -p syngrad --lib --bins --features syngrad/ndarray", &[])
            }
            Self::Demo => cargo("demo -o json", &[]),
            Self::Chaos => cargo("xtask chaos --seeds 20", &[]),
            Self::Crashpoints => cargo("xtask crashpoints --sample 30", &[]),
            // Six minutes at most, the build included.
            Self::Fuzz => cargo("xtask fuzz --minutes 5", &[]),
        }
    }
}

/// Runs `levels` in their order (all of them if none is named) and writes what each took to `out`; ends at the first
/// that fails.
///
/// # Errors
/// The [`Failure`] of that level.
pub fn run(levels: &[Level], out: &mut dyn Write) -> Result<(), Failure> {
    let levels = if levels.is_empty() { Level::value_variants() } else { levels };
    let mut times: Vec<(Level, Duration)> = Vec::new();
    for &level in levels {
        writeln!(out, "== {level}")?;
        out.flush()?;
        let start = Instant::now();
        let result = level.run();
        times.push((level, start.elapsed()));
        if let Err(failure) = result {
            writeln!(out, "== {level} failed after {:.1} s", start.elapsed().as_secs_f64())?;
            return Err(failure);
        }
    }
    for (level, time) in times {
        writeln!(out, "== {level} passed in {:.1} s", time.as_secs_f64())?;
    }
    Ok(())
}

fn cargo(arguments: &str, environment: &[(&str, &str)]) -> Result<(), Failure> {
    let command = format!("cargo {arguments}");
    let mut process = Command::new("cargo");
    process.args(arguments.split(' ')).envs(environment.iter().copied()).current_dir(crate::root());
    match process.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::Command(command)),
        Err(source) => Err(Failure::Start { command, source }),
    }
}

fn tidy() -> Result<(), Failure> {
    let tree = tidy::Tree::read(&crate::root())?;
    none(tidy::check(&tree).iter().map(ToString::to_string).collect())
}

fn licences() -> Result<(), Failure> {
    none(licences::objections(&licences::foreign()?))
}

fn none(objections: Vec<String>) -> Result<(), Failure> {
    if objections.is_empty() { Ok(()) } else { Err(Failure::Objections(objections)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_called_what_the_command_line_calls_it() {
        for level in Level::value_variants() {
            let name = level.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(name, Some(level.to_string()));
        }
    }

    #[test]
    fn objections_fail_a_level() {
        assert!(none(Vec::new()).is_ok());
        let failure = none(vec!["a".to_owned(), "b".to_owned()]).expect_err("two objections");
        assert_eq!(failure.to_string(), "2 objections:\na\nb");
    }
}
