//! What a coordinator that is started again still knows.

use std::io::{BufRead as _, BufReader, Read as _};

use syngrad::client::{Phase, RunStatus};
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::{Algorithm, DataSpec, ModelSpec, Partition};
use syngrad_tests::fleet;
use syngrad_tests::program::Program;
use syngrad_tests::specs;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

/// A picture of a stroke, white on black: BMP, 24 bits a pixel, 8 × 8 of them.
fn picture() -> tempfile::NamedTempFile {
    let is_ink = |pixel: u32| matches!(pixel % 8, 3 | 4) && matches!(pixel / 8, 2..6);
    let pixels = (0..64).flat_map(|pixel| [if is_ink(pixel) { 255_u8 } else { 0 }; 3]);
    let header: [u32; 13] = [54 + 192, 0, 54, 40, 8, 8, 1 | 24 << 16, 0, 192, 0, 0, 0, 0];
    let bytes = b"BM".iter().copied().chain(header.into_iter().flat_map(u32::to_le_bytes)).chain(pixels);
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), bytes.collect::<Vec<u8>>()).expect("the file can be written");
    file
}

/// A prediction by the model that the coordinator at `address` serves, with its provenance.
fn predicted(address: &str) -> serde_json::Value {
    let picture = picture();
    let file = picture.path().to_str().expect("the file's name is text");
    let data = NODE.run(&["predict", file, "--insecure", "--coordinator", address, "-o", "json"]).data();
    let mut prediction = data["predictions"][0].clone();
    prediction.as_object_mut().expect("a prediction is an object").remove("file");
    prediction
}

#[tokio::test]
async fn what_was_counted_and_served_outlives_the_coordinator() {
    let state = tempfile::tempdir().expect("a folder can be made");
    let mut fleet = fleet::start_in(NODE, Some(state.path().to_owned())).await.expect("a coordinator");
    fleet.add_worker().await.expect("a worker");
    let mut versions = Vec::new();
    for seed in [1, 2] {
        let mut spec = specs::sync_sgd(seed).spec().clone();
        spec.model = ModelSpec::Mlp { inputs: 784, hidden: vec![16], classes: 10 };
        spec.data = DataSpec::Mnist { limit: Some(1_200), partition: Partition::default() };
        spec.algorithm = Algorithm::SyncSgd { epochs: 3, units: 6, unit_samples: 20 };
        let spec = CanonicalSpec::new(spec).expect("every value is in its range");
        let mut client = fleet.client().await.expect("the coordinator listens");
        let run = client.start(spec.text(), 1).await.expect("a good spec");
        let mut watch = client.watch(Some(run)).await.expect("the run was just started");
        fleet.finish(&mut watch, |_| {}).await.expect("an undisturbed run");
        let (status, prediction) = (client.get(None).await.expect("the run is known"), predicted(fleet.address()));
        assert_eq!(status.phase, Phase::Completed, "{}", status.reason);
        assert!(status.classes.len() == 10 && status.counters.accepted > 0 && status.train_seconds > 0.0, "{status:?}");
        fleet.kill_coordinator().await.expect("it starts again");
        let mut client = fleet.client().await.expect("the coordinator listens again");
        let after = client.get(None).await.expect("the run is known to the new coordinator");
        // Who is connected is a matter of the process.
        let members = status.members.clone();
        assert_eq!(RunStatus { members, ..after }, status);
        assert_eq!(predicted(fleet.address()), prediction);
        assert_eq!(prediction["params_digest"], status.params_digest.as_str());
        versions
            .push(prediction["model_version"].as_str().and_then(|text| text.parse::<u64>().ok()).expect("a number"));
        assert_eq!(client.stop(Some(run)).await.expect("the run is known").phase, Phase::Completed);
    }
    let runs = fleet.client().await.expect("the coordinator listens").list().await.expect("an answer");
    assert_eq!(runs.iter().map(|run| run.phase).collect::<Vec<_>>(), [Phase::Completed; 2]);
    assert!(versions[0] < versions[1], "{versions:?}");
    fleet.end().await;
}

#[tokio::test]
async fn whoever_follows_a_run_follows_it_over_a_restart() {
    let state = tempfile::tempdir().expect("a folder can be made");
    let mut fleet = fleet::start_in(NODE, Some(state.path().to_owned())).await.expect("a coordinator");
    let spec = specs::sync_sgd(3);
    let run = fleet.client().await.expect("the coordinator listens").start(spec.text(), 1).await.expect("a good spec");
    let run = run.to_string();
    let follow =
        NODE.command(&["run", "watch", &run, "--insecure", "--coordinator", fleet.address(), "-o", "jsonl"]).spawn();
    let mut follow = follow.expect("the program starts");
    let mut told = BufReader::new(follow.stdout.take().expect("standard output is piped"));
    let mut first = String::new();
    told.read_line(&mut first).expect("the run as it is now");
    assert!(first.contains("waiting for"), "{first}");
    fleet.kill_coordinator().await.expect("it starts again");
    // Nobody works before now, so the run has not ended under the eyes of the first coordinator.
    fleet.add_worker().await.expect("a worker");
    let finished = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        told.read_to_string(&mut rest).expect("text");
        (follow.wait().expect("it was started").code(), rest)
    });
    let (code, rest) = finished.await.expect("reading does not panic");
    let last: serde_json::Value = rest.lines().last().and_then(|line| line.parse().ok()).expect("an envelope");
    assert_eq!((code, &last["data"]["phase"], &last["data"]["run"]), (Some(0), &"completed".into(), &run.into()));
    fleet.end().await;
}
