//! The thread that writes, so that rounds need not wait for the disk.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use syngrad_engine::keeping::{Contents, Setback, Step, Writing};
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Digest, Round, RunId};
use tokio::sync::mpsc;

use super::{CheckpointRow, Entry, Folder, Store as _, StoreError};
use crate::driver::Message;

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
    while let Ok(Order { run, entry, checkpoint }) = orders.recv() {
        let contents = if checkpoint.is_some() { Contents::Whole } else { Contents::Rows };
        let state = checkpoint.map(|state| (state.round(), state.encode()));
        let mut order = InWork { writing: Writing::new(contents), run, entry, state, unnamed: Vec::new() };
        while let Some(step) = order.writing.next() {
            match order.take(step, &mut folder) {
                Ok(()) => order.writing.done(),
                Err(error) => match order.writing.failed(error.trouble()) {
                    Setback::Again(after) if driver.upgrade().is_some() => {
                        tell(Kept::Waits(error));
                        thread::sleep(after);
                    }
                    Setback::Again(_) | Setback::Final => return tell(Kept::Never(error)),
                },
            }
        }
        tell(Kept::Done);
    }
}

/// An order that is being written.
struct InWork {
    writing: Writing,
    run: RunId,
    entry: Entry,
    /// The encoded training state, and the round that it opens.
    state: Option<(Round, Vec<u8>)>,
    /// Blobs that may have lost their name.
    unnamed: Vec<Digest>,
}

impl InWork {
    fn take(&mut self, step: Step, folder: &mut Folder) -> Result<(), StoreError> {
        match (step, &self.state) {
            (Step::Blob, Some((round, state))) => {
                self.unnamed = folder.metadata.blobs()?;
                let blob = folder.blobs.put(state.clone())?;
                self.unnamed.push(blob);
                self.entry.checkpoint = Some(CheckpointRow { round: *round, blob });
                Ok(())
            }
            (Step::Blob, None) => Ok(()),
            (Step::Rows, _) => folder.metadata.keep(self.run, &self.entry),
            (Step::Sweep, _) => folder.forget_unnamed(std::mem::take(&mut self.unnamed)),
        }
    }
}
