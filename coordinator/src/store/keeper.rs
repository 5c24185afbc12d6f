//! The thread that writes, so that rounds need not wait for the disk.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use syngrad_engine::keeping::{Contents, Setback, Step, Writing};
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Digest, Round, RunId, Unit};
use tokio::sync::mpsc;

use super::{CheckpointRow, Entry, Folder, Report, SpoolRow, Store as _, StoreError};
use crate::driver::Message;

/// Something to keep.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) run: RunId,
    pub(crate) entry: Entry,
    /// What to keep with it that has no place in a row.
    pub(crate) bulk: Option<Bulk>,
}

/// What is kept as a blob.
#[derive(Debug)]
pub(crate) enum Bulk {
    /// The training state that opens the round after those in the entry.
    State(Box<TrainingState>),
    /// An update.
    Update(ToSpool),
}

/// An update that its worker shall not have to compute again.
#[derive(Debug)]
pub(crate) struct ToSpool {
    pub(crate) round: Round,
    pub(crate) unit: Unit,
    pub(crate) payload: Bytes,
    pub(crate) report: Report,
}

/// What became of an order.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is durable; the number of the version in it, if there is one.
    Done(Option<u64>),
    /// There is no room; it is tried again by itself.
    Waits(StoreError),
    /// It cannot be kept, nor can anything after it.
    Never(StoreError),
}

/// The driver's hold of the thread, which ends after this is dropped and everything ordered is kept.
#[derive(Debug)]
pub(crate) struct Keeper {
    orders: Option<Sender<Order>>,
    thread: Option<thread::JoinHandle<Result<(), StoreError>>>,
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

    /// Waits until everything ordered is kept. Call it when the driver's queue is closed: nobody waits for room then.
    ///
    /// # Errors
    /// Why something could not be kept; a driver that has stopped reading heard of it from nobody else.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        self.orders = None;
        // A panic has been printed by then.
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }
}

fn work(mut folder: Folder, orders: &Receiver<Order>, driver: &mpsc::WeakSender<Message>) -> Result<(), StoreError> {
    let tell = |kept| {
        if let Some(driver) = driver.upgrade() {
            // Nobody is left to be told once the driver is gone; what was ordered is kept all the same.
            let _ = driver.blocking_send(Message::Kept(kept));
        }
    };
    while let Ok(Order { run, entry, bulk }) = orders.recv() {
        let mut order = InWork::new(run, entry, bulk);
        while let Some(step) = order.writing.next() {
            match order.take(step, &mut folder) {
                Ok(()) => order.writing.done(),
                Err(error) => match order.writing.failed(error.trouble()) {
                    Setback::Again(after) if driver.upgrade().is_some_and(|driver| !driver.is_closed()) => {
                        tell(Kept::Waits(error));
                        thread::sleep(after);
                    }
                    Setback::Again(_) | Setback::Final => {
                        tell(Kept::Never(error.clone()));
                        return Err(error);
                    }
                },
            }
        }
        tell(Kept::Done(order.number));
    }
    Ok(())
}

/// An order that is being written.
struct InWork {
    writing: Writing,
    run: RunId,
    entry: Entry,
    /// The blob, and the row that names it.
    blob: Option<(Bytes, NamedBy)>,
    /// Blobs that may have lost their name.
    unnamed: Vec<Digest>,
    /// The number of the version in the entry.
    number: Option<u64>,
}

#[derive(Clone, Copy)]
enum NamedBy {
    Checkpoint { round: Round },
    Spool { round: Round, unit: Unit, report: Report },
}

impl InWork {
    fn new(run: RunId, entry: Entry, bulk: Option<Bulk>) -> Self {
        let (contents, blob) = match bulk {
            None => (Contents::Rows, None),
            Some(Bulk::State(state)) => {
                let named_by = NamedBy::Checkpoint { round: state.round() };
                (Contents::Whole, Some((state.encode().into(), named_by)))
            }
            Some(Bulk::Update(ToSpool { round, unit, payload, report })) => {
                (Contents::Update, Some((payload, NamedBy::Spool { round, unit, report })))
            }
        };
        Self { writing: Writing::new(contents), run, entry, blob, unnamed: Vec::new(), number: None }
    }

    fn take(&mut self, step: Step, folder: &mut Folder) -> Result<(), StoreError> {
        match step {
            Step::Blob => self.put(folder),
            Step::Rows => {
                self.number = folder.metadata.keep(self.run, &self.entry)?;
                Ok(())
            }
            Step::Sweep => folder.forget_unnamed(std::mem::take(&mut self.unnamed)),
        }
    }

    fn put(&mut self, folder: &Folder) -> Result<(), StoreError> {
        let Some((bytes, named_by)) = &self.blob else { return Ok(()) };
        self.unnamed = folder.metadata.blobs()?;
        let blob = folder.blobs.put(bytes.clone())?;
        self.unnamed.push(blob);
        match *named_by {
            NamedBy::Checkpoint { round } => self.entry.checkpoint = Some(CheckpointRow { round, blob }),
            NamedBy::Spool { round, unit, report } => {
                self.entry.spooled = Some(SpoolRow { round, unit, blob, report });
            }
        }
        Ok(())
    }
}
