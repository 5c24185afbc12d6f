//! A worker against what is not as it should be: each is said once, in words, with a code.

use bytes::Bytes;
use syngrad_common::Code;
use syngrad_common::transport::Address;
use syngrad_common::wire::{Fence, Refused, RunOpened, Source, ToCoordinator, ToWorker, Welcome};
use syngrad_dataset::shard;
use syngrad_engine::{Digest, Round, Unit};
use syngrad_worker::Tone;

use crate::fake::work::Work;
use crate::fake::{self, Coordinator, Peer, Worker};

#[tokio::test]
async fn nobody_there_is_said_once_however_often_it_is_tried() {
    let nobody = fake::free_port().await;
    let mut worker = Worker::start(&Address::from(nobody));
    let line = worker.trouble().await;
    assert_eq!(line.code, Some(Code::Unreachable));
    assert!(line.text.contains(&nobody.to_string()), "{}", line.text);

    let mut coordinator = Coordinator::start_at(nobody).await;
    coordinator.session().await.greet().await;
    let next = worker.lines.recv().await.expect("the worker lives");
    assert_eq!((next.tone, next.text.as_str()), (Tone::Fine, "connected to the coordinator"));
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_tried() {
    let outside = "192.0.2.1:4180".parse().expect("an address");
    let failure = Worker::start(&outside).end().await.expect_err("it would leave this machine");
    assert_eq!(failure.code, Code::InsecureAddress);
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_worker_with_its_code() {
    let mut coordinator = Coordinator::start().await;
    let worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Hello(_))));
    let why = "the worker speaks protocol 1 to 1; this coordinator speaks 2 to 3";
    peer.say(ToWorker::Refused(Refused { code: Code::ProtocolVersion, why: why.into(), retry: false }));
    let failure = worker.end().await.expect_err("it is refused");
    assert_eq!((failure.code, failure.message.as_str()), (Code::ProtocolVersion, why));
}

#[tokio::test]
async fn a_refusal_that_may_pass_is_tried_again() {
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    peer.hear().await;
    let refused = Refused { code: Code::TooManySessions, why: "full".into(), retry: true };
    peer.say(ToWorker::Refused(refused));
    assert_eq!(worker.trouble().await.code, Some(Code::TooManySessions));
    coordinator.session().await.greet().await;
}

/// Lets `say` speak to an admitted worker, and gives the code with which the worker hangs up.
async fn hangs_up_with(say: impl FnOnce(&Work, &Peer)) -> Option<Code> {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    work.offer(&coordinator);
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    say(&work, &peer);
    let code = worker.trouble().await.code;
    // It comes back, and works with a coordinator that has found its senses.
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 77, &[1])));
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Update(_))));
    code
}

#[tokio::test]
async fn a_frame_out_of_nowhere() {
    let code = hangs_up_with(|_, peer| peer.say(ToWorker::Frame(Bytes::from_static(b"?")))).await;
    assert_eq!(code, Some(Code::UnexpectedMessage));
}

#[tokio::test]
async fn params_that_are_not_those_announced() {
    let code = hangs_up_with(|work, peer| {
        let (mut opened, frames) = work.params(Round(0));
        opened.params = Digest::default();
        peer.say(ToWorker::RoundOpened(opened));
        frames.into_iter().for_each(|frame| peer.say(ToWorker::Frame(frame)));
    });
    assert_eq!(code.await, Some(Code::BadPayload));
}

#[tokio::test]
async fn params_of_another_size() {
    let code = hangs_up_with(|work, peer| {
        let (mut opened, _) = work.params(Round(0));
        opened.params_bytes += 4;
        peer.say(ToWorker::RoundOpened(opened));
    });
    assert_eq!(code.await, Some(Code::BadPayload));
}

#[tokio::test]
async fn a_grid_of_another_model() {
    let code = hangs_up_with(|work, peer| {
        let (mut opened, _) = work.params(Round(0));
        opened.exponents.pop();
        peer.say(ToWorker::RoundOpened(opened));
    });
    assert_eq!(code.await, Some(Code::BadMessage));
}

#[tokio::test]
async fn a_lease_without_params() {
    let code = hangs_up_with(|work, peer| peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0]))));
    assert_eq!(code.await, Some(Code::UnexpectedMessage));
}

#[tokio::test]
async fn a_lease_of_a_unit_that_the_run_has_not() {
    let code = hangs_up_with(|work, peer| {
        work.send_params(peer, Round(0));
        let mut lease = work.lease(Round(0), 1, &[0]);
        lease.units[0].unit = Unit(3);
        peer.say(ToWorker::Leased(lease));
    });
    assert_eq!(code.await, Some(Code::UnexpectedMessage));
}

#[tokio::test]
async fn a_welcome_in_a_protocol_that_nobody_offered() {
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    peer.hear().await;
    let second = std::time::Duration::from_secs(1);
    peer.say(ToWorker::Welcome(Welcome {
        protocol: 9,
        build: "fake".into(),
        resume: fake::token(),
        heartbeat: second,
        silence: second,
        fence: None,
    }));
    assert_eq!(worker.trouble().await.code, Some(Code::ProtocolVersion));
}

