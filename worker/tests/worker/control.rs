//! What the partner's people ask of a running worker.

use std::path::Path;

use syngrad_common::Code;
use syngrad_common::wire::{Answer, ToCoordinator, ToWorker, Verdict};
use syngrad_engine::{LeaseId, Round};
use syngrad_worker::control::{Wish, WorkerStatus, ask, choose, workers};
use syngrad_worker::{Config, StatePlace};

use crate::fake::work::Work;
use crate::fake::{Coordinator, Peer, Worker};
use crate::guard::{declined, held_to};

async fn wish(folder: &Path, wish: Wish) -> WorkerStatus {
    let folder = folder.to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&folder, wish)).await;
    asked.expect("asking does not panic").expect("the worker answers")
}

/// A worker that is ready for the leases of a run.
async fn ready(folder: &Path) -> (Coordinator, Work, Worker, Peer) {
    let work = Work::new();
    let mut coordinator = Coordinator::start().await;
    work.offer(&coordinator);
    let worker = Worker::start_with(&coordinator.address, held_to("max_rounds = 1000", folder));
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    (coordinator, work, worker, peer)
}

#[tokio::test]
async fn a_paused_worker_gives_its_units_back_and_takes_others_when_it_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_coordinator, work, _worker, mut peer) = ready(folder.path()).await;
    let status = wish(folder.path(), Wish::Status).await;
    assert!(status.connected && status.paused.is_empty() && status.max_rounds == Some(1000), "{status:?}");
    assert_eq!(status.run, Some(work.run.to_string()));

    let status = wish(folder.path(), Wish::Pause).await;
    assert_eq!(status.paused.len(), 1, "{status:?}");
    assert!(declined(&mut peer).await.contains("its partner asked for it"));

    let status = wish(folder.path(), Wish::Resume).await;
    assert!(status.paused.is_empty(), "{status:?}");
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Ready(_))));
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 2, &[1])));
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Update(update)) if update.header.lease == LeaseId(2)));
}

#[tokio::test]
async fn a_worker_that_is_to_finish_answers_and_leaves() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_coordinator, work, worker, mut peer) = ready(folder.path()).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0])));
    let Some(ToCoordinator::Update(update)) = peer.hear().await else { panic!("an update is due") };
    peer.payload(update.payload_bytes).await;
    let status = wish(folder.path(), Wish::Finish).await;
    assert!(status.leaving && status.in_hand == 1, "{status:?}");
    peer.say(ToWorker::Answer(Answer { lease: LeaseId(1), verdict: Verdict::Accepted }));
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Leave { .. })));
    drop(peer);
    assert_eq!(worker.end().await, Ok(()));
    let failure = ask(folder.path(), Wish::Status).expect_err("it has left");
    assert_eq!(failure.code, Code::NoWorker);
}

#[tokio::test]
async fn a_worker_that_is_to_leave_does_so_with_work_in_hand() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_coordinator, work, worker, mut peer) = ready(folder.path()).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0, 1, 2])));
    let status = wish(folder.path(), Wish::Leave).await;
    assert!(status.leaving, "{status:?}");
    while !matches!(peer.hear().await.expect("it says that it leaves"), ToCoordinator::Leave { .. }) {}
    drop(peer);
    assert_eq!(worker.end().await, Ok(()));
}

#[tokio::test]
async fn the_socket_is_its_users_own_and_takes_no_nonsense() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (_coordinator, _, _worker, _peer) = ready(folder.path()).await;
    let socket = folder.path().join("control.sock");
    let mode = socket.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for nonsense in [&b"\n"[..], b"\"dance\"\n", b"{\"pause\":", &[b'x'; 4096]] {
        let (socket, nonsense) = (socket.clone(), nonsense.to_vec());
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("it listens");
            // It may hang up before all is said.
            let _ = stream.write_all(&nonsense).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer
        });
        assert_eq!(answer.await.expect("no panic"), b"", "no status for nonsense");
    }
    assert!(wish(folder.path(), Wish::Status).await.connected, "and it goes on");
}

#[tokio::test]
async fn a_worker_is_found_by_its_name_or_because_it_is_the_only_one_that_runs() {
    let root = tempfile::tempdir().expect("a folder");
    let place = |name: &str| StatePlace::Own { root: root.path().to_owned(), name: name.into() };
    let coordinator = Coordinator::start().await;
    assert_eq!(choose(root.path(), None).expect_err("there is none").code, Code::NoWorker);
    let (own, others) = (place("clinic"), place("other"));
    let mut first = Worker::start_with(&coordinator.address, |config| Config { state: own, ..config });
    first.lines.recv().await.expect("it has begun");
    assert_eq!(choose(root.path(), None).expect("the only one"), root.path().join("clinic"));
    let mut second = Worker::start_with(&coordinator.address, |config| Config { state: others, ..config });
    second.lines.recv().await.expect("it has begun");
    let failure = choose(root.path(), None).expect_err("which one?");
    assert!(failure.message.contains("clinic (runs), other (runs)"), "{failure}");
    assert_eq!(choose(root.path(), Some("other")).expect("its name"), root.path().join("other"));
    assert!(choose(root.path(), Some("third")).is_err());
    second.drain();
    assert_eq!(second.end().await, Ok(()));
    assert_eq!(workers(root.path()).iter().map(|found| found.runs).collect::<Vec<_>>(), [true, false]);
    assert_eq!(choose(root.path(), None).expect("the only one that runs"), root.path().join("clinic"));
}

#[tokio::test]
async fn a_state_folder_belongs_to_one_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let (coordinator, _, _worker, _peer) = ready(folder.path()).await;
    let second = Worker::start_with(&coordinator.address, held_to("", folder.path()));
    assert_eq!(second.end().await.expect_err("taken").code, Code::WorkerStateInUse);
}
