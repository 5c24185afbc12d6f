//! What a command says: results on standard output, messages on standard error, never the other way round.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use serde::Serialize;

use crate::args::{Format, Global};
use crate::exit::Exit;
use crate::failure::Failure;

/// The version of the envelope around every result; a field may be added without a new one.
const SCHEMA_VERSION: u32 = 1;

/// A result that people and programs can read.
pub trait Report: Serialize {
    /// The result for people, ending with a line break.
    fn text(&self) -> String;
}

/// How a command ended: as asked, with a result that is not what was asked for, or without one.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "status")]
enum Ending<'a, T: Serialize> {
    Ok { data: &'a T },
    Failed { data: &'a T, error: &'a Failure },
    Error { error: &'a Failure },
}

#[derive(Serialize)]
struct Envelope<'a, T: Serialize> {
    schema_version: u32,
    #[serde(flatten)]
    ending: Ending<'a, T>,
}

/// Where and how a command speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: Format,
    quiet: bool,
}

impl Output {
    /// The output that the command line asks for.
    #[must_use]
    pub fn new(global: Global) -> Self {
        Self { format: global.output, quiet: global.quiet }
    }

    /// Whether results are for programs.
    #[must_use]
    pub fn is_for_programs(&self) -> bool {
        match self.format {
            Format::Json | Format::Jsonl => true,
            Format::Table => false,
        }
    }

    /// Whether messages are not wanted.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether a moving display is seen by someone.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.quiet && !self.is_for_programs() && io::stderr().is_terminal()
    }

    /// Writes a command's result.
    pub fn result<R: Report>(&self, report: &R) {
        match self.format {
            Format::Table => write_out(&report.text()),
            Format::Json | Format::Jsonl => {
                self.envelope(Ending::Ok { data: report });
            }
        }
    }

    /// Writes the result of a command that did all it does, and why that is not what was asked for; how it ends.
    pub fn failed_result<R: Report>(&self, report: &R, failure: &Failure) -> Exit {
        match self.format {
            Format::Table => {
                write_out(&report.text());
                write_err(&failure.for_people());
            }
            Format::Json | Format::Jsonl => self.envelope(Ending::Failed { data: report, error: failure }),
        }
        failure.exit()
    }

    /// Writes something that happened, for the programs that follow along; nothing in the other formats.
    pub fn event<T: Serialize>(&self, event: &T) {
        match self.format {
            Format::Jsonl => write_out(&json_line(event)),
            Format::Table | Format::Json => {}
        }
    }

    /// Writes a line that a program waits for, in both of the formats for programs.
    pub fn announcement<T: Serialize>(&self, event: &T) {
        if self.is_for_programs() {
            write_out(&json_line(event));
        }
    }

    /// Says something to the person at the terminal.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            write_err(line);
        }
    }

    /// Says why the command failed: on standard error to people, as an envelope on standard output to programs.
    pub fn failure(&self, failure: &Failure) {
        match self.format {
            Format::Table => write_err(&failure.for_people()),
            Format::Json | Format::Jsonl => self.envelope::<()>(Ending::Error { error: failure }),
        }
    }

    fn envelope<T: Serialize>(&self, ending: Ending<'_, T>) {
        write_out(&json_line(&Envelope { schema_version: SCHEMA_VERSION, ending }));
    }
}

fn json_line<T: Serialize>(value: &T) -> String {
    let mut line = serde_json::to_string(value).expect("our reports have string keys and finite shapes");
    line.push('\n');
    line
}

/// Why standard output did not take what was written to it.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Writes text as it is to standard output.
pub(crate) fn write_out(text: &str) {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that went away (`| head`) is no failure of the command.
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            UNWRITTEN.get_or_init(|| why.to_string());
        }
        Ok(()) | Err(_) => {}
    }
}

/// How a command ended, given that its result must have been written.
pub(crate) fn written(exit: Exit) -> Exit {
    match UNWRITTEN.get() {
        Some(why) if exit == Exit::Ok => {
            write_err(&format!("the result could not be written to standard output: {why}"));
            Exit::Failed
        }
        Some(_) | None => exit,
    }
}

fn write_err(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