/// Welcomes the next session of a worker as coordinator `id` in `epoch`.
async fn welcome(coordinator: &mut Coordinator, id: u8, epoch: u64) -> Peer {
    let mut peer = coordinator.session().await;
    peer.hear().await;
    let second = std::time::Duration::from_secs(1);
    peer.say(ToWorker::Welcome(Welcome {
        protocol: 1,
        build: "fake".into(),
        resume: fake::token(),
        heartbeat: second,
        silence: second,
        fence: Some(Fence { coordinator: [id; 16], epoch }),
    }));
    peer
}

#[tokio::test]
async fn a_coordinator_that_was_replaced_is_not_worked_for() {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    drop(welcome(&mut coordinator, 1, 5).await);
    let mut zombie = welcome(&mut coordinator, 1, 4).await;
    zombie.say(ToWorker::RunOpened(work.opened()));
    assert_eq!(zombie.hear().await, None, "the worker hangs up");
    while worker.trouble().await.code != Some(Code::Fenced) {}
    for (id, epoch) in [(1, 5), (1, 6), (2, 1)] {
        let mut successor = welcome(&mut coordinator, id, epoch).await;
        successor.say(ToWorker::RunOpened(work.opened()));
        assert!(matches!(successor.hear().await, Some(ToCoordinator::Ready(_))), "epoch {epoch} is current");
    }
}

#[tokio::test]
async fn a_lease_on_own_samples_in_a_run_on_the_coordinators() {
    let code = hangs_up_with(|work, peer| {
        work.send_params(peer, Round(0));
        let mut lease = work.lease(Round(0), 1, &[0]);
        lease.units[0].source = Source::Own;
        peer.say(ToWorker::Leased(lease));
    });
    assert_eq!(code.await, Some(Code::UnexpectedMessage));
}

/// Opens a run that `change` has spoilt, and gives the reason and code with which the worker declines it.
async fn declines(change: impl FnOnce(&mut RunOpened)) -> (String, Option<Code>) {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    peer.greet().await;
    let mut opened = work.opened();
    change(&mut opened);
    peer.say(ToWorker::RunOpened(opened));
    let Some(ToCoordinator::Declined(declined)) = peer.hear().await else { panic!("it declines") };
    (declined.why, worker.trouble().await.code)
}

#[tokio::test]
async fn a_run_that_the_two_sides_see_differently_is_declined() {
    let (why, code) = declines(|opened| opened.layout = Digest::default()).await;
    assert!(why.contains("layout"), "{why}");
    assert_eq!(code, Some(Code::LayoutDiffers));
    let (why, code) = declines(|opened| opened.spec_digest = Digest::default()).await;
    assert!(why.contains("digest"), "{why}");
    assert_eq!(code, Some(Code::SpecDiffers));
    let (_, code) = declines(|opened| opened.spec = Bytes::from_static(b"{\"name\":1}")).await;
    assert_eq!(code, Some(Code::SpecSyntax));
    let (why, code) = declines(|opened| opened.samples = 2).await;
    assert!(why.contains("samples"), "{why}");
    assert_eq!(code, Some(Code::SpecData));
}

/// Leases unit 0, whose shard is given out as `answers`, one request after another.
async fn lease_with_shard(answers: &[&[u8]]) -> (Coordinator, Worker, Peer) {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    let digest = shard::digest(&work.blob(Unit(0)));
    coordinator.shards.lock().expect("whole").offer(digest, answers);
    let worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0])));
    (coordinator, worker, peer)
}

fn damaged(blob: &[u8]) -> Vec<u8> {
    let mut damaged = blob.to_vec();
    damaged[40] ^= 1;
    damaged
}

#[tokio::test]
async fn a_shard_that_arrives_damaged_is_fetched_again() {
    let blob = Work::new().blob(Unit(0));
    let (coordinator, _worker, mut peer) = lease_with_shard(&[&damaged(&blob), &blob]).await;
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Update(_))));
    assert_eq!(coordinator.shards.lock().expect("whole").fetched.len(), 2);
}

#[tokio::test]
async fn a_shard_that_stays_damaged_is_not_worked_on() {
    let blob = Work::new().blob(Unit(0));
    for bad in [damaged(&blob), blob[..blob.len() - 1].to_vec(), [&blob[..], b"x"].concat()] {
        let (_coordinator, mut worker, mut peer) = lease_with_shard(&[&bad]).await;
        let Some(ToCoordinator::Declined(declined)) = peer.hear().await else { panic!("it declines") };
        assert!(declined.why.contains("damaged"), "{}", declined.why);
        assert_eq!(worker.trouble().await.code, Some(Code::ShardCorrupt));
    }
}

#[tokio::test]
async fn a_shard_that_is_not_given_now_is_asked_for_on_a_new_link() {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0])));
    assert_eq!(worker.trouble().await.code, Some(Code::ShardNotLeased));

    work.offer(&coordinator);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 2, &[0])));
    let Some(ToCoordinator::Update(update)) = peer.hear().await else { panic!("an update is due") };
    assert_eq!(update.header.lease.0, 2);
}

#[tokio::test]
async fn an_address_that_is_no_coordinator_is_said_in_words() {
    let address = fake::free_port().await;
    let listener = tokio::net::TcpListener::bind(address).await.expect("a port");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.try_write(b"220 mail ready\r\n").ok();
        }
    });
    let mut worker = Worker::start(&Address::from(address));
    let line = worker.trouble().await;
    assert!(line.code.is_some() && line.text.contains("no connection"), "{}", line.text);
}
