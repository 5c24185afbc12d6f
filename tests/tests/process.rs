//! The long-running processes at their edges: how they start, what they refuse, and how they end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use syngrad::client::{Phase, RunStatus};
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::{Algorithm, Durability};
use syngrad_tests::fleet::{self, Fault, train};
use syngrad_tests::program::Program;
use syngrad_tests::specs;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));
const IDENTITY: &str = "0f0e0d0c-0b0a-0908-0706-050403020100";

/// A process that is killed when its test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as it should.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self(NODE.command(arguments).spawn().expect("the program starts"))
    }

    /// A coordinator and its address.
    fn coordinator() -> (Self, String) {
        Self::coordinator_with(&[
            "coordinator",
            "serve",
            "--insecure",
            "--no-state",
            "--bind",
            "127.0.0.1:0",
            "-o",
            "json",
        ])
    }

    fn coordinator_with(arguments: &[&str]) -> (Self, String) {
        let mut process = Self::start(arguments);
        let line = process.first_line();
        let announced: serde_json::Value = serde_json::from_str(&line).expect("the first line is JSON");
        assert_eq!(announced["event"], "listening", "{line}");
        let address = announced["address"].as_str().expect("an address is text").to_owned();
        (process, address)
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.0.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the process writes text");
        line
    }

    /// The first line that contains `words`.
    fn line_with(&mut self, words: &str) -> String {
        let stdout = self.0.stdout.take().expect("standard output is piped");
        let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("the process writes text"));
        lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("the process ended without {words:?}"))
    }

    fn terminate(&mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM can be sent");
        self.0.wait().expect("the process ends").code()
    }
}

fn join<'a>(address: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual =
        ["worker", "join", address, "--insecure", "--no-policy", "--no-state", "--partner", "alpha", "-o", "jsonl"];
    [&usual, more].concat()
}

#[test]
fn a_coordinator_without_tls_stays_on_this_machine() {
    let bind = ["coordinator", "serve", "--no-state", "--bind", "0.0.0.0:0", "-o", "json"];
    NODE.run(&[&bind[..], &["--insecure"]].concat()).assert_failed(4, "E0102", &["0.0.0.0"]);
    NODE.run(&bind).assert_failed(6, "E1126", &["consortium"]);
}

#[test]
fn a_worker_without_tls_stays_on_this_machine() {
    let found = NODE.run(&["worker", "join", "192.0.2.1:4180", "--insecure", "--partner", "alpha", "-o", "json"]);
    found.assert_failed(4, "E0102", &["192.0.2.1"]);
}

#[test]
fn a_taken_port_is_a_conflict() {
    let (_coordinator, address) = Running::coordinator();
    let second = NODE.run(&["coordinator", "serve", "--insecure", "--no-state", "--bind", &address, "-o", "json"]);
    second.assert_failed(6, "E0111", &[&address]);
}

#[test]
fn a_coordinator_that_is_not_there_is_unreachable() {
    NODE.run(&["run", "list", "--insecure", "--coordinator", "127.0.0.1:1", "-o", "json"]).assert_failed(
        3,
        "E0101",
        &["127.0.0.1:1"],
    );
    NODE.run(&["run", "list", "--insecure", "--coordinator", "nonsense", "-o", "json"]).assert_failed(
        2,
        "E0115",
        &["nonsense"],
    );
}

/// A listener that answers every connection with `answer`, or never if there is none.
fn stranger(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if let Some(answer) = answer {
                // The caller may have gone.
                let _ = stream.write_all(answer);
            } else {
                held.push(stream);
            }
        }
    });
    address
}

