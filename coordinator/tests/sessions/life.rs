//! Runs and connections from their beginning to their end.

use std::time::Duration;

use syngrad_common::wire::{FetchShard, Source, ToCoordinator, ToWorker};
use syngrad_common::{Code, Failure, status};
use syngrad_coordinator::{Config, Patience, State, serve};
use syngrad_engine::Digest;
use syngrad_engine::digest::Domain;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::training_service_client::TrainingServiceClient;
use tonic::transport::Endpoint;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use crate::SPEC;
use crate::cluster::Cluster;
use crate::fake::FakeWorker;

#[tokio::test]
async fn a_worker_that_waits_is_told_of_the_run_and_of_its_end() {
    let cluster = Cluster::start(Patience::default()).await;
    let (mut worker, _) = FakeWorker::seated(cluster.connect().await, 1).await;
    cluster.start_run(SPEC).await.expect("started");
    let task = worker.first_task().await;
    let spec = task.spec.clone();
    worker.work(&spec, Some(task)).await;
    let status = cluster.end_of_run().await;
    assert_eq!((status.phase(), status.rounds_committed, status.rounds), (v1::RunPhase::Completed, 4, 4));
    assert_eq!(status.loss, 0.5, "the mean of what the worker said");
    assert_eq!(status.evaluations.last().map(|point| point.round), Some(3), "the last round is always evaluated");
    assert_eq!(status.samples, 64);
    let counters = status.counters.expect("counters");
    assert_eq!((counters.accepted, counters.rejected, counters.joins), (4, 0, 1));
    assert_eq!(counters.params_bytes_sent, 4 * status.params * 4, "the params went out once a round");
    assert_eq!(counters.update_bytes_received, counters.params_bytes_sent);
    let times = status.round_times.expect("round times");
    assert!(times.p50_ms > 0.0 && times.p50_ms <= times.max_ms, "{times:?}");
}

