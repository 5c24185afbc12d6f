//! What a run looks like to an operator, as a plain value.

use serde::Serialize;
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::terms::Terms;
use syngrad_engine::{Digest, RunId, WorkerId};
use syngrad_proto::syngrad::v1 as proto;

use crate::failure::Failure;

/// A run from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunStatus {
    /// Its id.
    pub run: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// Why nothing happens now, or how it ended, in words.
    pub reason: String,
    /// Rounds committed.
    pub rounds_committed: u32,
    /// Rounds in all.
    pub rounds: u32,
    /// Samples passed through the network.
    pub samples: u64,
    /// Digest of the params of the last commit.
    pub params_digest: String,
    /// Digest over all committed rounds.
    pub chain: String,
    /// Mean training loss of the last round.
    pub loss: f64,
    /// Evaluations, newest last.
    pub evaluations: Vec<EvaluationPoint>,
    /// The newest evaluation, class by class.
    pub classes: Vec<ClassQuality>,
    /// The workers that are in it.
    pub members: Vec<Member>,
    /// What each partner has given to the committed rounds.
    pub participation: Vec<Participation>,
    /// Partners whose update an audit has shown to be wrong.
    pub caught: Vec<Caught>,
    /// What was counted.
    pub counters: Counters,
    /// Seconds from the first round's opening to the last commit.
    pub train_seconds: f64,
    /// How long rounds took.
    pub round_times: RoundTimes,
    /// The run spec, as canonical JSON.
    pub spec: String,
    /// Its digest.
    pub spec_digest: String,
    /// Digest of the model's tensors' names and shapes.
    pub layout_digest: String,
    /// Params of the model.
    pub params: u64,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// For workers to come.
    Waiting,
    /// Rounds are made.
    Training,
    /// All rounds are committed.
    Completed,
    /// An operator ended it.
    Stopped,
    /// It could not go on.
    Failed,
}

/// The quality of a round's params on the test samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EvaluationPoint {
    /// The round.
    pub round: u32,
    /// Part of the test samples that were labelled right.
    pub accuracy: f64,
    /// Mean loss.
    pub loss: f64,
    /// Seconds from the first round's opening.
    pub seconds: f64,
}

/// How one class was labelled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassQuality {
    /// The class.
    pub class: u32,
    /// Of what was labelled so, the part that is.
    pub precision: f64,
    /// Of what is, the part that was labelled so.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Samples of the class.
    pub samples: u32,
    /// How its samples were labelled, one count a class.
    pub labelled: Vec<u32>,
}

/// A worker in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// Its admission's number.
    pub member: u64,
    /// Its identity.
    pub worker: String,
    /// Its partner.
    pub partner: String,
    /// Units it holds.
    pub units: u32,
    /// Units a second, as measured.
    pub units_per_second: f64,
}

/// What a partner has given to the committed rounds of a run, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Participation {
    /// The partner.
    pub partner: String,
    /// Units that are in the params.
    pub used: u64,
    /// Units that came after their round had closed.
    pub late: u64,
    /// Units that a round closed without.
    pub missing: u64,
}

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Updates accepted.
    pub accepted: u64,
    /// Units taken from members that were gone or late.
    pub units_released: u64,
    /// Updates of units that had been counted.
    pub duplicates: u64,
    /// Updates of committed rounds.
    pub late: u64,
    /// Updates refused.
    pub rejected: u64,
    /// Workers admitted.
    pub joins: u64,
    /// Workers gone.
    pub leaves: u64,
    /// Entries clamped to the grid.
    pub saturated: u64,
    /// Bytes of params sent.
    pub params_bytes_sent: u64,
    /// Bytes of updates received.
    pub update_bytes_received: u64,
    /// Bytes of samples sent.
    pub shard_bytes_sent: u64,
    /// Handshakes refused by the coordinator.
    pub refused_sessions: u64,
    /// Updates audited.
    pub audits: u64,
    /// Audits that found nothing.
    pub audits_passed: u64,
    /// Audits that found a wrong update.
    pub audits_failed: u64,
    /// Audits that nobody could answer in time.
    pub audits_lapsed: u64,
}

/// A partner whose update an audit has shown to be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caught {
    /// The partner.
    pub partner: String,
    /// The worker that sent the update.
    pub worker: String,
    /// The update's round.
    pub round: u32,
    /// Its units.
    pub units: Vec<u32>,
}

