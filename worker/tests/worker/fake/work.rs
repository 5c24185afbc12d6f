//! A small run, and what a worker must answer in it.

use std::sync::Arc;

use bytes::Bytes;
use syngrad_common::codec;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::wire::{
    Leased, LeasedUnit, Ready, RoundOpened, RunOpened, ShardRef, Source, ToCoordinator, ToWorker,
};
use syngrad_dataset::{Dataset, PrivateData, Samples, shard};
use syngrad_engine::plan::Sampler;
use syngrad_engine::quantize::UnitSum;
use syngrad_engine::spec::RunSpec;
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Cut, Digest, LeaseId, Plan, Round, RunId, Unit};
use syngrad_model::{Device, Trainer, initial_params, layout};

use super::{Coordinator, Peer};

const SPEC: &str = r#"
name = "small"
seed = 11
update_bits = 16
[model]
kind = "mlp"
inputs = 12
hidden = [8]
classes = 3
[data]
kind = "synthetic"
samples = 96
inputs = 12
classes = 3
[algorithm]
kind = "sync-sgd"
epochs = 4
units = 3
unit_samples = 8
[optimizer]
kind = "sgd"
learning_rate = 0.1
"#;

pub(crate) struct Work {
    pub(crate) spec: CanonicalSpec,
    pub(crate) cut: Cut,
    pub(crate) plan: Plan,
    pub(crate) dataset: Dataset,
    pub(crate) state: TrainingState,
    pub(crate) run: RunId,
}

impl Work {
    pub(crate) fn new() -> Self {
        let canonical = CanonicalSpec::parse(SPEC).expect("a spec");
        let spec: &RunSpec = canonical.spec();
        let dataset = Dataset::load(&spec.data, spec.seed, ".".as_ref()).expect("synthetic samples");
        let cut = dataset.cut(spec).expect("a cut");
        let plan = cut.plan(spec).expect("a plan");
        let params = initial_params(&spec.model, spec.seed);
        let state = TrainingState::new(spec, &plan, layout(&spec.model), params).expect("a state");
        Self { cut, plan, dataset, state, run: RunId([3; 16]), spec: canonical }
    }

    pub(crate) fn opened(&self) -> RunOpened {
        RunOpened {
            run: self.run,
            spec: self.spec.json().clone(),
            spec_digest: self.spec.digest(),
            layout: self.state.layout().digest(),
            samples: self.plan.samples(),
            shard_samples: self.plan.uneven_shards(),
        }
    }

    pub(crate) fn blob(&self, unit: Unit) -> Vec<u8> {
        shard::encode(&self.dataset.train, self.cut.shard(unit))
    }

    /// Offers the shards of all units.
    pub(crate) fn offer(&self, coordinator: &Coordinator) {
        let mut shards = coordinator.shards.lock().expect("no test panics with it");
        for unit in (0..self.plan.units()).map(Unit) {
            let blob = self.blob(unit);
            shards.offer(shard::digest(&blob), &[&blob]);
        }
    }

    /// Greets a worker, opens the run to it and takes its Ready.
    pub(crate) async fn admit(&self, peer: &mut Peer) -> Ready {
        peer.greet().await;
        peer.say(ToWorker::RunOpened(self.opened()));
        let Some(ToCoordinator::Ready(ready)) = peer.hear().await else { panic!("the worker gets ready") };
        ready
    }

    pub(crate) fn params(&self, round: Round) -> (RoundOpened, Vec<Bytes>) {
        let payload = codec::params_to_bytes(self.state.params().clone());
        let opened = RoundOpened {
            run: self.run,
            round,
            params: self.state.params_digest(),
            params_bytes: payload.len() as u64,
            bits: self.state.grid().bits(),
            exponents: self.state.grid().exponents().to_vec(),
        };
        // Cut where no value ends.
        (opened, vec![payload.slice(..7), payload.slice(7..)])
    }

    pub(crate) fn send_params(&self, peer: &Peer, round: Round) {
        let (opened, frames) = self.params(round);
        peer.say(ToWorker::RoundOpened(opened));
        frames.into_iter().for_each(|frame| peer.say(ToWorker::Frame(frame)));
    }

