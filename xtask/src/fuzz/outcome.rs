//! What libFuzzer said at its end.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What came of a target's time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Outcome {
    /// Inputs that were tried.
    pub(super) executions: u64,
    pub(super) executions_per_second: u64,
    /// Places of the code, with how often each was reached, that some input led to.
    pub(super) features: u64,
    /// Inputs that are kept because each leads somewhere else.
    pub(super) inputs: u64,
    /// The most memory that was in use.
    pub(super) peak_mib: u64,
    pub(super) found: Option<Found>,
}

/// An input that a target does not survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    /// What libFuzzer calls it, or the panic's message.
    what: String,
    /// The file with the input, if one was written.
    input: Option<PathBuf>,
    /// What shows it again.
    command: String,
    /// All that was said.
    log: PathBuf,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n             again with: {}\n             all of it: {}",
            self.what,
            self.command,
            self.log.display()
        )
    }
}

impl Found {
    /// Reads what a program said that ended otherwise than it should.
    pub(super) fn read(said: &str, program: &Path, log: &Path) -> Self {
        let panic = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
        let summary = said.lines().find_map(|line| line.strip_prefix("SUMMARY: "));
        let what = panic.or(summary).or(said.lines().last()).unwrap_or("it ended without a word").trim().to_owned();
        let input = said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.into());
        let command = match &input {
            Some(input) => format!("{} {}", program.display(), PathBuf::clone(input).display()),
            None => program.display().to_string(),
        };
        Self { what, input, command, log: log.to_owned() }
    }
}

impl Outcome {
    /// Reads what a program said.
    pub(super) fn read(said: &str, found: Option<Found>) -> Self {
        let stat = |name: &str| {
            let value = said.lines().rev().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
            value.and_then(|value| value.trim_start_matches(':').trim().parse().ok())
        };
        // `#4096 DONE cov: 212 ft: 512 corp: 40/1310b …`
        let status =
            said.lines().rev().find(|line| line.starts_with('#') && line.contains(" ft: ")).unwrap_or_default();
        let words: Vec<&str> = status.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.split('/').next()?.parse().ok()
        };
        let last = words.first().and_then(|word| word.trim_start_matches('#').parse().ok());
        Self {
            executions: stat("number_of_executed_units").or(last).unwrap_or(0),
            executions_per_second: stat("average_exec_per_sec").unwrap_or(0),
            features: after("ft:").unwrap_or(0),
            inputs: after("corp:").unwrap_or(0),
            peak_mib: stat("peak_rss_mb").unwrap_or(0),
            found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_orderly_run_is_read() {
        let said = "INFO: seed\n#2\tINITED cov: 9 ft: 9 corp: 1/1b exec/s: 0 rss: 40Mb\n\
                    #4096\tDONE   cov: 212 ft: 512 corp: 40/1310b lim: 4096 exec/s: 2048 rss: 44Mb\n\
                    Done 4096 runs in 2 second(s)\nstat::number_of_executed_units: 4096\n\
                    stat::average_exec_per_sec:     2048\nstat::peak_rss_mb:              44\n";
        let expected = Outcome {
            executions: 4096,
            executions_per_second: 2048,
            features: 512,
            inputs: 40,
            peak_mib: 44,
            found: None,
        };
        assert_eq!(Outcome::read(said, None), expected);
        assert_eq!(Outcome::read("", None), Outcome::default());
    }

    #[test]
    fn what_was_found_is_named_with_its_input() {
        let said = "#17\tNEW    cov: 3 ft: 4 corp: 2/2b\n\nthread '<unnamed>' panicked at src/wire.rs:1:1:\n\
                    assertion failed: a == b\nstack backtrace:\n==1== ERROR: libFuzzer: deadly signal\n\
                    SUMMARY: libFuzzer: deadly signal\nartifact_prefix='a/'; Test unit written to a/crash-1\n";
        let found = Found::read(said, Path::new("wire"), Path::new("a/log"));
        assert_eq!((found.what.as_str(), found.command.as_str()), ("assertion failed: a == b", "wire a/crash-1"));
        assert_eq!(Outcome::read(said, Some(found)).executions, 17);
        let slow = "SUMMARY: libFuzzer: timeout\nartifact_prefix='a/'; Test unit written to a/timeout-1\n";
        assert_eq!(Found::read(slow, Path::new("run"), Path::new("l")).what, "libFuzzer: timeout");
        assert_eq!(Found::read("", Path::new("run"), Path::new("l")).command, "run");
    }
}
