use std::time::Duration;

use bytes::Bytes;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use syngrad_engine::receipt::{Head, Notice, NoticedRecord, Proof, Signature};
use syngrad_engine::run::UpdateHeader;
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Digest, LeaseId, PartnerName, Round, RunId, Unit, WorkerId};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::{session_request, session_response};

use super::*;
use crate::error::Code;
use crate::limits::{MAX_FRAME, MAX_PAYLOAD, MAX_SHARD, MAX_TEXT};

mod refusals;

fn run() -> impl Strategy<Value = RunId> {
    any::<[u8; 16]>().prop_map(RunId)
}

fn some_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zäß→ .,:]{0,200}"
}

fn code() -> impl Strategy<Value = Code> {
    proptest::sample::select(Code::ALL)
}

fn bits() -> impl Strategy<Value = UpdateBits> {
    proptest::sample::select(&[UpdateBits::Eight, UpdateBits::Sixteen, UpdateBits::ThirtyTwo][..])
}

fn millis(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn frame() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 1..64).prop_map(Bytes::from)
}

fn hello() -> impl Strategy<Value = Hello> {
    let partner = "[a-z][a-z0-9-]{0,63}".prop_map(|name| PartnerName::parse(&name).expect("a name"));
    let resume = proptest::option::of(any::<[u8; 32]>().prop_map(ResumeToken::new));
    (1..=9u32, 9..=u32::MAX, text(), any::<[u8; 16]>(), partner, resume).prop_map(
        |(protocol_min, protocol_max, build, worker, partner, resume)| Hello {
            protocol_min,
            protocol_max,
            build,
            worker: WorkerId(worker),
            partner,
            resume,
        },
    )
}

fn update() -> impl Strategy<Value = Update> {
    let header = (any::<u32>(), any::<u64>(), btree_set((0..1024u32).prop_map(Unit), 1..40), some_digest()).prop_map(
        |(round, lease, units, digest)| UpdateHeader { round: Round(round), lease: LeaseId(lease), units, digest },
    );
    let signed =
        proptest::option::of((some_digest(), some_digest(), some_digest()).prop_map(|(params, left, right)| {
            let signature = Signature([left.0, right.0].concat().try_into().expect("twice 32 bytes"));
            Signed { params, signature }
        }));
    (run(), header, 1..=MAX_PAYLOAD, any::<u64>(), -1e300..1e300, any::<u64>(), signed).prop_map(
        |(run, header, payload_bytes, saturated, loss_sum, samples, signed)| Update {
            run,
            header,
            payload_bytes,
            saturated,
            loss_sum,
            samples,
            signed,
        },
    )
}

fn to_coordinator() -> impl Strategy<Value = ToCoordinator> {
    let ready = (run(), some_digest(), some_digest(), any::<u64>(), proptest::option::of(some_digest())).prop_map(
        |(run, layout, fingerprint, milli_units_per_second, data)| Ready {
            run,
            layout,
            fingerprint,
            milli_units_per_second,
            data,
        },
    );
    prop_oneof![
        hello().prop_map(ToCoordinator::Hello),
        ready.prop_map(ToCoordinator::Ready),
        (run(), text()).prop_map(|(run, why)| ToCoordinator::Declined(Declined { run, why })),
        update().prop_map(ToCoordinator::Update),
        frame().prop_map(ToCoordinator::Frame),
        Just(ToCoordinator::Heartbeat),
        text().prop_map(|why| ToCoordinator::Leave { why }),
    ]
}