#[tokio::test]
async fn bits_do_not_depend_on_who_computes_what() {
    let cluster = Cluster::start(Patience::default()).await;
    let mut digests = Vec::new();
    for workers in [1, 2] {
        cluster.start_run(SPEC).await.expect("started");
        let mut working = Vec::new();
        for worker in 0..workers {
            let (mut fake, _) = FakeWorker::seated(cluster.connect().await, worker).await;
            working.push(tokio::spawn(async move {
                let opened = fake.run_opened().await;
                let spec = fake.ready(&opened).await;
                fake.work(&spec, None).await;
            }));
        }
        let status = cluster.end_of_run().await;
        digests.push((status.params_digest, status.chain));
        for worker in working {
            worker.await.expect("no panic");
        }
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn one_run_at_a_time_and_the_finished_ones_are_remembered() {
    let cluster = Cluster::start(Patience::default()).await;
    let first = cluster.start_run(SPEC).await.expect("started");
    let conflict = cluster.start_run(SPEC).await.expect_err("one is active");
    let failure = status::read(&conflict);
    assert_eq!(failure.code, Code::RunActive);
    assert!(failure.message.contains("tiny"), "{failure}");
    let request = v1::StopRunRequest { run: first.clone().into() };
    let stopped = cluster.operator().stop_run(request).await.expect("stopped").into_inner().status.expect("a status");
    assert_eq!(stopped.phase(), v1::RunPhase::Stopped);
    let second = cluster.start_run(SPEC).await.expect("the first is over");
    let runs = cluster.operator().list_runs(v1::ListRunsRequest {}).await.expect("listed").into_inner().runs;
    let ids: Vec<Vec<u8>> = runs.iter().map(|run| run.run.to_vec()).collect();
    assert_eq!(ids, [second, first.clone()], "newest first");
    let found = cluster.operator().get_run(v1::GetRunRequest { run: first.into() }).await.expect("found").into_inner();
    assert_eq!(found.status.expect("a status").phase(), v1::RunPhase::Stopped);
    let unknown = cluster.operator().get_run(v1::GetRunRequest { run: vec![1; 16].into() }).await;
    assert_eq!(status::read(&unknown.expect_err("no such run")).code, Code::RunNotFound);
}

#[tokio::test]
async fn specs_that_cannot_run_are_refused_in_words() {
    let cluster = Cluster::start(Patience::default()).await;
    let refused = |spec: String| {
        let cluster = &cluster;
        async move { status::read(&cluster.start_run(&spec).await.expect_err("refused")) }
    };
    let unknown = refused(SPEC.replace("epochs", "epoch")).await;
    assert_eq!(unknown.code, Code::SpecUnknownKey, "{unknown}");
    let few = refused(SPEC.replace("samples = 64", "samples = 1")).await;
    assert_eq!(few.code, Code::SpecData, "{few}");
    cluster.start_run(SPEC).await.expect("a refusal leaves nothing behind");
}

#[tokio::test]
async fn a_worker_replaces_its_own_connection_by_its_token() {
    let cluster = Cluster::start(Patience::default()).await;
    cluster.start_run(SPEC).await.expect("started");
    let (mut old, token) = FakeWorker::seated(cluster.connect().await, 1).await;
    old.first_task().await;
    let mut new = FakeWorker::connect(cluster.connect().await, 1).await;
    new.hello.resume = Some(token);
    new.say(ToCoordinator::Hello(new.hello.clone())).await;
    let task = new.first_task().await;
    let spec = task.spec.clone();
    assert_eq!(old.next().await.expect("a clean end"), None, "the old connection is over");
    new.work(&spec, Some(task)).await;
    let counters = cluster.end_of_run().await.counters.expect("counters");
    assert_eq!((counters.joins, counters.leaves, counters.units_released), (2, 1, 2));
    assert_eq!(counters.refused_sessions, 0);
}

#[tokio::test]
async fn a_shard_goes_to_whom_it_is_leased_and_to_nobody_else() {
    let cluster = Cluster::start(Patience::default()).await;
    cluster.start_run(SPEC).await.expect("started");
    let (mut worker, token) = FakeWorker::seated(cluster.connect().await, 1).await;
    let task = worker.first_task().await;
    let (_stranger, other_token) = FakeWorker::seated(cluster.connect().await, 2).await;
    let mut client = TrainingServiceClient::new(cluster.channel.clone());
    let Source::Shard(leased) = task.leased.units[0].source else { panic!("the coordinator has the samples") };
    let request = |resume, shard| v1::FetchShardRequest::from(FetchShard { run: task.leased.run, shard, resume });
    let mut stream = client.fetch_shard(request(token, leased.digest)).await.expect("it is leased").into_inner();
    let mut shard = Vec::new();
    while let Some(piece) = stream.message().await.expect("whole") {
        shard.extend_from_slice(&piece.payload);
    }
    assert_eq!((Digest::of(Domain::Shard, &shard), shard.len() as u64), (leased.digest, leased.bytes));
    for (resume, shard, code) in [
        (other_token, leased.digest, Code::ShardNotLeased),
        (token, Digest([1; 32]), Code::ShardNotLeased),
        (syngrad_common::wire::ResumeToken::new([0; 32]), leased.digest, Code::NotAuthorized),
    ] {
        let refused = client.fetch_shard(request(resume, shard)).await.expect_err("refused");
        assert_eq!(status::read(&refused).code, code);
    }
}

#[tokio::test]
async fn a_round_in_flight_is_committed_before_the_coordinator_ends() {
    let cluster = Cluster::start(Patience::default()).await;
    cluster.start_run(SPEC).await.expect("started");
    let (mut worker, _) = FakeWorker::seated(cluster.connect().await, 1).await;
    let task = worker.first_task().await;
    let mut watch = cluster.operator().watch_run(v1::WatchRunRequest::default()).await.expect("a run").into_inner();
    let ended = cluster.shut_down();
    let (update, payload) = task.answer();
    worker.send(update, payload).await;
    assert_eq!(worker.refusal().await, (Code::ShuttingDown, true));
    let mut last = None;
    while let Ok(Some(message)) = watch.message().await {
        last = message.status;
    }
    let last = last.expect("a status");
    assert_eq!((last.phase(), last.rounds_committed), (v1::RunPhase::Stopped, 1), "{}", last.reason);
    drop((worker, watch));
    ended.await.expect("a clean end");
}

#[tokio::test]
async fn a_silent_member_is_dismissed_and_its_units_go_to_another() {
    let patience =
        Patience { silence: Duration::from_millis(400), heartbeat: Duration::from_millis(100), ..Patience::default() };
    let cluster = Cluster::start(patience).await;
    cluster.start_run(SPEC).await.expect("started");
    let (mut silent, _) = FakeWorker::seated(cluster.connect().await, 1).await;
    silent.first_task().await;
    let (code, retry) = silent.refusal().await;
    assert_eq!((code, retry), (Code::Silent, true));
    let (mut worker, _) = FakeWorker::seated(cluster.connect().await, 2).await;
    let task = worker.first_task().await;
    let spec = task.spec.clone();
    worker.work(&spec, Some(task)).await;
    let status = cluster.end_of_run().await;
    assert_eq!(status.phase(), v1::RunPhase::Completed);
    assert_eq!(status.counters.expect("counters").units_released, 2);
}

/// Sixty-four rounds of 160 kB.
const LARGE: &str = r#"
name = "large"
[model]
kind = "noop"
params = 40000
[data]
kind = "synthetic"
samples = 64
inputs = 4
classes = 4
[algorithm]
kind = "sync-sgd"
epochs = 2
units = 2
unit_samples = 1
[optimizer]
kind = "sgd"
learning_rate = 0.01
[quorum]
round_deadline_seconds = 0.02
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_does_not_read_is_given_up_and_the_others_go_on() {
    let cluster = Cluster::start(Patience::default()).await;
    cluster.start_run(LARGE).await.expect("started");
    let narrow = Endpoint::from_shared(format!("http://{}", cluster.address)).expect("an address");
    let (mut deaf, _) = FakeWorker::seated(narrow.connect().await.expect("it listens"), 1).await;
    deaf.first_task().await;
    let (mut worker, _) = FakeWorker::seated(cluster.connect().await, 2).await;
    let opened = worker.run_opened().await;
    let spec = worker.ready(&opened).await;
    worker.work(&spec, None).await;
    let status = cluster.end_of_run().await;
    assert_eq!((status.phase(), status.rounds_committed), (v1::RunPhase::Completed, 64), "{}", status.reason);
    let counters = status.counters.expect("counters");
    assert_eq!((counters.joins, counters.leaves), (2, 1), "the deaf one was dismissed");
    while deaf.next().await.expect("a clean end").is_some() {}
}

#[tokio::test]
async fn health_tells_when_a_model_is_served() {
    let cluster = Cluster::start(Patience::default()).await;
    let mut health = HealthClient::new(cluster.channel.clone());
    let service = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for always in ["", "syngrad.v1.TrainingService", "syngrad.v1.RunService"] {
        let status = health.check(service(always)).await.expect("known").into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{always:?}");
    }
    let mut inference = health.watch(service("inference.GRPCInferenceService")).await.expect("known").into_inner();
    let first = inference.message().await.expect("whole").expect("a status");
    assert_eq!(first.status(), ServingStatus::NotServing);
    cluster.start_run(SPEC).await.expect("started");
    let (mut worker, _) = FakeWorker::seated(cluster.connect().await, 1).await;
    let opened = worker.run_opened().await;
    let spec = worker.ready(&opened).await;
    worker.work(&spec, None).await;
    let second = inference.message().await.expect("whole").expect("a status");
    assert_eq!(second.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn an_unprotected_coordinator_stays_on_its_machine() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let refused = serve(listener, Config::default(), State::forgotten(), std::future::pending()).await;
    let Failure { code, .. } = refused.expect_err("it is not loopback");
    assert_eq!(code, Code::InsecureAddress);
}

#[tokio::test]
async fn an_idle_connection_hears_heartbeats() {
    let patience = Patience { heartbeat: Duration::from_millis(20), ..Patience::default() };
    let cluster = Cluster::start(patience).await;
    let (mut worker, _) = FakeWorker::seated(cluster.connect().await, 1).await;
    for _ in 0..3 {
        assert_eq!(worker.next().await.expect("whole"), Some(ToWorker::Heartbeat));
    }
}
