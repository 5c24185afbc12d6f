//! The thread that writes, so that rounds need not wait for the disk.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use syngrad_engine::keeping::{Contents, Setback, Step, Writing};
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Digest, Round, RunId, Unit};

use super::{Archived, CheckpointRow, Entry, Folder, Report, SpoolRow, Store as _, StoreError, ToArchive};

/// Something to keep.
#[derive(Debug)]
pub struct Order {
    /// The run that it is of.
    pub run: RunId,
    /// The rows.
    pub entry: Entry,
    /// What to keep with it that has no place in a row.
    pub bulk: Option<Bulk>,
}

/// What is kept as a blob.
#[derive(Debug)]
pub enum Bulk {
    /// The training state that opens the round after those in the entry.
    State(Box<TrainingState>),
    /// An update.
    Update(ToSpool),
}

/// An update that its worker shall not have to compute again.
#[derive(Debug)]
pub struct ToSpool {
    /// The round it is for.
    pub round: Round,
    /// The unit it is of.
    pub unit: Unit,
    /// The packed sum.
    pub payload: Bytes,
    /// What its worker says of it.
    pub report: Report,
    /// The contribution to its round, encoded; empty where there are no receipts.
    pub contribution: Vec<u8>,
}

/// Whether somebody took what the keeper had to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Somebody will act on it.
    Heard,
    /// Whoever ordered has stopped listening: nobody waits for room any more.
    Nobody,
}

/// What became of an order.
#[derive(Debug)]
pub enum Kept {
    /// It is durable; the number of the version in it, if there is one.
    Done(Option<u64>),
    /// There is no room; it is tried again by itself.
    Waits(StoreError),
    /// It cannot be kept, nor can anything after it.
    Never(StoreError),
}

/// The hold of the thread, which ends after this is dropped and everything ordered is kept.
#[derive(Debug)]
pub struct Keeper {
    orders: Option<Sender<Order>>,
    thread: Option<thread::JoinHandle<Result<(), StoreError>>>,
}

impl Keeper {
    /// Starts the thread; it says what became of each order through `tell`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(folder: Folder, tell: impl FnMut(Kept) -> Told + Send + 'static) -> io::Result<Self> {
        let (orders, taken) = channel();
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || work(folder, &taken, tell))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Orders something to be kept; [`Kept`] tells what became of it.
    pub fn keep(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that is gone has said why.
            let _ = orders.send(order);
        }
    }

    /// Waits until everything ordered is kept. Call it when whoever is told has stopped
    /// listening: nobody waits for room then.
    ///
    /// # Errors
    /// Why something could not be kept; whoever has stopped listening heard of it from nobody else.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.orders = None;
        let panicked = |_| Err(StoreError::Io { doing: "keeping".to_owned(), why: "its thread panicked".to_owned() });
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(panicked))
    }
}

fn work(mut folder: Folder, orders: &Receiver<Order>, mut tell: impl FnMut(Kept) -> Told) -> Result<(), StoreError> {
    while let Ok(Order { run, entry, bulk }) = orders.recv() {
        let mut order = InWork::new(run, entry, bulk);
        while let Some(step) = order.writing.next() {
            match order.take(step, &mut folder) {
                Ok(()) => order.writing.done(),
                Err(error) => match order.writing.failed(error.trouble()) {
                    Setback::Again(after) => match tell(Kept::Waits(error.clone())) {
                        Told::Heard => thread::sleep(after),
                        Told::Nobody => return Err(error),
                    },
                    Setback::Final => {
                        tell(Kept::Never(error.clone()));
                        return Err(error);
                    }
                },
            }
        }
        // Once nobody listens, what was ordered is kept all the same.
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

enum NamedBy {
    Checkpoint { round: Round },
    Spool { round: Round, unit: Unit, report: Report, contribution: Vec<u8> },
}

impl InWork {
    fn new(run: RunId, entry: Entry, bulk: Option<Bulk>) -> Self {
        let (contents, blob) = match bulk {
            None if entry.updates.is_empty() => (Contents::Rows, None),
            None => (Contents::Update, None),
            Some(Bulk::State(state)) => {
                let named_by = NamedBy::Checkpoint { round: state.round() };
                (Contents::Whole, Some((state.encode().into(), named_by)))
            }
            Some(Bulk::Update(ToSpool { round, unit, payload, report, contribution })) => {
                (Contents::Update, Some((payload, NamedBy::Spool { round, unit, report, contribution })))
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
        self.entry.archived.clear();
        for ToArchive { payload, bytes } in &self.entry.updates {
            let blob = folder.blobs.put(bytes.clone())?;
            self.entry.archived.push(Archived { payload: *payload, blob });
        }
        let Some((bytes, named_by)) = &self.blob else { return Ok(()) };
        self.unnamed = folder.metadata.replaceable()?;
        let blob = folder.blobs.put(bytes.clone())?;
        self.unnamed.push(blob);
        match named_by {
            NamedBy::Checkpoint { round } => self.entry.checkpoint = Some(CheckpointRow { round: *round, blob }),
            NamedBy::Spool { round, unit, report, contribution } => {
                let contribution = contribution.clone();
                let row = SpoolRow { round: *round, unit: *unit, blob, report: *report, contribution };
                self.entry.spooled = Some(row);
            }
        }
        Ok(())
    }
}
