//! Workers that send something else than their units give: they are found and named, and no bit of the run is theirs.

use bytes::Bytes;
use syngrad_common::Code;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::wire::{Answer, Leased, Refused, RoundOpened, ToCoordinator, ToWorker, Update, Verdict};
use syngrad_coordinator::Patience;
use syngrad_dataset::Dataset;
use syngrad_engine::digest::Domain;
use syngrad_engine::quantize::{Grid, limit};
use syngrad_engine::run::UpdateHeader;
use syngrad_engine::{Cut, Digest, Units};
use syngrad_model::reference::{OpenRound, sum_of_units, train};
use syngrad_model::{Device, layout};
use syngrad_proto::syngrad::v1;
use tonic::transport::Channel;

use crate::SPEC;
use crate::cluster::{Cluster, digest};
use crate::fake::FakeWorker;

/// Sixteen rounds of six units, with this part of the updates audited.
fn spec(audit_rate: f64) -> CanonicalSpec {
    let spec = SPEC.replace("units = 2", "units = 6").replace("samples = 64", "samples = 96");
    let spec = spec.replace("epochs = 1", "epochs = 8");
    CanonicalSpec::parse(&format!("{spec}[quorum]\naudit_rate = {audit_rate:?}\n")).expect("a spec")
}

fn dataset(spec: &CanonicalSpec) -> Dataset {
    Dataset::load(&spec.spec().data, spec.spec().seed, "nowhere".as_ref()).expect("samples that are drawn")
}

/// The params digest of the run if everybody is honest.
fn honest(spec: &CanonicalSpec) -> Digest {
    train(spec.spec(), &dataset(spec), Device::default(), |_| ()).expect("it trains").params_digest
}

/// What a worker makes of the sum that its units give, and of the last one that it sent.
type Lie = fn(truth: &[i32], last: Option<&[i32]>) -> Vec<i32>;

/// Which leases it lies about.
#[derive(Clone, Copy, PartialEq)]
enum About {
    All,
    /// Those that come after its first one of a round: they may be audits.
    Further,
}

/// A worker that computes what it is leased, and may lie about it.
struct Player {
    worker: u8,
    partner: &'static str,
    lie: Option<(Lie, About)>,
}

/// How it ended for a worker.
#[derive(Debug)]
enum End {
    RunOver { duplicates: u32 },
    Refused(Refused),
}

impl Player {
    const fn honest(worker: u8, partner: &'static str) -> Self {
        Self { worker, partner, lie: None }
    }

    async fn play(self, channel: Channel) -> End {
        let (mut fake, _) = FakeWorker::seated_as(channel, self.worker, self.partner).await;
        let opened = fake.run_opened().await;
        let spec = fake.ready(&opened).await;
        let dataset = dataset(&spec);
        let cut = dataset.cut(spec.spec()).expect("a cut");
        let (mut round, mut params, mut last) = (None, Vec::new(), None);
        let mut leases = 0;
        let mut duplicates = 0;
        loop {
            match fake.hear().await {
                ToWorker::RoundOpened(opened) => {
                    params.clear();
                    leases = 0;
                    round = Some(opened);
                }
                ToWorker::Frame(frame) => params.extend_from_slice(&frame),
                ToWorker::Leased(leased) => {
                    let opened = round.as_ref().expect("params come before a lease");
                    let units: Units = leased.units.iter().map(|of| of.unit).collect();
                    let truth = sum(&spec, (&cut, &dataset), opened, &params, &units);
                    let lies = self.lie.filter(|(_, about)| *about == About::All || leases > 0);
                    let sent = lies.map_or_else(|| truth.clone(), |(lie, _)| lie(&truth, last.as_deref()));
                    leases += 1;
                    send(&fake, &leased, units, &sent).await;
                    last = Some(sent);
                }
                ToWorker::Answer(Answer { verdict, .. }) => match verdict {
                    Verdict::Accepted => {}
                    Verdict::Duplicate { code, .. } => {
                        assert_eq!(code, Code::AlreadyCounted);
                        duplicates += 1;
                    }
                    other @ (Verdict::Late { .. } | Verdict::Rejected { .. }) => panic!("{other:?}"),
                },
                ToWorker::RunClosed(_) => return End::RunOver { duplicates },
                ToWorker::Refused(refused) => return End::Refused(refused),
                other
                @ (ToWorker::Welcome(_) | ToWorker::RunOpened(_) | ToWorker::Receipt(_) | ToWorker::Heartbeat) => {
                    panic!("{other:?} was not expected")
                }
            }
        }
    }
}

