//! The journal: a line for every message that left, before it left.
//!
//! A thread of its own writes, so that the round path only hands records over. A record that cannot be handed over stops
//! the message it is of: what cannot be written down does not leave. The files are bounded; totals outlive what is
//! dropped. A record is with the system within microseconds, so the death of this process loses at most the last few; a
//! power cut loses what the system had not written yet.

mod files;
mod reading;
mod record;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use syngrad_common::{Code, Failure};
use tokio::sync::watch;

use super::state::unusable;
use files::Files;
pub use reading::{Filter, Inspection, inspect};
pub(crate) use record::{FrameOf, unix_millis};
pub use record::{Record, Sent, Total, Totals, UnitNorm, UpdateRecord};

/// Records that wait to be written; whoever has another one waits.
const QUEUE: usize = 4096;
/// Time between two writes to the disk itself.
const SYNC: Duration = Duration::from_secs(5);

enum Order {
    Write(Box<Record>),
    Close,
}

/// The writing end. Clones write to the same files; a journal of a worker without state keeps nothing.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Option<Arc<Writing>>);

#[derive(Debug)]
struct Writing {
    orders: SyncSender<Order>,
    failed: watch::Receiver<Option<Failure>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// A journal that keeps nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Goes on with the journal in `folder`, or begins one.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let files = Files::open(folder, files::FILE_BYTES)?;
        let (orders, queue) = sync_channel(QUEUE);
        let (fails, failed) = watch::channel(None);
        let place = folder.to_owned();
        let writer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                if let Err(why) = write(files, &queue) {
                    let failure = unusable("writing the journal in", &place, &why);
                    tracing::error!(code = %failure.code, "{failure}");
                    // The worker may have ended.
                    let _ = fails.send(Some(failure));
                }
            })
            .map_err(|why| unusable("starting a thread for", folder, &why))?;
        Ok(Self(Some(Arc::new(Writing { orders, failed, writer: Mutex::new(Some(writer)) }))))
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a message down that is about to leave.
    pub(crate) fn record(&self, record: impl FnOnce() -> Record) -> Result<(), Failure> {
        let Some(writing) = &self.0 else { return Ok(()) };
        let order = match writing.orders.try_send(Order::Write(Box::new(record()))) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(order)) => order,
            Err(TrySendError::Disconnected(_)) => return Err(writing.why()),
        };
        // The disk is behind by thousands of messages: what leaves waits for it.
        writing.orders.send(order).map_err(|_| writing.why())
    }

    /// Waits until the journal cannot be written any more, and says why.
    pub(crate) async fn broken(&self) -> Failure {
        if let Some(writing) = &self.0 {
            let mut failed = writing.failed.clone();
            if let Ok(failure) = failed.wait_for(Option::is_some).await {
                return failure.clone().unwrap_or_else(closed);
            }
        }
        std::future::pending().await
    }

    /// Writes what was handed over; nothing can be after that.
    pub(crate) fn close(&self) {
        let Some(writing) = &self.0 else { return };
        // A writer that failed has said so.
        let _ = writing.orders.send(Order::Close);
        let writer = writing.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

impl Writing {
    fn why(&self) -> Failure {
        self.failed.borrow().clone().unwrap_or_else(closed)
    }
}

fn closed() -> Failure {
    Failure::new(Code::WorkerStateUnusable, "the journal is closed, and nothing leaves without it")
}

fn write(mut files: Files, queue: &Receiver<Order>) -> std::io::Result<()> {
    loop {
        match queue.recv_timeout(SYNC) {
            Ok(Order::Write(record)) => files.append(&record)?,
            Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return files.sync(),
            Err(RecvTimeoutError::Timeout) => {
                files.sync()?;
                // Nothing is left to write: the next record is waited for, however long it takes.
                match queue.recv() {
                    Ok(Order::Write(record)) => files.append(&record)?,
                    Ok(Order::Close) | Err(_) => return files.sync(),
                }
            }
        }
        while let Ok(order) = queue.try_recv() {
            match order {
                Order::Write(record) => files.append(&record)?,
                Order::Close => return files.sync(),
            }
        }
        files.flush()?;
    }
}
