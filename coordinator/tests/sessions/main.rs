//! The coordinator through its public door: real gRPC on a real socket, workers that say what a test wants said.

mod audits;
mod bad_input;
mod cluster;
mod fake;
mod life;

/// Four rounds of two units over 40 params, evaluated in every round.
pub(crate) const SPEC: &str = r#"
name = "tiny"
[model]
kind = "mlp"
inputs = 4
hidden = [4]
classes = 4
[data]
kind = "synthetic"
samples = 64
inputs = 4
classes = 4
[algorithm]
kind = "sync-sgd"
epochs = 1
units = 2
unit_samples = 8
[optimizer]
kind = "adam"
learning_rate = 0.01
"#;
