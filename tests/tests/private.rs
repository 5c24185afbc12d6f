//! Partners who keep their samples: who computes what, and what a crash may cost.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use syngrad::client::{Client, Phase, RunStatus};
use syngrad::fleet::Fleet;
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::random::{Purpose, Stream};
use syngrad_tests::fleet;
use syngrad_tests::program::Program;
use tempfile::TempDir;
use tokio::sync::mpsc;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));
const PARTNERS: [(&str, u32); 3] = [("alpha", 60), ("beta", 90), ("gamma", 120)];
const ROUNDS: u32 = 8;

/// A run over the samples of all three partners.
fn spec(rounds: u32, quorum: &str) -> CanonicalSpec {
    let partners =
        PARTNERS.map(|(name, samples)| format!("{{ partner = \"{name}\", samples = {samples} }}")).join(", ");
    CanonicalSpec::parse(&format!(
        r#"
        name = "private"
        seed = 3
        update_bits = 16
        model = {{ kind = "mlp", inputs = 16, hidden = [12], classes = 3 }}
        data = {{ kind = "private", inputs = 16, classes = 3, partners = [{partners}] }}
        algorithm = {{ kind = "fedavg", rounds = {rounds}, units = 3, local_epochs = 2, local_batch = 20,
                       local_optimizer = {{ kind = "sgd", learning_rate = 0.05 }} }}
        optimizer = {{ kind = "sgd", learning_rate = 1.0 }}
        {quorum}
        "#
    ))
    .expect("a good spec")
}

/// A folder of samples that only `seed` knows.
fn samples(count: u32, seed: u64) -> TempDir {
    let mut stream = Stream::new(seed, Purpose::Samples, &[]);
    let labels: Vec<u8> = (0..count).map(|_| stream.below(3) as u8).collect();
    let pixel = |label: u8, at: u64, stream: &mut Stream| {
        (stream.below(120) + if at % 3 == u64::from(label) { 120 } else { 0 }) as u8
    };
    let images: Vec<u8> = labels
        .iter()
        .flat_map(|&label| (0..16).map(move |at| (label, at)))
        .map(|(label, at)| pixel(label, at, &mut stream))
        .collect();
    let file = |magic: u32, axes: &[u32], elements: &[u8]| {
        let header = [&[magic], axes].concat().into_iter().flat_map(u32::to_be_bytes);
        header.chain(elements.iter().copied()).collect::<Vec<u8>>()
    };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let images = file(0x803, &[count, 4, 4], &images);
    std::fs::write(folder.path().join("train-images-idx3-ubyte"), images).expect("a file can be written");
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), file(0x801, &[count], &labels))
        .expect("a file can be written");
    folder
}

/// A worker and what it says, line by line. It is killed when it is dropped.
struct Worker {
    process: Child,
    said: mpsc::UnboundedReceiver<String>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Worker {
    fn start(address: &str, partner: &str, data: Option<&Path>) -> Self {
        let mut arguments = vec![
            "worker",
            "join",
            address,
            "--insecure",
            "--no-policy",
            "--no-state",
            "--partner",
            partner,
            "-o",
            "jsonl",
        ];
        if let Some(data) = data {
            arguments.extend(["--data", data.to_str().expect("a folder's name is text")]);
        }
        let mut process = NODE.command(&arguments).stderr(Stdio::null()).spawn().expect("the program starts");
        let lines = BufReader::new(process.stdout.take().expect("standard output is piped")).lines();
        let (say, said) = mpsc::unbounded_channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { process, said }
    }

    /// The next line that contains `words`.
    async fn says(&mut self, words: &str) -> String {
        while let Some(line) = self.said.recv().await {
            if line.contains(words) {
                return line;
            }
        }
        panic!("the worker ended without saying {words:?}")
    }
}

struct Consortium {
    fleet: Fleet,
    data: [TempDir; 3],
}

impl Consortium {
    async fn new(state: Option<&Path>) -> Self {
        let fleet = fleet::start_in(NODE, state.map(Path::to_owned)).await.expect("a coordinator");
        let data = [0, 1, 2].map(|index| samples(PARTNERS[index].1, index as u64));
        Self { fleet, data }
    }

    fn worker(&self, index: usize) -> Worker {
        Worker::start(self.fleet.address(), PARTNERS[index].0, Some(self.data[index].path()))
    }

    fn workers(&self) -> [Worker; 3] {
        [0, 1, 2].map(|index| self.worker(index))
    }

