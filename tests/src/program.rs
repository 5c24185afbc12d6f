//! The program as a user runs it: arguments in, exit code and output out.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// MNIST as it comes along with the repository, wherever the program was built.
pub const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/mnist");

/// QMNIST's labels, which are not part of the repository: beside it, where there are any.
const QMNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/qmnist");

/// Whether QMNIST's labels are there; says aloud if not.
#[must_use]
#[allow(clippy::print_stderr, reason = "a test that tests nothing says so")]
pub fn qmnist_is_there() -> bool {
    let there = std::path::Path::new(QMNIST).is_dir();
    if !there {
        eprintln!("SKIPPED: {QMNIST} is not there, so nothing of QMNIST was tested");
    }
    there
}

/// The program under test.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    path: &'static str,
}

/// What a command left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Program {
    /// The program at `path`: a test's `CARGO_BIN_EXE_node`.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self { path }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(self) -> &'static str {
        self.path
    }

    /// A command of it, for tests that hold a process.
    #[must_use]
    pub fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("SYNGRAD_DATA_DIR", MNIST).env("SYNGRAD_QMNIST_DIR", QMNIST);
        for variable in [
            "SYNGRAD_OUTPUT",
            "SYNGRAD_QUIET",
            "SYNGRAD_COORDINATOR",
            "SYNGRAD_LOG",
            "SYNGRAD_STATE_DIR",
            "SYNGRAD_INSECURE",
            "SYNGRAD_WORKER_STATE",
            "SYNGRAD_POLICY",
        ] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn run(self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(arguments).output().expect("the program starts"))
    }

    /// Runs it to its end with text on its standard input.
    ///
    /// # Panics
    /// If it cannot be started, or does not take the text.
    #[must_use]
    pub fn run_with_input(self, arguments: &[&str], input: &str) -> Finished {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        stdin.write_all(input.as_bytes()).expect("the program reads its input");
        drop(stdin);
        Finished::of(child.wait_with_output().expect("the program ends"))
    }
}

impl Finished {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The envelope on standard output.
    ///
    /// # Panics
    /// If standard output is anything but one JSON object of schema version 1.
    #[must_use]
    pub fn envelope(&self) -> Value {
        let envelope: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why} in {self:?}"));
        assert_eq!(envelope["schema_version"], 1, "{self:?}");
        envelope
    }

    /// The result in the envelope.
    ///
    /// # Panics
    /// If the command failed.
    #[must_use]
    pub fn data(&self) -> Value {
        let envelope = self.envelope();
        assert_eq!(envelope["status"], "ok", "{self:?}");
        envelope["data"].clone()
    }

    /// The result in the envelope, whether or not it is what was asked for: the status says so as the exit code does.
    ///
    /// # Panics
    /// If there is no result, or the status and the exit code disagree.
    #[must_use]
    pub fn result(&self) -> Value {
        let envelope = self.envelope();
        let status = if self.code == Some(0) { "ok" } else { "failed" };
        assert_eq!(envelope["status"], status, "{self:?}");
        assert_eq!(envelope["error"].is_object(), self.code != Some(0), "{self:?}");
        envelope["data"].clone()
    }

    /// Checks that the command failed with this exit code, error code, and words in its message.
    ///
    /// # Panics
    /// If it did not.
    pub fn assert_failed(&self, exit: i32, code: &str, words: &[&str]) {
        let envelope = self.envelope();
        assert_eq!(
            (self.code, &envelope["status"], &envelope["error"]["code"]),
            (Some(exit), &"error".into(), &code.into()),
            "{self:?}"
        );
        let message = envelope["error"]["message"].as_str().expect("an error has a message");
        assert!(words.iter().all(|word| message.contains(word)), "{words:?} should be in {message:?}");
        assert!(envelope["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{self:?}");
    }
}
