//! Links that lose packets: the worker lives in a network namespace of its own.
//!
//! Without TLS, coordinator and worker speak over loopback addresses only, so a relay on each side of the link carries
//! their connection across:
//!
//! ```text
//!   worker ─► relay (a process in the namespace) ══ veth ══► relay (in the test) ─► coordinator
//! ```

use std::process::Command;
use std::time::Duration;

use super::setting::{Running, coordinator, spec, start, undisturbed, worker};
use syngrad::client::{Phase, RunStatus};
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::{Algorithm, DataSpec, ModelSpec, Partition};
use syngrad_tests::namespace::{Loss, Namespace};
use syngrad_tests::relay::{Nature, Relay};

/// How long a flapping link is down: not long enough for anyone to be taken for dead.
const FLAP: Duration = Duration::from_millis(300);

/// Trains over one worker beyond the link, to which `seen` may do something at each status; the last status.
async fn trained(
    namespace: &Namespace,
    spec: &CanonicalSpec,
    mut seen: impl AsyncFnMut(&RunStatus, &Namespace),
) -> RunStatus {
    let (_coordinator, address) = coordinator();
    let near = format!("{}:0", namespace.near_address());
    let near = Relay::start(&near, &address, Nature::default()).await.expect("the link has an address");
    let mut far = Command::new(env!("CARGO_BIN_EXE_relay"));
    far.args(["127.0.0.1:0", near.address()]);
    let (_far, inner) = Running::start_with_line(namespace.inside(&far));
    let mut watch = start(&address, spec, 1).await;
    let _worker = Running::start(namespace.inside(&worker(&inner, "beyond")));
    loop {
        let status = watch.next().await.expect("the operator's connection is good").expect("it is not over");
        if status.phase.is_over() {
            assert_eq!(status.phase, Phase::Completed, "{}", status.reason);
            assert_eq!(status.params_digest, undisturbed(spec));
            return status;
        }
        seen(&status, namespace).await;
    }
}

/// Loses packets from a third of the run on, until the coordinator takes the worker for dead.
async fn lost_and_found(loss: Loss) {
    let Some(namespace) = Namespace::or_skip() else { return };
    let (mut lost, mut found) = (false, false);
    let last = trained(&namespace, &spec(11, 20), async |status, namespace| {
        if !lost && status.rounds_committed * 3 >= status.rounds {
            lost = true;
            namespace.lose(loss);
        } else if lost && !found && status.counters.leaves > 0 {
            found = true;
            namespace.heal();
        }
    })
    .await;
    assert!(found && last.counters.joins >= 2, "{:?}", last.counters);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_ends_and_the_run_goes_on() {
    lost_and_found(Loss::Both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_not_heard_comes_back() {
    lost_and_found(Loss::Outwards).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_hears_nothing_comes_back() {
    lost_and_found(Loss::Inwards).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flapping_link_changes_no_bit() {
    let Some(namespace) = Namespace::or_skip() else { return };
    let mut flaps = 0;
    trained(&namespace, &spec(12, 20), async |status, namespace| {
        if status.rounds_committed * 5 > (flaps + 1) * status.rounds {
            flaps += 1;
            namespace.set_link(false);
            tokio::time::sleep(FLAP).await;
            namespace.set_link(true);
        }
    })
    .await;
    assert!(flaps >= 3, "{flaps} flaps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_megabits_a_second_are_enough() {
    let Some(namespace) = Namespace::or_skip() else { return };
    namespace.limit("10mbit");
    let mut spec = spec(13, 1).spec().clone();
    spec.model = ModelSpec::Mlp { inputs: 784, hidden: vec![64], classes: 10 };
    spec.data = DataSpec::Synthetic { samples: 96, inputs: 784, classes: 10, partition: Partition::default() };
    spec.algorithm = Algorithm::SyncSgd { epochs: 4, units: 2, unit_samples: 24 };
    let spec = CanonicalSpec::new(spec).expect("every value is in its range");
    let last = trained(&namespace, &spec, async |_, _| {}).await;
    assert_eq!(last.counters.leaves, 0, "a slow link is no dead one");
    let bits = 8 * (last.counters.params_bytes_sent + last.counters.update_bytes_received);
    // Half of that both ways at once would be as fast as it can go; the first bucket is a gift.
    let least = (bits as f64 / 2.0 - 8.0 * 64e3) / 10e6;
    assert!(least > 0.1 && last.train_seconds > least, "{bits} bits in {} s", last.train_seconds);
}