fn leased() -> impl Strategy<Value = Leased> {
    let units = btree_set(0..1024u32, 1..20).prop_flat_map(|indices| {
        let shard =
            (some_digest(), 1..=MAX_SHARD).prop_map(|(digest, bytes)| Source::Shard(ShardRef { digest, bytes }));
        let sources = vec(prop_oneof![3 => shard, 1 => Just(Source::Own)], indices.len());
        sources.prop_map(move |sources| {
            let unit = |(&index, source)| LeasedUnit { unit: Unit(index), source };
            indices.iter().zip(sources).map(unit).collect::<Vec<_>>()
        })
    });
    (run(), any::<u32>(), any::<u64>(), units, proptest::option::of(millis(1..=u64::MAX / 2))).prop_map(
        |(run, round, lease, units, deadline)| Leased {
            run,
            round: Round(round),
            lease: LeaseId(lease),
            units,
            deadline,
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    let verdict = (0..4, code(), text()).prop_map(|(kind, code, why)| match kind {
        0 => Verdict::Accepted,
        1 => Verdict::Duplicate { code, why },
        2 => Verdict::Late { code, why },
        _ => Verdict::Rejected { code, why },
    });
    (any::<u64>(), verdict).prop_map(|(lease, verdict)| Answer { lease: LeaseId(lease), verdict })
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    let fence = proptest::option::of(
        (any::<[u8; 16]>(), 1..=u64::MAX).prop_map(|(coordinator, epoch)| Fence { coordinator, epoch }),
    );
    let welcome = (1..=u32::MAX, text(), any::<[u8; 32]>(), millis(1..=1000), millis(1000..=3_600_000), fence)
        .prop_map(|(protocol, build, resume, heartbeat, silence, fence)| Welcome {
            fence,
            protocol,
            build,
            resume: ResumeToken::new(resume),
            heartbeat,
            silence,
        });
    let run_opened = (run(), frame(), some_digest(), some_digest(), vec(1..=1_000_000u32, 1..20), any::<bool>())
        .prop_map(|(run, spec, spec_digest, layout, sizes, uneven)| {
            let samples = sizes.iter().sum();
            RunOpened { run, spec, spec_digest, layout, samples, shard_samples: uneven.then_some(sizes) }
        });
    let round_opened = (run(), any::<u32>(), some_digest(), 1..=MAX_PAYLOAD, bits(), vec(any::<i16>(), 1..20))
        .prop_map(|(run, round, params, params_bytes, bits, exponents)| RoundOpened {
            run,
            round: Round(round),
            params,
            params_bytes,
            bits,
            exponents,
        });
    let refused =
        (code(), text(), any::<bool>()).prop_map(|(code, why, retry)| ToWorker::Refused(Refused { code, why, retry }));
    prop_oneof![
        welcome.prop_map(ToWorker::Welcome),
        refused,
        run_opened.prop_map(ToWorker::RunOpened),
        round_opened.prop_map(ToWorker::RoundOpened),
        frame().prop_map(ToWorker::Frame),
        leased().prop_map(ToWorker::Leased),
        answer().prop_map(ToWorker::Answer),
        (run(), text()).prop_map(|(run, how)| ToWorker::RunClosed(RunClosed { run, how })),
        Just(ToWorker::Heartbeat),
        notice(),
    ]
}

fn notice() -> impl Strategy<Value = ToWorker> {
    let path = || vec(some_digest(), 0..8);
    let proof = (vec(any::<u8>(), 1..60), any::<u32>(), path()).prop_map(|(contribution, place, path)| Proof {
        contribution,
        place,
        path,
    });
    let record = (vec(any::<u8>(), 1..60), vec(proof, 0..4))
        .prop_map(|(record, contributions)| NoticedRecord { record, contributions });
    let head = (run(), any::<u64>(), some_digest()).prop_map(|(run, size, root)| Head { run, size, root });
    let signature = any::<[u8; 32]>().prop_map(|half| {
        let mut signature = [3; 64];
        signature[..32].copy_from_slice(&half);
        Signature(signature)
    });
    (head, signature, path(), vec(record, 0..4)).prop_map(|(head, signature, peaks, records)| {
        ToWorker::Receipt(Box::new(Notice { head, signature, peaks, records }))
    })
}

proptest! {
    #[test]
    fn what_a_worker_says_arrives_as_it_was_said(message in to_coordinator()) {
        let encoded = prost::Message::encode_to_vec(&v1::SessionRequest::from(message.clone()));
        let decoded: v1::SessionRequest = prost::Message::decode(encoded.as_slice()).expect("it was encoded just now");
        prop_assert_eq!(ToCoordinator::try_from(decoded), Ok(message));
    }

    #[test]
    fn what_a_coordinator_says_arrives_as_it_was_said(message in to_worker()) {
        let encoded = prost::Message::encode_to_vec(&v1::SessionResponse::from(message.clone()));
        let decoded: v1::SessionResponse = prost::Message::decode(encoded.as_slice()).expect("it was encoded just now");
        prop_assert_eq!(ToWorker::try_from(decoded), Ok(message));
    }

    #[test]
    fn a_request_for_a_shard_arrives_as_it_was_made(run in run(), shard in some_digest(), token in any::<[u8; 32]>()) {
        let request = FetchShard { run, shard, resume: ResumeToken::new(token) };
        prop_assert_eq!(FetchShard::try_from(v1::FetchShardRequest::from(request.clone())), Ok(request));
    }

    #[test]
    fn bytes_from_anywhere_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(request) = <v1::SessionRequest as prost::Message>::decode(bytes.as_slice()) {
            let _ = ToCoordinator::try_from(request);
        }
        if let Ok(response) = <v1::SessionResponse as prost::Message>::decode(bytes.as_slice()) {
            let _ = ToWorker::try_from(response);
        }
    }
}

#[test]
fn text_for_people_is_cleaned_before_it_is_sent() {
    let why = format!("line\nbreak \u{1b}[31m{}", "ä".repeat(MAX_TEXT));
    let request = v1::SessionRequest::from(ToCoordinator::Leave { why });
    let Ok(ToCoordinator::Leave { why }) = ToCoordinator::try_from(request) else { panic!("it can be read") };
    assert!(why.starts_with("line break  [31mä") && why.len() <= MAX_TEXT, "{why}");
}

#[test]
fn a_code_of_a_newer_release_is_kept_apart_from_nonsense() {
    let refused = |code: &str| {
        let refused = v1::Refused { code: code.to_owned(), why: "so".to_owned(), retry: false };
        ToWorker::try_from(v1::SessionResponse { message: Some(session_response::Message::Refused(refused)) })
    };
    let newer = Refused { code: Code::Unlisted, why: "so".to_owned(), retry: false };
    assert_eq!(refused("E0777"), Ok(ToWorker::Refused(newer)));
    assert!(refused("nonsense").is_err() && refused("").is_err());
}

#[test]
fn a_token_is_not_shown() {
    assert_eq!(format!("{:?}", ResumeToken::new([7; 32])), "ResumeToken(..)");
    assert_ne!(ResumeToken::new([7; 32]), ResumeToken::new([8; 32]));
}
