//! The current run: the engine's decisions beside the tensors they are about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use syngrad_common::wire::{ShardRef, Source};
use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::keeping::KeepingView;
use syngrad_engine::receipt::Contribution;
use syngrad_engine::run::{Outcome, Run, Waiting};
use syngrad_engine::state::{Commit, TrainingState};
use syngrad_engine::{Digest, LeaseId, MemberId, PartnerName, Plan, Round, RunId, RunSpec, Time, Unit, Units};
use syngrad_store::{Entry, Holding, Progress, RoundRow, Spooled, ToSpool};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::evaluate::Evaluations;
use crate::outbox::Broadcast;
use crate::receipts::Receipts;
use crate::roster::SessionId;
use crate::shards::Shards;
use crate::status::{self, Identity, Journal, Phase, RunStatus};

/// A member of the run, and what it has been given.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) session: SessionId,
    /// Units that were ever leased to it: their shards are what it may fetch.
    pub(crate) leased: BTreeSet<Unit>,
    /// The round whose params were sent to it last.
    pub(crate) has_params_of: Option<Round>,
}

/// The open round.
#[derive(Debug)]
pub(crate) struct OpenRound {
    pub(crate) round: Round,
    pub(crate) opened: Instant,
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) params_bytes: u64,
    /// Summed training loss of the accepted updates, and the samples behind it.
    pub(crate) loss: (f64, u64),
}

/// An update that the engine is judging.
#[derive(Debug)]
pub(crate) struct InHand {
    pub(crate) payload: Bytes,
    pub(crate) tally: Tally,
    /// Whether it is in the sum.
    pub(crate) added: bool,
    /// Its summed training loss, and the samples behind it.
    pub(crate) loss: (f64, u64),
    /// What a receipt will say of it; none where there are no receipts.
    pub(crate) contribution: Option<Contribution>,
}

/// An update that counts and may have to be taken back.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) payload: Bytes,
    pub(crate) tally: Tally,
    /// Its summed training loss, and the samples behind it.
    pub(crate) loss: (f64, u64),
}

impl Membership {
    /// A member that has been given nothing yet.
    pub(crate) fn new(session: SessionId) -> Self {
        Self { session, leased: BTreeSet::new(), has_params_of: None }
    }
}

/// What updates are held to before the driver sees them: nothing is taken while no run is active.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Intake {
    /// The most bytes an update of any round may have.
    pub(crate) most: u64,
    pub(crate) run: RunId,
    /// Digest of the run's spec.
    pub(crate) spec: Digest,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ActiveRun {
    pub(crate) identity: Arc<Identity>,
    pub(crate) plan: Plan,
    pub(crate) run: Run,
    pub(crate) state: TrainingState,
    pub(crate) aggregate: Aggregate,
    /// The samples that the coordinator assigns; none if partners keep theirs.
    pub(crate) shards: Option<Arc<Shards>>,
    /// The digest of what each partner began the run with, of those that keep their samples.
    pub(crate) holdings: BTreeMap<PartnerName, Digest>,
    /// What each round leaves behind; none where nobody has keys, or nothing is kept.
    pub(crate) receipts: Option<Receipts>,
    /// Updates of an earlier process, for rounds that are not committed yet.
    pub(crate) spooled: Vec<Spooled>,
    /// The update of private samples that was counted last, until it is ordered to be kept.
    pub(crate) counted: Option<ToSpool>,
    /// The numerics class of this machine at the run's unit shape.
    pub(crate) fingerprint: Digest,
    pub(crate) evaluations: Evaluations,
    pub(crate) journal: Journal,
    pub(crate) members: BTreeMap<MemberId, Membership>,
    pub(crate) open: Option<OpenRound>,
    /// The update that the engine is judging.
    pub(crate) in_hand: Option<InHand>,
    /// The update that was counted last, if it may be audited.
    pub(crate) accepted: Option<Held>,
    /// Updates of the open round under audit, by lease.
    pub(crate) audited: BTreeMap<LeaseId, Held>,
    /// When the first round opened, and when the last one was committed.
    pub(crate) began: Option<Instant>,
    pub(crate) last_commit: Option<Instant>,
    /// Why the run cannot go on, if the tensors rather than the engine say so.
    pub(crate) broken: Option<Outcome>,
    pub(crate) outcome: Option<Outcome>,
    /// Whether it ended because the coordinator did.
    pub(crate) shut_down: bool,
    /// Whether the next coordinator on the same state goes on with it.
    pub(crate) is_left: bool,
    /// What else is to be kept with the rounds that the engine orders next.
    pub(crate) unkept: Entry,
    /// How long the rounds took that are not ordered yet.
    pub(crate) unkept_times: VecDeque<Duration>,
    pub(crate) keeping: KeepingView,
    pub(crate) status: watch::Sender<Arc<RunStatus>>,
}

