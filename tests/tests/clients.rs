//! Clients that know nothing of syngrad, run against the real program: NVIDIA's Triton client in Python, and grpcurl.
//! What they check is in `tests/clients`.

#[path = "clients/python.rs"]
mod python;

use std::path::{Path, PathBuf};

use python::Python;
use syngrad::client::Phase;
use syngrad::fleet::{Fleet, FleetConfig, Protection};

/// Two passes over MNIST: enough for 95 of the first 100 test images, and seconds long.
const SPEC: &str = r#"
name = "clients"
[model]
kind = "mlp"
inputs = 784
hidden = [128, 128]
classes = 10
[data]
kind = "mnist"
[algorithm]
kind = "sync-sgd"
epochs = 2
units = 2
unit_samples = 64
[optimizer]
kind = "adam"
learning_rate = 0.002
[schedule]
kind = "linear"
[evaluation]
target_accuracy = 0.95
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_clients_get_right_answers_and_clear_refusals() {
    let Some(python) = Python::or_skip().await else { return };
    let mnist = repository().join("data/mnist");
    let mut fleet = trained(&mnist).await;
    for script in ["mnist_labels.py", "refusals.py", "discovery.py"] {
        let variables = [("SYNGRAD_ADDRESS", fleet.address()), ("SYNGRAD_MNIST", &mnist.to_string_lossy())];
        println!("{script}\n{}", python.run(script, &variables).await);
    }
    fleet.drain_worker().await;
    fleet.end().await;
}

/// A coordinator that serves what it has just trained.
async fn trained(mnist: &Path) -> Fleet {
    let config = FleetConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_node")),
        port: 0,
        device: "flex".to_owned(),
        data_dir: Some(mnist.to_owned()),
        protection: Protection::Insecure,
        state_dir: None,
    };
    let mut fleet = Fleet::start(config).await.expect("a coordinator");
    fleet.add_worker().await.expect("a worker");
    let mut client = fleet.client().await.expect("the coordinator listens");
    let run = client.start(SPEC, 1).await.expect("a good spec");
    let mut watch = client.watch(Some(run)).await.expect("the run was just started");
    let last = fleet.finish(&mut watch, |_| {}).await.expect("an undisturbed run");
    assert_eq!(last.phase, Phase::Completed, "{}", last.reason);
    fleet
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is a folder of the repository").to_owned()
}