    pub(crate) fn lease(&self, round: Round, lease: u64, units: &[u32]) -> Leased {
        let unit = |&index: &u32| {
            let blob = self.blob(Unit(index));
            let shard = ShardRef { digest: shard::digest(&blob), bytes: blob.len() as u64 };
            LeasedUnit { unit: Unit(index), source: Source::Shard(shard) }
        };
        Leased { run: self.run, round, lease: LeaseId(lease), units: units.iter().map(unit).collect(), deadline: None }
    }

    /// The sum of these units, computed here, packed.
    pub(crate) fn expected(&self, round: Round, units: &[u32]) -> (Digest, Vec<u8>) {
        let spec = self.spec.spec();
        let mut trainer = Trainer::new(spec, Device::default());
        trainer.load(self.state.params()).expect("its own params");
        let mut sum = UnitSum::new(Arc::clone(self.state.layout()));
        sum.begin(spec.seed, round, self.state.grid());
        let mut values = vec![0.0; self.state.params().len()];
        for &index in units {
            let unit = Unit(index);
            let samples = shard::decode(&self.blob(unit)).expect("its own encoding");
            let mut sampler = Sampler::new(spec.seed, unit, self.plan.shard_len(unit));
            trainer.unit(self.plan.work(), unit, round, &mut sampler, &samples, &mut values).expect("a gradient");
            sum.add(unit, &values).expect("finite values");
        }
        let mut packed = Vec::new();
        sum.pack(&mut packed);
        (Digest::of(syngrad_engine::digest::Domain::Update, &packed), packed)
    }
}

/// The same network on twelve samples that hospital-a keeps to itself.
const PRIVATE: &str = r#"
name = "private"
seed = 11
[model]
kind = "mlp"
inputs = 12
hidden = [8]
classes = 3
[data]
kind = "private"
inputs = 12
classes = 3
partners = [{ partner = "hospital-a", samples = 12 }]
[algorithm]
kind = "fedavg"
rounds = 4
units = 1
local_epochs = 1
local_batch = 4
local_optimizer = { kind = "sgd", learning_rate = 0.5 }
[optimizer]
kind = "sgd"
learning_rate = 1.0
"#;

/// Samples whose bytes are found nowhere else.
pub(crate) fn own_samples() -> Samples {
    let features = (0..12 * 12).map(|index: u32| (index * 37 % 251) as u8).collect();
    Samples::new(12, 256, features, (0..12).map(|index| index % 3).collect()).expect("twelve samples")
}

impl Work {
    /// A run on samples that the partner keeps.
    pub(crate) fn private() -> Self {
        let canonical = CanonicalSpec::parse(PRIVATE).expect("a spec");
        let spec: &RunSpec = canonical.spec();
        let plan = Plan::new(spec, 12).expect("a plan");
        let params = initial_params(&spec.model, spec.seed);
        let state = TrainingState::new(spec, &plan, layout(&spec.model), params).expect("a state");
        Self { plan, state, run: RunId([4; 16]), spec: canonical, ..Self::new() }
    }

    /// A lease on the partner's own samples.
    pub(crate) fn own_lease(&self, round: Round, lease: u64) -> Leased {
        let units = vec![LeasedUnit { unit: Unit(0), source: Source::Own }];
        Leased { run: self.run, round, lease: LeaseId(lease), units, deadline: None }
    }

    /// What the unit on the partner's own samples comes to, computed here and scaled to a mean of norm `max_norm`; with its
    /// packed sum.
    pub(crate) fn expected_own(&self, round: Round, max_norm: f64) -> (f64, Vec<u8>) {
        let spec = self.spec.spec();
        let mut trainer = Trainer::new(spec, Device::default());
        trainer.load(self.state.params()).expect("its own params");
        let mut values = vec![0.0; self.state.params().len()];
        let samples = PrivateData::new(own_samples()).of_classes(3).expect("three classes");
        let mut sampler = Sampler::new(spec.seed, Unit(0), 12);
        trainer.unit(self.plan.work(), Unit(0), round, &mut sampler, &samples, &mut values).expect("a unit");
        let norm = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() / 12.0;
        let factor = (max_norm / norm).min(1.0);
        values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        let mut sum = UnitSum::new(Arc::clone(self.state.layout()));
        sum.begin(spec.seed, round, self.state.grid());
        sum.add(Unit(0), &values).expect("finite values");
        let mut packed = Vec::new();
        sum.pack(&mut packed);
        (norm, packed)
    }
}
