//! What the partner's policy keeps in, and what is written down of what leaves.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;
use syngrad_common::Code;
use syngrad_common::config::parse_policy;
use syngrad_common::wire::{Answer, Declined, ToCoordinator, ToWorker, Update, Verdict};
use syngrad_dataset::PrivateData;
use syngrad_engine::{LeaseId, Round};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::session_request::Message;
use syngrad_worker::{Config, Filter, Inspection, PolicyInForce, Sent, StatePlace, UpdateRecord, inspect};

use crate::fake::work::{Work, own_samples};
use crate::fake::{Coordinator, Peer, Worker};

/// A worker with this policy that keeps its state in `folder`.
pub(crate) fn held_to(text: &str, folder: &Path) -> impl FnOnce(Config) -> Config {
    let policy = parse_policy(text).expect("a policy");
    let state = StatePlace::Folder(folder.to_owned());
    move |config| Config {
        policy: PolicyInForce { policy, file: Some("policy.toml".into()) },
        state,
        data: Some(Arc::new(PrivateData::new(own_samples()))),
        ..config
    }
}

async fn update(peer: &mut Peer) -> (Update, Vec<u8>) {
    let Some(ToCoordinator::Update(update)) = peer.hear().await else { panic!("an update is due") };
    let payload = peer.payload(update.payload_bytes).await;
    (update, payload)
}

pub(crate) async fn declined(peer: &mut Peer) -> String {
    match peer.hear().await {
        Some(ToCoordinator::Declined(Declined { why, .. })) => why,
        other => panic!("the worker declines: {other:?}"),
    }
}

fn accepted(lease: u64) -> ToWorker {
    ToWorker::Answer(Answer { lease: LeaseId(lease), verdict: Verdict::Accepted })
}

/// Works two rounds on the partner's own samples, and one of assigned ones before them; everything that was heard.
async fn two_runs(folder: &Path) -> (Vec<v1::SessionRequest>, Vec<v1::FetchShardRequest>) {
    let (work, private) = (Work::new(), Work::private());
    let mut coordinator = Coordinator::start().await;
    work.offer(&coordinator);
    let mut worker = Worker::start_with(&coordinator.address, held_to("", folder));
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.lease(Round(0), 1, &[0, 2])));
    update(&mut peer).await;
    peer.say(accepted(1));
    peer.say(ToWorker::RunOpened(private.opened()));
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Ready(_))));
    for (round, lease) in [(Round(0), 2), (Round(1), 3)] {
        private.send_params(&peer, round);
        peer.say(ToWorker::Leased(private.own_lease(round, lease)));
        update(&mut peer).await;
        peer.say(accepted(lease));
    }
    worker.drain();
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Leave { .. })));
    let heard = std::mem::take(&mut peer.heard);
    drop(peer);
    assert_eq!(worker.end().await, Ok(()));
    let fetched = std::mem::take(&mut coordinator.shards.lock().expect("whole").fetched);
    (heard, fetched.into_iter().map(Into::into).collect())
}

fn kind(request: &v1::SessionRequest) -> &'static str {
    match request.message.as_ref().expect("a message") {
        Message::Hello(_) => "hello",
        Message::Ready(_) => "ready",
        Message::Declined(_) => "declined",
        Message::Update(_) => "update",
        Message::UpdateFrame(_) => "frame",
        Message::Heartbeat(_) => "heartbeat",
        Message::Leave(_) => "leave",
    }
}

fn updates(journal: &Inspection) -> Vec<&UpdateRecord> {
    let records = journal.records.iter();
    records.filter_map(|record| if let Sent::Update(update) = &record.sent { Some(&**update) } else { None }).collect()
}

#[tokio::test]
async fn every_message_that_leaves_is_in_the_journal_in_its_order_and_with_its_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let (heard, fetched) = two_runs(folder.path()).await;
    let journal = inspect(folder.path(), &Filter::default()).expect("a journal");
    let (of_shards, of_session): (Vec<_>, Vec<_>) =
        journal.records.iter().partition(|record| record.kind() == "fetch_shard");
    let written: Vec<_> = of_session.iter().map(|record| (record.kind(), record.bytes)).collect();
    let heard: Vec<_> = heard.iter().map(|request| (kind(request), request.encoded_len() as u64)).collect();
    assert_eq!(written, heard);
    let mut written: Vec<u64> = of_shards.iter().map(|record| record.bytes).collect();
    let mut asked: Vec<u64> = fetched.iter().map(|request| request.encoded_len() as u64).collect();
    written.sort_unstable();
    asked.sort_unstable();
    assert_eq!((written.len(), written), (2, asked));
    assert_eq!(journal.totals.values().map(|total| total.messages).sum::<u64>(), journal.records.len() as u64);
}

