//! Where a ticket is taken from.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::MAX_TEXT;
use crate::error::{Code, Failure};

/// The variable of the environment that may hold a ticket: an argument is seen by every user of the machine.
pub const ENVIRONMENT: &str = "SYNGRAD_TICKET";
/// The argument that stands for standard input.
pub const STDIN: &str = "-";

/// Where a ticket may be; the first that is there counts.
pub struct Sources<'a, R> {
    /// An argument: the ticket, or [`STDIN`].
    pub argument: Option<&'a str>,
    /// A file with the ticket and nothing else.
    pub file: Option<&'a Path>,
    /// What [`ENVIRONMENT`] holds.
    pub environment: Option<OsString>,
    /// Standard input.
    pub stdin: R,
}

impl<R: Read> Sources<'_, R> {
    /// The text of the ticket.
    ///
    /// # Errors
    /// [`Failure`] if there is none, or its source cannot be read.
    pub fn text(self) -> Result<Zeroizing<String>, Failure> {
        if let Some(argument) = self.argument {
            return match argument {
                STDIN => bounded(self.stdin, "standard input"),
                ticket => Ok(Zeroizing::new(ticket.to_owned())),
            };
        }
        if let Some(path) = self.file {
            let shown = path.display().to_string();
            let file = File::open(path).map_err(|error| unreadable(&shown, &error))?;
            return bounded(file, &shown);
        }
        match self.environment {
            Some(value) => match value.into_string() {
                Ok(text) => Ok(Zeroizing::new(text)),
                Err(_) => Err(Failure::new(Code::TicketUnreadable, format!("{ENVIRONMENT} holds no text"))),
            },
            None => Err(Failure::new(
                Code::Usage,
                format!(
                    "there is no ticket: give it as argument, in a file, in {ENVIRONMENT}, or as '{STDIN}' on standard input"
                ),
            )),
        }
    }
}

/// At most a little more than a ticket can have: enough to see that it is too long.
fn bounded(source: impl Read, name: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT + 1));
    source.take(MAX_TEXT as u64 + 1).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
    Ok(text)
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(Code::LocalFile, format!("the ticket cannot be read from {name}: {error}"))
}
