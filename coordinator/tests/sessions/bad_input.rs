//! Whatever a worker sends that it should not: it is told so with a code, it is counted, and the bits of the run are
//! those of a run in which it never came.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use syngrad_common::Code;
use syngrad_common::limits::MAX_FRAME;
use syngrad_common::wire::{Hello, Ready, ToCoordinator, Update};
use syngrad_coordinator::Patience;
use syngrad_engine::{Digest, LeaseId, Round, RunId, Unit};
use syngrad_proto::syngrad::v1;
use tonic::transport::Channel;

use crate::SPEC;
use crate::cluster::{Cluster, digest};
use crate::fake::{FakeWorker, Task, ready};

/// Patient enough for an honest worker, and not much more.
fn patience() -> Patience {
    Patience { handshake: Duration::from_millis(300), payload: Duration::from_millis(300), ..Patience::default() }
}

type Told = Pin<Box<dyn Future<Output = Code> + Send>>;

/// What a worker does wrong; it returns the code that it was told.
struct Case {
    name: &'static str,
    misdeed: fn(Channel) -> Told,
    told: Code,
    counted: Counted,
}

/// The counter in which it shows.
#[derive(Clone, Copy, PartialEq)]
enum Counted {
    RefusedSession,
    Rejected,
    Late,
}

