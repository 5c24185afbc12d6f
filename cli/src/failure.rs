//! Why a command failed: a stable code, what happened this time, and what to do about it.

use std::fmt;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NarratableReportHandler};
use serde::{Deserialize, Serialize};
use syngrad_common::error::Code;
use syngrad_dataset::fetch::FetchError;
use syngrad_dataset::{DataError, PrivateMismatch};
use syngrad_engine::spec::SpecError;

use crate::client::RunStatus;
use crate::exit::Exit;
use crate::table::percent;

/// A failure at the edge of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    message: String,
    hint: String,
}

/// A failure as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The stable code, as `syngrad explain` takes it.
    pub code: String,
    /// What happened, and where.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Failure {
    /// A failure whose hint is its code's next step.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let hint = code.next_step().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { code, message: message.into(), hint }
    }

    /// The same failure with a next step of its own.
    #[must_use]
    pub(crate) fn with_hint(self, hint: String) -> Self {
        Self { hint, ..self }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// How a command that fails so ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::from(self.code.exit())
    }

    pub(crate) fn usage(why: &dyn fmt::Display) -> Self {
        Self::new(Code::Usage, why.to_string())
    }

    pub(crate) fn failed(why: &dyn fmt::Display) -> Self {
        Self::new(Code::RunFailed, why.to_string())
    }

    pub(crate) fn spec(why: &SpecError) -> Self {
        Self::new(Code::SpecValue, why.to_string())
    }

    /// MNIST is not there, or is not what it must be.
    pub(crate) fn data(why: &DataError) -> Self {
        let missing = matches!(why, DataError::Missing { .. } | DataError::NoOrigins { .. });
        let code = if missing { Code::DataMissing } else { Code::DataCorrupt };
        Self::new(code, why.to_string())
    }

    /// A partner's samples are not those that the run counts on.
    pub(crate) fn private(why: &PrivateMismatch) -> Self {
        Self::new(Code::DataDiffers, why.to_string())
    }

    pub(crate) fn fetch(why: &FetchError) -> Self {
        Self::new(Code::DataFetch, why.to_string())
    }

    pub(crate) fn io(doing: &str, why: &std::io::Error) -> Self {
        Self::new(Code::LocalFile, format!("{doing} failed: {why}"))
    }

    /// A file that the command line names cannot be read; one that is not there is a mistake in the command line.
    pub(crate) fn named_file(doing: &str, why: &std::io::Error) -> Self {
        match why.kind() == std::io::ErrorKind::NotFound {
            true => Self::new(Code::Usage, format!("{doing} failed: {why}")),
            false => Self::io(doing, why),
        }
    }

    pub(crate) fn failed_checks() -> Self {
        Self::new(Code::ChecksFailed, "something that syngrad needs does not work on this machine")
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Code::Interrupted, "interrupted; all processes have ended")
    }

    pub(crate) fn target_missed(accuracy: f64, target: f64) -> Self {
        let (accuracy, target) = (percent(accuracy), percent(target));
        Self::new(Code::TargetMissed, format!("the test accuracy is {accuracy}, the target {target}"))
    }

    pub(crate) fn bar_missed(why: &str) -> Self {
        Self::new(Code::BarMissed, why.to_owned())
    }

    pub(crate) fn missing_insecure(what: &str) -> Self {
        let message = format!("{what} without TLS must be asked for with --insecure, and stays on this machine");
        Self::new(Code::InsecureAddress, message)
    }

    pub(crate) fn process_ended(name: &str, how: &str, last_words: &str) -> Self {
        let said = if last_words.is_empty() { String::new() } else { format!("; its last words:\n{last_words}") };
        Self::new(Code::ProcessFailed, format!("the {name} process ended: {how}{said}"))
    }

    pub(crate) fn watch_ended() -> Self {
        Self::new(Code::ConnectionLost, "the coordinator stopped telling before the run was over")
    }

    pub(crate) fn garbled(what: &str) -> Self {
        Self::new(Code::BadMessage, format!("the coordinator sent {what}"))
    }

    pub(crate) fn run_ended(status: &RunStatus) -> Self {
        if let Some((accuracy, target)) = status.missed_target() {
            return Self::target_missed(accuracy, target);
        }
        let (name, phase, reason) = (&status.name, status.phase.word(), &status.reason);
        Self::new(Code::RunFailed, format!("the run {name} {phase}: {reason}"))
    }

    /// The same, with a mention of the file it is about.
    #[must_use]
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.message = format!("{}: {}", path.display(), self.message);
        self
    }

    /// The failure as a person at a terminal reads it.
    #[must_use]
    pub(crate) fn for_people(&self) -> String {
        let mut text = String::new();
        let written = if std::env::var_os("NO_COLOR").is_some() {
            NarratableReportHandler::new().render_report(&mut text, self)
        } else {
            GraphicalReportHandler::new_themed(theme()).render_report(&mut text, self)
        };
        written.map_or_else(|_| self.message.clone(), |()| text.trim_end().to_owned())
    }
}

/// Colour only where a terminal shows it.
fn theme() -> GraphicalTheme {
    match std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Diagnostic for Failure {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("{} (more: syngrad explain {})", self.hint, self.code)))
    }
}

impl From<syngrad_common::Failure> for Failure {
    fn from(failure: syngrad_common::Failure) -> Self {
        Self::new(failure.code, failure.message)
    }
}

impl From<FailureRecord> for Failure {
    fn from(record: FailureRecord) -> Self {
        let code = Code::parse(&record.code).unwrap_or(Code::Unlisted);
        Self { code, message: record.message, hint: record.hint }
    }
}

impl Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = FailureRecord {
            code: self.code.as_str().to_owned(),
            message: self.message.clone(),
            hint: self.hint.clone(),
        };
        record.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_what_to_do() {
        let failure = Failure::new(Code::RunActive, "run 7 is active");
        let text = failure.for_people();
        assert!(text.contains("run 7 is active") && text.contains("E0205"), "{text}");
        assert_eq!(failure.exit(), Exit::Conflict);
    }

    #[test]
    fn a_record_reads_back() {
        let failure = Failure::new(Code::CannotListen, "port 1 is taken");
        let text = serde_json::to_string(&failure).expect("a record is plain");
        let record: FailureRecord = serde_json::from_str(&text).expect("it was written by us");
        assert_eq!(Failure::from(record), failure);
    }
}
