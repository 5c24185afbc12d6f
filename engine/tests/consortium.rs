//! The consortium against a model that keeps no more than what was answered, under any order of requests, with crashes
//! between a decision, its keeping and its answer; and each planted flaw, which that must find.

#[path = "consortium/model.rs"]
mod model;

use model::{Model, Op, op};
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use syngrad_engine::consortium::{
    Admission, AuthorityId, Consortium, Enrol, Flaw, Holder, HolderRecord, InvitationId, Invite, Issued, KEPT, KeyId,
    Moment, Outlived, Record, Refusal, SEEN_EVERY, SecretDigest, Serial, State,
};
use syngrad_engine::{HolderName, PartnerName, WorkerId};

/// Cases of a consortium without a flaw, and as many as a flaw may need to be found.
const CASES: u32 = 3000;

fn explore(flaw: Option<Flaw>) -> Result<(), TestError<Vec<Op>>> {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, random).run(&vec(op(), 1..60), |ops| Model::new(flaw).run(&ops))
}

#[test]
fn it_decides_as_the_model_says_whatever_is_asked_in_whatever_order_and_crashes() {
    explore(None).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn every_planted_flaw_is_found() {
    let missed: Vec<_> = Flaw::ALL.into_iter().filter(|&flaw| explore(Some(flaw)).is_ok()).collect();
    assert!(missed.is_empty(), "flaws that nothing finds: {missed:?}");
}

fn partner(name: &str) -> Holder {
    Holder::Partner(PartnerName::parse(name).expect("a name"))
}

fn invite(holder: Holder, ttl: u64) -> Invite {
    Invite {
        id: InvitationId([1; 16]),
        secret: SecretDigest::of(b"secret"),
        holder,
        ttl,
        uses: 1,
        max_workers: None,
        admission: Admission::AtOnce,
    }
}

fn founded() -> Consortium {
    let mut consortium = Consortium::default();
    consortium.apply(&Consortium::founding(Moment(0), AuthorityId([1; 32])));
    consortium
}

fn enrol(worker: Option<u8>) -> Enrol {
    Enrol {
        invitation: InvitationId([1; 16]),
        secret: SecretDigest::of(b"secret"),
        key: KeyId([1; 32]),
        worker: worker.map(|worker| WorkerId([worker; 16])),
    }
}

#[test]
fn numbers_of_an_invitation_have_ranges() {
    let consortium = founded();
    let operator = Holder::Operator(HolderName::parse("alice").expect("a name"));
    let good = |invite: &Invite| consortium.invite(Moment(0), invite).is_ok();
    let base = || invite(partner("a"), 60);
    assert!(good(&base()) && good(&Invite { uses: 1024, ttl: 90 * 24 * 3600, max_workers: Some(1), ..base() }));
    let wrong = [
        Invite { ttl: 0, ..base() },
        Invite { ttl: 90 * 24 * 3600 + 1, ..base() },
        Invite { uses: 0, ..base() },
        Invite { uses: 1025, ..base() },
        Invite { max_workers: Some(0), ..base() },
        Invite { max_workers: Some(1025), ..base() },
        Invite { holder: operator.clone(), max_workers: Some(1), ..base() },
        Invite { holder: operator, admission: Admission::OnApproval, ..base() },
    ];
    for invite in wrong {
        let found = consortium.invite(Moment(0), &invite);
        assert!(matches!(found, Err(Refusal::BadInvitation { .. })), "{invite:?}: {found:?}");
    }
}

#[test]
fn a_ticket_is_for_a_worker_or_for_none() {
    let mut consortium = founded();
    consortium.apply(&consortium.invite(Moment(0), &invite(partner("a"), 60)).expect("it is invited"));
    assert_eq!(consortium.enrol(Moment(1), &enrol(None)), Err(Refusal::WorkerMissing));
    let mut consortium = founded();
    let client = Holder::Client(HolderName::parse("ward").expect("a name"));
    consortium.apply(&consortium.invite(Moment(0), &invite(client, 60)).expect("it is invited"));
    assert_eq!(consortium.enrol(Moment(1), &enrol(Some(1))), Err(Refusal::WorkerUnexpected));
    assert!(consortium.enrol(Moment(1), &enrol(None)).is_ok());
}

#[test]
fn what_has_been_over_for_long_is_forgotten_and_no_sooner() {
    let mut consortium = founded();
    consortium.apply(&consortium.invite(Moment(0), &invite(partner("a"), 60)).expect("it is invited"));
    let permit = consortium.enrol(Moment(1), &enrol(Some(1))).expect("it is enrolled");
    let issued = Issued { serial: Serial([1; 20]), authority: AuthorityId([1; 32]), not_after: Moment(100) };
    consortium.apply(&consortium.certified(permit, issued).expect("a new number"));
    let another = Invite { id: InvitationId([2; 16]), ..invite(partner("b"), 60) };
    let outlived = |now| consortium.invite(Moment(now), &another).expect("it is invited").outlived;
    assert_eq!(outlived(60 + KEPT), []);
    let invitation = Outlived::Invitation(InvitationId([1; 16]));
    assert_eq!(outlived(61 + KEPT), [invitation]);
    assert_eq!(outlived(101 + KEPT), [invitation, Outlived::Certificate(Serial([1; 20]))]);
    let change = consortium.invite(Moment(101 + KEPT), &another).expect("it is invited");
    consortium.apply(&change);
    let left = consortium.records().any(|record| matches!(record, Record::Redemption(_) | Record::Certificate(_)));
    assert!(!left, "redemptions go with their invitation");
}

#[test]
fn who_was_heard_is_noted_once_a_minute() {
    let mut consortium = founded();
    consortium.apply(&consortium.invite(Moment(0), &invite(partner("a"), 60)).expect("it is invited"));
    let permit = consortium.enrol(Moment(1), &enrol(Some(1))).expect("it is enrolled");
    let principal = permit.principal.clone();
    let issued = Issued { serial: Serial([1; 20]), authority: AuthorityId([1; 32]), not_after: Moment(100) };
    consortium.apply(&consortium.certified(permit, issued).expect("a new number"));
    assert!(consortium.seen(Moment(SEEN_EVERY), &principal).is_empty(), "it was seen when it was enrolled");
    consortium.apply(&consortium.seen(Moment(SEEN_EVERY + 1), &principal));
    let record = consortium.holders().next().expect("a holder");
    assert_eq!((record.seen, record.joined), (Some(Moment(SEEN_EVERY + 1)), Some(Moment(1))));
    assert_eq!(
        (record.state, consortium.enrolled(Moment(2), &PartnerName::parse("a").expect("a name"))),
        (State::Active, 1)
    );
}

#[test]
fn who_was_removed_is_refused_by_its_state_alone() {
    let mut consortium = founded();
    consortium
        .apply(&consortium.invite(Moment(0), &Invite { uses: 2, ..invite(partner("a"), 60) }).expect("it is invited"));
    let permit = consortium.enrol(Moment(1), &enrol(Some(1))).expect("it is enrolled");
    let principal = permit.principal.clone();
    let issued = Issued { serial: Serial([1; 20]), authority: AuthorityId([1; 32]), not_after: Moment(100) };
    consortium.apply(&consortium.certified(permit, issued).expect("a new number"));
    // As if its tickets and certificates had been forgotten when it was removed.
    let removed = consortium.records().map(|record| match record {
        Record::Holder(holder) => Record::Holder(HolderRecord { state: State::Removed, ..holder }),
        other @ (Record::Invitation(_) | Record::Redemption(_) | Record::Certificate(_) | Record::Authority(_)) => {
            other
        }
    });
    let consortium = Consortium::recalled(removed);
    assert_eq!(consortium.known(Moment(1), &principal, Serial([1; 20])), Err(Refusal::PartnerRemoved));
    assert_eq!(consortium.enrol(Moment(1), &enrol(Some(1))), Err(Refusal::PartnerRemoved));
}

#[test]
fn a_certificates_number_has_any_length_up_to_x509s() {
    assert_eq!(Serial::from_digits(&[1, 2]).map(|serial| serial.0[17..].to_vec()), Some(vec![0, 1, 2]));
    assert_eq!(Serial::from_digits(&[]), Some(Serial::default()));
    assert!(Serial::from_digits(&[1; 20]).is_some() && Serial::from_digits(&[1; 21]).is_none());
}
