//! The encoded shards of a run: each made once, when it is first needed, and shared by all who fetch it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use syngrad_dataset::Dataset;
use syngrad_dataset::shard;
use syngrad_engine::digest::{Digest, Domain};
use syngrad_engine::{Cut, RunSpec, Unit, Units};
use syngrad_model::Device;
use syngrad_model::reference::{OpenRound, ReferenceError, sum_of_units};

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
    cut: Cut,
    encoded: Vec<OnceLock<Shard>>,
}

impl Shards {
    /// The shards that `cut` cuts `dataset` into.
    pub(crate) fn new(dataset: Arc<Dataset>, cut: Cut) -> Self {
        let encoded = cut.sizes().iter().map(|_| OnceLock::new()).collect();
        Self { dataset, cut, encoded }
    }

    /// The shard of `unit`; encodes it if nobody has yet, and waits if somebody is just doing that.
    ///
    /// # Panics
    /// If the cut has no such shard.
    pub(crate) fn get(&self, unit: Unit) -> &Shard {
        self.encoded[unit.0 as usize].get_or_init(|| {
            let bytes = Bytes::from(shard::encode(&self.dataset.train, self.cut.shard(unit)));
            Shard { digest: Digest::of(Domain::Shard, &bytes), bytes }
        })
    }

    /// The packed sum that `units` of an open round of `spec` give.
    ///
    /// # Errors
    /// [`ReferenceError`] naming what did not fit or diverged.
    pub(crate) fn sum_of(
        &self,
        spec: &RunSpec,
        device: Device,
        open: OpenRound<'_>,
        units: &Units,
    ) -> Result<Vec<u8>, ReferenceError> {
        sum_of_units(spec, (&self.cut, &self.dataset), device, open, units)
    }

    /// Encodes all shards, so that no round has to wait for one.
    pub(crate) fn encode_all(&self) {
        for unit in 0..self.encoded.len() as u32 {
            self.get(Unit(unit));
        }
    }
}