    /// The digest of the same run in one process that has everybody's samples.
    fn local_digest(&self) -> String {
        let spec_file = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(spec_file.path(), spec(ROUNDS, "").text()).expect("the file can be written");
        let owned = [0, 1, 2].map(|index| format!("{}={}", PARTNERS[index].0, self.data[index].path().display()));
        let path = spec_file.path().to_str().expect("the file's name is text");
        let mut arguments = vec!["train", "--local", path, "-o", "json"];
        owned.iter().for_each(|of| arguments.extend(["--data", of]));
        let digest = NODE.run(&arguments).data()["params_digest"].clone();
        digest.as_str().expect("a digest is text").to_owned()
    }

    async fn client(&self) -> Client {
        self.fleet.client().await.expect("the coordinator listens")
    }

    /// Waits for the end of the run.
    async fn end(&mut self) -> RunStatus {
        let mut client = self.client().await;
        let mut watch = client.watch(None).await.expect("there is a run");
        self.fleet.finish(&mut watch, |_| {}).await.expect("the run ends")
    }

    /// Waits until the open round lacks nothing but this partner's unit and answers, and gives the round.
    async fn waits_for(&mut self, partner: &str) -> u32 {
        let mut client = self.client().await;
        let mut watch = client.watch(None).await.expect("there is a run");
        while let Some(status) = self.fleet.next_status(&mut watch).await.expect("nothing breaks") {
            if status.reason.ends_with(&format!("have no worker here: {partner}")) {
                return status.rounds_committed;
            }
        }
        panic!("the coordinator stopped telling before it waited for {partner}")
    }

    /// Waits until so many rounds are committed.
    async fn committed(&mut self, rounds: u32) {
        let mut client = self.client().await;
        let mut watch = client.watch(None).await.expect("there is a run");
        while let Some(status) = self.fleet.next_status(&mut watch).await.expect("nothing breaks") {
            if status.rounds_committed >= rounds {
                return;
            }
        }
        panic!("the coordinator stopped telling before {rounds} rounds were committed")
    }
}

/// The digest of the run in which nothing happens.
async fn undisturbed() -> String {
    let mut consortium = Consortium::new(None).await;
    let _workers = consortium.workers();
    consortium.client().await.start(spec(ROUNDS, "").text(), 3).await.expect("a good spec");
    let last = consortium.end().await;
    assert_eq!(last.phase, Phase::Completed, "{}", last.reason);
    let used: Vec<_> =
        last.participation.iter().map(|of| (of.partner.as_str(), of.used, of.late, of.missing)).collect();
    assert_eq!(used, PARTNERS.map(|(name, _)| (name, u64::from(ROUNDS), 0, 0)));
    assert_eq!(last.params_digest, consortium.local_digest());
    last.params_digest
}

#[test]
fn what_partners_keep_gives_the_bits_of_the_same_cut_assigned() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let parts = folder.path().join("parts");
    let parts = parts.to_str().expect("a folder's name is text");
    let cut = NODE.run(&["data", "partition", "--by", "contiguous", "--parts", "2", "--out", parts, "-o", "json"]);
    assert_eq!(cut.code, Some(0), "{cut:?}");
    let digest = |data: &str, more: &[&str]| {
        let spec = format!(
            r#"
            name = "cut"
            model = {{ kind = "mlp", inputs = 784, hidden = [8], classes = 10 }}
            algorithm = {{ kind = "sync-sgd", epochs = 1, units = 2, unit_samples = 1000 }}
            optimizer = {{ kind = "adam", learning_rate = 0.002 }}
            {data}
            "#
        );
        let path = folder.path().join("spec.toml");
        std::fs::write(&path, spec).expect("a file can be written");
        let path = path.to_str().expect("a file's name is text");
        NODE.run(&[&["train", "--local", path, "-o", "json"], more].concat()).data()["params_digest"].clone()
    };
    let assigned = digest(r#"data = { kind = "mnist", partition = { kind = "contiguous" } }"#, &[]);
    let private = r#"data = { kind = "private", inputs = 784, classes = 10, test = "mnist", partners = [
        { partner = "a", samples = 30000 }, { partner = "b", samples = 30000 } ] }"#;
    let (a, b) = (format!("a={parts}/part-0"), format!("b={parts}/part-1"));
    assert_eq!(digest(private, &["--data", &a, "--data", &b]), assigned);
}

