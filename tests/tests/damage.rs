//! State that is not as it was written: each file of a state folder flipped, cut, deleted, swapped, replaced. The run
//! ends at its digest, or the coordinator says which file is damaged and what to do; it never panics, never trains
//! another model, never forgets the run.

#[path = "damage/kinds.rs"]
mod kinds;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use kinds::{Kind, kinds};
use syngrad::client::{Client, Phase, Target};
use syngrad_common::config::CanonicalSpec;
use syngrad_common::{Code, Failure};
use syngrad_coordinator::State;
use syngrad_engine::spec::{Algorithm, ModelSpec};
use syngrad_tests::fleet::{Fault, train};
use syngrad_tests::program::Program;
use syngrad_tests::{inside, specs};
use tempfile::TempDir;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

/// Sixty short rounds with a checkpoint every five: two checkpoints and a ledger beyond them at nearly any moment.
fn spec(seed: u64) -> CanonicalSpec {
    let mut spec = specs::sync_sgd(seed).spec().clone();
    spec.model = ModelSpec::Mlp { inputs: 32, hidden: vec![8], classes: 4 };
    spec.algorithm = Algorithm::SyncSgd { epochs: 12, units: 6, unit_samples: 40 };
    spec.checkpoint.rounds = 5;
    CanonicalSpec::new(spec).expect("every value is in its range")
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be dead already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn started(arguments: &[&str]) -> Killed {
    Killed(NODE.command(arguments).stderr(Stdio::null()).spawn().expect("the program starts"))
}

/// The state folder of a coordinator that was killed in the middle of a run.
async fn crashed(seed: u64) -> TempDir {
    use std::io::BufRead as _;
    let state = tempfile::tempdir().expect("a folder can be made");
    let folder = state.path().to_str().expect("the folder's name is text");
    let mut coordinator =
        started(&["coordinator", "serve", "--insecure", "--bind", "127.0.0.1:0", "-o", "json", "--state-dir", folder]);
    let mut line = String::new();
    let stdout = coordinator.0.stdout.take().expect("standard output is piped");
    std::io::BufReader::new(stdout).read_line(&mut line).expect("the process writes text");
    let announced: serde_json::Value = serde_json::from_str(&line).expect("the first line is JSON");
    let address = announced["address"].as_str().expect("an address is text");
    let mut client =
        Client::connect(&Target::insecure(address).expect("an address")).await.expect("the coordinator listens");
    let run = client.start(spec(seed).text(), 1).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let _worker = started(&[
        "worker",
        "join",
        address,
        "--insecure",
        "--no-policy",
        "--no-state",
        "--partner",
        "alpha",
        "-o",
        "jsonl",
    ]);
    while let Some(status) = watch.next().await.expect("the coordinator tells") {
        assert!(!status.phase.is_over(), "the run was over before the coordinator could be killed; make it longer");
        if status.rounds_committed >= 12 {
            break;
        }
    }
    state
}

/// Whatever the coordinator makes of a damaged folder, as far as it may.
fn outcome(folder: &Path, digest: &str) -> Result<&'static str, String> {
    match inside::finish(folder) {
        Ok(Some(status)) if status.phase == Phase::Completed && status.params_digest == digest => Ok("went on"),
        Ok(Some(status)) => Err(format!("{:?} at {}: {}", status.phase, status.params_digest, status.reason)),
        Ok(None) => Err("the run is forgotten without a word".to_owned()),
        Err(failure) => refused_well(folder, &failure).map(|()| "refused"),
    }
}

/// Checks that a refusal has a code of state, names the place and says what to do.
fn refused_well(folder: &Path, failure: &Failure) -> Result<(), String> {
    let Failure { code, message } = failure;
    let has_code = matches!(code, Code::StateDamaged | Code::StateNewer | Code::StateUnwritable);
    let has_place = message.contains(&*folder.to_string_lossy())
        || ["state.sqlite", "run small", "blob"].iter().any(|place| message.contains(place));
    let has_remedy =
        ["restore", "look after the disk", "use the release", "delete"].iter().any(|remedy| message.contains(remedy));
    if has_code && has_place && has_remedy {
        Ok(())
    } else {
        Err(format!("a refusal that helps nobody: {code} {message}"))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => {
                fs::copy(&path, &target).expect("the file can be copied");
            }
        }
    }
}

/// All files and folders within `folder`, as paths from there, in order.
fn contents(folder: &Path) -> Vec<PathBuf> {
    fn collect(root: &Path, folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            into.push(path.strip_prefix(root).expect("it is within").to_owned());
            if path.is_dir() {
                collect(root, &path, into);
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, folder, &mut found);
    found.sort();
    found
}

/// Damages each file of a copy of `folder` in every way, one at a time.
fn every_damage(folder: &Path, other: &Path, digest: &str) {
    let mut seen: BTreeMap<(String, &str), u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    let files = contents(folder);
    for file in &files {
        for Kind { name, damage } in kinds(folder, file, &files, other) {
            let damaged = tempfile::tempdir().expect("a folder can be made");
            copy(folder, damaged.path());
            damage(damaged.path());
            let what = if file.starts_with("blobs") { "blobs".to_owned() } else { file.display().to_string() };
            match outcome(damaged.path(), digest) {
                Ok(outcome) => *seen.entry((what, outcome)).or_default() += 1,
                Err(why) => wrong.push(format!("{} {name}: {why}", file.display())),
            }
        }
    }
    for what in ["blobs", "lock", "state.sqlite"] {
        let has = |outcome| seen.contains_key(&(what.to_owned(), outcome));
        assert!(has("refused") && has("went on"), "{what}: {seen:?}");
    }
    assert!(wrong.is_empty(), "{} of them went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn damaged_state_is_never_another_model_nor_forgotten() {
    let digest = train(NODE, &spec(1), 1, Fault::None).await.params_digest;
    let (state, other) = (crashed(1).await, crashed(2).await);
    let checked = tokio::task::spawn_blocking(move || {
        // As the kill left it: rounds are in the log.
        every_damage(state.path(), other.path(), &digest);
        // As the next start leaves it: all is in the database itself.
        drop(State::open(state.path()).expect("whole state"));
        every_damage(state.path(), other.path(), &digest);
    });
    checked.await.expect("nothing panics");
}

#[tokio::test]
async fn a_disk_that_fails_ends_the_coordinator_and_loses_nothing() {
    let digest = train(NODE, &spec(3), 1, Fault::None).await.params_digest;
    let state = crashed(3).await;
    let checked = tokio::task::spawn_blocking(move || {
        let [blobs, away] = ["blobs", "away"].map(|name| state.path().join(name));
        let mut pending = true;
        let ended = inside::finish_with(state.path(), |status| {
            if pending && status.counters.accepted > 0 {
                pending = false;
                fs::rename(&blobs, &away).expect("the folder can be moved");
                fs::write(&blobs, b"in the way").expect("the file can be written");
            }
        });
        let failure = ended.expect_err("there is nowhere to write a checkpoint to");
        assert_eq!(failure.code, Code::StateUnwritable, "{failure}");
        assert!(failure.message.contains("blob") && failure.message.contains("look after the disk"), "{failure}");
        fs::remove_file(&blobs).expect("the file can be removed");
        fs::rename(&away, &blobs).expect("the folder can be moved back");
        assert_eq!(outcome(state.path(), &digest), Ok("went on"));
    });
    checked.await.expect("nothing panics");
}
