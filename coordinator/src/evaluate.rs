//! Evaluation beside training: a thread of its own that always takes the newest params.
//!
//! Rounds do not wait for it. When it falls behind, params that nobody has evaluated yet give way to newer ones; the
//! last params of a run have nothing newer, so they are always evaluated.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use syngrad_dataset::Dataset;
use syngrad_engine::{Digest, Round, RunId};
use syngrad_model::{Evaluation, Evaluator, ShapeError};
use tokio::sync::mpsc;

use crate::driver::Message;

/// Params to be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The round they came out of.
    pub(crate) round: Round,
    /// The params.
    pub(crate) params: Arc<Vec<f32>>,
    /// Their digest.
    pub(crate) digest: Digest,
}

/// What the evaluator found.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// The run.
    pub(crate) run: RunId,
    /// What was evaluated.
    pub(crate) candidate: Candidate,
    /// The result.
    pub(crate) evaluation: Result<Evaluation, ShapeError>,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<Candidate>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Desk {
    slot: Mutex<Slot>,
    changed: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest params, or nothing when there will be none.
    fn take(&self) -> Option<Candidate> {
        let waiting = |slot: &mut Slot| slot.next.is_none() && !slot.closed;
        let mut slot = self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        slot.next.take()
    }
}

/// The driver's hold of a run's evaluator. The thread ends after this is dropped.
#[derive(Debug)]
pub(crate) struct Evaluations(Arc<Desk>);

impl Evaluations {
    /// Starts the thread of one run; it reports to `driver`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        run: RunId,
        mut evaluator: Evaluator,
        dataset: Arc<Dataset>,
        driver: mpsc::Sender<Message>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let taken = desk.clone();
        thread::Builder::new().name("evaluator".into()).spawn(move || {
            while let Some(candidate) = taken.take() {
                let evaluation = evaluator.evaluate(&candidate.params, &dataset.test);
                if driver.blocking_send(Message::Evaluated(Evaluated { run, candidate, evaluation })).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self(desk))
    }

    /// Asks for an evaluation; older params that are still waiting for one give way.
    pub(crate) fn ask(&self, candidate: Candidate) {
        self.0.lock().next = Some(candidate);
        self.0.changed.notify_one();
    }
}

impl Drop for Evaluations {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(round: u32) -> Candidate {
        Candidate { round: Round(round), params: Arc::default(), digest: Digest::default() }
    }

    #[test]
    fn older_params_give_way_and_the_last_ones_are_taken_even_after_the_end() {
        let desk = Arc::new(Desk::default());
        let evaluations = Evaluations(desk.clone());
        evaluations.ask(candidate(1));
        evaluations.ask(candidate(2));
        drop(evaluations);
        assert_eq!(desk.take().map(|candidate| candidate.round), Some(Round(2)));
        assert!(desk.take().is_none(), "there will be nothing more");
    }
}
