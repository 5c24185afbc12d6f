//! The encoded shards of a run: each made once, when it is first needed, and shared by all who fetch it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use syngrad_engine::digest::{Digest, Domain};
use syngrad_engine::{Plan, Unit};
use syngrad_model::Dataset;
use syngrad_model::shard;

/// The samples of one shard as they travel.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Digest of the bytes: the shard's name on the wire.
    pub(crate) digest: Digest,
    /// The encoded samples.
    pub(crate) bytes: Bytes,
}

/// All shards of a run.
#[derive(Debug)]
pub(crate) struct Shards {
    dataset: Arc<Dataset>,
    plan: Plan,
    order: Vec<u32>,
    encoded: Vec<OnceLock<Shard>>,
}

impl Shards {
    /// The shards that `plan` cuts `dataset` into.
    pub(crate) fn new(dataset: Arc<Dataset>, plan: Plan) -> Self {
        let order = plan.shard_order();
        let encoded = (0..plan.units()).map(|_| OnceLock::new()).collect();
        Self { dataset, plan, order, encoded }
    }

    /// The shard of `unit`; encodes it if nobody has yet, and waits if somebody is just doing that.
    ///
    /// # Panics
    /// If the plan has no such unit.
    pub(crate) fn get(&self, unit: Unit) -> &Shard {
        self.encoded[unit.0 as usize].get_or_init(|| {
            let bounds = self.plan.shard_bounds(unit);
            let indices = &self.order[bounds.start as usize..bounds.end as usize];
            let bytes = Bytes::from(shard::encode(&self.dataset.train, indices));
            Shard { digest: Digest::of(Domain::Shard, &bytes), bytes }
        })
    }

    /// Encodes all shards, so that no round has to wait for one.
    pub(crate) fn encode_all(&self) {
        for unit in 0..self.plan.units() {
            self.get(Unit(unit));
        }
    }
}
