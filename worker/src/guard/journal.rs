//! The journal: a line for every message that left, before it left.
//!
//! A line is with the system before its message goes on, so the death of this process loses none of them; a power cut
//! loses what the system had not put on the disk. It is a write of some hundred bytes into the system's cache: cheaper than
//! to wake a thread for it. A record that cannot be written stops the message it is of. The files are bounded; totals
//! outlive what is dropped.

mod files;
mod reading;
mod record;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use syngrad_common::Failure;
use tokio::sync::watch;

use super::state::unusable;
use files::Files;
pub use reading::{Filter, Inspection, inspect};
pub(crate) use record::{FrameOf, unix_millis};
pub use record::{Record, Sent, Total, Totals, UnitNorm, UpdateRecord};

/// The writing end. Clones write to the same files; a journal of a worker without state keeps nothing.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Option<Arc<Writing>>);

#[derive(Debug)]
struct Writing {
    folder: PathBuf,
    files: Mutex<Files>,
    failed: watch::Sender<Option<Failure>>,
}

impl Journal {
    /// A journal that keeps nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Goes on with the journal in `folder`, or begins one.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let files = Mutex::new(Files::open(folder, files::FILE_BYTES)?);
        let failed = watch::Sender::new(None);
        Ok(Self(Some(Arc::new(Writing { folder: folder.to_owned(), files, failed }))))
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a message down that is about to leave. After one that cannot be, none is.
    pub(crate) fn record(&self, record: impl FnOnce() -> Record) -> Result<(), Failure> {
        let Some(writing) = &self.0 else { return Ok(()) };
        if let Some(failure) = writing.failed.borrow().clone() {
            return Err(failure);
        }
        let record = record();
        writing.with_files(|files| files.append(&record))
    }

    /// Waits until the journal cannot be written any more, and says why.
    pub(crate) async fn broken(&self) -> Failure {
        if let Some(writing) = &self.0 {
            let mut failed = writing.failed.subscribe();
            if let Ok(failure) = failed.wait_for(Option::is_some).await
                && let Some(failure) = failure.clone()
            {
                return failure;
            }
        }
        std::future::pending().await
    }

    /// Puts what was written on the disk.
    pub(crate) fn close(&self) {
        if let Some(writing) = &self.0 {
            // What fails is said by whoever waits for it.
            let _ = writing.with_files(Files::sync);
        }
    }
}

impl Writing {
    fn with_files(&self, act: impl FnOnce(&mut Files) -> std::io::Result<()>) -> Result<(), Failure> {
        // A writer that panicked left whole lines.
        let outcome = act(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner));
        outcome.map_err(|why| {
            let failure = unusable("writing the journal in", &self.folder, &why);
            tracing::error!(code = %failure.code, "{failure}");
            self.failed.send_replace(Some(failure.clone()));
            failure
        })
    }
}
