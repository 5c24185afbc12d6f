//! What a round costs when nothing is computed: real processes, real gRPC, params down, sums up, one server step.

use serde::Serialize;
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::spec::{
    Algorithm, Archive, Checkpoint, DataSpec, Durability, Evaluation, ModelSpec, Numerics, OptimizerSpec, Partition,
    Quorum, RunSpec, Schedule, UpdateBits,
};

use super::cluster;
use crate::args::RoundArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{facts, thousands};

#[derive(Serialize)]
struct RoundReport {
    workers: u32,
    params: u64,
    update_bits: u8,
    rounds: u32,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Params and updates, to and from all workers.
    bytes_per_round: u64,
    audit_rate: f64,
    audits: u64,
}

pub(super) fn run(args: &RoundArgs, output: Output) -> Result<Exit, Failure> {
    let bits = UpdateBits::try_from(args.update_bits).map_err(|why| Failure::usage(&why))?;
    let spec = Noop { params: args.params, workers: args.workers, rounds: args.rounds, update_bits: bits, ..NOOP };
    let spec = Noop { audit_rate: args.audit_rate, ..spec };
    let spec = spec.spec()?;
    let status = cluster::run(&spec, args.workers, syngrad_model::Device::default(), None, output)?;
    let bytes = status.counters.params_bytes_sent + status.counters.update_bytes_received;
    output.result(&RoundReport {
        workers: args.workers,
        params: status.params,
        update_bits: args.update_bits,
        rounds: status.rounds_committed,
        p50_ms: status.round_times.p50_ms,
        p99_ms: status.round_times.p99_ms,
        max_ms: status.round_times.max_ms,
        bytes_per_round: bytes / u64::from(status.rounds_committed.max(1)),
        audit_rate: args.audit_rate,
        audits: status.counters.audits,
    });
    Ok(Exit::Ok)
}

/// A run in which nothing is computed: a unit a worker, and as many epochs as rounds.
#[derive(Clone, Copy)]
pub(super) struct Noop {
    pub(super) params: u32,
    pub(super) workers: u32,
    pub(super) rounds: u32,
    /// Rounds between evaluations; only after the last if none.
    pub(super) evaluate_every: Option<u32>,
    pub(super) update_bits: UpdateBits,
    pub(super) durability: Durability,
    pub(super) audit_rate: f64,
}

/// The usual one.
pub(super) const NOOP: Noop = Noop {
    params: 118_282,
    workers: 1,
    rounds: 1,
    evaluate_every: None,
    update_bits: UpdateBits::ThirtyTwo,
    durability: Durability::Checkpoint,
    audit_rate: 0.0,
};

impl Noop {
    pub(super) fn spec(self) -> Result<CanonicalSpec, Failure> {
        let Self { params, workers, rounds, evaluate_every, update_bits, durability, audit_rate } = self;
        let spec = RunSpec {
            name: "bench-round".to_owned(),
            seed: 0,
            model: ModelSpec::Noop { params: params as usize },
            data: DataSpec::Synthetic { samples: workers, inputs: 1, classes: 2, partition: Partition::Iid {} },
            algorithm: Algorithm::SyncSgd { epochs: rounds, units: workers, unit_samples: 1 },
            optimizer: OptimizerSpec::Sgd { learning_rate: 0.001, momentum: 0.0, nesterov: false },
            schedule: Schedule::Constant {},
            update_bits,
            quorum: Quorum { audit_rate, ..Quorum::default() },
            evaluation: Evaluation { every_rounds: evaluate_every.or(Some(rounds)), target_accuracy: None },
            numerics: Numerics::Strict,
            checkpoint: Checkpoint::default(),
            durability,
            archive: Archive::default(),
        };
        CanonicalSpec::new(spec).map_err(|why| Failure::spec(&why))
    }
}

impl Report for RoundReport {
    fn text(&self) -> String {
        facts(&[
            ("workers", self.workers.to_string()),
            ("params", thousands(self.params)),
            ("update bits", self.update_bits.to_string()),
            ("rounds", thousands(self.rounds.into())),
            ("round, median", format!("{:.3} ms", self.p50_ms)),
            ("round, p99", format!("{:.3} ms", self.p99_ms)),
            ("round, slowest", format!("{:.3} ms", self.max_ms)),
            ("bytes a round", thousands(self.bytes_per_round)),
            ("updates audited", thousands(self.audits)),
        ])
    }
}