/// From opened to committed, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RoundTimes {
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Phase {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Training => false,
            Self::Completed | Self::Stopped | Self::Failed => true,
        }
    }

    /// One word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Training => "training",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl RunStatus {
    /// What a worker agrees to that takes part in it.
    pub(crate) fn terms(&self) -> Result<Terms, Failure> {
        let spec = CanonicalSpec::parse(&self.spec).map_err(|why| Failure::garbled(&format!("a spec: {why}")))?;
        Ok(Terms::new(spec.spec(), self.rounds, self.params))
    }

    /// Its id as a value.
    pub(crate) fn id(&self) -> Option<RunId> {
        RunId::parse(&self.run)
    }

    /// Test accuracy of the newest evaluation, if there has been one.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        self.evaluations.last().map(|point| point.accuracy)
    }

    /// The accuracy and the target that it is below, if that is all that a run failed by.
    pub(crate) fn missed_target(&self) -> Option<(f64, f64)> {
        let is_whole = self.phase == Phase::Failed && self.rounds_committed == self.rounds;
        let spec = CanonicalSpec::parse(&self.spec).ok().filter(|_| is_whole)?;
        let (accuracy, target) = (self.accuracy()?, spec.spec().evaluation.target_accuracy?);
        (accuracy < target).then_some((accuracy, target))
    }

    /// Samples a second while training.
    #[must_use]
    pub fn samples_per_second(&self) -> f64 {
        rate(self.samples, self.train_seconds)
    }

    pub(super) fn from_wire(status: Option<proto::RunStatus>) -> Result<Self, Failure> {
        let status = status.ok_or_else(|| Failure::garbled("an answer without the run's status"))?;
        let phase = phase(status.phase())?;
        let times = status.round_times.unwrap_or_default();
        Ok(Self {
            run: run_id(&status.run)?.to_string(),
            name: status.name,
            phase,
            reason: status.reason,
            rounds_committed: status.rounds_committed,
            rounds: status.rounds,
            samples: status.samples,
            params_digest: digest(&status.params_digest)?,
            chain: digest(&status.chain)?,
            loss: status.loss,
            evaluations: status.evaluations.iter().map(point).collect(),
            classes: status.classes.into_iter().map(class).collect(),
            members: status.members.iter().map(member).collect::<Result<_, _>>()?,
            participation: status.participation.into_iter().map(participation).collect(),
            caught: status.caught.into_iter().map(caught).collect::<Result<_, _>>()?,
            counters: counters(&status.counters.unwrap_or_default()),
            train_seconds: status.train_seconds,
            round_times: RoundTimes { p50_ms: times.p50_ms, p99_ms: times.p99_ms, max_ms: times.max_ms },
            spec: status.spec,
            spec_digest: digest(&status.spec_digest)?,
            layout_digest: digest(&status.layout_digest)?,
            params: status.params,
        })
    }
}

/// Samples a second; 0 for no time.
#[must_use]
pub(crate) fn rate(samples: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { samples as f64 / seconds } else { 0.0 }
}

fn phase(phase: proto::RunPhase) -> Result<Phase, Failure> {
    match phase {
        proto::RunPhase::Waiting => Ok(Phase::Waiting),
        proto::RunPhase::Training => Ok(Phase::Training),
        proto::RunPhase::Completed => Ok(Phase::Completed),
        proto::RunPhase::Stopped => Ok(Phase::Stopped),
        proto::RunPhase::Failed => Ok(Phase::Failed),
        proto::RunPhase::Unspecified => Err(Failure::garbled("a run in no phase that this program knows")),
    }
}

pub(super) fn name(run: Option<RunId>) -> bytes::Bytes {
    run.map_or_else(bytes::Bytes::new, |run| bytes::Bytes::copy_from_slice(&run.0))
}

pub(super) fn run_id(bytes: &[u8]) -> Result<RunId, Failure> {
    identity(bytes).map(RunId)
}

fn identity(bytes: &[u8]) -> Result<[u8; 16], Failure> {
    bytes.try_into().map_err(|_| Failure::garbled(&format!("an identity of {} bytes instead of 16", bytes.len())))
}

/// A digest as text; empty before there is one.
fn digest(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.is_empty() {
        return Ok(String::new());
    }
    let digest = Digest::try_from(bytes);
    digest
        .map(|digest| digest.to_string())
        .map_err(|_| Failure::garbled(&format!("a digest of {} bytes instead of {}", bytes.len(), Digest::LEN)))
}

fn point(point: &proto::EvaluationPoint) -> EvaluationPoint {
    EvaluationPoint { round: point.round, accuracy: point.accuracy, loss: point.loss, seconds: point.seconds }
}

fn class(class: proto::ClassQuality) -> ClassQuality {
    ClassQuality {
        class: class.class,
        precision: class.precision,
        recall: class.recall,
        f1: class.f1,
        samples: class.samples,
        labelled: class.labelled,
    }
}

fn member(member: &proto::MemberStatus) -> Result<Member, Failure> {
    Ok(Member {
        member: member.member,
        worker: WorkerId(identity(&member.worker)?).to_string(),
        partner: member.partner.clone(),
        units: member.units,
        units_per_second: member.milli_units_per_second as f64 / 1000.0,
    })
}

fn participation(of: proto::PartnerParticipation) -> Participation {
    Participation { partner: of.partner, used: of.used, late: of.late, missing: of.missing }
}

fn caught(of: proto::CaughtPartner) -> Result<Caught, Failure> {
    let proto::CaughtPartner { partner, worker, round, units } = of;
    Ok(Caught { partner, worker: WorkerId(identity(&worker)?).to_string(), round, units })
}

fn counters(counters: &proto::RunCounters) -> Counters {
    Counters {
        accepted: counters.accepted,
        units_released: counters.units_released,
        duplicates: counters.duplicates,
        late: counters.late,
        rejected: counters.rejected,
        joins: counters.joins,
        leaves: counters.leaves,
        saturated: counters.saturated,
        params_bytes_sent: counters.params_bytes_sent,
        update_bytes_received: counters.update_bytes_received,
        shard_bytes_sent: counters.shard_bytes_sent,
        refused_sessions: counters.refused_sessions,
        audits: counters.audits,
        audits_passed: counters.audits_passed,
        audits_failed: counters.audits_failed,
        audits_lapsed: counters.audits_lapsed,
    }
}
