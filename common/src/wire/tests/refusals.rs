//! Every field that can be wrong, made wrong alone.

use super::*;

fn id(len: usize) -> Bytes {
    Bytes::from(vec![7; len])
}

fn from_worker(message: session_request::Message) -> Result<ToCoordinator, WireError> {
    ToCoordinator::try_from(v1::SessionRequest { message: Some(message) })
}

fn from_coordinator(message: session_response::Message) -> Result<ToWorker, WireError> {
    ToWorker::try_from(v1::SessionResponse { message: Some(message) })
}

/// The field that is to be named, and how it is made wrong.
type Fault<'a, T> = (&'static str, &'a dyn Fn(&mut T));

fn refuses<T: Clone, M: std::fmt::Debug>(
    good: &T,
    decode: impl Fn(T) -> Result<M, WireError>,
    faults: &[Fault<'_, T>],
) {
    decode(good.clone()).expect("the message without a fault is taken");
    for (field, fault) in faults {
        let mut bad = good.clone();
        fault(&mut bad);
        let error = decode(bad).expect_err(field);
        assert_eq!(error.field, *field, "{error}");
    }
}

#[test]
fn of_nothing_at_all() {
    assert!(ToCoordinator::try_from(v1::SessionRequest { message: None }).is_err());
    assert!(ToWorker::try_from(v1::SessionResponse { message: None }).is_err());
}

#[test]
fn of_a_hello() {
    let good = v1::Hello {
        protocol_min: 1,
        protocol_max: 1,
        build: "b".into(),
        worker: id(16),
        partner: "a".into(),
        resume: Bytes::new(),
    };
    refuses(
        &good,
        |hello| from_worker(session_request::Message::Hello(hello)),
        &[
            ("Hello.protocol_min", &|m| m.protocol_min = 0),
            ("Hello.protocol_max", &|m| m.protocol_min = 2),
            ("Hello.build", &|m| m.build = "x".repeat(MAX_TEXT + 1)),
            ("Hello.build", &|m| m.build = "\u{7}".into()),
            ("Hello.worker", &|m| m.worker = id(15)),
            ("Hello.partner", &|m| m.partner = "Upper Case".into()),
            ("Hello.resume", &|m| m.resume = id(31)),
        ],
    );
}

#[test]
fn of_ready_and_declined() {
    let good = v1::Ready {
        run: id(16),
        layout_digest: id(32),
        fingerprint: id(32),
        milli_units_per_second: 1,
        data_digest: id(32),
    };
    refuses(
        &good,
        |ready| from_worker(session_request::Message::Ready(ready)),
        &[
            ("Ready.run", &|m| m.run = id(17)),
            ("Ready.layout_digest", &|m| m.layout_digest = id(0)),
            ("Ready.fingerprint", &|m| m.fingerprint = id(33)),
            ("Ready.data_digest", &|m| m.data_digest = id(31)),
        ],
    );
    let good = v1::Declined { run: id(16), why: "so".into() };
    refuses(
        &good,
        |declined| from_worker(session_request::Message::Declined(declined)),
        &[("Declined.run", &|m| m.run = id(1)), ("Declined.why", &|m| m.why = "\n".into())],
    );
}

#[test]
fn of_an_update_and_its_frames() {
    let good = v1::Update {
        run: id(16),
        round: 1,
        lease: 1,
        units: vec![1, 2],
        digest: id(32),
        payload_bytes: 8,
        saturated: 0,
        loss_sum: 1.0,
        samples: 8,
        params_digest: id(32),
        signature: id(64),
    };
    refuses(
        &good,
        |update| from_worker(session_request::Message::Update(update)),
        &[
            ("Update.run", &|m| m.run = id(0)),
            ("Update.units", &|m| m.units = vec![]),
            ("Update.units", &|m| m.units = vec![2, 1]),
            ("Update.units", &|m| m.units = vec![1, 1]),
            ("Update.units", &|m| m.units = vec![1024]),
            ("Update.units", &|m| m.units = (0..1025).collect()),
            ("Update.digest", &|m| m.digest = id(16)),
            ("Update.payload_bytes", &|m| m.payload_bytes = 0),
            ("Update.payload_bytes", &|m| m.payload_bytes = MAX_PAYLOAD + 1),
            ("Update.loss_sum", &|m| m.loss_sum = f64::NAN),
            ("Update.loss_sum", &|m| m.loss_sum = f64::INFINITY),
            ("Update.params_digest", &|m| m.params_digest = id(0)),
            ("Update.signature", &|m| m.signature = id(63)),
        ],
    );
    refuses(
        &v1::Frame { payload: id(MAX_FRAME) },
        |frame| from_worker(session_request::Message::UpdateFrame(frame)),
        &[("Frame.payload", &|m| m.payload = id(MAX_FRAME + 1)), ("Frame.payload", &|m| m.payload = id(0))],
    );
    refuses(
        &v1::Leave { why: "so".into() },
        |leave| from_worker(session_request::Message::Leave(leave)),
        &[("Leave.why", &|m| m.why = "x".repeat(MAX_TEXT + 1))],
    );
}

#[test]
fn of_a_welcome_and_a_refusal() {
    let good = v1::Welcome {
        protocol: 1,
        build: "b".into(),
        resume: id(32),
        heartbeat_ms: 5,
        silence_ms: 20,
        coordinator: id(16),
        epoch: 1,
    };
    refuses(
        &good,
        |welcome| from_coordinator(session_response::Message::Welcome(welcome)),
        &[
            ("Welcome.protocol", &|m| m.protocol = 0),
            ("Welcome.build", &|m| m.build = "\u{1b}[2J".into()),
            ("Welcome.resume", &|m| m.resume = Bytes::new()),
            ("Welcome.heartbeat_ms", &|m| m.heartbeat_ms = 0),
            ("Welcome.heartbeat_ms", &|m| m.heartbeat_ms = 21),
            ("Welcome.silence_ms", &|m| m.silence_ms = 0),
            ("Welcome.coordinator", &|m| m.coordinator = id(15)),
            ("Welcome.epoch", &|m| m.epoch = 0),
            ("Welcome.silence_ms", &|m| m.silence_ms = u32::MAX),
        ],
    );
    let good = v1::Refused { code: "E0105".into(), why: "so".into(), retry: true };
    refuses(
        &good,
        |refused| from_coordinator(session_response::Message::Refused(refused)),
        &[("Refused.code", &|m| m.code = "no".into()), ("Refused.why", &|m| m.why = "\r".into())],
    );
}

#[test]
fn of_what_opens_runs_and_rounds() {
    let good = v1::RunOpened {
        run: id(16),
        spec: id(2),
        spec_digest: id(32),
        layout_digest: id(32),
        samples: 5,
        shard_samples: vec![3, 2],
    };
    refuses(
        &good,
        |opened| from_coordinator(session_response::Message::RunOpened(opened)),
        &[
            ("RunOpened.run", &|m| m.run = id(8)),
            ("RunOpened.spec", &|m| m.spec = id(0)),
            ("RunOpened.spec", &|m| m.spec = id(crate::limits::MAX_SPEC + 1)),
            ("RunOpened.spec_digest", &|m| m.spec_digest = id(31)),
            ("RunOpened.layout_digest", &|m| m.layout_digest = id(31)),
            ("RunOpened.samples", &|m| (m.samples, m.shard_samples) = (0, vec![])),
            ("RunOpened.shard_samples", &|m| m.samples = 6),
            ("RunOpened.shard_samples", &|m| m.shard_samples = vec![5, 0]),
            ("RunOpened.shard_samples", &|m| (m.samples, m.shard_samples) = (1025, vec![1; 1025])),
        ],
    );
    let good = v1::RoundOpened {
        run: id(16),
        round: 0,
        params_digest: id(32),
        params_bytes: 4,
        update_bits: 32,
        exponents: vec![3, -3],
    };
    refuses(
        &good,
        |opened| from_coordinator(session_response::Message::RoundOpened(opened)),
        &[
            ("RoundOpened.run", &|m| m.run = id(8)),
            ("RoundOpened.params_digest", &|m| m.params_digest = id(8)),
            ("RoundOpened.params_bytes", &|m| m.params_bytes = 0),
            ("RoundOpened.params_bytes", &|m| m.params_bytes = MAX_PAYLOAD + 1),
            ("RoundOpened.update_bits", &|m| m.update_bits = 12),
            ("RoundOpened.update_bits", &|m| m.update_bits = 256 + 8),
            ("RoundOpened.exponents", &|m| m.exponents = vec![]),
            ("RoundOpened.exponents", &|m| m.exponents = vec![1 << 15]),
            ("RoundOpened.exponents", &|m| m.exponents = vec![0; 5000]),
        ],
    );
}

#[test]
fn of_leases_answers_and_ends() {
    let unit = |unit| v1::LeasedUnit { unit, shard_digest: id(32), shard_bytes: 9 };
    let good = v1::Leased { run: id(16), round: 0, lease: 1, units: vec![unit(0), unit(3)], deadline_ms: 0 };
    refuses(
        &good,
        |leased| from_coordinator(session_response::Message::Leased(leased)),
        &[
            ("Leased.run", &|m| m.run = id(8)),
            ("Leased.units", &|m| m.units = vec![]),
            ("Leased.units", &|m| m.units = vec![unit(3), unit(3)]),
            ("Leased.units", &|m| m.units = vec![unit(1024)]),
            ("LeasedUnit.shard_digest", &|m| m.units[0].shard_digest = id(31)),
            ("LeasedUnit.shard_digest", &|m| m.units[0].shard_digest = id(0)),
            ("LeasedUnit.shard_bytes", &|m| m.units[1].shard_bytes = 0),
            ("LeasedUnit.shard_bytes", &|m| m.units[1].shard_bytes = MAX_SHARD + 1),
        ],
    );
    let good = v1::Answer { lease: 1, verdict: 4, code: "E0305".into(), why: "so".into() };
    refuses(
        &good,
        |answer| from_coordinator(session_response::Message::Answer(answer)),
        &[
            ("Answer.verdict", &|m| m.verdict = 0),
            ("Answer.verdict", &|m| m.verdict = 5),
            ("Answer.code", &|m| m.code = String::new()),
            ("Answer.why", &|m| m.why = "\t".into()),
        ],
    );
    let good = v1::RunClosed { run: id(16), how: "done".into() };
    refuses(
        &good,
        |closed| from_coordinator(session_response::Message::RunClosed(closed)),
        &[("RunClosed.run", &|m| m.run = id(8)), ("RunClosed.how", &|m| m.how = "\0".into())],
    );
    let good = v1::FetchShardRequest { run: id(16), shard_digest: id(32), resume: id(32) };
    refuses(
        &good,
        FetchShard::try_from,
        &[
            ("FetchShardRequest.run", &|m| m.run = id(8)),
            ("FetchShardRequest.shard_digest", &|m| m.shard_digest = id(8)),
            ("FetchShardRequest.resume", &|m| m.resume = id(0)),
        ],
    );
}