#[tokio::test]
async fn no_sample_leaves_and_none_is_in_the_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (heard, fetched) = two_runs(folder.path()).await;
    let encoded = heard.iter().map(v1::SessionRequest::encode_to_vec);
    let mut out: Vec<Vec<u8>> = encoded.chain(fetched.iter().map(v1::FetchShardRequest::encode_to_vec)).collect();
    for entry in std::fs::read_dir(folder.path()).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
        out.push(std::fs::read(entry.path()).expect("a file"));
    }
    let samples = own_samples();
    let holds = |bytes: &[u8], piece: &[u8]| bytes.windows(piece.len()).any(|window| window == piece);
    assert!(holds(&[samples.features(), b"x"].concat(), &samples.features()[4..12]), "what is looked for can be found");
    for piece in samples.features().chunks(8) {
        assert!(!out.iter().any(|bytes| holds(bytes, piece)), "{piece:?}");
        let as_text = format!("{piece:?}");
        assert!(!out.iter().any(|bytes| holds(bytes, as_text.as_bytes())), "{as_text}");
    }
}

#[tokio::test]
async fn an_update_is_written_down_with_what_is_in_it_and_found_by_its_round() {
    let folder = tempfile::tempdir().expect("a folder");
    two_runs(folder.path()).await;
    let of_round = Filter { round: Some(1), run: None };
    let journal = inspect(folder.path(), &of_round).expect("a journal");
    let found = updates(&journal);
    let [update] = found.as_slice() else { panic!("one update of round 1: {:?}", journal.records) };
    assert_eq!((update.round, update.tensors, update.params, update.samples), (1, 4, 131, 12));
    assert_eq!((update.units.len(), update.units[0].weight), (1, 12));
    assert!(update.units[0].norm > 0.0 && update.units[0].norm == update.units[0].clipped);
    assert_eq!(journal.records.len(), 2, "the announcement and its frame");
    let nobodys = Filter { run: Some("ffff".into()), round: None };
    assert_eq!(inspect(folder.path(), &nobodys).expect("a journal").records, []);
}

/// The reason and the code with which a run is declined under this policy.
async fn refused(policy: &str, work: &Work) -> (String, Option<Code>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start_with(&coordinator.address, held_to(policy, folder.path()));
    let mut peer = coordinator.session().await;
    peer.greet().await;
    peer.say(ToWorker::RunOpened(work.opened()));
    let why = declined(&mut peer).await;
    let code = worker.trouble().await.code;
    peer.say(ToWorker::Heartbeat);
    worker.drain();
    assert!(matches!(peer.hear().await, Some(ToCoordinator::Leave { .. })), "it had stayed connected");
    drop(peer);
    assert_eq!(worker.end().await, Ok(()));
    (why, code)
}

#[tokio::test]
async fn a_run_that_the_policy_does_not_accept_is_declined_with_the_key_and_the_code() {
    let (shared, private) = (Work::new(), Work::private());
    for (policy, work, words) in [
        ("coordinators = ['example.org:7070']", &shared, "coordinators"),
        ("models = ['noop']", &shared, "models accepts noop"),
        ("algorithms = ['fedavg']", &shared, "algorithms accepts fedavg"),
        ("datasets = ['mnist']", &shared, "datasets accepts mnist"),
        ("private_data = 'refuse'", &private, "private_data"),
        ("max_rounds = 3", &private, "max_rounds is 3, and the run asks for 4"),
        ("max_params = 130", &shared, "max_params is 130, and the run asks for 131"),
        ("max_update_bytes_a_day = 500", &shared, "max_update_bytes_a_day"),
        ("memory_mb = 16", &shared, "memory_mb is 16"),
        ("max_norm = 1.0", &shared, "max_norm"),
        ("require_secure_aggregation = true", &private, "require_secure_aggregation"),
        ("require_privacy_budget = true", &private, "require_privacy_budget"),
    ] {
        let (why, code) = refused(policy, work).await;
        assert!(why.starts_with("E1202: ") && why.contains(words) && why.contains("policy.toml"), "{policy}: {why}");
        assert_eq!(code, Some(Code::PolicyRefuses), "{policy}");
    }
}

#[tokio::test]
async fn a_private_update_is_scaled_to_the_policys_norm_before_it_is_rounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let work = Work::private();
    let (norm, unclipped) = work.expected_own(Round(0), f64::MAX);
    let most = norm / 3.0;
    let mut coordinator = Coordinator::start().await;
    let policy = format!("max_norm = {most:?}");
    let worker = Worker::start_with(&coordinator.address, held_to(&policy, folder.path()));
    let mut peer = coordinator.session().await;
    let ready = work.admit(&mut peer).await;
    let plain = PrivateData::new(own_samples()).digest_in(work.run);
    assert!(ready.data.is_some_and(|data| data != plain), "the bound is part of what the samples are known by");
    work.send_params(&peer, Round(0));
    peer.say(ToWorker::Leased(work.own_lease(Round(0), 1)));
    let (_, payload) = update(&mut peer).await;
    let expected = work.expected_own(Round(0), most).1;
    let entries = |bytes: &[u8]| -> Vec<i32> {
        bytes.chunks_exact(4).map(|entry| i32::from_le_bytes(entry.try_into().expect("four bytes"))).collect()
    };
    let (found, wanted) = (entries(&payload), entries(&expected));
    assert_ne!(payload, unclipped);
    // The bound here is met to the last bit of an f32; the test's own scaling may miss it by one.
    let near = |(found, wanted): (&i32, &i32)| {
        (i64::from(*found) - i64::from(*wanted)).abs() <= i64::from(*wanted).abs() >> 20
    };
    assert!(found.iter().zip(&wanted).all(near), "{found:?} {wanted:?}");
    let journal = inspect(folder.path(), &Filter::default()).expect("a journal");
    let found = updates(&journal);
    let [record] = found.as_slice() else { panic!("one update left") };
    let unit = record.units[0];
    assert!((unit.norm - norm).abs() < 1e-6 * norm && unit.clipped <= most && unit.clipped > 0.999 * most, "{unit:?}");
    drop(worker);
}