#[tokio::test]
async fn an_acknowledged_update_is_never_computed_again() {
    let expected = undisturbed().await;
    let state = tempfile::tempdir().expect("a folder can be made");
    let mut consortium = Consortium::new(Some(state.path())).await;
    let [mut alpha, mut beta, gamma] = consortium.workers();
    consortium.client().await.start(spec(ROUNDS, "").text(), 3).await.expect("a good spec");
    consortium.committed(2).await;
    // Without gamma a round stays open, and the others rest once theirs is accepted.
    drop(gamma);
    let round = consortium.waits_for("gamma").await;
    for worker in [&mut alpha, &mut beta] {
        worker.says(&format!("the update of round {round} is accepted")).await;
    }
    drop((alpha, beta));
    consortium.fleet.kill_coordinator().await.expect("it starts again");

    let mut gamma = consortium.worker(2);
    consortium.committed(round + 1).await;
    let (mut alpha, mut beta) = (consortium.worker(0), consortium.worker(1));
    let last = consortium.end().await;
    assert_eq!((last.phase, last.params_digest), (Phase::Completed, expected));
    let left = ROUNDS - round;
    for (worker, computed) in [(&mut alpha, left - 1), (&mut beta, left - 1), (&mut gamma, left)] {
        let ledger = worker.says("is over").await;
        assert!(ledger.contains(&format!("; {computed} units were computed")), "{computed}: {ledger}");
    }
}

#[tokio::test]
async fn samples_that_the_run_does_not_count_on_are_refused() {
    let state = tempfile::tempdir().expect("a folder can be made");
    let mut consortium = Consortium::new(Some(state.path())).await;
    let mut client = consortium.client().await;
    client.start(spec(ROUNDS, "").text(), 1).await.expect("a good spec");
    let fewer = samples(59, 0);
    let address = consortium.fleet.address().to_owned();
    for (partner, data, words) in [
        ("delta", Some(consortium.data[0].path()), "delta is none of them"),
        ("alpha", None, "name their folder with --data"),
        ("alpha", Some(fewer.path()), "here are 59"),
    ] {
        let refusal = Worker::start(&address, partner, data).says("cannot take part").await;
        assert!(refusal.contains(words) && refusal.contains("E0214"), "{refusal}");
    }
    let mut alpha = consortium.worker(0);
    alpha.says("is accepted").await;
    drop(alpha);
    // What alpha began with outlives the coordinator.
    consortium.fleet.kill_coordinator().await.expect("it starts again");
    let changed = samples(60, 99);
    let refusal = Worker::start(&address, "alpha", Some(changed.path())).says("refuses this worker").await;
    assert!(refusal.contains("other samples") && refusal.contains("E0214"), "{refusal}");
    let _workers = [consortium.worker(0), consortium.worker(1), consortium.worker(2)];
    assert_eq!(consortium.end().await.params_digest, undisturbed().await);
}

#[tokio::test]
async fn a_run_below_its_quorum_fails_and_names_who_is_missing() {
    let quorum = "quorum = { min_units = 3, on_missing = \"skip\", round_deadline_seconds = 1.0 }";
    let mut consortium = Consortium::new(None).await;
    let [_alpha, _beta, gamma] = consortium.workers();
    // More rounds than there is time for.
    consortium.client().await.start(spec(1_000_000, quorum).text(), 3).await.expect("a good spec");
    consortium.committed(1).await;
    drop(gamma);
    let last = consortium.end().await;
    assert_eq!(last.phase, Phase::Failed);
    assert!(last.reason.contains("gamma") || last.reason.contains("waiting for"), "{}", last.reason);
    let watched = NODE.run(&["run", "watch", "--insecure", "--coordinator", consortium.fleet.address()]);
    assert_eq!(watched.code, Some(1), "{watched:?}");
}

#[tokio::test]
async fn a_run_may_go_on_without_a_partner_and_says_so() {
    let quorum = "quorum = { min_units = 2, on_missing = \"skip\", round_deadline_seconds = 0.2 }";
    let mut consortium = Consortium::new(None).await;
    let _present = [consortium.worker(0), consortium.worker(1)];
    consortium.client().await.start(spec(ROUNDS, quorum).text(), 2).await.expect("a good spec");
    let last = consortium.end().await;
    assert_eq!(last.phase, Phase::Completed, "{}", last.reason);
    let given: Vec<_> = last.participation.iter().map(|of| (of.partner.as_str(), of.used, of.missing)).collect();
    let all = u64::from(ROUNDS);
    assert_eq!(given, [("alpha", all, 0), ("beta", all, 0), ("gamma", 0, all)]);
}
