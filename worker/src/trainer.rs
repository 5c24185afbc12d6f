//! The thread that computes. It takes orders between two units, never within one.

mod bench;
mod own;
mod speed;

use std::sync::{Arc, mpsc as orders};
use std::thread;

use bytes::Bytes;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::wire::{RunOpened, Update};
use syngrad_common::{Code, Failure};
use syngrad_dataset::{PrivateData, Samples};
use syngrad_engine::quantize::Grid;
use syngrad_engine::run::UpdateHeader;
use syngrad_engine::session::Task;
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Digest, Layout, LeaseId, PartnerName, Plan, RunId, Unit, Units};
use syngrad_model::Device;
use tokio::sync::mpsc as products;

use crate::guard::UnitNorm;
use crate::round::Open;
pub(crate) use bench::plan;

/// Products that wait to be taken; the trainer waits when there are more.
const PRODUCTS: usize = 16;

/// A unit and its samples.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) unit: Unit,
    pub(crate) samples: Arc<Samples>,
}

/// A task with everything that it takes.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) grid: Arc<Grid>,
    pub(crate) params: Arc<Vec<f32>>,
    pub(crate) parts: Vec<Part>,
    /// Memory for the packed sum.
    pub(crate) memory: Vec<u8>,
}

impl Job {
    pub(crate) fn new(task: Task, round: Open, parts: Vec<Part>) -> Self {
        Self { task, grid: round.grid, params: round.params, parts, memory: Vec::new() }
    }
}

/// A packed sum of units.
#[derive(Debug)]
pub(crate) struct Sum {
    pub(crate) payload: Bytes,
    pub(crate) digest: Digest,
    pub(crate) bits: UpdateBits,
    pub(crate) units: Units,
    pub(crate) saturated: u64,
    pub(crate) loss_sum: f64,
    pub(crate) samples: u64,
    /// What each unit's norm was; empty if nobody wants to know.
    pub(crate) norms: Vec<UnitNorm>,
}

/// How far the trainer may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Restraint {
    /// The share of a core that units may take, in (0, 1].
    pub(crate) share: f64,
    /// The largest norm of a private unit's mean result.
    pub(crate) max_norm: Option<f64>,
    /// Whether norms are taken though nothing bounds them.
    pub(crate) norms: Norms,
}

/// Whether norms are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norms {
    /// They are written down.
    Taken,
    /// Nobody reads them.
    Skipped,
}

impl Sum {
    /// The message that announces this sum as the answer to `task`.
    pub(crate) fn update(&self, task: &Task) -> Update {
        Update {
            run: task.run,
            header: UpdateHeader {
                round: task.round,
                lease: task.lease,
                units: self.units.clone(),
                digest: self.digest,
            },
            payload_bytes: self.payload.len() as u64,
            saturated: self.saturated,
            loss_sum: self.loss_sum,
            samples: self.samples,
            signed: None,
        }
    }
}

/// A run that this machine can work for.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) spec: Arc<CanonicalSpec>,
    pub(crate) plan: Plan,
    pub(crate) layout: Arc<Layout>,
    pub(crate) fingerprint: Digest,
    pub(crate) milli_units_per_second: u64,
    /// The worker's own samples, if the run is on private ones.
    pub(crate) own: Option<Arc<Samples>>,
}

/// Whose worker this is, and what it has to work on.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) partner: PartnerName,
    pub(crate) data: Option<Arc<PrivateData>>,
}

enum Order {
    Prepare(Box<RunOpened>),
    Compute(Box<Job>),
    Forget(LeaseId),
}

/// What the trainer has done.
#[derive(Debug)]
pub(crate) enum Product {
    /// The run's model is built.
    Prepared(RunId, Box<Prepared>),
    /// The run cannot be worked for.
    Unfit(RunId, Failure),
    /// A task is computed.
    Computed(Task, Box<Sum>),
    /// A task cannot be computed.
    Failed(Task, Failure),
}

/// The other end of the thread. Dropping it ends the thread after the unit in hand.
#[derive(Debug)]
pub(crate) struct Trainer {
    orders: orders::Sender<Order>,
    products: products::Receiver<Product>,
}

impl Trainer {
    /// Starts the thread.
    pub(crate) fn start(device: Device, owner: Owner, restraint: Restraint) -> Result<Self, Failure> {
        let (order, orders) = orders::channel();
        let (product, products) = products::channel(PRODUCTS);
        thread::Builder::new()
            .name("trainer".to_owned())
            .spawn(move || bench::work(device, owner, restraint, &orders, &product))
            .map_err(|error| Failure::new(Code::LocalFile, format!("no thread for the trainer: {error}")))?;
        Ok(Self { orders: order, products })
    }

    /// Builds the model of a run.
    pub(crate) fn prepare(&self, opened: RunOpened) -> Result<(), Failure> {
        self.order(Order::Prepare(Box::new(opened)))
    }

    /// Computes a job of the run that was prepared last.
    pub(crate) fn compute(&self, job: Job) -> Result<(), Failure> {
        self.order(Order::Compute(Box::new(job)))
    }

    /// Drops the job of `lease`, even in the middle.
    pub(crate) fn forget(&self, lease: LeaseId) -> Result<(), Failure> {
        self.order(Order::Forget(lease))
    }

    /// The next product. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Product, Failure> {
        self.products.recv().await.ok_or_else(ended)
    }

    fn order(&self, order: Order) -> Result<(), Failure> {
        self.orders.send(order).map_err(|_| ended())
    }
}

fn ended() -> Failure {
    Failure::new(Code::Internal, "the trainer's thread ended; its last words are above")
}
