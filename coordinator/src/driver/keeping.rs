//! What is kept of a run, and when; and what happens while it cannot be.

use std::time::Duration;

use syngrad_common::config::CanonicalSpec;
use syngrad_common::{Code, Failure};
use syngrad_engine::run::{Event, Outcome};
use syngrad_engine::spec::Durability;
use syngrad_engine::state::Commit;
use syngrad_engine::{Round, RunId};
use tokio::time::Instant;

use super::operator::Preparing;
use super::{Driver, Mode, Reply};
use crate::active::ActiveRun;
use crate::prepare::Resumption;
use crate::status::{Point, ending};
use crate::store::{EndPhase, Ending, Entry, Kept, Order, RunRow, Unfinished};

/// Orders that may wait for the disk while rounds go on.
const MAX_ORDERS: usize = 4;

/// Time between two writes of rounds that wait for no checkpoint.
const LEDGER_PACE: Duration = Duration::from_millis(100);

/// Who hears that an order is kept.
#[derive(Debug)]
pub(super) enum Acknowledgement {
    Nobody,
    /// The operator who started a run.
    Started(Reply<RunId>, RunId),
}

impl Driver {
    /// Goes on with a run of an earlier process.
    pub(crate) fn resume(&mut self, unfinished: Unfinished) -> Result<(), Failure> {
        let Unfinished { row, state, ledger, evaluations } = unfinished;
        let spec = CanonicalSpec::parse(&row.spec).map_err(Failure::from)?;
        if spec.digest() != row.spec_digest {
            let why = format!("the spec of run {} ({}) is not the one that it was started with", row.name, row.run);
            return Err(Failure::new(Code::StateDamaged, why));
        }
        tracing::info!(run = %row.run, name = row.name, ledger = ledger.len(), "going on with a run");
        let preparing = Preparing { run: row.run, name: row.name, reply: None, asked: Vec::new() };
        // Whoever it waited for at its beginning may be gone; fewer workers give the same bits.
        self.begin_preparing(preparing, spec, 1, Some(Resumption { state, ledger, evaluations }));
        Ok(())
    }

    /// A run begins: whoever started it hears so once that is kept.
    pub(super) fn keep_beginning(&mut self, reply: Reply<RunId>) {
        let Some(active) = &self.active else { return };
        let identity = &active.identity;
        let row = RunRow {
            run: identity.run,
            name: identity.name.clone(),
            spec: identity.spec.text().to_owned(),
            spec_digest: identity.spec.digest(),
        };
        let run = identity.run;
        let entry = Entry { begun: Some(row), ..Entry::default() };
        self.order(Order { run, entry, checkpoint: None }, Acknowledgement::Started(reply, run));
    }

    /// A round is committed in memory: it is kept when that is due, and `stepped` waits for it if it must.
    pub(super) fn keep_round(&mut self, commit: &Commit, stepped: Event) {
        let Some(active) = &mut self.active else { return };
        if let Err(why) = active.history.check(commit) {
            tracing::error!(round = %commit.round, %why, "history differs");
            active.broken = Some(Outcome::Failed { round: commit.round, why });
            return self.events.push_back(Event::Stop);
        }
        if self.keeper.is_none() {
            return self.events.push_back(stepped);
        }
        active.unkept.rounds.push(commit.clone());
        let checkpoint = active.checkpoint_is_due().then(|| Box::new(active.state.clone()));
        let rows_are_due = self.orders.is_empty() && active.ordered.elapsed() >= LEDGER_PACE;
        if checkpoint.is_some() || rows_are_due {
            active.ordered = Instant::now();
            if checkpoint.is_some() {
                active.checkpointed = (active.state.round(), active.ordered);
            }
            let (run, entry) = (active.id(), std::mem::take(&mut active.unkept));
            self.order(Order { run, entry, checkpoint }, Acknowledgement::Nobody);
        }
        if self.must_wait() {
            if let Some(active) = &mut self.active {
                active.held = Some(stepped);
            }
        } else {
            self.events.push_back(stepped);
        }
    }

    pub(super) fn keep_evaluation(&mut self, evaluation: Point) {
        if let Some(active) = self.active.as_mut().filter(|_| self.keeper.is_some()) {
            active.unkept.evaluations.push(evaluation);
        }
    }

