//! The numerics class of this machine and build: two that differ would not end a run with the same bits.

use std::collections::BTreeSet;

use syngrad_engine::digest::{Domain, Hasher};
use syngrad_engine::plan::Work;
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::RunSpec;
use syngrad_engine::{Digest, Plan, Unit, layout::Layout};

use crate::architecture::Network;
use crate::device::Device;
use crate::flat;

/// The most samples of the passes over rests of shards, where two batches are not more.
const MOST_SAMPLES: u64 = 16_384;

/// A digest of the bits of a canonical forward and backward pass on the run's model, taken at every batch shape that
/// its units have: the kernels, and with them the rounding, depend on the shape.
///
/// The params are the run's initial ones and the samples are drawn from its seed, so no data is needed.
#[must_use]
pub fn fingerprint(spec: &RunSpec, plan: &Plan, device: Device) -> Digest {
    let mut hasher = Hasher::new(Domain::Numerics);
    let layout = flat::layout(&spec.model);
    hasher.update(device.name().as_bytes()).update(layout.digest().as_ref());
    let Some(mut network) = Network::new(&spec.model, device.open().autodiff()) else { return hasher.finish() };
    network.load(&flat::initial_params(&spec.model, spec.seed));
    for batch in batches(plan) {
        pass(&mut network, &layout, spec.seed, batch, &mut hasher);
    }
    hasher.finish()
}

/// Samples of every forward pass that a unit of the run makes: the batch and, where a shard is not a multiple of it,
/// the rest. Shards of many sizes have many rests: the small ones are taken, up to [`MOST_SAMPLES`] or two batches.
fn batches(plan: &Plan) -> BTreeSet<u32> {
    match plan.work() {
        Work::Gradient { samples: batch } | Work::LocalSteps { batch, .. } => BTreeSet::from([batch]),
        Work::LocalEpochs { batch, .. } => {
            let rests: BTreeSet<u32> =
                (0..plan.units()).map(|unit| plan.shard_len(Unit(unit)) % batch).filter(|&rest| rest > 0).collect();
            let mut room = (2 * u64::from(batch)).max(MOST_SAMPLES);
            let fitting = rests.into_iter().take_while(|&rest| {
                let fits = u64::from(rest) <= room;
                room = room.saturating_sub(rest.into());
                fits
            });
            fitting.chain([batch]).collect()
        }
    }
}

fn pass(network: &mut Network, layout: &Layout, seed: u64, batch: u32, hasher: &mut Hasher) {
    let mut stream = Stream::new(seed, Purpose::Fingerprint, &[u64::from(batch)]);
    let labels: Vec<u8> = (0..batch).map(|_| stream.below(network.classes() as u64) as u8).collect();
    let features = batch as usize * network.inputs();
    let rows = (0..features).map(|_| stream.unit_f32()).collect();
    let mut gradient = vec![0.0; layout.params()];
    let loss = network.gradient(rows, labels.into_iter(), &mut gradient);
    hasher.update(&batch.to_le_bytes()).update(&loss.to_bits().to_le_bytes());
    hasher.update(Digest::of_params(&gradient).as_ref());
}

#[cfg(test)]
mod tests;
