//! Organisations that have never met: from two empty home folders to a trained model, over TLS.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use syngrad_tests::program::Program;
use syngrad_tests::specs;
use tempfile::TempDir;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

/// Somebody's machine: an empty home folder, and nothing in the environment that leads elsewhere.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = NODE.command(arguments);
        command.env("HOME", self.0.path());
        for variable in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "SYNGRAD_TICKET", "SYNGRAD_CREDENTIALS"] {
            command.env_remove(variable);
        }
        command
    }

    /// The result of a command that must succeed.
    fn run(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["-o", "json"]].concat()).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let envelope: Value = serde_json::from_str(&text)
            .unwrap_or_else(|why| panic!("{arguments:?}: {why}: {text} {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(envelope["status"], "ok", "{arguments:?}: {envelope}");
        envelope["data"].clone()
    }
}

/// A process that speaks JSON lines, and is killed when it is dropped.
struct Speaking {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Drop for Speaking {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Speaking {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command(&[arguments, &["-o", "jsonl"]].concat());
        let mut process = command.stderr(Stdio::null()).spawn().expect("the program starts");
        let lines = BufReader::new(process.stdout.take().expect("standard output is piped"));
        Self { process, lines }
    }

    /// The next line that `is_it`.
    fn says(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("the process writes text");
            assert!(read > 0, "it ended without saying it; it said:\n{seen}");
            seen.push_str(&line);
            let value: Value = serde_json::from_str(&line).expect("each line is an object");
            if is_it(&value) {
                return value;
            }
        }
    }
}

fn serve(operator: &Home, bind: &str) -> (Speaking, String) {
    let mut coordinator = Speaking::start(operator, &["coordinator", "serve", "--bind", bind]);
    let listening = coordinator.says(|line| line["event"] == "listening");
    let address = listening["address"].as_str().expect("an address is text").to_owned();
    (coordinator, address)
}

/// An address that nobody listens on: the public one is in tickets before the coordinator listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

fn spec_file(seed: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file can be made");
    std::fs::write(file.path(), specs::sync_sgd(seed).text()).expect("the file can be written");
    file
}

#[test]
fn two_empty_homes_train_one_model() {
    let (operator, partner) = (Home::new(), Home::new());
    let address = free_address();
    operator.run(&["coordinator", "init", "--name", "hospitals", "--public", &address]);
    let (_coordinator, _) = serve(&operator, &address);
    let ticket = operator.run(&["partner", "invite", "hospital-b"])["ticket"].as_str().expect("a ticket").to_owned();

    let pasted = Instant::now();
    let mut worker = Speaking::start(&partner, &["worker", "join", &ticket, "--accept"]);
    worker.says(|line| line["text"].as_str().is_some_and(|text| text.starts_with("connected")));
    assert!(pasted.elapsed() < Duration::from_secs(30), "the figure is measured elsewhere; this only ends a hang");

    let spec = spec_file(5);
    let path = spec.path().to_str().expect("a file's name is text");
    let local = operator.run(&["train", "--local", path]);
    let run = operator.run(&["run", "start", path, "--watch"]);
    assert_eq!((&run["phase"], &run["params_digest"]), (&"completed".into(), &local["params_digest"]));
    assert_eq!(run["participation"][0]["partner"], "hospital-b");
}