/// What units give, in quanta.
fn sum(
    spec: &CanonicalSpec,
    samples: (&Cut, &Dataset),
    opened: &RoundOpened,
    params: &[u8],
    units: &Units,
) -> Vec<i32> {
    let spec = spec.spec();
    let params: Vec<f32> = params.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let most = limit(opened.bits, spec.algorithm.units()).expect("units that fit");
    let grid = Grid::validated(opened.bits, most, opened.exponents.clone(), &layout(&spec.model)).expect("a grid");
    let open = OpenRound { round: opened.round, params: &params, grid: &grid };
    let packed = sum_of_units(spec, samples, Device::default(), open, units).expect("they are computed");
    packed.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect()
}

async fn send(fake: &FakeWorker, leased: &Leased, units: Units, sum: &[i32]) {
    let payload: Bytes = sum.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    let digest = Digest::of(Domain::Update, &payload);
    let update = Update {
        run: leased.run,
        header: UpdateHeader { round: leased.round, lease: leased.lease, units, digest },
        payload_bytes: payload.len() as u64,
        saturated: 0,
        loss_sum: 1.0,
        samples: 2,
        signed: None,
    };
    fake.send(update, payload).await;
}

/// A run of `spec` by two honest partners and a third with this lie.
async fn play(cluster: &Cluster, spec: &CanonicalSpec, lie: Option<(Lie, About)>) -> (v1::RunStatus, [End; 3]) {
    let request = v1::StartRunRequest { spec: spec.text().to_owned(), wait_for_workers: 3 };
    cluster.operator().start_run(request).await.expect("started");
    let players = [
        Player::honest(1, "hospital-a"),
        Player::honest(2, "hospital-b"),
        Player { worker: 3, partner: "hospital-c", lie },
    ];
    let mut playing = Vec::new();
    for player in players {
        playing.push(tokio::spawn(player.play(cluster.connect().await)));
    }
    let status = cluster.end_of_run().await;
    let mut ends = Vec::new();
    for player in playing {
        ends.push(player.await.expect("no panic"));
    }
    (status, ends.try_into().expect("three of them"))
}

