//! What an operator sees of a run: built by the driver, published whole, never changed afterwards.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::run::{AuditCounters, Caught, Counters, MemberView, Outcome, Participation};
use syngrad_engine::{Digest, PartnerName, Plan, Round, RunId};
use syngrad_model::Evaluation;
use syngrad_store::{EndPhase, EndedRun, MAX_EVALUATIONS, Point, Progress, RoundTimes, Traffic};
use tokio::sync::watch;

/// The longest round that is told from longer ones.
const MAX_ROUND: Duration = Duration::from_secs(86_400);

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No round is open yet.
    Waiting,
    /// Rounds follow each other.
    Training,
    /// All rounds are committed and the last one is evaluated.
    Completed,
    /// The operator ended it.
    Stopped,
    /// A round could not be closed.
    Failed,
}

impl Phase {
    /// Whether nothing will change any more.
    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Training => false,
            Self::Completed | Self::Stopped | Self::Failed => true,
        }
    }
}

/// Where a run's newest status is found, during the run and after it.
pub(crate) type RunWatch = watch::Receiver<Arc<RunStatus>>;

/// What of a run never changes.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) run: RunId,
    pub(crate) name: String,
    pub(crate) spec: CanonicalSpec,
    pub(crate) layout_digest: Digest,
    pub(crate) params: u64,
    pub(crate) rounds: u32,
}

impl Identity {
    /// Of a run of `spec` as `plan` lays it out.
    pub(crate) fn new(run: RunId, spec: CanonicalSpec, plan: &Plan) -> Self {
        let layout = syngrad_model::layout(&spec.spec().model);
        Self {
            run,
            name: spec.spec().name.clone(),
            layout_digest: layout.digest(),
            params: layout.params() as u64,
            rounds: plan.rounds(),
            spec,
        }
    }
}

/// A run at one moment.
#[derive(Clone, Debug)]
pub(crate) struct RunStatus {
    pub(crate) identity: Arc<Identity>,
    pub(crate) phase: Phase,
    pub(crate) reason: String,
    pub(crate) committed: u32,
    pub(crate) samples: u64,
    pub(crate) params_digest: Digest,
    pub(crate) chain: Digest,
    /// Mean training loss of the last round; NaN before the first.
    pub(crate) loss: f64,
    pub(crate) evaluations: Vec<Point>,
    /// The newest evaluation, class by class.
    pub(crate) newest: Option<Arc<Evaluation>>,
    pub(crate) members: Vec<MemberView>,
    pub(crate) participation: Vec<(PartnerName, Participation)>,
    /// Partners whose update an audit has shown to be wrong.
    pub(crate) caught: Vec<Caught>,
    pub(crate) counters: Counters,
    pub(crate) traffic: Traffic,
    pub(crate) refused_sessions: u64,
    pub(crate) train_time: Duration,
    pub(crate) round_times: RoundTimes,
}

impl RunStatus {
    /// A run nobody has joined yet.
    pub(crate) fn opening(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            phase: Phase::Waiting,
            reason: String::new(),
            committed: 0,
            samples: 0,
            params_digest: Digest::default(),
            chain: Digest::default(),
            loss: f64::NAN,
            evaluations: Vec::new(),
            newest: None,
            members: Vec::new(),
            participation: Vec::new(),
            caught: Vec::new(),
            counters: Counters::default(),
            traffic: Traffic::default(),
            refused_sessions: 0,
            train_time: Duration::ZERO,
            round_times: RoundTimes::default(),
        }
    }
}

impl RunStatus {
    /// A run that an earlier process brought to its end. Nobody is in it any more.
    pub(crate) fn of_ended(identity: Arc<Identity>, samples: u64, ended: EndedRun) -> Self {
        let EndedRun { ending, progress, evaluations, .. } = ended;
        let newest = evaluations.last().and_then(|point| evaluation_of(&progress, point));
        let Progress { committed, params, chain, loss, train_time, counters, participation, caught, .. } = progress;
        let Progress { traffic, round_times, .. } = progress;
        Self {
            phase: match ending.phase {
                EndPhase::Completed => Phase::Completed,
                EndPhase::Stopped => Phase::Stopped,
                EndPhase::Failed => Phase::Failed,
            },
            reason: ending.reason,
            committed,
            samples,
            params_digest: params,
            chain,
            loss: loss.unwrap_or(f64::NAN),
            evaluations,
            newest,
            counters,
            participation,
            caught,
            traffic,
            train_time,
            round_times,
            ..Self::opening(identity)
        }
    }
}

