//! `syngrad.v1.RunService`: the operator's side.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use syngrad_common::config::CanonicalSpec;
use syngrad_common::{Failure, status, wire};
use syngrad_engine::run::{Caught, MemberView, Participation};
use syngrad_engine::{Digest, PartnerName, RunId};
use syngrad_model::Evaluation;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::run_service_server::RunService;
use syngrad_store::Point;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tonic::{Request, Response, Status};

use crate::driver::{Handle, Message, Reply, StartRun, shutting_down};
use crate::status::{Phase, RunStatus, RunWatch};

/// Time between two states on one watch.
const WATCH_PACE: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) driver: Handle,
}

impl Runs {
    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let answer = async {
            self.driver.tell(message(reply)).await?;
            answer.await.map_err(|_| shutting_down())?
        };
        answer.await.map_err(|failure: Failure| status::of(&failure))
    }

    async fn find(&self, run: &[u8]) -> Result<RunWatch, Status> {
        let run = named(run)?;
        self.ask(|reply| Message::Find { run, reply }).await
    }
}

#[tonic::async_trait]
impl RunService for Runs {
    type WatchRunStream = Pin<Box<dyn Stream<Item = Result<v1::WatchRunResponse, Status>> + Send>>;

    async fn start_run(&self, request: Request<v1::StartRunRequest>) -> Result<Response<v1::StartRunResponse>, Status> {
        let v1::StartRunRequest { spec, wait_for_workers } = request.into_inner();
        let spec = CanonicalSpec::parse(&spec).map_err(|error| status::of(&error.into()))?;
        let start = |reply| Message::Start(Box::new(StartRun { spec, min_members: wait_for_workers, reply }));
        let run = self.ask(start).await?;
        Ok(Response::new(v1::StartRunResponse { run: Bytes::copy_from_slice(&run.0) }))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::GetRunResponse>, Status> {
        let watch = self.find(&request.get_ref().run).await?;
        let status = Some(encode(&watch.borrow()));
        Ok(Response::new(v1::GetRunResponse { status }))
    }

    async fn list_runs(&self, _: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsResponse>, Status> {
        let runs = self.ask(|reply| Message::List { reply }).await?;
        let runs = runs.iter().map(|watch| encode(&watch.borrow())).collect();
        Ok(Response::new(v1::ListRunsResponse { runs }))
    }

    async fn watch_run(&self, request: Request<v1::WatchRunRequest>) -> Result<Response<Self::WatchRunStream>, Status> {
        let watch = self.find(&request.get_ref().run).await?;
        let encode = |status: Arc<RunStatus>| Ok(v1::WatchRunResponse { status: Some(encode(&status)) });
        Ok(Response::new(Box::pin(changes(watch).map(encode))))
    }

    async fn stop_run(&self, request: Request<v1::StopRunRequest>) -> Result<Response<v1::StopRunResponse>, Status> {
        let run = named(&request.get_ref().run)?;
        let mut watch = self.ask(|reply| Message::Stop { run, reply }).await?;
        // It is over once that is kept. An error means that the coordinator is, too.
        let _ = watch.wait_for(|status| status.phase.is_over()).await;
        let status = Some(encode(&watch.borrow()));
        Ok(Response::new(v1::StopRunResponse { status }))
    }
}

/// The state now and what follows, at a pace for readers: a run changes hundreds of times a second, and telling of each
/// change would cost the rounds more than the reader gains. The last state comes at once.
fn changes(mut watch: RunWatch) -> impl Stream<Item = Arc<RunStatus>> {
    watch.mark_changed();
    stream::unfold((watch, Instant::now()), |(mut watch, due)| async move {
        watch.changed().await.ok()?;
        tokio::select! {
            () = sleep_until(due) => {}
            // An error means that there will be no other state.
            _ = watch.wait_for(|status| status.phase.is_over()) => {}
        }
        let status = watch.borrow_and_update().clone();
        Some((status, (watch, Instant::now() + WATCH_PACE)))
    })
}

/// The run a request names; none means the newest.
fn named(run: &[u8]) -> Result<Option<RunId>, Status> {
    match run {
        [] => Ok(None),
        run => wire::run_id("run", run).map(Some).map_err(|error| status::of(&error.into())),
    }
}

fn bytes(digest: Digest) -> Bytes {
    Bytes::copy_from_slice(&digest.0)
}

fn encode(status: &RunStatus) -> v1::RunStatus {
    let identity = &status.identity;
    v1::RunStatus {
        run: Bytes::copy_from_slice(&identity.run.0),
        name: identity.name.clone(),
        phase: phase(status.phase).into(),
        reason: status.reason.clone(),
        rounds_committed: status.committed,
        rounds: identity.rounds,
        samples: status.samples,
        params_digest: bytes(status.params_digest),
        loss: status.loss,
        evaluations: status.evaluations.iter().map(point).collect(),
        members: status.members.iter().map(member).collect(),
        counters: Some(counters(status)),
        train_seconds: status.train_time.as_secs_f64(),
        round_times: Some(v1::RoundTimes {
            p50_ms: status.round_times.p50_ms,
            p99_ms: status.round_times.p99_ms,
            max_ms: status.round_times.max_ms,
        }),
        spec: identity.spec.text().to_owned(),
        spec_digest: bytes(identity.spec.digest()),
        layout_digest: bytes(identity.layout_digest),
        params: identity.params,
        chain: bytes(status.chain),
        classes: status.newest.as_deref().map(classes).unwrap_or_default(),
        participation: status.participation.iter().map(participation).collect(),
        caught: status.caught.iter().map(caught).collect(),
    }
}

fn participation((partner, of): &(PartnerName, Participation)) -> v1::PartnerParticipation {
    let Participation { used, late, missing } = *of;
    v1::PartnerParticipation { partner: partner.to_string(), used, late, missing }
}

fn phase(phase: Phase) -> v1::RunPhase {
    match phase {
        Phase::Waiting => v1::RunPhase::Waiting,
        Phase::Training => v1::RunPhase::Training,
        Phase::Completed => v1::RunPhase::Completed,
        Phase::Stopped => v1::RunPhase::Stopped,
        Phase::Failed => v1::RunPhase::Failed,
    }
}

fn point(point: &Point) -> v1::EvaluationPoint {
    v1::EvaluationPoint {
        round: point.round.0,
        accuracy: point.accuracy,
        loss: point.loss,
        seconds: point.at.as_secs_f64(),
    }
}

fn member(member: &MemberView) -> v1::MemberStatus {
    v1::MemberStatus {
        member: member.member.0,
        worker: Bytes::copy_from_slice(&member.worker.0),
        partner: member.partner.to_string(),
        units: member.units,
        milli_units_per_second: member.milli_units_per_second,
    }
}

fn caught(caught: &Caught) -> v1::CaughtPartner {
    v1::CaughtPartner {
        partner: caught.partner.to_string(),
        worker: Bytes::copy_from_slice(&caught.worker.0),
        round: caught.round.0,
        units: caught.units.iter().map(|unit| unit.0).collect(),
    }
}

fn counters(status: &RunStatus) -> v1::RunCounters {
    let (engine, traffic) = (&status.counters, &status.traffic);
    v1::RunCounters {
        accepted: engine.accepted,
        units_released: engine.units_released,
        duplicates: engine.duplicates,
        late: engine.late,
        rejected: engine.rejected,
        joins: engine.joins,
        leaves: engine.leaves,
        saturated: traffic.saturated,
        params_bytes_sent: traffic.params_bytes_sent,
        update_bytes_received: traffic.update_bytes_received,
        shard_bytes_sent: traffic.shard_bytes_sent,
        refused_sessions: status.refused_sessions,
        audits: engine.audits.made,
        audits_passed: engine.audits.passed,
        audits_failed: engine.audits.failed,
        audits_lapsed: engine.audits.lapsed,
    }
}

fn classes(evaluation: &Evaluation) -> Vec<v1::ClassQuality> {
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let scores = evaluation.classes().into_iter().zip(&evaluation.confusion).zip(0..);
    scores
        .map(|((score, labelled), class)| v1::ClassQuality {
            class,
            precision: score.precision,
            recall: score.recall,
            f1: score.f1,
            samples: count(score.support),
            labelled: labelled.iter().copied().map(count).collect(),
        })
        .collect()
}