/// What a run is prepared from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) identity: Arc<Identity>,
    pub(crate) plan: Plan,
    pub(crate) run: Run,
    pub(crate) state: TrainingState,
    pub(crate) aggregate: Aggregate,
    pub(crate) shards: Option<Arc<Shards>>,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) spooled: Vec<Spooled>,
    pub(crate) receipts: Option<Receipts>,
    pub(crate) fingerprint: Digest,
    pub(crate) evaluations: Evaluations,
}

impl ActiveRun {
    /// A run without members.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { identity, plan, run, state, aggregate, shards, holdings, spooled, receipts, .. } = parts;
        let (fingerprint, evaluations) = (parts.fingerprint, parts.evaluations);
        let journal = Journal::new();
        let (status, _) = watch::channel(Arc::new(RunStatus::opening(identity.clone())));
        Self {
            identity,
            plan,
            run,
            state,
            aggregate,
            shards,
            holdings: holdings.into_iter().map(|Holding { partner, data }| (partner, data)).collect(),
            spooled,
            receipts,
            counted: None,
            fingerprint,
            evaluations,
            journal,
            members: BTreeMap::new(),
            open: None,
            in_hand: None,
            accepted: None,
            audited: BTreeMap::new(),
            began: None,
            last_commit: None,
            broken: None,
            outcome: None,
            shut_down: false,
            is_left: false,
            unkept: Entry::default(),
            unkept_times: VecDeque::new(),
            keeping: KeepingView::default(),
            status,
        }
    }

    /// A run that completed has succeeded only if it reached the accuracy that its spec asks for.
    pub(crate) fn judged(&self, outcome: Outcome) -> Outcome {
        let target = self.spec().evaluation.target_accuracy;
        let reached = self.journal.newest().map(|evaluation| evaluation.accuracy);
        match (outcome, target, reached) {
            (Outcome::Completed, Some(target), Some(accuracy)) if accuracy < target => Outcome::Failed {
                round: Round(self.plan.rounds() - 1),
                why: format!(
                    "all rounds are committed, but the test accuracy is {:.2} % and evaluation.target_accuracy is \
                     {:.2} %",
                    100.0 * accuracy,
                    100.0 * target
                ),
            },
            (outcome, ..) => outcome,
        }
    }

    /// Whether partners keep their samples.
    pub(crate) fn is_private(&self) -> bool {
        self.shards.is_none()
    }

    /// Where the samples of `unit` are.
    pub(crate) fn source(&self, unit: Unit) -> Source {
        let Some(shards) = &self.shards else { return Source::Own };
        let shard = shards.get(unit);
        Source::Shard(ShardRef { digest: shard.digest, bytes: shard.bytes.len() as u64 })
    }

    pub(crate) fn id(&self) -> RunId {
        self.identity.run
    }

    pub(crate) fn spec(&self) -> &RunSpec {
        self.identity.spec.spec()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.run.deadline()
    }

    /// Whether a round is open that will be committed without anything new beginning.
    pub(crate) fn is_collecting(&self) -> bool {
        matches!(
            self.run.waiting_for(),
            Waiting::ForUpdates { .. } | Waiting::ForAudits { .. } | Waiting::ForStep { .. }
        )
    }

    /// Examples behind an update of `units`, if they are units of the run.
    pub(crate) fn weight(&self, units: &Units) -> Option<u64> {
        let known = units.last().is_some_and(|last| last.0 < self.plan.units());
        known.then(|| units.iter().map(|&unit| u64::from(self.plan.weight(unit))).sum())
    }

    /// What updates of the run are held to.
    pub(crate) fn intake(&self) -> Intake {
        let most = self.identity.params * size_of::<i32>() as u64;
        Intake { most, run: self.id(), spec: self.identity.spec.digest() }
    }

    /// Time since the first round opened, without the time in which no coordinator ran.
    pub(crate) fn elapsed(&self) -> Duration {
        self.journal.trained_before() + self.began.map(|began| began.elapsed()).unwrap_or_default()
    }

    /// Time from the first round's opening to the last commit, without the time in which no coordinator ran.
    fn train_time(&self) -> Duration {
        let now = match (self.began, self.last_commit) {
            (Some(began), Some(last)) => last.duration_since(began),
            (_, None) | (None, _) => Duration::ZERO,
        };
        self.journal.trained_before() + now
    }

    /// How far the run has come, to be kept.
    pub(crate) fn progress(&self) -> Box<Progress> {
        let view = self.run.view();
        Box::new(Progress {
            train_samples: self.plan.samples(),
            committed: self.state.round().0,
            params: self.state.params_digest(),
            chain: self.state.chain(),
            loss: Some(self.journal.loss).filter(|loss| !loss.is_nan()),
            train_time: self.train_time(),
            counters: self.journal.counters(view.counters),
            participation: self.journal.participation(view.participation),
            caught: view.caught,
            traffic: self.journal.traffic,
            foreign_numerics: self.journal.foreign_numerics,
            round_times: self.journal.round_times(),
            confusion: self.journal.confusion(),
        })
    }

    /// These committed rounds, with whatever else has come up since the last order.
    pub(crate) fn entry(&mut self, rounds: Vec<Commit>) -> Entry {
        let took = &mut self.unkept_times;
        let row = |commit| RoundRow { commit, took: took.pop_front().unwrap_or_default() };
        let rounds = rounds.into_iter().map(row).collect();
        Entry { rounds, progress: Some(self.progress()), ..std::mem::take(&mut self.unkept) }
    }

    /// Lets everyone who watches see the run as it is now.
    pub(crate) fn publish(&self, refused_sessions: u64) {
        self.status.send_replace(Arc::new(self.snapshot(refused_sessions)));
    }

    /// Why nothing happens now, or how it ended.
    fn reason(&self) -> String {
        if let Some(outcome) = &self.outcome {
            let how = status::ending(outcome, self.shut_down);
            return if self.is_left { format!("{how}; the next start goes on with it") } else { how };
        }
        if let Some(why) = &self.keeping.paused {
            return why.clone();
        }
        let waiting = self.run.waiting_for().to_string();
        match self.keeping.again {
            0 => waiting,
            rounds => format!("{waiting}; {rounds} rounds are computed again after a restart"),
        }
    }

    /// Whether nothing more happens in it.
    pub(crate) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    pub(crate) fn snapshot(&self, refused_sessions: u64) -> RunStatus {
        let view = self.run.view();
        let mut reason = self.reason();
        if self.journal.foreign_numerics > 0 {
            reason.push_str(&format!(
                "; {} workers of another numerics class were let in, so the bits are theirs too",
                self.journal.foreign_numerics
            ));
        }
        RunStatus {
            identity: self.identity.clone(),
            phase: self.phase(),
            reason,
            committed: view.committed,
            samples: u64::from(view.committed) * self.plan.samples_in_round(),
            params_digest: self.state.params_digest(),
            chain: self.state.chain(),
            loss: self.journal.loss,
            evaluations: self.journal.evaluations(),
            newest: self.journal.newest().cloned(),
            members: view.members,
            participation: self.journal.participation(view.participation),
            caught: view.caught,
            counters: self.journal.counters(view.counters),
            traffic: self.journal.traffic,
            refused_sessions,
            train_time: self.train_time(),
            round_times: self.journal.round_times(),
        }
    }

    fn phase(&self) -> Phase {
        match &self.outcome {
            Some(Outcome::Completed) => Phase::Completed,
            Some(Outcome::Failed { .. }) => Phase::Failed,
            Some(Outcome::Stopped { .. }) if !self.is_left => Phase::Stopped,
            Some(Outcome::Stopped { .. }) | None if self.began.is_some() => Phase::Training,
            Some(Outcome::Stopped { .. }) | None => Phase::Waiting,
        }
    }
}
