//! What a unit computes: a summed gradient, or a weighted params delta after local steps.

use std::sync::Arc;

use syngrad_engine::optimizer::Optimizer;
use syngrad_engine::plan::{Sampler, Work};
use syngrad_engine::spec::{Algorithm, RunSpec};
use syngrad_engine::{Layout, Round, Unit};
use thiserror::Error;

use crate::architecture::Network;
use crate::device::Device;
use crate::flat;
use crate::shape::ShapeError;
use syngrad_dataset::Samples;

/// Computes units of a run, one at a time, on one core.
///
/// A unit's result depends on the params, the unit's samples and the unit's own shape, and on nothing else: not on
/// the units computed before it, nor on who computes it.
#[derive(Debug)]
pub struct Trainer {
    layout: Arc<Layout>,
    kernel: Kernel,
    batch: Vec<u32>,
}

#[derive(Debug)]
enum Kernel {
    Network { network: Box<Network>, local: Option<Local> },
    Noop { update: Vec<f32> },
}

/// State of local steps. All but the params before them begins anew in every unit.
#[derive(Debug)]
struct Local {
    optimizer: Optimizer,
    learning_rate: f32,
    /// How strongly a step is drawn back to the params before: μ of FedProx.
    proximal: f32,
    before: Vec<f32>,
    params: Vec<f32>,
    gradient: Vec<f32>,
}

/// What came of a unit besides its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitReport {
    /// Cross-entropy summed over the samples, each at the params it met.
    pub loss_sum: f64,
    /// Samples passed through the network.
    pub samples: u64,
}

/// Why a unit was not computed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TrainError {
    /// The params, the shard or the output do not fit the model.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The run spec has local steps and the work has not, or the other way round.
    #[error("the work is {work:?}, which the run's algorithm does not have; take it from the run's own plan")]
    ForeignWork {
        /// The work asked for.
        work: Work,
    },
    /// The loss is not finite: the params have diverged.
    #[error("unit {unit} of round {round} has a loss of {loss}: the run diverged; lower the learning rate")]
    Diverged {
        /// The unit.
        unit: Unit,
        /// The round.
        round: Round,
        /// The loss, summed over the unit.
        loss: f64,
    },
}

impl Trainer {
    /// A trainer of the run's model, with all params zero until [`Trainer::load`].
    #[must_use]
    pub fn new(spec: &RunSpec, device: Device) -> Self {
        let layout = flat::layout(&spec.model);
        let params = layout.params();
        let kernel = match Network::new(&spec.model, device.open().autodiff()) {
            Some(network) => Kernel::Network { network: Box::new(network), local: Local::new(spec, params) },
            None => Kernel::Noop { update: noop_update(params) },
        };
        Self { layout, kernel, batch: Vec::new() }
    }

    /// The layout of params and results.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Takes the params that the next units start from.
    ///
    /// # Errors
    /// [`ShapeError`] unless there are as many as the layout has.
    pub fn load(&mut self, params: &[f32]) -> Result<(), ShapeError> {
        ShapeError::check("params", self.layout.params(), params.len())?;
        match &mut self.kernel {
            Kernel::Network { network, local: None } => network.load(params),
            // Every local step loads its own.
            Kernel::Network { local: Some(local), .. } => local.before.copy_from_slice(params),
            Kernel::Noop { .. } => {}
        }
        Ok(())
    }

