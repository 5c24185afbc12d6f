//! The thread that writes, so that rounds need not wait for the disk.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use syngrad_engine::state::TrainingState;
use syngrad_engine::{Round, RunId};
use tokio::sync::mpsc;

use super::{CheckpointRow, Entry, Folder, Store as _, StoreError};
use crate::driver::Message;

/// Time between two attempts when the disk is full.
const RETRY: Duration = Duration::from_secs(1);

/// Something to keep.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) run: RunId,
    pub(crate) entry: Entry,
    /// The training state to keep with it; what opens the round after those in the entry.
    pub(crate) checkpoint: Option<Box<TrainingState>>,
}

/// What became of an order.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is durable.
    Done,
    /// There is no room; it is tried again by itself.
    Waits(StoreError),
    /// It cannot be kept, nor can anything after it.
    Never(StoreError),
}

/// The driver's hold of the thread, which ends after this is dropped and everything ordered is kept.
#[derive(Debug)]
pub(crate) struct Keeper {
    orders: Option<Sender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread; it reports to `driver`.
    pub(crate) fn start(folder: Folder, driver: mpsc::WeakSender<Message>) -> io::Result<Self> {
        let (orders, taken) = channel();
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || work(folder, &taken, &driver))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Orders something to be kept; [`Message::Kept`] tells what became of it.
    pub(crate) fn keep(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that is gone has said why.
            let _ = orders.send(order);
        }
    }

    /// Waits until everything ordered is kept.
    pub(crate) fn finish(mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by then.
            let _ = thread.join();
        }
    }
}

fn work(mut folder: Folder, orders: &Receiver<Order>, driver: &mpsc::WeakSender<Message>) {
    let tell = |kept| {
        if let Some(driver) = driver.upgrade() {
            // Nobody is left to be told once the driver is gone; what was ordered is kept all the same.
            let _ = driver.blocking_send(Message::Kept(kept));
        }
    };
    while let Ok(order) = orders.recv() {
        let Order { run, mut entry, checkpoint } = order;
        let state = checkpoint.map(|state| (state.round(), state.encode()));
        loop {
            match keep(&mut folder, run, &mut entry, state.as_ref()) {
                Ok(()) => break tell(Kept::Done),
                Err(error) if error.may_pass() && driver.upgrade().is_some() => {
                    tell(Kept::Waits(error));
                    thread::sleep(RETRY);
                }
                Err(error) => return tell(Kept::Never(error)),
            }
        }
    }
}

fn keep(
    folder: &mut Folder,
    run: RunId,
    entry: &mut Entry,
    state: Option<&(Round, Vec<u8>)>,
) -> Result<(), StoreError> {
    let Some((round, state)) = state else { return folder.metadata.keep(run, entry) };
    let mut candidates = folder.metadata.blobs()?;
    let blob = folder.blobs.put(state.clone())?;
    candidates.push(blob);
    entry.checkpoint = Some(CheckpointRow { round: *round, blob });
    folder.metadata.keep(run, entry)?;
    folder.forget_unnamed(candidates)
}