/// The newest evaluation of a run that was left, class by class, if that was kept.
fn evaluation_of(progress: &Progress, point: &Point) -> Option<Arc<Evaluation>> {
    let classes = progress.confusion.len().isqrt();
    let Point { accuracy, loss, .. } = *point;
    let confusion: Vec<Vec<u64>> = progress.confusion.chunks_exact(classes.max(1)).map(<[u64]>::to_vec).collect();
    let samples = progress.confusion.iter().sum();
    (confusion.len() == classes && classes > 0).then(|| Arc::new(Evaluation { loss, accuracy, samples, confusion }))
}

/// What the driver writes down while a run goes on.
#[derive(Debug)]
pub(crate) struct Journal {
    /// What earlier processes counted, and how long they trained.
    before: (Counters, Duration),
    /// Whose units earlier processes used.
    participation: BTreeMap<PartnerName, Participation>,
    pub(crate) traffic: Traffic,
    /// Mean training loss of the last committed round.
    pub(crate) loss: f64,
    /// Workers of another numerics class that were let in.
    pub(crate) foreign_numerics: u32,
    /// Messages that were refused before the engine saw them.
    pub(crate) rejected: u64,
    evaluations: VecDeque<Point>,
    newest: Option<(Round, Arc<Evaluation>)>,
    rounds: Histogram<u64>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(MAX_ROUND.as_micros()).expect("a day in microseconds fits");
        let rounds = Histogram::new_with_max(longest, 3).expect("the bounds are valid");
        Self {
            before: Default::default(),
            participation: BTreeMap::new(),
            traffic: Traffic::default(),
            loss: f64::NAN,
            foreign_numerics: 0,
            rejected: 0,
            evaluations: VecDeque::new(),
            newest: None,
            rounds,
        }
    }

    /// A round was committed so long after it opened, with this summed loss over so many samples.
    pub(crate) fn committed(&mut self, took: Duration, (loss_sum, samples): (f64, u64)) {
        self.loss = if samples > 0 { loss_sum / samples as f64 } else { f64::NAN };
        self.record(took);
    }

    /// Goes on where an earlier process left a run: how far it had come, how long the rounds took that are not computed
    /// again, and its evaluations in order.
    pub(crate) fn recall(&mut self, progress: Option<Progress>, round_times: &[Duration], points: Vec<Point>) {
        round_times.iter().for_each(|&took| self.record(took));
        if let Some(progress) = progress {
            self.newest = points.last().and_then(|point| Some((point.round, evaluation_of(&progress, point)?)));
            let Progress { loss, train_time, counters, participation, traffic, foreign_numerics, .. } = progress;
            self.participation = participation.into_iter().collect();
            self.before = (counters, train_time);
            (self.traffic, self.foreign_numerics) = (traffic, foreign_numerics);
            self.loss = loss.unwrap_or(f64::NAN);
        }
        self.evaluations.extend(points);
    }

    /// What the engine counted in this process, and what was counted beside it and before.
    pub(crate) fn counters(&self, now: Counters) -> Counters {
        let before = self.before.0;
        Counters {
            accepted: before.accepted + now.accepted,
            units_released: before.units_released + now.units_released,
            duplicates: before.duplicates + now.duplicates,
            late: before.late + now.late,
            rejected: before.rejected + now.rejected + self.rejected,
            joins: before.joins + now.joins,
            leaves: before.leaves + now.leaves,
            audits: AuditCounters {
                made: before.audits.made + now.audits.made,
                passed: before.audits.passed + now.audits.passed,
                failed: before.audits.failed + now.audits.failed,
                lapsed: before.audits.lapsed + now.audits.lapsed,
            },
        }
    }

    /// Whose units were used, late or missing in this process and before.
    pub(crate) fn participation(&self, now: Vec<(PartnerName, Participation)>) -> Vec<(PartnerName, Participation)> {
        let mut all = self.participation.clone();
        for (partner, Participation { used, late, missing }) in now {
            let before = all.entry(partner).or_default();
            before.used += used;
            before.late += late;
            before.missing += missing;
        }
        all.into_iter().collect()
    }

    /// How long earlier processes trained.
    pub(crate) fn trained_before(&self) -> Duration {
        self.before.1
    }

    /// What becomes of the newest evaluation when it is kept.
    pub(crate) fn confusion(&self) -> Vec<u64> {
        self.newest().map(|newest| newest.confusion.concat()).unwrap_or_default()
    }

    fn record(&mut self, took: Duration) {
        self.rounds.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// An evaluation is known; they may come in any order.
    pub(crate) fn evaluated(&mut self, point: Point, evaluation: Evaluation) {
        if self.newest.as_ref().is_none_or(|(round, _)| *round <= point.round) {
            self.newest = Some((point.round, Arc::new(evaluation)));
        }
        let place = self.evaluations.partition_point(|other| other.round < point.round);
        // Params that are evaluated again after a restart are the same params.
        if self.evaluations.get(place).is_none_or(|known| known.round != point.round) {
            self.evaluations.insert(place, point);
        }
        if self.evaluations.len() > MAX_EVALUATIONS {
            self.evaluations.pop_front();
        }
    }

    pub(crate) fn evaluations(&self) -> Vec<Point> {
        self.evaluations.iter().copied().collect()
    }

    pub(crate) fn newest(&self) -> Option<&Arc<Evaluation>> {
        self.newest.as_ref().map(|(_, evaluation)| evaluation)
    }

    pub(crate) fn round_times(&self) -> RoundTimes {
        let ms = |micros: u64| micros as f64 / 1000.0;
        RoundTimes {
            p50_ms: ms(self.rounds.value_at_quantile(0.5)),
            p99_ms: ms(self.rounds.value_at_quantile(0.99)),
            max_ms: ms(self.rounds.max()),
        }
    }
}

