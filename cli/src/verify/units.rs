//! Units computed again, by the functions that workers compute them with.

use std::collections::BTreeMap;
use std::sync::Arc;

use syngrad_common::archive::Manifest;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::error::Code;
use syngrad_dataset::{Dataset, Samples, private};
use syngrad_engine::plan::Sampler;
use syngrad_engine::quantize::{Grid, UnitSum};
use syngrad_engine::receipt::Contribution;
use syngrad_engine::spec::DataSpec;
use syngrad_engine::{Digest, Plan, Unit};
use syngrad_model::{Device, Trainer, fingerprint};

use crate::args::SamplesAt;
use crate::failure::Failure;

/// A worker without a coordinator.
pub(super) struct Units {
    seed: u64,
    plan: Plan,
    shards: BTreeMap<Unit, (Sampler, Samples)>,
    trainer: Trainer,
    sum: UnitSum,
    values: Vec<f32>,
}

impl Units {
    /// Reads the samples; units without any are not computed.
    pub(super) fn open(
        spec: &CanonicalSpec,
        plan: &Plan,
        manifest: &Manifest,
        data: &[SamplesAt],
        device: Device,
    ) -> Result<Self, Failure> {
        let ours = fingerprint(spec.spec(), plan, device).to_string();
        if ours != manifest.numerics {
            let why = "this machine's numerics class is not the run's: units computed here come to other bits";
            return Err(Failure::new(Code::NumericsDiffer, why));
        }
        let trainer = Trainer::new(spec.spec(), device);
        let layout = Arc::clone(trainer.layout());
        let shards = shards(spec, plan, data)?;
        let seed = spec.spec().seed;
        let shards = shards.into_iter().map(|(unit, samples)| {
            let sampler = Sampler::new(seed, unit, samples.len() as u32);
            (unit, (sampler, samples))
        });
        let shards = shards.collect();
        let values = vec![0.0; layout.params()];
        Ok(Self { seed, plan: plan.clone(), shards, trainer, sum: UnitSum::new(layout), values })
    }

    /// The digest that an update of these units comes to; none if some of their samples are not here.
    pub(super) fn compute(
        &mut self,
        contribution: &Contribution,
        params: &[f32],
        grid: &Grid,
    ) -> Result<Option<Digest>, Failure> {
        let Contribution { round, units, .. } = contribution;
        if !units.iter().all(|unit| self.shards.contains_key(unit)) {
            return Ok(None);
        }
        let failed = |why: &dyn std::fmt::Display| Failure::failed(&why);
        self.trainer.load(params).map_err(|why| failed(&why))?;
        self.sum.begin(self.seed, *round, grid);
        for unit in units {
            let Some((sampler, samples)) = self.shards.get_mut(unit) else { return Ok(None) };
            let work = self.plan.work();
            let report = self.trainer.unit(work, *unit, *round, sampler, samples, &mut self.values);
            report.map_err(|why| failed(&why))?;
            self.sum.add(*unit, &self.values).map_err(|why| failed(&why))?;
        }
        let mut packed = Vec::new();
        Ok(Some(self.sum.pack_with_digest(&mut packed)))
    }
}

fn shards(spec: &CanonicalSpec, plan: &Plan, data: &[SamplesAt]) -> Result<BTreeMap<Unit, Samples>, Failure> {
    let spec = spec.spec();
    if let DataSpec::Private { partners, .. } = &spec.data {
        let mut shards = BTreeMap::new();
        for SamplesAt { partner, folder } in data {
            let partner = partner.as_ref().ok_or_else(|| {
                Failure::usage(&"the run is on samples that partners keep: name them as --data PARTNER=FOLDER")
            })?;
            let own = syngrad_worker::read_data(folder)?;
            let samples = private::samples_of(&spec.data, partner, Some(&own)).map_err(|why| Failure::private(&why))?;
            let units = partners.iter().zip(0..).filter(|(of, _)| of.partner == *partner).map(|(_, unit)| Unit(unit));
            shards.extend(units.map(|unit| (unit, samples.clone())));
        }
        return Ok(shards);
    }
    let [SamplesAt { partner: None, folder }] = data else {
        return Err(Failure::usage(&"the coordinator had the samples of this run: name one folder with --data"));
    };
    let dataset = Dataset::load(&spec.data, spec.seed, folder).map_err(|why| Failure::data(&why))?;
    let cut = dataset.cut(spec).map_err(syngrad_common::Failure::from)?;
    let units = (0..plan.units()).map(Unit);
    Ok(units.map(|unit| (unit, dataset.train.select(cut.shard(unit)))).collect())
}