#[test]
fn a_program_that_speaks_something_else_is_no_defect_of_ours() {
    let address = stranger(Some(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
    NODE.run(&["run", "list", "--insecure", "--coordinator", &address, "-o", "json"]).assert_failed(3, "E0116", &[]);
}

#[test]
fn a_listener_that_never_answers_is_waited_for_only_so_long() {
    let address = stranger(None);
    NODE.run(&["run", "list", "--insecure", "--coordinator", &address, "-o", "json"]).assert_failed(
        5,
        "E0506",
        &["10s"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has a full device");
    let status = NODE.command(&["explain", "E0101"]).stdout(full).status().expect("the program starts");
    assert_eq!(status.code(), Some(1));
}

/// The id of a worker process that the process `parent` has started.
#[cfg(target_os = "linux")]
fn a_worker_of(parent: u32) -> Option<String> {
    let processes = std::fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let is_it = |folder: &std::path::Path| -> Option<bool> {
        // `pid (name) state parent …`; the name may hold anything, so what follows it is counted from its end.
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let found: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        let arguments = std::fs::read(folder.join("cmdline")).ok()?;
        Some(found == parent && arguments.split(|&byte| byte == 0).any(|argument| argument == b"worker"))
    };
    let found = processes.map(|entry| entry.path()).find(|folder| is_it(folder) == Some(true))?;
    Some(found.file_name()?.to_string_lossy().into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn a_demo_survives_that_somebody_else_kills_a_worker() {
    let arguments = ["demo", "--kill", "none", "--workers", "2", "--epochs", "2", "-o", "jsonl"];
    let mut demo = NODE.command(&arguments).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("standard output is piped")).lines();
    let parsed = |line: std::io::Result<String>| -> serde_json::Value {
        serde_json::from_str(&line.expect("the process writes text")).expect("each line is an object")
    };
    let training = lines.by_ref().map(parsed).find(|status| status["rounds_committed"].as_u64() > Some(0));
    assert!(training.is_some(), "the demo trains");
    let victim = a_worker_of(demo.id()).expect("the demo has workers");
    assert!(Command::new("kill").args(["-KILL", &victim]).status().is_ok_and(|status| status.success()));
    let last = lines.map(parsed).last().expect("the demo ends with its result");
    // Two epochs may or may not reach the target; what matters is that there is a result.
    assert_eq!(last["data"]["killed"], 0, "{last}");
    assert_eq!(last["data"]["rounds"], 235, "{last}");
    assert!(demo.wait().is_ok());
}

#[test]
fn a_run_is_started_described_listed_and_stopped() {
    let (_coordinator, address) = Running::coordinator();
    let run =
        |arguments: &[&str]| NODE.run(&[arguments, &["--insecure", "--coordinator", &address, "-o", "json"]].concat());
    run(&["run", "describe"]).assert_failed(6, "E0206", &[]);
    let spec = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(spec.path(), specs::sync_sgd(1).text()).expect("the file can be written");
    let path = spec.path().to_str().expect("the file's name is text");
    let id = run(&["run", "start", path]).data()["run"].as_str().expect("an id is text").to_owned();
    run(&["run", "start", path]).assert_failed(6, "E0205", &[&id]);
    let described = run(&["run", "describe", &id]).data();
    assert_eq!((&described["phase"], &described["name"]), (&"waiting".into(), &"small".into()));
    assert_eq!(run(&["run", "list"]).data()["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(&["run", "stop"]).data()["run"], id.as_str());
    assert_eq!(run(&["run", "watch", &id]).code, Some(1), "a stopped run has not completed");
}

#[test]
fn sigterm_ends_a_coordinator_in_order() {
    let (mut coordinator, _) = Running::coordinator();
    assert_eq!(coordinator.terminate(), Some(0));
}

#[tokio::test]
async fn sigterm_drains_a_worker_and_the_run_goes_on() {
    let spec = specs::sync_sgd(4);
    let mut fleet = fleet::start(NODE).await.expect("a coordinator");
    let address = fleet.address().to_owned();
    let mut worker = Running::start(&join(&address, &[]));
    fleet.add_worker().await.expect("a worker");
    let mut client = fleet.client().await.expect("the coordinator listens");
    let run = client.start(spec.text(), 2).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let mut drained = None;
    let last = loop {
        let status = fleet.next_status(&mut watch).await.expect("nothing breaks").expect("the run is not over");
        if status.phase.is_over() {
            break status;
        }
        if status.rounds_committed > 0 && drained.is_none() {
            drained = worker.terminate();
        }
    };
    fleet.end().await;
    assert_eq!((drained, last.phase), (Some(0), Phase::Completed));
    assert_eq!(last.params_digest, train(NODE, &spec, 1, Fault::None).await.params_digest);
}

/// A run whose coordinator is killed and started again, over and over; its last status.
async fn recovered(state: &std::path::Path, spec: &CanonicalSpec) -> RunStatus {
    let mut fleet = fleet::start_in(NODE, Some(state.to_owned())).await.expect("a coordinator");
    for _ in 0..2 {
        fleet.add_worker().await.expect("a worker");
    }
    let mut client = fleet.client().await.expect("the coordinator listens");
    let run = client.start(spec.text(), 2).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let mut kills = 0;
    let last = loop {
        let status = fleet.next_status(&mut watch).await.expect("nothing breaks").expect("the run is not over");
        if status.phase.is_over() {
            break status;
        }
        if status.rounds_committed > kills * status.rounds / 4 {
            kills += 1;
            if kills == 1 {
                // What the run waited for at its beginning must not matter any more.
                fleet.kill_worker().await;
            }
            fleet.kill_coordinator().await.expect("it starts again");
            client = fleet.client().await.expect("the coordinator listens again");
            watch = client.watch(Some(run)).await.expect("the run is known to the new coordinator");
        }
    };
    fleet.end().await;
    assert!(kills >= 3, "killed {kills} times");
    assert!(last.counters.joins >= 2, "workers of earlier coordinators are counted: {:?}", last.counters);
    last
}

#[tokio::test]
async fn a_coordinator_that_is_killed_again_and_again_changes_no_bit() {
    // The last of them has no checkpoint to go on from, only a ledger that says what must come out.
    for (durability, rounds) in
        [(Durability::Checkpoint, 5), (Durability::EveryRound, 100), (Durability::Checkpoint, 10_000)]
    {
        let mut spec = specs::sync_sgd(9).spec().clone();
        spec.durability = durability;
        spec.checkpoint.rounds = rounds;
        let spec = CanonicalSpec::new(spec).expect("every value is in its range");
        let state = tempfile::tempdir().expect("a folder can be made");
        let last = recovered(state.path(), &spec).await;
        assert_eq!(last.phase, Phase::Completed, "{}", last.reason);
        assert_eq!(last.params_digest, train(NODE, &spec, 1, Fault::None).await.params_digest, "{durability:?}");
    }
}

#[test]
fn a_run_goes_on_after_an_orderly_restart_too() {
    let state = tempfile::tempdir().expect("a folder can be made");
    let folder = state.path().to_str().expect("the folder's name is text");
    let arguments =
        ["coordinator", "serve", "--insecure", "--bind", "127.0.0.1:0", "-o", "json", "--state-dir", folder];
    let spec = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(spec.path(), specs::sync_sgd(1).text()).expect("the file can be written");
    let (mut first, address) = Running::coordinator_with(&arguments);
    let path = spec.path().to_str().expect("the file's name is text");
    let started = NODE.run(&["run", "start", path, "--insecure", "--coordinator", &address, "-o", "json"]).data();
    let second = NODE.run(&arguments);
    second.assert_failed(6, "E0601", &[folder]);
    let other = tempfile::tempdir().expect("a folder can be made");
    let other = other.path().to_str().expect("the folder's name is text");
    let taken = ["coordinator", "serve", "--insecure", "--bind", &address, "-o", "json", "--state-dir", other];
    NODE.run(&taken).assert_failed(6, "E0111", &[&address]);
    assert_eq!(first.terminate(), Some(0));
    let (_second, address) = Running::coordinator_with(&arguments);
    let described = NODE.run(&["run", "describe", "--insecure", "--coordinator", &address, "-o", "json"]).data();
    assert_eq!((&described["run"], &described["phase"]), (&started["run"], &"waiting".into()));
}

#[tokio::test]
async fn a_run_below_its_target_has_failed() {
    let mut spec = specs::sync_sgd(8).spec().clone();
    spec.evaluation.target_accuracy = Some(1.0);
    spec.algorithm = Algorithm::SyncSgd { epochs: 1, units: 6, unit_samples: 20 };
    let spec = CanonicalSpec::new(spec).expect("every value is in its range");
    let mut fleet = fleet::start(NODE).await.expect("a coordinator");
    fleet.add_worker().await.expect("a worker");
    let mut client = fleet.client().await.expect("the coordinator listens");
    let run = client.start(spec.text(), 1).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let last = fleet.finish(&mut watch, |_| {}).await.expect("an undisturbed run");
    let address = fleet.address().to_owned();
    let watched = NODE.run(&["run", "watch", "--insecure", "--coordinator", &address]);
    fleet.end().await;
    assert_eq!((last.phase, last.rounds_committed), (Phase::Failed, last.rounds));
    assert!(last.reason.contains("target_accuracy"), "{}", last.reason);
    assert_eq!(watched.code, Some(1));
}

#[tokio::test]
async fn a_second_worker_with_the_same_identity_is_refused_and_changes_nothing() {
    let spec = specs::sync_sgd(5);
    let mut fleet = fleet::start(NODE).await.expect("a coordinator");
    let address = fleet.address().to_owned();
    let mut first = Running::start(&join(&address, &["--identity", IDENTITY]));
    first.line_with("connected");
    // It tries again, in case that the first one is gone by then, until it is ended here.
    Running::start(&join(&address, &["--identity", IDENTITY])).line_with("E0105");
    let mut client = fleet.client().await.expect("the coordinator listens");
    let run = client.start(spec.text(), 1).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let last = fleet.finish(&mut watch, |_| {}).await.expect("an undisturbed run");
    fleet.end().await;
    assert!(last.counters.refused_sessions >= 1);
    assert_eq!(last.params_digest, train(NODE, &spec, 1, Fault::None).await.params_digest);
}

#[tokio::test]
async fn garbage_on_the_port_changes_nothing() {
    let spec = specs::sync_sgd(6);
    let mut fleet = fleet::start(NODE).await.expect("a coordinator");
    for garbage in
        [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage garbage"]
    {
        let mut stream = TcpStream::connect(fleet.address()).expect("the coordinator listens");
        // It may close the connection in the middle of the garbage.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    fleet.add_worker().await.expect("a worker");
    let mut client = fleet.client().await.expect("the coordinator still listens");
    let run = client.start(spec.text(), 1).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let last = fleet.finish(&mut watch, |_| {}).await.expect("an undisturbed run");
    fleet.end().await;
    assert_eq!(last.params_digest, train(NODE, &spec, 1, Fault::None).await.params_digest);
}

/// Everything that scripts read from the demo.
const DEMO_FIELDS: [&str; 14] = [
    "params_digest",
    "test_accuracy",
    "rounds",
    "samples",
    "train_seconds",
    "wall_seconds",
    "samples_per_second",
    "round_ms_p50",
    "round_ms_p99",
    "workers",
    "killed",
    "units_released",
    "duplicates",
    "seconds_to_97",
];

#[test]
fn the_demo_is_one_object_with_the_digest_of_a_local_run() {
    let flags = ["--epochs", "2", "--seed", "7", "-o", "json"];
    let demo = NODE.run(&[&["demo", "--workers", "2"][..], &flags].concat());
    let data = demo.result();
    let mut found: Vec<&str> = data.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = DEMO_FIELDS;
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(data["killed"], 1);
    let reached = data["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy >= 0.97);
    assert_eq!(demo.code, Some(i32::from(!reached)), "{demo:?}");
    assert_eq!(data["seconds_to_97"].is_number(), reached, "{data}");
    let local = NODE.run(&[&["train", "--local"][..], &flags].concat()).result();
    assert_eq!(data["params_digest"], local["params_digest"]);
}

/// A demo that serves on `port` once its first line is out.
fn serving_demo(port: u16) -> Running {
    let port = port.to_string();
    let mut demo = Running::start(&[
        "demo",
        "--workers",
        "1",
        "--epochs",
        "1",
        "--kill",
        "none",
        "--keep-serving",
        "--port",
        &port,
        "-o",
        "json",
    ]);
    let line = demo.first_line();
    // An epoch is too little for the target.
    assert!(line.contains("\"status\":\"failed\"") && line.contains("E0209"), "{line}");
    demo
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port can be listened on");
    listener.local_addr().expect("a listener has an address").port()
}

/// Waits for the other side of a connection to be gone.
fn wait_for_end(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    // Whatever HTTP/2 says first, an orderly end and a reset are both an end; only time running out is not.
    if let Err(why) = stream.read_to_end(&mut Vec::new()) {
        assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset, "{why}");
    }
}

#[test]
fn no_process_outlives_a_demo_that_is_killed() {
    let port = free_port();
    let mut demo = serving_demo(port);
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the demo keeps serving");
    demo.0.kill().expect("SIGKILL can be sent");
    wait_for_end(&stream);
}

#[test]
fn a_serving_demo_ends_in_order_when_asked() {
    let port = free_port();
    let mut demo = serving_demo(port);
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the demo keeps serving");
    let code = demo.terminate();
    wait_for_end(&stream);
    assert_eq!(code, Some(1), "one epoch misses the target");
}
