//! `cargo xtask`: the chores of the repository.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::ci::{self, Level};
use xtask::{chaos, crashpoints, fuzz, sim};

/// Chores of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the rules of the repository
    Tidy,
    /// Check the licences of the crates we build on
    Licences,
    /// Live through simulated worlds in which things go wrong
    Sim(sim::Arguments),
    /// Kill and stop real processes, and compare where their runs end
    Chaos(chaos::Arguments),
    /// Crash a real coordinator at each of its durable steps
    Crashpoints(crashpoints::Arguments),
    /// Feed decoders and state machines with anything
    Fuzz(fuzz::Arguments),
    /// Run the levels that a change passes before it lands
    Ci {
        /// Levels to run, in this order; all if none is named
        levels: Vec<Level>,
    },
}

fn main() -> ExitCode {
    let levels = match Arguments::parse().chore {
        Chore::Tidy => vec![Level::Tidy],
        Chore::Licences => vec![Level::Licences],
        Chore::Sim(worlds) => return report(sim::run(&worlds, &mut io::stdout())),
        Chore::Chaos(worlds) => return report(chaos::run(&worlds, &mut io::stdout())),
        Chore::Crashpoints(points) => return report(crashpoints::run(&points, &mut io::stdout())),
        Chore::Fuzz(targets) => return report(fuzz::run(&targets, &mut io::stdout())),
        Chore::Ci { levels } => levels,
    };
    report(ci::run(&levels, &mut io::stdout()))
}

fn report(outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to tell anyone if standard error is closed too.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}