    /// A run is over, unless only this process is: then the next one goes on with it.
    pub(super) fn keep_end(&mut self, mut active: ActiveRun) {
        let Some(outcome) = active.outcome.as_ref().filter(|_| self.keeper.is_some()) else { return };
        let phase = match outcome {
            Outcome::Completed => Some(EndPhase::Completed),
            Outcome::Stopped { .. } if active.shut_down => None,
            Outcome::Stopped { .. } => Some(EndPhase::Stopped),
            Outcome::Failed { .. } => Some(EndPhase::Failed),
        };
        let reason = ending(outcome, active.shut_down);
        let (run, mut entry) = (active.id(), std::mem::take(&mut active.unkept));
        entry.ending = phase.map(|phase| Ending { phase, reason });
        // The state after a failure is of no use; what was kept before stays.
        let is_whole = phase != Some(EndPhase::Failed);
        let checkpoint = is_whole.then(|| Box::new(active.state));
        self.order(Order { run, entry, checkpoint }, Acknowledgement::Nobody);
    }

    pub(super) fn kept(&mut self, kept: Kept) {
        match kept {
            Kept::Done => {
                if let Some(Acknowledgement::Started(reply, run)) = self.orders.pop_front() {
                    // Whoever asked may be gone.
                    let _ = reply.send(Ok(run));
                }
                self.note_unkeepable(None);
                let held = if self.must_wait() { None } else { self.active.as_mut().and_then(|a| a.held.take()) };
                if let Some(stepped) = held {
                    self.feed(stepped);
                }
            }
            Kept::Waits(why) => {
                tracing::warn!(%why, "nothing is kept for now");
                self.note_unkeepable(Some(why.to_string()));
            }
            Kept::Never(why) => self.fail(why.into()),
        }
        self.publish();
    }

    /// Nothing can be kept any more, so nothing more may be acknowledged.
    pub(super) fn fail(&mut self, failure: Failure) {
        tracing::error!(code = %failure.code, why = %failure, "the coordinator cannot go on");
        for order in self.orders.drain(..) {
            if let Acknowledgement::Started(reply, _) = order {
                let _ = reply.send(Err(failure.clone()));
            }
        }
        self.failure = Some(failure);
        self.mode = Mode::Over;
        self.dismiss_everyone();
    }

    fn note_unkeepable(&mut self, why: Option<String>) {
        if let Some(active) = &mut self.active {
            active.unkeepable = why;
        }
    }

    fn order(&mut self, order: Order, acknowledgement: Acknowledgement) {
        match (&self.keeper, acknowledgement) {
            (Some(keeper), acknowledgement) => {
                self.orders.push_back(acknowledgement);
                keeper.keep(order);
            }
            // Nothing is kept at all, and that was said when the coordinator started.
            (None, Acknowledgement::Started(reply, run)) => drop(reply.send(Ok(run))),
            (None, Acknowledgement::Nobody) => {}
        }
    }

    /// Whether the next round waits for what was ordered.
    fn must_wait(&self) -> bool {
        let most = match self.active.as_ref().map(|active| active.spec().durability) {
            Some(Durability::EveryRound) => 0,
            Some(Durability::Checkpoint) | None => MAX_ORDERS,
        };
        self.orders.len() > most
    }
}

/// What the ledger says of rounds that are computed again, in order.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Commit>);

impl History {
    pub(crate) fn new(ledger: Vec<Commit>) -> Self {
        Self(ledger)
    }

    /// Rounds that are still to be computed again.
    pub(crate) fn ahead_of(&self, round: Round) -> usize {
        self.0.len() - self.0.partition_point(|known| known.round < round)
    }

    fn check(&self, commit: &Commit) -> Result<(), String> {
        let known = self.0.binary_search_by_key(&commit.round, |known| known.round).ok().map(|index| &self.0[index]);
        match known {
            Some(known) if (known.params_digest, known.chain) != (commit.params_digest, commit.chain) => Err(format!(
                "round {} was computed again and gave params {}, the ledger has {}: {}",
                commit.round,
                commit.params_digest,
                known.params_digest,
                Code::HistoryDiffers
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use syngrad_engine::Digest;

    use super::*;

    fn commit(round: u32, params: u8, chain: u8) -> Commit {
        Commit {
            round: Round(round),
            params_digest: Digest([params; 32]),
            units: 1,
            weight: 1,
            saturated: 0,
            chain: Digest([chain; 32]),
        }
    }

    #[test]
    fn a_round_that_comes_out_differently_than_the_ledger_says_is_found() {
        let history = History::new(vec![commit(3, 1, 2), commit(4, 5, 6)]);
        assert_eq!(history.check(&commit(3, 1, 2)), Ok(()));
        for (params, chain) in [(9, 2), (1, 9)] {
            let why = history.check(&commit(3, params, chain)).expect_err("another digest");
            assert!(why.contains("round 3") && why.contains("E0606"), "{why}");
        }
        assert_eq!(history.check(&commit(5, 9, 9)), Ok(()), "the ledger does not know of it");
        assert_eq!((history.ahead_of(Round(3)), history.ahead_of(Round(4)), history.ahead_of(Round(5))), (2, 1, 0));
    }
}
