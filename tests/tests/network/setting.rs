//! A coordinator, a relay before it, and workers behind that.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use syngrad::client::{Client, Phase, RunStatus, Target, Watch};
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::Algorithm;
use syngrad_tests::program::Program;
use syngrad_tests::relay::{Nature, Relay};
use syngrad_tests::specs;

pub(crate) const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

/// Silence after which either side counts as dead.
const SILENCE_MS: &str = "1000";

/// A process that is killed when its test ends, however it ends.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts it; what it says is not read.
    pub(crate) fn start(mut command: Command) -> Self {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().expect("the program starts"))
    }

    /// Starts it, and waits for its first line.
    pub(crate) fn start_with_line(mut command: Command) -> (Self, String) {
        let spoken = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spoken.spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the process writes text");
        (Self(child), line.trim().to_owned())
    }
}

/// See the module.
pub(crate) struct Setting {
    pub(crate) relay: Relay,
    address: String,
    expected: String,
    watch: Watch,
    _coordinator: Running,
    workers: Vec<Running>,
}

/// A run of ten rounds for each epoch.
pub(crate) fn spec(seed: u64, epochs: u32) -> CanonicalSpec {
    let mut spec = specs::sync_sgd(seed).spec().clone();
    spec.algorithm = Algorithm::SyncSgd { epochs, units: 6, unit_samples: 20 };
    CanonicalSpec::new(spec).expect("every value is in its range")
}

/// A coordinator and its address.
pub(crate) fn coordinator() -> (Running, String) {
    let bind = ["coordinator", "serve", "--insecure", "--no-state", "--bind", "127.0.0.1:0", "-o", "json"];
    let (process, line) = Running::start_with_line(NODE.command(&[&bind[..], &["--silence-ms", SILENCE_MS]].concat()));
    let announced: serde_json::Value = serde_json::from_str(&line).expect("the first line is JSON");
    (process, announced["address"].as_str().expect("an address is text").to_owned())
}

/// A worker for the coordinator behind `address`.
pub(crate) fn worker(address: &str, partner: &str) -> Command {
    NODE.command(&["worker", "join", address, "--insecure", "--no-policy", "--no-state", "--partner", partner])
}

/// Where a run in one process ends.
pub(crate) fn undisturbed(spec: &CanonicalSpec) -> String {
    let data = NODE.run_with_input(&["train", "--local", "-", "-o", "json"], spec.text()).data();
    data["params_digest"].as_str().expect("a digest is text").to_owned()
}

/// Starts `spec` on the coordinator, and watches it.
pub(crate) async fn start(address: &str, spec: &CanonicalSpec, workers: u32) -> Watch {
    let mut client =
        Client::connect(&Target::insecure(address).expect("an address")).await.expect("the coordinator listens");
    let run = client.start(spec.text(), workers).await.expect("a good spec");
    client.watch(Some(run)).await.expect("the run was just started")
}

impl Setting {
    /// Starts a run over so many workers, all of them behind a relay of this nature.
    pub(crate) async fn begin(spec: &CanonicalSpec, nature: Nature, workers: u32) -> Self {
        Self::begin_with(spec, nature, (workers, workers)).await
    }

    /// The same with fewer workers to begin with than the run waits for.
    pub(crate) async fn begin_with(spec: &CanonicalSpec, nature: Nature, (workers, awaited): (u32, u32)) -> Self {
        let (coordinator, address) = coordinator();
        let relay = Relay::before(&address, nature).await;
        let watch = start(&address, spec, awaited).await;
        let expected = undisturbed(spec);
        let mut setting = Self { relay, address, expected, watch, _coordinator: coordinator, workers: Vec::new() };
        (0..workers).for_each(|_| setting.add_worker());
        setting
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// One more worker behind the relay.
    pub(crate) fn add_worker(&mut self) {
        let partner = format!("partner-{}", self.workers.len());
        self.workers.push(Running::start(worker(self.relay.address(), &partner)));
    }

    /// Follows the run to its end; `seen` may do something to the network at each status.
    pub(crate) async fn follow(&mut self, mut seen: impl AsyncFnMut(&RunStatus, &mut Relay)) -> RunStatus {
        loop {
            let status = self.watch.next().await.expect("the operator's connection is good").expect("it is not over");
            if status.phase.is_over() {
                return status;
            }
            seen(&status, &mut self.relay).await;
        }
    }

    /// Checks where the run ended.
    pub(crate) fn end(self, last: &RunStatus) {
        assert_eq!(last.phase, Phase::Completed, "{}", last.reason);
        assert_eq!(last.params_digest, self.expected);
    }
}