/// Leases `rounds` of the private run one after another; how many updates came before the worker declined, and why it did.
async fn until_declined(
    coordinator: &mut Coordinator,
    mut worker: Worker,
    rounds: std::ops::Range<u32>,
) -> (u32, String) {
    let work = Work::private();
    let mut peer = coordinator.session().await;
    work.admit(&mut peer).await;
    let mut updates = 0;
    for round in rounds {
        work.send_params(&peer, Round(round));
        peer.say(ToWorker::Leased(work.own_lease(Round(round), u64::from(round) + 1)));
        match peer.hear().await {
            Some(ToCoordinator::Update(update)) => {
                peer.payload(update.payload_bytes).await;
                updates += 1;
                peer.say(accepted(u64::from(round) + 1));
            }
            Some(ToCoordinator::Declined(Declined { why, .. })) => {
                worker.drain();
                drop(peer);
                assert_eq!(worker.end().await, Ok(()));
                return (updates, why);
            }
            other => panic!("an update or a decline: {other:?}"),
        }
    }
    panic!("{updates} updates left, and nothing was declined")
}

#[tokio::test]
async fn the_bytes_of_a_day_are_a_limit_that_outlives_the_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut coordinator = Coordinator::start().await;
    // Two updates of 131 params at four bytes, and a part of a third.
    let policy = "max_update_bytes_a_day = 1200";
    let worker = Worker::start_with(&coordinator.address, held_to(policy, folder.path()));
    let (updates, why) = until_declined(&mut coordinator, worker, 0..4).await;
    assert!(updates == 2 && why.contains("paused") && why.contains("bytes"), "{updates}: {why}");
    let _worker = Worker::start_with(&coordinator.address, held_to(policy, folder.path()));
    let mut peer = coordinator.session().await;
    let work = Work::private();
    work.admit(&mut peer).await;
    work.send_params(&peer, Round(2));
    peer.say(ToWorker::Leased(work.own_lease(Round(2), 9)));
    assert!(declined(&mut peer).await.contains("bytes"), "nothing more leaves today");
    let journal = inspect(folder.path(), &Filter::default()).expect("a journal");
    assert_eq!(journal.totals["update"].messages, 2);
}

#[tokio::test]
async fn a_coordinator_that_goes_on_beyond_the_agreed_rounds_gets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut coordinator = Coordinator::start().await;
    let worker = Worker::start_with(&coordinator.address, held_to("max_rounds = 4", folder.path()));
    let (updates, why) = until_declined(&mut coordinator, worker, 0..9).await;
    assert_eq!(updates, 4);
    assert!(why.starts_with("E1203: ") && why.contains("max_rounds is 4"), "{why}");
}

#[tokio::test]
async fn outside_its_hours_a_worker_is_there_and_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let today = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 86_400;
    // 1970-01-01 was a Thursday.
    let in_three_days = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][((today + 3) % 7) as usize];
    let policy = format!("[schedule]\nwindows = [{{ days = ['{in_three_days}'], from = '00:00', to = '01:00' }}]");
    let mut coordinator = Coordinator::start().await;
    let mut worker = Worker::start_with(&coordinator.address, held_to(&policy, folder.path()));
    let mut peer = coordinator.session().await;
    peer.greet().await;
    peer.say(ToWorker::RunOpened(Work::new().opened()));
    assert!(declined(&mut peer).await.contains("hours"));
    let told = loop {
        let line = worker.lines.recv().await.expect("the worker lives");
        if line.text.contains("paused") {
            break line.text;
        }
    };
    assert!(told.contains("hours") && told.contains("by itself"), "{told}");
}

#[tokio::test]
async fn a_worker_says_first_what_it_is_held_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let coordinator = Coordinator::start().await;
    let mut worker = Worker::start_with(&coordinator.address, held_to("max_rounds = 4", folder.path()));
    let line = worker.lines.recv().await.expect("the worker lives");
    let place = folder.path().display().to_string();
    assert!(line.text.contains("policy.toml") && line.text.contains(&place), "{}", line.text);
    let mut worker = Worker::start(&coordinator.address);
    let line = worker.lines.recv().await.expect("the worker lives");
    assert!(line.text.contains("no policy") && line.text.contains("nowhere"), "{}", line.text);
}
