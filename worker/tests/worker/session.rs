//! A worker against a coordinator that does what it should.

use std::time::Duration;

use syngrad_common::wire::{Answer, RunClosed, ToCoordinator, ToWorker, Update, Verdict};
use syngrad_engine::{LeaseId, Round};
use syngrad_model::{Device, fingerprint};

use crate::fake::work::Work;
use crate::fake::{self, Coordinator, Peer, Worker};

async fn update(peer: &mut Peer) -> (Update, Vec<u8>) {
    let Some(ToCoordinator::Update(update)) = peer.hear().await else { panic!("an update is due") };
    let payload = peer.payload(update.payload_bytes).await;
    (update, payload)
}

#[tokio::test]
async fn a_worker_says_who_it_is_and_what_it_can_do() {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    let hello = peer.greet().await;
    assert_eq!((hello.protocol_min, hello.protocol_max, hello.partner.as_str()), (1, 1, "hospital-a"));
    assert_eq!(hello.resume, None);

    peer.say(ToWorker::RunOpened(work.opened()));
    let Some(ToCoordinator::Ready(ready)) = peer.hear().await else { panic!("the worker gets ready") };
    assert_eq!((ready.run, ready.layout), (work.run, work.state.layout().digest()));
    assert_eq!(ready.fingerprint, fingerprint(work.spec.spec(), &work.plan, Device::default()));
    assert!(ready.milli_units_per_second > 0);

    worker.drain();
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Leave { .. })));
    drop(peer);
    assert_eq!(worker.end().await, Ok(()));
}

#[tokio::test]
async fn a_lease_is_answered_with_the_sum_of_its_units_and_samples_are_fetched_once() {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    work.offer(&coordinator);
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    for (round, lease) in [(Round(0), 1), (Round(1), 2)] {
        work.send_params(&peer, round);
        peer.say(ToWorker::Leased(work.lease(round, lease, &[0, 2])));
        let (update, payload) = update(&mut peer).await;
        assert_eq!((update.header.round, update.header.lease, update.samples), (round, LeaseId(lease), 16));
        assert_eq!((update.header.digest, payload), work.expected(round, &[0, 2]));
        peer.say(ToWorker::Answer(Answer { lease: LeaseId(lease), verdict: Verdict::Accepted }));
    }
    // More units of the same round, without its params again.
    peer.say(ToWorker::Leased(work.lease(Round(1), 3, &[1])));
    assert_eq!(update(&mut peer).await.1, work.expected(Round(1), &[1]).1);
    assert_eq!(coordinator.shards.lock().expect("whole").fetched.len(), 3);

    peer.say(ToWorker::RunClosed(RunClosed { run: work.run, how: "completed".into() }));
    let told = loop {
        let line = worker.lines.recv().await.expect("the worker lives");
        if line.text.contains("completed") {
            break line.text;
        }
    };
    assert!(told.contains("3 updates"), "{told}");
}

#[tokio::test]
async fn after_a_cut_a_worker_comes_back_with_its_token_and_its_sum() {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    work.offer(&coordinator);
    let worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0, 1])));
    let (first, payload) = update(&mut peer).await;
    drop(peer);

    let mut peer = coordinator.session().await;
    let hello = peer.greet().await;
    assert_eq!(hello.resume, Some(fake::token()));
    peer.say(ToWorker::RunOpened(work.opened()));
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Ready(_))), "it is still prepared");
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 2, &[0, 1])));
    let (again, same) = update(&mut peer).await;
    assert_eq!(again.header.lease, LeaseId(2));
    assert_eq!((again.header.digest, same), (first.header.digest, payload));
    drop(worker);
}

#[tokio::test]
async fn a_drain_finishes_the_task_in_hand() {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    work.offer(&coordinator);
    let mut worker = Worker::start(&coordinator.address);
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[1])));
    let (update, _) = update(&mut peer).await;
    worker.drain();
    peer.say(ToWorker::Answer(Answer { lease: update.header.lease, verdict: Verdict::Accepted }));
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Leave { .. })));
    drop(peer);
    assert_eq!(worker.end().await, Ok(()));
}

#[tokio::test]
async fn a_coordinator_that_falls_silent_is_left_and_found_again() {
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start(&coordinator.address);
    let mut silent = coordinator.session().await;
    silent.greet_with(Duration::from_millis(40)).await;
    let line = worker.trouble().await;
    assert!(line.text.contains("nothing was heard"), "{}", line.text);
    coordinator.session().await.greet().await;
}
