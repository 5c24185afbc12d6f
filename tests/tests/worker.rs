//! What a partner's people can do with their workers: real processes, a real socket, the real command line.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;
use syngrad_tests::program::{Finished, Program};
use syngrad_tests::specs;
use tempfile::TempDir;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

/// A process, killed when its test ends.
struct Running {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = NODE.command(arguments);
        let mut process = command.stderr(Stdio::null()).spawn().expect("the program starts");
        let lines = BufReader::new(process.stdout.take().expect("standard output is piped")).lines();
        Self { process, lines }
    }

    /// A coordinator and its address.
    fn coordinator() -> (Self, String) {
        let mut process =
            Self::start(&["coordinator", "serve", "--insecure", "--no-state", "--bind", "127.0.0.1:0", "-o", "json"]);
        let line: Value = serde_json::from_str(&process.says("listening")).expect("an object");
        let address = line["address"].as_str().expect("an address is text").to_owned();
        (process, address)
    }

    /// A worker of hospital-a that keeps its state in `state`.
    fn worker(address: &str, state: &Path, more: &[&str]) -> Self {
        let usual = ["worker", "join", address, "--insecure", "--partner", "hospital-a", "-o", "jsonl", "--state"];
        Self::start(&[&usual[..], &[text(state)], more].concat())
    }

    /// The next line that contains `words`.
    fn says(&mut self, words: &str) -> String {
        let mut lines = self.lines.by_ref().map(|line| line.expect("the process writes text"));
        lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("it ended without saying {words:?}"))
    }

    fn ends(&mut self) -> Option<i32> {
        // What nobody reads it would wait to write.
        self.lines.by_ref().for_each(drop);
        self.process.wait().expect("it can be waited for").code()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn ask(state: &Path, words: &[&str]) -> Finished {
    NODE.run(&[&["worker"], words, &["--state", text(state), "-o", "json"]].concat())
}

/// A run spec in a file.
fn spec(folder: &Path) -> String {
    let path = folder.join("spec.json");
    std::fs::write(&path, specs::sync_sgd(3).text()).expect("the file can be written");
    text(&path).to_owned()
}

#[test]
fn a_worker_is_paused_resumed_looked_into_and_asked_to_finish() {
    let (place, (_coordinator, address)) = (folder(), Running::coordinator());
    let (state, spec) = (place.path().join("state"), spec(place.path()));
    let mut worker = Running::worker(&address, &state, &["--no-policy"]);
    worker.says("connected");
    assert_eq!(ask(&state, &["pause"]).data()["paused"].as_array().map(Vec::len), Some(1));
    worker.says("paused");

    let start = [
        "run",
        "start",
        &spec,
        "--insecure",
        "--watch",
        "--wait-for-workers",
        "1",
        "--coordinator",
        &address,
        "-o",
        "jsonl",
    ];
    let mut run = Running::start(&start);
    run.says("waiting");
    assert_eq!(ask(&state, &["status"]).data()["in_hand"], 0, "a paused worker takes nothing");
    assert_eq!(ask(&state, &["resume"]).data()["paused"].as_array().map(Vec::len), Some(0));
    worker.says("the pause is over");
    assert_eq!(run.ends(), Some(0), "the run goes on with the worker");

    let journal = ask(&state, &["inspect"]).data();
    let records = journal["records"].as_array().expect("a list").clone();
    let of = |kind: &str| records.iter().filter(|record| record["message"] == kind).count() as u64;
    assert!(of("update") > 0 && of("declined") == 1 && of("hello") == 1, "{records:?}");
    assert_eq!(journal["totals"]["update"]["messages"], of("update"));
    let first = ask(&state, &["inspect", "--round", "0"]).data();
    let first = first["records"].as_array().expect("a list").clone();
    assert!(!first.is_empty() && first.iter().all(|record| record["round"] == 0), "{first:?}");
    let shown = NODE.run(&["worker", "inspect", "--state", text(&state), "--round", "0"]);
    assert!(shown.code == Some(0) && shown.stdout.contains("largest norm"), "{shown:?}");

    assert_eq!(ask(&state, &["finish"]).data()["leaving"], true);
    assert_eq!(worker.ends(), Some(0));
    ask(&state, &["status"]).assert_failed(3, "E1206", &[text(&state)]);
    assert_eq!(ask(&state, &["inspect"]).data()["totals"]["leave"]["messages"], 1, "the journal outlives its worker");
}

#[test]
fn a_policy_refuses_a_run_and_the_operator_hears_why() {
    let (place, (_coordinator, address)) = (folder(), Running::coordinator());
    let (state, spec) = (place.path().join("state"), spec(place.path()));
    let policy = place.path().join("policy.toml");
    std::fs::write(&policy, "require_secure_aggregation = true\n").expect("the file can be written");
    let mut worker = Running::worker(&address, &state, &["--policy", text(&policy)]);
    assert!(worker.says("the policy in force is").contains("policy.toml"));
    worker.says("connected");
    let started = NODE.run(&["run", "start", &spec, "--insecure", "--coordinator", &address, "-o", "json"]).data();
    assert!(started["run"].is_string(), "{started}");
    let told = worker.says("E1202");
    assert!(told.contains("require_secure_aggregation"), "{told}");
    assert_eq!(ask(&state, &["leave"]).data()["leaving"], true);
    assert_eq!(worker.ends(), Some(0));
    let journal = ask(&state, &["inspect"]).data();
    assert!(journal["totals"].get("update").is_none() && journal["totals"].get("ready").is_none(), "{journal}");
    let declined = journal["records"].as_array().expect("a list").iter().find(|record| record["message"] == "declined");
    assert!(declined.is_some_and(|record| record["why"].as_str().is_some_and(|why| why.starts_with("E1202: "))));
}

#[test]
fn the_users_own_policy_is_in_force_unless_it_is_said_otherwise() {
    let place = folder();
    let own = place.path().join("syngrad");
    std::fs::create_dir(&own).expect("a folder can be made");
    std::fs::write(own.join("policy.toml"), "max_round = 3\n").expect("the file can be written");
    let join = ["worker", "join", "127.0.0.1:1", "--insecure", "--partner", "hospital-a", "--no-state", "-o", "json"];
    let output = NODE.command(&join).env("XDG_CONFIG_HOME", place.path()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for words in ["E1201", "policy.toml", "line 1, column 1", "did you mean", "max_rounds"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    std::fs::write(own.join("policy.toml"), "max_rounds = 3\n").expect("the file can be written");
    let output = NODE.command(&join).env("XDG_CONFIG_HOME", place.path()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("--no-state"), "limits need a place to be counted: {said}");
}

#[test]
fn a_worker_that_is_killed_leaves_a_journal_and_a_socket_that_bother_nobody() {
    let (place, (_coordinator, address)) = (folder(), Running::coordinator());
    let state = place.path().join("state");
    let mut worker = Running::worker(&address, &state, &["--no-policy"]);
    worker.says("connected");
    worker.process.kill().expect("it can be killed");
    worker.ends();
    ask(&state, &["status"]).assert_failed(3, "E1206", &[]);
    let mut again = Running::worker(&address, &state, &["--no-policy"]);
    again.says("connected");
    assert_eq!(ask(&state, &["status"]).data()["connected"], true);
    assert_eq!(ask(&state, &["inspect"]).data()["totals"]["hello"]["messages"], 2);
    let third = ["worker", "join", &address, "--insecure", "--partner", "hospital-a", "--no-policy", "-o", "json"];
    NODE.run(&[&third[..], &["--state", text(&state)]].concat()).assert_failed(6, "E1204", &[text(&state)]);
}

#[test]
fn a_preflight_goes_as_far_as_the_way_and_its_exit_code_tells() {
    let (place, (_coordinator, address)) = (folder(), Running::coordinator());
    let state = place.path().join("state");
    let doctor = |more: &[&str]| {
        let usual = ["worker", "doctor", "--insecure", "--no-policy", "--state", text(&state), "-o", "json"];
        NODE.run(&[&usual[..], more].concat())
    };
    let row = |found: &Finished, what: &str| -> Value {
        let result = found.result();
        let rows = result["checks"].as_array().expect("a list");
        rows.iter().find(|row| row["what"] == what).cloned().unwrap_or_default()
    };
    let found = doctor(&[&address]);
    assert_eq!(found.code, Some(0), "{found:?}");
    for what in ["processor", "memory", "training", "policy", "state folder", "DNS", "TCP", "protocol"] {
        assert!(
            ["well", "slow"].contains(&row(&found, what)["state"].as_str().unwrap_or_default()),
            "{what}: {found:?}"
        );
    }
    assert!(!state.exists(), "a preflight leaves nothing behind");
    let found = doctor(&["127.0.0.1:1"]);
    assert_eq!((found.code, &row(&found, "TCP")["state"]), (Some(1), &"broken".into()), "{found:?}");
    assert!(row(&found, "protocol").is_null() && !row(&found, "TCP")["fix"].as_str().unwrap_or_default().is_empty());
    let found = doctor(&["--data", text(place.path())]);
    assert_eq!((found.code, &row(&found, "own samples")["state"]), (Some(1), &"broken".into()), "{found:?}");
    assert!(row(&found, "TCP").is_null(), "without an address nothing is sent");
}