const LIES: &[(&str, Lie)] = &[
    ("zeros", |truth, _| vec![0; truth.len()]),
    ("the sum that it sent last", |truth, last| last.unwrap_or(truth).to_vec()),
    ("twice the sum", |truth, _| truth.iter().map(|entry| entry * 2).collect()),
    ("the sum with its sign turned", |truth, _| truth.iter().map(|entry| -entry).collect()),
    ("one quantum more in one entry", |truth, _| {
        let mut sum = truth.to_vec();
        sum[17] += 1;
        sum
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audits_of_honest_workers_pass_and_change_nothing() {
    let cluster = Cluster::start(Patience::default()).await;
    let spec = spec(1.0);
    let (status, ends) = play(&cluster, &spec, None).await;
    assert_eq!(status.phase(), v1::RunPhase::Completed, "{}", status.reason);
    assert_eq!(digest(&status.params_digest), honest(&spec));
    let counters = status.counters.expect("counters");
    assert_eq!((counters.audits, counters.audits_passed), (counters.accepted, counters.accepted), "{counters:?}");
    assert!(status.caught.is_empty());
    let heard = |end: &End| if let End::RunOver { duplicates } = end { u64::from(*duplicates) } else { 0 };
    assert_eq!(
        ends.iter().map(heard).sum::<u64>(),
        counters.audits,
        "an auditor hears what a straggler would: {ends:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_sends_something_else_is_found_and_named_and_the_bits_are_the_honest_ones() {
    let cluster = Cluster::start(Patience::default()).await;
    let (audited, trusting) = (spec(1.0), spec(0.0));
    let expected = honest(&audited);
    for about in [About::All, About::Further] {
        for &(name, lie) in LIES {
            let (status, [_, _, end]) = play(&cluster, &audited, Some((lie, about))).await;
            assert_eq!(status.phase(), v1::RunPhase::Completed, "{name}: {}", status.reason);
            assert_eq!(digest(&status.params_digest), expected, "{name}");
            let [caught] = status.caught.as_slice() else { panic!("{name}: one is caught: {:?}", status.caught) };
            assert_eq!((caught.partner.as_str(), &caught.worker[..]), ("hospital-c", &[3; 16][..]), "{name}");
            let counters = status.counters.expect("counters");
            assert!(counters.audits_failed > 0 && counters.audits_lapsed == 0, "{name}: {counters:?}");
            let End::Refused(refused) = end else { panic!("{name}: it is dismissed: {end:?}") };
            assert_eq!((refused.code, refused.retry), (Code::WrongUpdate, false), "{name}");
        }
    }
    for &(name, lie) in LIES {
        let (status, _) = play(&cluster, &trusting, Some((lie, About::All))).await;
        assert_eq!(status.phase(), v1::RunPhase::Completed, "{name}: {}", status.reason);
        assert_ne!(digest(&status.params_digest), expected, "{name}: without audits it is in the params");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_worker_of_a_caught_partner_may_join() {
    let cluster = Cluster::start(Patience::default()).await;
    let spec = spec(1.0);
    let request = v1::StartRunRequest { spec: spec.text().to_owned(), wait_for_workers: 2 };
    cluster.operator().start_run(request).await.expect("started");
    let (mut honest, _) = FakeWorker::seated_as(cluster.connect().await, 1, "hospital-a").await;
    let opened = honest.run_opened().await;
    honest.ready(&opened).await;
    let liar = Player { worker: 3, partner: "hospital-c", lie: Some((LIES[0].1, About::All)) };
    let lying = tokio::spawn(liar.play(cluster.connect().await));
    // The honest worker has answered nothing yet: the round stays open while it audits.
    let dataset = dataset(&spec);
    let cut = dataset.cut(spec.spec()).expect("a cut");
    let (mut round, mut params) = (None, Vec::new());
    let mut leases = Vec::new();
    while leases.len() < 2 {
        match honest.hear().await {
            ToWorker::RoundOpened(opened) => round = Some(opened),
            ToWorker::Frame(frame) => params.extend_from_slice(&frame),
            ToWorker::Leased(leased) => leases.push(leased),
            other @ (ToWorker::Welcome(_)
            | ToWorker::Refused(_)
            | ToWorker::RunOpened(_)
            | ToWorker::Answer(_)
            | ToWorker::RunClosed(_)
            | ToWorker::Receipt(_)
            | ToWorker::Heartbeat) => panic!("{other:?} was not expected"),
        }
    }
    let audit = &leases[1];
    let units: Units = audit.units.iter().map(|of| of.unit).collect();
    let truth = sum(&spec, (&cut, &dataset), &round.expect("a round"), &params, &units);
    send(&honest, audit, units, &truth).await;
    let End::Refused(_) = lying.await.expect("no panic") else { panic!("it is dismissed") };
    let (mut another, _) = FakeWorker::seated_as(cluster.connect().await, 4, "hospital-c").await;
    let opened = another.run_opened().await;
    another.ready(&opened).await;
    assert_eq!(another.refusal().await, (Code::WrongUpdate, false));
    honest.say(ToCoordinator::Leave { why: "the test is over".to_owned() }).await;
    cluster.shut_down().await.expect("a clean end");
}
