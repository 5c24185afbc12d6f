//! Messages of a session and requests for shards: bytes to generated types to the domain, and back.
#![allow(clippy::needless_update, reason = "a field that is new to a message shall not stop its fuzzing")]

use std::fmt::Debug;

use bytes::Bytes;
use prost::Message;
use syngrad_common::limits::{MAX_FRAME, MAX_PAYLOAD, MAX_SHARD, MAX_SPEC, MAX_TEXT};
use syngrad_common::wire::{
    FetchShard, RunOpened, Source, ToCoordinator, ToWorker, Update, Verdict, WireError, shard_frame, shard_payload,
};
use syngrad_engine::layout::MAX_TENSORS;
use syngrad_engine::spec::check::MAX_UNITS;
use syngrad_proto::syngrad::v1;

/// The first byte says which message the others are.
pub fn check(data: &[u8]) {
    let Some((kind, message)) = data.split_first() else { return };
    match kind % 4 {
        0 => {
            if let Some(read) = round_trip::<v1::SessionRequest, ToCoordinator>(message) {
                check_request(&read);
            }
        }
        1 => {
            if let Some(read) = round_trip::<v1::SessionResponse, ToWorker>(message) {
                check_response(&read);
            }
        }
        2 => drop(round_trip::<v1::FetchShardRequest, FetchShard>(message)),
        _ => {
            let Ok(response) = v1::FetchShardResponse::decode(message) else { return };
            if let Ok(payload) = shard_payload(response) {
                assert!((1..=MAX_FRAME).contains(&payload.len()));
                assert_eq!(shard_payload(shard_frame(payload.clone())), Ok(payload));
            }
        }
    }
}