    /// Computes a unit from the loaded params into `out`, a vector to descend along: Σ over its samples of the gradient
    /// (synchronous SGD), or n · (params before - params after) with n the samples of the shard (federated averaging).
    /// The mean over a round is Σ of such vectors ÷ Σ of the units' weights.
    ///
    /// `sampler` and `shard` are those of the unit.
    ///
    /// # Errors
    /// [`TrainError`] when something does not fit, or the loss is not finite; `out` then holds nothing of use.
    pub fn unit(
        &mut self,
        work: Work,
        unit: Unit,
        round: Round,
        sampler: &mut Sampler,
        shard: &Samples,
        out: &mut [f32],
    ) -> Result<UnitReport, TrainError> {
        ShapeError::check("the output of a unit", self.layout.params(), out.len())?;
        let report = match (&mut self.kernel, work) {
            (Kernel::Noop { update }, work) => {
                out.copy_from_slice(update);
                let samples = match work {
                    Work::Gradient { samples } => u64::from(samples),
                    Work::LocalEpochs { epochs, .. } => u64::from(epochs) * shard.len() as u64,
                    Work::LocalSteps { steps, batch } => u64::from(steps) * u64::from(batch),
                };
                UnitReport { loss_sum: 0.0, samples }
            }
            (Kernel::Network { network, local: None }, Work::Gradient { samples }) => {
                fits(network, shard)?;
                sampler.batch(round, samples, &mut self.batch);
                let loss_sum = gradient(network, shard, &self.batch, out);
                UnitReport { loss_sum, samples: u64::from(samples) }
            }
            (Kernel::Network { network, local: Some(local) }, Work::LocalEpochs { epochs, batch }) => {
                fits(network, shard)?;
                local.begin();
                let first = u64::from(round.0) * u64::from(epochs);
                let mut loss_sum = 0.0;
                for pass in first..first + u64::from(epochs) {
                    for chunk in sampler.pass(pass).chunks(batch as usize) {
                        loss_sum += local.step(network, shard, chunk);
                    }
                }
                local.delta(shard.len(), out);
                UnitReport { loss_sum, samples: u64::from(epochs) * shard.len() as u64 }
            }
            (Kernel::Network { network, local: Some(local) }, Work::LocalSteps { steps, batch }) => {
                fits(network, shard)?;
                local.begin();
                let first = u64::from(round.0) * u64::from(steps);
                let mut loss_sum = 0.0;
                for step in first..first + u64::from(steps) {
                    sampler.take(step, batch, &mut self.batch);
                    loss_sum += local.step(network, shard, &self.batch);
                }
                local.delta(shard.len(), out);
                UnitReport { loss_sum, samples: u64::from(steps) * u64::from(batch) }
            }
            (Kernel::Network { .. }, work) => return Err(TrainError::ForeignWork { work }),
        };
        match report.loss_sum.is_finite() {
            true => Ok(report),
            false => Err(TrainError::Diverged { unit, round, loss: report.loss_sum }),
        }
    }
}

impl Local {
    fn new(spec: &RunSpec, params: usize) -> Option<Self> {
        match &spec.algorithm {
            Algorithm::SyncSgd { .. } => None,
            Algorithm::Fedavg { local_optimizer, proximal, .. } => Some(Self {
                optimizer: Optimizer::new(local_optimizer, params),
                learning_rate: local_optimizer.learning_rate() as f32,
                proximal: *proximal as f32,
                before: vec![0.0; params],
                params: vec![0.0; params],
                gradient: vec![0.0; params],
            }),
        }
    }

    fn begin(&mut self) {
        self.optimizer.reset();
        self.params.copy_from_slice(&self.before);
    }

    fn step(&mut self, network: &mut Network, shard: &Samples, batch: &[u32]) -> f64 {
        network.load(&self.params);
        let loss = gradient(network, shard, batch, &mut self.gradient);
        let scale = 1.0 / batch.len() as f32;
        for value in &mut self.gradient {
            *value *= scale;
        }
        if self.proximal > 0.0 {
            for ((value, now), before) in self.gradient.iter_mut().zip(&self.params).zip(&self.before) {
                *value += self.proximal * (now - before);
            }
        }
        self.optimizer.step(self.learning_rate, &self.gradient, &mut self.params);
        loss
    }

    fn delta(&self, samples: usize, out: &mut [f32]) {
        let weight = samples as f32;
        for ((out, before), after) in out.iter_mut().zip(&self.before).zip(&self.params) {
            *out = weight * (before - after);
        }
    }
}

fn fits(network: &Network, shard: &Samples) -> Result<(), ShapeError> {
    ShapeError::check("features of a shard's samples", network.inputs(), shard.inputs())?;
    ShapeError::check("classes of a shard", network.classes(), shard.classes())
}

fn gradient(network: &mut Network, shard: &Samples, batch: &[u32], out: &mut [f32]) -> f64 {
    let rows = network.rows(|rows| shard.widen(batch.iter().map(|&index| index as usize), rows));
    network.gradient(rows, batch.iter().map(|&index| shard.label(index as usize)), out)
}

/// A fixed small vector that is neither constant nor compressible to nothing.
fn noop_update(params: usize) -> Vec<f32> {
    (0..params).map(|index| (index % 251) as f32 / 256.0 - 0.5).collect()
}

#[cfg(test)]
pub(crate) mod tests;
