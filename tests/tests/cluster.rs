//! The same bits, whoever computes them: real processes over gRPC against a run with no network at all.

use syngrad_common::config::CanonicalSpec;
use syngrad_tests::fleet::{Fault, train};
use syngrad_tests::program::Program;
use syngrad_tests::specs;

const NODE: Program = Program::new(env!("CARGO_BIN_EXE_node"));

/// The params digest of a run in one process, with no coordinator.
fn local(spec: &CanonicalSpec) -> String {
    let data = NODE.run_with_input(&["train", "--local", "-", "-o", "json"], spec.text()).data();
    data["params_digest"].as_str().expect("a digest is text").to_owned()
}

async fn every_number_of_workers_agrees(spec: &CanonicalSpec) {
    let expected = local(spec);
    for workers in [1, 2, 3, 5] {
        let status = train(NODE, spec, workers, Fault::None).await;
        assert_eq!(status.params_digest, expected, "{workers} workers");
        assert_eq!(status.counters.rejected, 0, "{workers} workers");
        assert_eq!(status.counters.joins, u64::from(workers));
    }
}

async fn a_kill_changes_no_bit(spec: &CanonicalSpec) {
    let expected = local(spec);
    for workers in [1, 2, 3, 5] {
        let status = train(NODE, spec, workers, Fault::Kill).await;
        assert_eq!(status.params_digest, expected, "{workers} workers, one killed");
        assert!(status.counters.leaves >= 1, "{workers} workers, one killed");
    }
}

#[tokio::test]
async fn synchronous_sgd_is_the_same_for_every_number_of_workers() {
    every_number_of_workers_agrees(&specs::sync_sgd(1)).await;
}

#[tokio::test]
async fn federated_averaging_is_the_same_for_every_number_of_workers() {
    every_number_of_workers_agrees(&specs::fedavg(1)).await;
}

#[tokio::test]
async fn fedprox_with_fedadam_is_the_same_for_every_number_of_workers() {
    every_number_of_workers_agrees(&specs::fedprox(1)).await;
}

#[tokio::test]
async fn fedyogi_on_uneven_shards_is_the_same_for_every_number_of_workers() {
    every_number_of_workers_agrees(&specs::fedyogi(1)).await;
}

#[tokio::test]
async fn diloco_is_the_same_for_every_number_of_workers() {
    every_number_of_workers_agrees(&specs::diloco(1)).await;
}

#[tokio::test]
async fn uneven_shards_change_no_bit_with_a_kill() {
    a_kill_changes_no_bit(&specs::fedyogi(2)).await;
}

#[tokio::test]
async fn synchronous_sgd_is_the_same_with_a_kill() {
    a_kill_changes_no_bit(&specs::sync_sgd(2)).await;
}

#[tokio::test]
async fn federated_averaging_is_the_same_with_a_kill() {
    a_kill_changes_no_bit(&specs::fedavg(2)).await;
}

#[tokio::test]
async fn joining_and_leaving_change_no_bit() {
    let spec = specs::sync_sgd(3);
    let expected = local(&spec);
    for fault in [Fault::Join, Fault::Leave] {
        let status = train(NODE, &spec, 2, fault).await;
        assert_eq!(status.params_digest, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn audits_of_real_workers_pass_also_with_a_kill() {
    let mut spec = specs::fedavg(3).spec().clone();
    let expected = local(&specs::fedavg(3));
    spec.quorum.audit_rate = 1.0;
    let spec = CanonicalSpec::new(spec).expect("a spec");
    for fault in [Fault::None, Fault::Kill] {
        let status = train(NODE, &spec, 3, fault).await;
        assert_eq!((status.params_digest, status.caught.len()), (expected.clone(), 0), "{fault:?}");
        let counters = status.counters;
        assert!(counters.audits == counters.accepted && counters.audits_passed > 0, "{fault:?}: {counters:?}");
        assert_eq!(counters.audits_failed, 0, "{fault:?}: {counters:?}");
    }
}

#[test]
fn another_seed_is_another_run() {
    assert_ne!(local(&specs::sync_sgd(1)), local(&specs::sync_sgd(2)));
    assert_ne!(local(&specs::fedavg(1)), local(&specs::fedavg(2)));
}
