//! A fixed pool of threads that predict, off the path of the rounds.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use syngrad_model::{Device, Predictor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::contents::Rows;
use super::error::InferError;
use super::request::MAX_BATCH;
use crate::served::ServedModel;

/// Rows that may wait for an answer or be in the making, over all callers: some 25 MB of MNIST as FP32, and half a
/// hundred milliseconds of one core. What comes on top is refused, not queued.
pub(super) const MAX_ROWS_WAITING: usize = 8 * MAX_BATCH;

/// Threads at most: rounds need the cores too, and one core answers tens of thousands of rows a second.
const MAX_THREADS: usize = 2;

/// The way to the threads. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
}

/// One question. It names its model, so what is served may change meanwhile: the answer is of one model as a whole.
struct Job {
    model: Arc<ServedModel>,
    rows: Rows,
    answer: oneshot::Sender<Result<Vec<f32>, InferError>>,
    /// Room for the rows, held until the answer is made.
    _room: OwnedSemaphorePermit,
}

impl Pool {
    /// Starts the threads.
    pub(super) fn start(device: Device) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..cores.min(MAX_THREADS) {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("predict-{number}")).spawn(move || work(&queue, device))?;
        }
        Ok(Self { jobs, room: Arc::new(Semaphore::new(MAX_ROWS_WAITING)) })
    }

    /// Probabilities `[count, classes]` of `count` rows, by `model`. A caller that stops waiting costs nothing more:
    /// its question is dropped when its turn comes.
    pub(super) async fn predict(
        &self,
        model: Arc<ServedModel>,
        rows: Rows,
        count: usize,
    ) -> Result<Vec<f32>, InferError> {
        let busy = || InferError::Busy { rows: count, limit: MAX_ROWS_WAITING };
        let permits = u32::try_from(count).map_err(|_| busy())?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(permits).map_err(|_| busy())?;
        let (answer, answered) = oneshot::channel();
        let ended = || InferError::Failed { why: "the prediction thread has ended".to_owned() };
        self.jobs.send(Job { model, rows, answer, _room: room }).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

fn work(queue: &Mutex<Receiver<Job>>, device: Device) {
    let mut loaded: Option<Loaded> = None;
    loop {
        // The guard is gone before the work begins: it is only held to wait.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if job.answer.is_closed() {
            continue;
        }
        let current = loaded.take().filter(|loaded| Arc::ptr_eq(&loaded.model, &job.model));
        let answer = match current.map_or_else(|| Loaded::new(job.model, device), Ok) {
            Ok(ready) => loaded.insert(ready).predict(&job.rows),
            Err(failed) => Err(failed),
        };
        // The caller may have gone while its answer was made.
        let _ = job.answer.send(answer);
    }
}

/// A model that is ready to answer.
struct Loaded {
    model: Arc<ServedModel>,
    predictor: Predictor,
}

impl Loaded {
    fn new(model: Arc<ServedModel>, device: Device) -> Result<Self, InferError> {
        let predictor = Predictor::new(&model.model, device, &model.params).map_err(failed)?;
        Ok(Self { model, predictor })
    }

    fn predict(&self, rows: &Rows) -> Result<Vec<f32>, InferError> {
        match rows {
            Rows::Features(rows) => self.predictor.predict(rows),
            Rows::Bytes(rows) => self.predictor.predict_bytes(rows),
        }
        .map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> InferError {
    InferError::Failed { why: error.to_string() }
}

#[cfg(test)]
mod tests;