/// What is read can be written, and reads as the same again.
fn round_trip<M, D>(bytes: &[u8]) -> Option<D>
where
    M: Message + Default + From<D>,
    D: TryFrom<M, Error = WireError> + Clone + PartialEq + Debug,
{
    let message = M::decode(Bytes::copy_from_slice(bytes)).ok()?;
    let read = match D::try_from(message) {
        Ok(read) => read,
        Err(why) => {
            assert!(!why.field.is_empty() && !why.expected.is_empty() && !why.found.is_empty(), "{why:?}");
            return None;
        }
    };
    let written = M::from(read.clone()).encode_to_vec();
    let again = D::try_from(M::decode(written.as_slice()).expect("what was written decodes")).expect("and is valid");
    assert_eq!(again, read);
    Some(read)
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

fn check_request(read: &ToCoordinator) {
    match read {
        ToCoordinator::Hello(hello) => {
            assert!(1 <= hello.protocol_min && hello.protocol_min <= hello.protocol_max);
            assert!(is_text(&hello.build));
        }
        ToCoordinator::Declined(declined) => assert!(is_text(&declined.why)),
        ToCoordinator::Update(Update { header, payload_bytes, loss_sum, .. }) => {
            assert!((1..=MAX_UNITS as usize).contains(&header.units.len()));
            assert!(header.units.iter().all(|unit| unit.0 < MAX_UNITS));
            assert!((1..=MAX_PAYLOAD).contains(payload_bytes) && loss_sum.is_finite());
        }
        ToCoordinator::Frame(frame) => assert!((1..=MAX_FRAME).contains(&frame.len())),
        ToCoordinator::Leave { why } => assert!(is_text(why)),
        _ => {}
    }
}

fn check_response(read: &ToWorker) {
    match read {
        ToWorker::Welcome(welcome) => {
            assert!(!welcome.heartbeat.is_zero() && welcome.heartbeat <= welcome.silence);
            assert!(welcome.fence.is_none_or(|fence| fence.epoch > 0));
        }
        ToWorker::Refused(refused) => assert!(is_text(&refused.why)),
        ToWorker::RunOpened(RunOpened { spec, samples, shard_samples, .. }) => {
            assert!((1..=MAX_SPEC).contains(&spec.len()) && *samples > 0);
            let sum = |sizes: &Vec<u32>| sizes.iter().map(|&size| u64::from(size)).sum::<u64>();
            assert!(shard_samples.as_ref().is_none_or(|sizes| sum(sizes) == u64::from(*samples)));
        }
        ToWorker::RoundOpened(opened) => {
            assert!((1..=MAX_TENSORS).contains(&opened.exponents.len()));
            assert!((1..=MAX_PAYLOAD).contains(&opened.params_bytes));
        }
        ToWorker::Frame(frame) => assert!((1..=MAX_FRAME).contains(&frame.len())),
        ToWorker::Leased(leased) => {
            assert!(leased.units.windows(2).all(|pair| pair[0].unit < pair[1].unit) && !leased.units.is_empty());
            let fits = |source| match source {
                Source::Shard(shard) => (1..=MAX_SHARD).contains(&shard.bytes),
                Source::Own => true,
            };
            assert!(leased.units.iter().all(|unit| fits(unit.source)));
        }
        ToWorker::Answer(answer) => match &answer.verdict {
            Verdict::Accepted => {}
            Verdict::Duplicate { why, .. } | Verdict::Late { why, .. } | Verdict::Rejected { why, .. } => {
                assert!(is_text(why));
            }
        },
        ToWorker::RunClosed(closed) => assert!(is_text(&closed.how)),
        _ => {}
    }
}

/// One message of each kind, every field set.
pub fn seeds() -> Vec<Vec<u8>> {
    let requests =
        requests().into_iter().map(|message| (0, v1::SessionRequest { message: Some(message) }.encode_to_vec()));
    let responses =
        responses().into_iter().map(|message| (1, v1::SessionResponse { message: Some(message) }.encode_to_vec()));
    let fetch = v1::FetchShardRequest { run: id(), shard_digest: digest(), resume: id() };
    let others = [(2, fetch.encode_to_vec()), (3, shard_frame(digest()).encode_to_vec())];
    requests.chain(responses).chain(others).map(|(kind, message)| [vec![kind], message].concat()).collect()
}

fn id() -> Bytes {
    Bytes::from_static(&[7; 16])
}

fn digest() -> Bytes {
    Bytes::from_static(&[9; 32])
}

fn requests() -> Vec<v1::session_request::Message> {
    use v1::session_request::Message;
    let hello = v1::Hello {
        protocol_min: 1,
        protocol_max: 1,
        build: "0.1.0".into(),
        worker: id(),
        partner: "hospital-b".into(),
        resume: id(),
        ..Default::default()
    };
    let update = v1::Update {
        run: id(),
        round: 3,
        lease: 9,
        units: vec![1, 2, 5],
        digest: digest(),
        payload_bytes: 64,
        saturated: 1,
        loss_sum: 1.5,
        samples: 8,
        ..Default::default()
    };
    let ready = v1::Ready {
        run: id(),
        layout_digest: digest(),
        fingerprint: digest(),
        milli_units_per_second: 1_000,
        data_digest: digest(),
        ..Default::default()
    };
    vec![
        Message::Hello(hello),
        Message::Ready(ready),
        Message::Declined(v1::Declined { run: id(), why: "no room".into() }),
        Message::Update(update),
        Message::UpdateFrame(v1::Frame { payload: digest() }),
        Message::Heartbeat(v1::Heartbeat {}),
        Message::Leave(v1::Leave { why: "done".into() }),
    ]
}

fn responses() -> Vec<v1::session_response::Message> {
    use v1::session_response::Message;
    let welcome = v1::Welcome {
        protocol: 1,
        build: "0.1.0".into(),
        resume: id(),
        heartbeat_ms: 5_000,
        silence_ms: 20_000,
        coordinator: id(),
        epoch: 3,
        ..Default::default()
    };
    let opened = v1::RunOpened {
        run: id(),
        spec: Bytes::from_static(b"{}"),
        spec_digest: digest(),
        layout_digest: digest(),
        samples: 5,
        shard_samples: vec![2, 3],
        ..Default::default()
    };
    let round = v1::RoundOpened {
        run: id(),
        round: 1,
        params_digest: digest(),
        params_bytes: 12,
        update_bits: 16,
        exponents: vec![3, -4],
        ..Default::default()
    };
    let unit = |unit, shard_digest, shard_bytes| v1::LeasedUnit { unit, shard_digest, shard_bytes };
    let leased = v1::Leased {
        run: id(),
        round: 1,
        lease: 2,
        units: vec![unit(0, digest(), 40), unit(1, Bytes::new(), 0)],
        deadline_ms: 1_000,
        ..Default::default()
    };
    let answer =
        v1::Answer { lease: 2, verdict: v1::Verdict::Rejected.into(), code: "E0301".into(), why: "late".into() };
    vec![
        Message::Welcome(welcome),
        Message::Refused(v1::Refused { code: "E0201".into(), why: "no".into(), retry: true }),
        Message::RunOpened(opened),
        Message::RoundOpened(round),
        Message::ParamsFrame(v1::Frame { payload: digest() }),
        Message::Leased(leased),
        Message::Answer(answer),
        Message::RunClosed(v1::RunClosed { run: id(), how: "completed".into() }),
        Message::Heartbeat(v1::Heartbeat {}),
    ]
}
