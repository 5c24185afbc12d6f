//! What the trainer's thread does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Instant;

use bytes::Bytes;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::wire::RunOpened;
use syngrad_common::{Code, Failure};
use syngrad_engine::plan::{PlanError, Sampler};
use syngrad_engine::policy::{self, Clipping, Policy};
use syngrad_engine::quantize::UnitSum;
use syngrad_engine::{Digest, LeaseId, Plan, Round, RunId, RunSpec, Unit};
use syngrad_model::{Device, Trainer, UnitReport, fingerprint};
use tokio::sync::mpsc::Sender;

use super::{Job, Norms, Order, Owner, Part, Prepared, Product, Restraint, Sum, own, speed};
use crate::guard::UnitNorm;

/// Takes orders until nobody gives any.
pub(super) fn work(
    device: Device,
    owner: Owner,
    restraint: Restraint,
    orders: &Receiver<Order>,
    products: &Sender<Product>,
) {
    let mut bench = Bench { device, owner, restraint, queue: VecDeque::new(), setup: None, rested: Instant::now() };
    while let Some(order) = bench.next_order(orders) {
        let product = match order {
            Order::Prepare(opened) => Some(bench.prepare(&opened)),
            Order::Compute(job) => bench.compute(*job, orders),
            Order::Forget(_) => None,
        };
        if let Some(product) = product
            && products.blocking_send(product).is_err()
        {
            return;
        }
    }
}

struct Bench {
    device: Device,
    owner: Owner,
    restraint: Restraint,
    queue: VecDeque<Order>,
    setup: Option<Setup>,
    /// When the next unit may be begun.
    rested: Instant,
}

/// What is built for a run, and serves every later run of the same spec.
struct Setup {
    prepared: Prepared,
    trainer: Trainer,
    sum: UnitSum,
    samplers: BTreeMap<Unit, Sampler>,
    values: Vec<f32>,
    loaded: Option<(RunId, Round, Digest)>,
    restraint: Restraint,
}

/// Whether a job is still wanted after a look at the orders.
#[derive(PartialEq, Eq)]
enum Wish {
    GoOn,
    Stop,
}

impl Bench {
    fn next_order(&mut self, orders: &Receiver<Order>) -> Option<Order> {
        match self.queue.pop_front() {
            Some(order) => Some(order),
            None => orders.recv().ok(),
        }
    }

    /// Reads the orders that came meanwhile, and rests as long as the last unit's share of the core asks for; a job that is
    /// forgotten is never begun.
    fn look(&mut self, orders: &Receiver<Order>, current: LeaseId) -> Wish {
        let mut wish = Wish::GoOn;
        while wish == Wish::GoOn {
            let rest = self.rested.saturating_duration_since(Instant::now());
            let order = match rest.is_zero() {
                true => orders.try_recv().map_err(|why| why == TryRecvError::Disconnected),
                false => orders.recv_timeout(rest).map_err(|why| why == RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(order) => wish = self.note(order, current),
                Err(true) => wish = Wish::Stop,
                Err(false) if rest.is_zero() => return Wish::GoOn,
                Err(false) => {}
            }
        }
        wish
    }

    /// Takes an order that comes while the job of `current` is in hand.
    fn note(&mut self, order: Order, current: LeaseId) -> Wish {
        match order {
            Order::Forget(lease) if lease == current => return Wish::Stop,
            Order::Forget(lease) => {
                self.queue.retain(|order| !matches!(order, Order::Compute(job) if job.task.lease == lease));
            }
            order @ (Order::Prepare(_) | Order::Compute(_)) => self.queue.push_back(order),
        }
        Wish::GoOn
    }

    /// The unit begun at `began` is done: while others have the core, nothing is computed.
    fn rest_after(&mut self, began: Instant) {
        let now = Instant::now();
        self.rested = now + Policy::rest(self.restraint.share, now.duration_since(began));
    }

    fn prepare(&mut self, opened: &RunOpened) -> Product {
        let run = opened.run;
        let built = self.setup.take().filter(|setup| setup.serves(opened));
        match built.map_or_else(|| Setup::build(opened, self.device, &self.owner, self.restraint), Ok) {
            Ok(setup) => {
                let prepared = Box::new(setup.prepared.clone());
                self.setup = Some(setup);
                Product::Prepared(run, prepared)
            }
            Err(failure) => Product::Unfit(run, failure),
        }
    }

    fn compute(&mut self, job: Job, orders: &Receiver<Order>) -> Option<Product> {
        let Job { task, grid, params, parts, mut memory } = job;
        let mut setup = match self.setup.take() {
            Some(setup) => setup,
            None => return Some(Product::Failed(task, Failure::new(Code::Unfit, "no run was prepared"))),
        };
        let outcome = setup.load(task.run, task.round, task.params, &params).and_then(|()| {
            drop(params);
            setup.sum.begin(setup.prepared.spec.spec().seed, task.round, &grid);
            let (mut loss_sum, mut samples, mut norms) = (0.0, 0, Vec::new());
            for part in &parts {
                if self.look(orders, task.lease) == Wish::Stop {
                    return Ok(None);
                }
                let began = Instant::now();
                let (report, norm) = setup.add(task.round, part)?;
                self.rest_after(began);
                loss_sum += report.loss_sum;
                samples += report.samples;
                norms.extend(norm);
            }
            let digest = setup.sum.pack_with_digest(&mut memory);
            Ok(Some(Sum {
                payload: Bytes::from(memory),
                digest,
                bits: grid.bits(),
                units: setup.sum.units().clone(),
                saturated: setup.sum.saturated(),
                loss_sum,
                samples,
                norms,
            }))
        });
        self.setup = Some(setup);
        match outcome {
            Ok(sum) => sum.map(|sum| Product::Computed(task, Box::new(sum))),
            Err(failure) => Some(Product::Failed(task, failure)),
        }
    }
}

impl Setup {
    fn build(opened: &RunOpened, device: Device, owner: &Owner, restraint: Restraint) -> Result<Self, Failure> {
        let canonical = Arc::new(CanonicalSpec::from_wire(&opened.spec, opened.spec_digest)?);
        let spec = canonical.spec();
        let plan = plan(spec, opened)?;
        let own = own::samples(spec, owner)?;
        let mut trainer = Trainer::new(spec, device);
        let layout = trainer.layout().clone();
        if layout.digest() != opened.layout {
            let (ours, theirs) = (layout.digest().short(), opened.layout.short());
            let why = format!("this build's model has layout {ours}, the coordinator's has {theirs}");
            return Err(Failure::new(Code::LayoutDiffers, why));
        }
        let prepared = Prepared {
            fingerprint: fingerprint(spec, &plan, device),
            milli_units_per_second: (speed::measure(spec, &plan, &mut trainer) as f64 * restraint.share) as u64,
            plan,
            layout: layout.clone(),
            spec: canonical,
            own,
        };
        let values = vec![0.0; layout.params()];
        Ok(Self {
            prepared,
            trainer,
            sum: UnitSum::new(layout),
            samplers: BTreeMap::new(),
            values,
            loaded: None,
            restraint,
        })
    }

