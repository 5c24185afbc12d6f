//! The command line of syngrad, as a library: [`main`] is the whole program, and [`fleet`] runs it as many processes.
//!
//! ```text
//!  args ──► main ──► one module a command ──► output: results on standard output, messages on standard error
//!                         │                   exit:   eight exit codes
//!                         ├─ serve, join      the two long-running processes
//!                         ├─ worker           what the partner's people ask of their workers
//!                         ├─ init, consortium who takes part
//!                         ├─ runs, ask        clients of a coordinator, over client
//!                         ├─ local            the same run with no network
//!                         └─ demo, bench      fleets of the above
//! ```

pub mod args;
mod ask;
mod bench;
pub mod client;
mod consortium;
mod data;
pub mod demo;
mod doctor;
mod drawing;
mod exit;
mod explain;
pub mod failure;
pub mod fleet;
mod init;
mod join;
mod local;
pub mod output;
pub mod predict;
mod progress;
mod runs;
mod runtime;
mod scheduling;
mod serve;
mod signals;
mod table;
pub mod verify;
mod worker;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Command, CoordinatorCommand, Format, Global};
use client::Role;
pub use exit::Exit;
use failure::Failure;
use output::Output;
use syngrad_common::bug;

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    let started = Instant::now();
    bug::ends_the_process();
    output::written(run(std::env::args_os().collect(), started)).into()
}

fn run(arguments: Vec<OsString>, started: Instant) -> Exit {
    let for_programs = wants_json(&arguments, std::env::var_os("SYNGRAD_OUTPUT").as_deref());
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let output = Output::new(cli.global);
            execute(&cli.command, output, started).unwrap_or_else(|failure| {
                output.failure(&failure);
                failure.exit()
            })
        }
        Err(error) => unparsed(&error, for_programs),
    }
}

fn execute(command: &Command, output: Output, started: Instant) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => demo::run(args, output, started),
        Command::Coordinator(CoordinatorCommand::Init(args)) => init::run(args, output),
        Command::Coordinator(CoordinatorCommand::Serve(args)) => serve::run(args, output),
        Command::Worker(command) => worker::run(command, output),
        Command::Partner(command) => consortium::partner(command, output),
        Command::Operator(command) => consortium::holder(Role::Operator, command, output),
        Command::Client(command) => consortium::holder(Role::Client, command, output),
        Command::Ticket(command) => init::ticket(command, output),
        Command::Audit(command) => consortium::audit(command, output),
        Command::Authority(command) => consortium::authority(command, output),
        Command::Run(command) => runs::run(command, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Predict(args) => ask::run(args, output),
        Command::Train(args) => local::run(args, output, started),
        Command::Bench(command) => bench::run(command, output),
        Command::Data(command) => data::run(command, output),
        Command::Doctor(args) => doctor::run(args, output),
        Command::Explain(args) => explain::explain(args, output),
        Command::Completion(args) => Ok(explain::completion(args)),
    }
}

/// Help and version are results; anything else that cannot be parsed is a mistake in the command line.
fn unparsed(error: &clap::Error, for_programs: bool) -> Exit {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if for_programs && !asked_for {
        let output = Output::new(Global { output: Format::Json, quiet: false });
        let text = error.render().to_string();
        output.failure(&Failure::usage(&text.trim_start_matches("error: ").trim_end()));
        return Exit::Usage;
    }
    // A closed terminal is no reason for another error.
    let _ = error.print();
    if asked_for { Exit::Ok } else { Exit::Usage }
}

/// Whether the arguments, which may not parse, or else `variable` ask for a format for programs.
fn wants_json(arguments: &[OsString], variable: Option<&OsStr>) -> bool {
    let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let named = words.iter().enumerate().find_map(|(index, word)| {
        let joined = match word.strip_prefix("--output") {
            Some(rest) => rest,
            // Short flags may stand together, the one with a value last: `-qojson`.
            None => word.strip_prefix('-').filter(|flags| !flags.starts_with('-'))?.split_once('o')?.1,
        };
        match joined.strip_prefix('=').unwrap_or(joined) {
            "" => words.get(index + 1).copied(),
            value => Some(value),
        }
    });
    matches!(named.or_else(|| variable.and_then(OsStr::to_str)), Some("json" | "jsonl"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_format_for_programs_is_seen_in_a_line_that_does_not_parse() {
        let line = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let asked = ["nonsense -o json", "--output=jsonl nonsense", "nonsense -qo json", "-ojson x", "-qo=jsonl x"];
        for asked in asked {
            assert!(wants_json(&line(asked), None), "{asked}");
        }
        assert!(wants_json(&line("nonsense"), Some("json".as_ref())));
        assert!(!wants_json(&line("nonsense json"), None));
        assert!(!wants_json(&line("nonsense -o table"), Some("json".as_ref())), "the line goes before the variable");
    }

    #[test]
    fn mistakes_are_usage_and_help_is_not() {
        let run = |text: &str| run(text.split(' ').map(OsString::from).collect(), Instant::now());
        assert_eq!(run("syngrad nonsense -o json"), Exit::Usage);
        assert_eq!(run("syngrad --version"), Exit::Ok);
    }
}