/// How a run ended, in words; `shut_down` if it did because the coordinator ended.
pub(crate) fn ending(outcome: &Outcome, shut_down: bool) -> String {
    match outcome {
        Outcome::Completed => "all rounds are committed".to_owned(),
        Outcome::Stopped { rounds } if shut_down => format!("the coordinator was shut down after {rounds} rounds"),
        Outcome::Stopped { rounds } => format!("stopped by its operator after {rounds} rounds"),
        Outcome::Failed { round, why } => format!("round {round} failed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(round: u32) -> Point {
        Point { round: Round(round), accuracy: f64::from(round), loss: 0.0, at: Duration::ZERO }
    }

    #[test]
    fn the_newest_evaluations_are_kept_in_order_of_rounds() {
        let mut journal = Journal::new();
        for round in (0..=MAX_EVALUATIONS as u32).rev() {
            let samples = u64::from(round);
            journal.evaluated(point(round), Evaluation { samples, ..Evaluation::default() });
        }
        let rounds: Vec<u32> = journal.evaluations().iter().map(|point| point.round.0).collect();
        assert_eq!(rounds, (1..=MAX_EVALUATIONS as u32).collect::<Vec<_>>());
        assert_eq!(journal.newest().map(|newest| newest.samples), Some(MAX_EVALUATIONS as u64));
    }

    #[test]
    fn round_times_are_in_milliseconds() {
        let mut journal = Journal::new();
        assert_eq!(journal.round_times(), RoundTimes::default());
        for _ in 0..99 {
            journal.committed(Duration::from_millis(2), (1.0, 2));
        }
        journal.committed(Duration::from_secs(1), (1.0, 2));
        let times = journal.round_times();
        assert!((times.p50_ms - 2.0).abs() < 0.01 && (times.max_ms - 1000.0).abs() < 1.0, "{times:?}");
    }
}