    /// Whether this is what `opened` asks for. Everything here follows from the spec and the sizes of the shards.
    fn serves(&self, opened: &RunOpened) -> bool {
        self.prepared.spec.digest() == opened.spec_digest
            && self.prepared.spec.json() == &opened.spec
            && self.prepared.layout.digest() == opened.layout
            && plan(self.prepared.spec.spec(), opened).as_ref() == Ok(&self.prepared.plan)
    }

    fn load(&mut self, run: RunId, round: Round, digest: Digest, params: &[f32]) -> Result<(), Failure> {
        let wanted = Some((run, round, digest));
        if self.loaded != wanted {
            self.loaded = None;
            self.trainer.load(params).map_err(|error| Failure::new(Code::LayoutDiffers, error.to_string()))?;
            self.loaded = wanted;
        }
        Ok(())
    }

    fn add(&mut self, round: Round, part: &Part) -> Result<(UnitReport, Option<UnitNorm>), Failure> {
        let seed = self.prepared.spec.spec().seed;
        let len = self.prepared.plan.shard_len(part.unit);
        let sampler = self.samplers.entry(part.unit).or_insert_with(|| Sampler::new(seed, part.unit, len));
        let work = self.prepared.plan.work();
        let report = self.trainer.unit(work, part.unit, round, sampler, &part.samples, &mut self.values);
        let report = report.map_err(|error| Failure::new(code_of(&error), error.to_string()))?;
        let norm = self.clip(part.unit);
        let added = self.sum.add(part.unit, &self.values);
        added.map_err(|error| Failure::new(Code::NotFinite, error.to_string()))?;
        Ok((report, norm))
    }

    /// Bounds what a unit of the partner's own samples came to. Units of other samples have the same bits for everybody.
    fn clip(&mut self, unit: Unit) -> Option<UnitNorm> {
        let weight = self.prepared.plan.weight(unit);
        let most = self.restraint.max_norm.filter(|_| self.prepared.own.is_some());
        let found = match (most, self.restraint.norms) {
            (Some(most), Norms::Taken | Norms::Skipped) => policy::clip(&mut self.values, most * f64::from(weight)),
            (None, Norms::Taken) => {
                let norm = policy::norm(&self.values);
                Clipping { before: norm, after: norm }
            }
            (None, Norms::Skipped) => return None,
        };
        let mean = |norm: f64| norm / f64::from(weight.max(1));
        Some(UnitNorm { unit: unit.0, weight, norm: mean(found.before), clipped: mean(found.after) })
    }
}

/// The plan of a run, which is the coordinator's: its cut may go by labels and writers that nobody here knows.
pub(crate) fn plan(spec: &RunSpec, opened: &RunOpened) -> Result<Plan, PlanError> {
    match &opened.shard_samples {
        Some(sizes) => Plan::with_shards(spec, sizes),
        None => Plan::new(spec, opened.samples),
    }
}

fn code_of(error: &syngrad_model::TrainError) -> Code {
    match error {
        syngrad_model::TrainError::Diverged { .. } => Code::NotFinite,
        syngrad_model::TrainError::Shape(_) => Code::ShardCorrupt,
        syngrad_model::TrainError::ForeignWork { .. } => Code::SpecDiffers,
    }
}