macro_rules! cases {
    ($($name:ident: $told:ident, $counted:ident;)*) => {
        [$(Case {
            name: stringify!($name),
            misdeed: |channel| Box::pin($name(channel)),
            told: Code::$told,
            counted: Counted::$counted,
        },)*]
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_input_is_refused_with_its_code_and_counted_and_changes_no_bit() {
    let cluster = Cluster::start(patience()).await;
    let undisturbed = run_to_the_end(&cluster, None).await;
    assert_eq!(undisturbed.rounds_committed, 4);
    for case in cases! {
        garbage_bytes: BadHandshake, RefusedSession;
        no_message_in_the_message: BadHandshake, RefusedSession;
        heartbeat_before_hello: BadHandshake, RefusedSession;
        identity_of_the_wrong_length: BadHandshake, RefusedSession;
        unknown_protocol: ProtocolVersion, RefusedSession;
        silence_instead_of_hello: HandshakeTimeout, RefusedSession;
        taken_identity: IdentityInUse, RefusedSession;
        wrong_layout: LayoutDiffers, RefusedSession;
        other_numerics: NumericsDiffer, RefusedSession;
        second_hello: UnexpectedMessage, Rejected;
        frame_without_update: UnexpectedMessage, Rejected;
        oversized_frame: BadMessage, Rejected;
        oversized_message: PayloadTooLarge, Rejected;
        oversized_payload: PayloadTooLarge, Rejected;
        loss_that_is_not_a_number: BadMessage, Rejected;
        half_a_message_then_silence: PayloadTimeout, Rejected;
        more_bytes_than_announced: BadPayload, Rejected;
        wrong_digest: BadPayload, Rejected;
        wrong_shape: BadPayload, Rejected;
        entries_out_of_range: BadPayload, Rejected;
        future_round: FutureRound, Rejected;
        another_lease: NotLeased, Rejected;
        unit_that_was_not_leased: UnitsDiffer, Rejected;
        another_run: RunOver, Rejected;
        same_update_twice: StaleRound, Late;
    } {
        let name = case.name;
        let status = run_to_the_end(&cluster, Some(&case)).await;
        let counters = status.counters.expect("counters");
        let counted = match case.counted {
            Counted::RefusedSession => counters.refused_sessions,
            Counted::Rejected => counters.rejected,
            Counted::Late => counters.late,
        };
        assert!(counted > 0, "{name} was not counted: {counters:?}");
        assert_eq!(status.params_digest, undisturbed.params_digest, "{name} changed the params");
        assert_eq!(status.rounds_committed, 4, "{name} stopped the run: {}", status.reason);
    }
    cluster.shut_down().await.expect("a clean end");
}

/// A run in which first the case happens and then an honest worker does all the work that is left.
async fn run_to_the_end(cluster: &Cluster, case: Option<&Case>) -> v1::RunStatus {
    cluster.start_run(SPEC).await.expect("started");
    if let Some(case) = case {
        let told = (case.misdeed)(cluster.connect().await).await;
        assert_eq!(told, case.told, "{}", case.name);
    }
    let (mut honest, _) = FakeWorker::seated(cluster.connect().await, 1).await;
    let opened = honest.run_opened().await;
    let spec = honest.ready(&opened).await;
    honest.work(&spec, None).await;
    let status = cluster.end_of_run().await;
    assert_eq!(status.phase(), v1::RunPhase::Completed, "{}", status.reason);
    digest(&status.params_digest);
    status
}

async fn member(channel: Channel) -> (FakeWorker, Task) {
    let (mut fake, _) = FakeWorker::seated(channel, 9).await;
    let task = fake.first_task().await;
    (fake, task)
}

/// Sends an update that its owner has changed, with the payload that belongs to it.
async fn sends(channel: Channel, change: impl FnOnce(&Task, &mut Update, &mut Bytes)) -> FakeWorker {
    let (fake, task) = member(channel).await;
    let (mut update, mut payload) = task.answer();
    change(&task, &mut update, &mut payload);
    fake.send(update, payload).await;
    fake
}

async fn says_hello(channel: Channel, change: impl FnOnce(&mut Hello)) -> Code {
    let mut fake = FakeWorker::connect(channel, 9).await;
    let mut hello = fake.hello.clone();
    change(&mut hello);
    fake.say(ToCoordinator::Hello(hello)).await;
    fake.refusal().await.0
}

async fn says_ready(channel: Channel, change: impl FnOnce(&mut Ready)) -> (Code, bool) {
    let (mut fake, _) = FakeWorker::seated(channel, 9).await;
    let opened = fake.run_opened().await;
    let spec = syngrad_common::config::CanonicalSpec::from_wire(&opened.spec, opened.spec_digest).expect("a spec");
    let mut ready = ready(&opened, &spec);
    change(&mut ready);
    fake.say(ToCoordinator::Ready(ready)).await;
    fake.refusal().await
}

/// A stream of Hello messages where SessionRequest messages should be: bytes that cannot be decoded.
async fn garbage_bytes(channel: Channel) -> Code {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("connected");
    let hello = v1::Hello { protocol_min: 1, ..v1::Hello::default() };
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/syngrad.v1.TrainingService/Session");
    let codec = tonic_prost::ProstCodec::<v1::Hello, v1::SessionResponse>::default();
    let request = tonic::Request::new(tokio_stream::once(hello));
    let mut responses = grpc.streaming(request, path, codec).await.expect("a session").into_inner();
    let refused = responses.message().await.expect("an answer").expect("a message");
    match refused.message {
        Some(v1::session_response::Message::Refused(refused)) => Code::parse(&refused.code).expect("a known code"),
        other => panic!("{other:?} is no refusal"),
    }
}

async fn no_message_in_the_message(channel: Channel) -> Code {
    let mut fake = FakeWorker::connect(channel, 9).await;
    fake.say_raw(v1::SessionRequest { message: None }).await;
    fake.refusal().await.0
}

async fn heartbeat_before_hello(channel: Channel) -> Code {
    let mut fake = FakeWorker::connect(channel, 9).await;
    fake.say(ToCoordinator::Heartbeat).await;
    fake.refusal().await.0
}

async fn identity_of_the_wrong_length(channel: Channel) -> Code {
    let mut fake = FakeWorker::connect(channel, 9).await;
    let mut hello: v1::Hello = match v1::SessionRequest::from(ToCoordinator::Hello(fake.hello.clone())).message {
        Some(v1::session_request::Message::Hello(hello)) => hello,
        other => panic!("{other:?} is no hello"),
    };
    hello.worker = Bytes::from_static(b"fifteen bytes..");
    fake.say_raw(v1::SessionRequest { message: Some(v1::session_request::Message::Hello(hello)) }).await;
    fake.refusal().await.0
}

async fn unknown_protocol(channel: Channel) -> Code {
    says_hello(channel, |hello| (hello.protocol_min, hello.protocol_max) = (1000, 1001)).await
}

async fn silence_instead_of_hello(channel: Channel) -> Code {
    FakeWorker::connect(channel, 9).await.refusal().await.0
}

async fn taken_identity(channel: Channel) -> Code {
    let (_holder, _) = FakeWorker::seated(channel.clone(), 9).await;
    says_hello(channel, |_| {}).await
}

async fn wrong_layout(channel: Channel) -> Code {
    let (code, retry) = says_ready(channel, |ready| ready.layout = Digest([1; 32])).await;
    assert!(!retry, "it will be the same the next time");
    code
}

async fn other_numerics(channel: Channel) -> Code {
    let (code, retry) = says_ready(channel, |ready| ready.fingerprint = Digest([1; 32])).await;
    assert!(!retry, "it will be the same the next time");
    code
}

async fn second_hello(channel: Channel) -> Code {
    let (mut fake, _) = FakeWorker::seated(channel, 9).await;
    fake.say(ToCoordinator::Hello(fake.hello.clone())).await;
    fake.refusal().await.0
}

async fn frame_without_update(channel: Channel) -> Code {
    let (mut fake, _) = member(channel).await;
    fake.say(ToCoordinator::Frame(Bytes::from_static(b"frame"))).await;
    fake.refusal().await.0
}

async fn oversized_frame(channel: Channel) -> Code {
    let (mut fake, task) = member(channel).await;
    fake.say(ToCoordinator::Update(task.answer().0)).await;
    fake.say(ToCoordinator::Frame(vec![0; MAX_FRAME + 1].into())).await;
    fake.refusal().await.0
}

async fn oversized_message(channel: Channel) -> Code {
    let (mut fake, task) = member(channel).await;
    fake.say(ToCoordinator::Update(task.answer().0)).await;
    fake.say(ToCoordinator::Frame(vec![0; 5 * MAX_FRAME].into())).await;
    fake.refusal().await.0
}

async fn oversized_payload(channel: Channel) -> Code {
    let mut fake = sends(channel, |_, update, _| update.payload_bytes = 1 << 29).await;
    fake.refusal().await.0
}

async fn loss_that_is_not_a_number(channel: Channel) -> Code {
    sends(channel, |_, update, _| update.loss_sum = f64::NAN).await.refusal().await.0
}

async fn half_a_message_then_silence(channel: Channel) -> Code {
    let mut fake = sends(channel, |_, _, payload| payload.truncate(payload.len() / 2)).await;
    fake.refusal().await.0
}

async fn more_bytes_than_announced(channel: Channel) -> Code {
    let mut fake = sends(channel, |_, update, _| update.payload_bytes -= 1).await;
    fake.refusal().await.0
}

async fn wrong_digest(channel: Channel) -> Code {
    sends(channel, |_, update, _| update.header.digest = Digest([1; 32])).await.rejection().await
}

async fn wrong_shape(channel: Channel) -> Code {
    let change = |task: &Task, update: &mut Update, payload: &mut Bytes| {
        payload.truncate(payload.len() - 4);
        *update = task.update(task.units(), payload);
    };
    sends(channel, change).await.rejection().await
}

async fn entries_out_of_range(channel: Channel) -> Code {
    let change = |task: &Task, update: &mut Update, payload: &mut Bytes| {
        *payload = i32::MIN.to_le_bytes().repeat(payload.len() / 4).into();
        *update = task.update(task.units(), payload);
    };
    sends(channel, change).await.rejection().await
}

async fn future_round(channel: Channel) -> Code {
    sends(channel, |_, update, _| update.header.round = Round(2)).await.rejection().await
}

async fn another_lease(channel: Channel) -> Code {
    sends(channel, |_, update, _| update.header.lease = LeaseId(1 << 40)).await.rejection().await
}

async fn unit_that_was_not_leased(channel: Channel) -> Code {
    let change = |_: &Task, update: &mut Update, _: &mut Bytes| update.header.units = [Unit(1), Unit(7)].into();
    sends(channel, change).await.rejection().await
}

async fn another_run(channel: Channel) -> Code {
    sends(channel, |_, update, _| update.run = RunId([3; 16])).await.rejection().await
}

async fn same_update_twice(channel: Channel) -> Code {
    let (mut fake, task) = member(channel).await;
    let (update, payload) = task.answer();
    fake.send(update.clone(), payload.clone()).await;
    fake.send(update, payload).await;
    loop {
        if let syngrad_common::wire::ToWorker::Answer(answer) = fake.hear().await
            && let syngrad_common::wire::Verdict::Late { code, .. } = answer.verdict
        {
            return code;
        }
    }
}
