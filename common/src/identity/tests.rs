use super::testing::{Consortium, Forgery, SERVER_USAGE, client, days, key, operator, worker};
use super::*;
use crate::error::{Code, Failure};
use certificate::Named;
use syngrad_engine::principal::Principal;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn code(error: IdentityError) -> Code {
    Failure::from(error).code
}

/// Everybody who has a certificate.
fn everyone() -> Vec<Principal> {
    vec![Principal::Coordinator, Principal::Log, worker("hospital-b", 7), operator("alice"), client("ward-7")]
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let validity = Validity { not_before: at(1000), not_after: at(4000) };
    assert_eq!(validity.renewal(), at(3000));
    assert!(validity.holds(at(1000)) && validity.holds(at(4000)));
    assert!(!validity.holds(at(999)) && !validity.holds(at(4001)));
}

#[test]
fn times_are_shown_as_people_write_them() {
    assert_eq!(shown(at(0)), "1970-01-01 00:00:00 UTC");
    assert_eq!(shown(at(1_795_549_556)), "2026-11-24 19:45:56 UTC");
    assert_eq!(shown(UnixTime::since_unix_epoch(Duration::MAX)), format!("{} s after 1970", u64::MAX));
}

#[test]
fn everyone_is_who_their_certificate_says() {
    let consortium = Consortium::new("hospitals");
    for holder in everyone() {
        let key = key(KeyKind::of(holder.role()));
        let certificate = consortium.certify(&key, &holder).expect("a certificate");
        let identity = verify(std::slice::from_ref(&certificate), &consortium.roots, consortium.now).expect("it holds");
        assert_eq!((&identity.principal, identity.consortium.as_str()), (&holder, "hospitals"));
        assert_eq!(identity.certificate.key, key.public());
        assert_eq!(identity.certificate.sha256, Sha256::of(certificate.der()));
        assert_eq!(identity.certificate.serial.0.len(), 16);
        let again = Certificate::all_from_pem(certificate.to_pem().as_bytes()).expect("its own text");
        assert_eq!(again, [certificate]);
    }
}

#[test]
fn a_certificate_holds_at_its_own_time_only() {
    let consortium = Consortium::new("hospitals");
    let now = consortium.now;
    let validity = Validity { not_before: days(now, 0), not_after: days(now, 2) };
    let certificate = consortium.certify_for(&key(KeyKind::Ed25519), &worker("a", 1), validity).expect("a certificate");
    let check = |time| verify(std::slice::from_ref(&certificate), &consortium.roots, time);
    assert!(check(now).is_ok() && check(days(now, 2)).is_ok());
    for time in [days(now, -1), days(now, 3)] {
        assert_eq!(code(check(time).expect_err("another time")), Code::CertificateTime);
    }
    // Years later, at the time it was used.
    assert!(check(days(now, 1)).is_ok());
}

#[test]
fn an_authority_does_not_vouch_beyond_its_own_life() {
    let mut consortium = Consortium::new("hospitals");
    let now = consortium.now;
    let short = Validity { not_before: now, not_after: days(now, 1) };
    consortium.authority = Authority::create_for(consortium.authority.consortium(), short).expect("random bytes");
    let certificate = consortium.certify(&key(KeyKind::Ed25519), &worker("a", 1)).expect("a certificate");
    assert_eq!(certificate.summary().validity(), short);
}

#[test]
fn what_no_authority_stands_behind_is_refused() {
    let consortium = Consortium::new("hospitals");
    let stranger = Consortium::new("hospitals");
    let now = consortium.now;
    let certificate = stranger.certify(&key(KeyKind::Ed25519), &worker("a", 1)).expect("a certificate");
    let refused = verify(std::slice::from_ref(&certificate), &consortium.roots, now).expect_err("another authority");
    assert_eq!(code(refused), Code::CertificateUntrusted);
    // Nor does it help to bring the authority along.
    let chain = [certificate, stranger.authority.certificate().clone()];
    assert!(verify(&chain, &consortium.roots, now).is_err());
    assert!(verify(&[], &consortium.roots, now).is_err());
}

#[test]
fn a_certificate_of_another_form_names_nobody() {
    let consortium = Consortium::new("hospitals");
    let now = consortium.now;
    let uri = worker("a", 1).uri(consortium.authority.consortium());
    let honest = Forgery::of(&uri, now);
    let key = key(KeyKind::Ed25519);
    let check = |forgery: &Forgery| {
        verify(&[forgery.sign(&consortium.authority, &key)], &consortium.roots, now).map(|identity| identity.principal)
    };
    assert_eq!(check(&honest).expect("an honest one"), worker("a", 1));
    let named = |names: &[Named]| Forgery { names: names.to_vec(), ..honest.clone() };
    let other = operator("alice").uri(consortium.authority.consortium());
    let bad = [
        named(&[]),
        named(&[Named::Uri(uri.clone()), Named::Uri(other)]),
        named(&[Named::Uri(uri.clone()), Named::Uri(uri.clone())]),
        named(&[Named::Uri(uri.clone()), Named::Dns("localhost".to_owned())]),
        named(&[Named::Uri(uri.clone()), Named::Other]),
        named(&[Named::Dns("hospital-a.example.org".to_owned())]),
        named(&[Named::Uri(uri.to_uppercase())]),
        named(&[Named::Uri("spiffe://hospitals/admin/alice".to_owned())]),
        named(&[Named::Uri("https://hospitals/coordinator".to_owned())]),
        Forgery { usages: vec![], ..honest.clone() },
        Forgery { usages: vec![SERVER_USAGE], ..honest.clone() },
        Forgery { usages: vec![SERVER_USAGE, testing::CLIENT_USAGE], ..honest.clone() },
    ];
    for forgery in bad {
        assert_eq!(code(check(&forgery).expect_err("it is bad")), Code::CertificateUntrusted, "{forgery:?}");
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    let consortium = Consortium::new("hospitals");
    let certificate = consortium.certify(&key(KeyKind::Ed25519), &worker("a", 1)).expect("a certificate");
    for index in 0..certificate.der().len() {
        let mut changed = certificate.der().to_vec();
        changed[index] ^= 1;
        let verified = Certificate::from_der(&changed).and_then(|it| verify(&[it], &consortium.roots, consortium.now));
        assert!(verified.is_err(), "byte {index}");
    }
    let mut longer = certificate.der().to_vec();
    longer.push(0);
    assert!(Certificate::from_der(&longer).is_err());
    assert!(Certificate::from_der(&vec![0x30; certificate::MAX_CERTIFICATE + 1]).is_err());
}

#[test]
fn updates_are_signed_by_the_key_of_a_certificate() {
    let consortium = Consortium::new("hospitals");
    let credentials = consortium.credentials(&worker("a", 1));
    let signing = SigningKey::new(credentials.key()).expect("an Ed25519 key");
    let verifying = VerifyingKey::of(&credentials.grant().chain[0]).expect("an Ed25519 key");
    assert_eq!(signing.verifying(), verifying);
    let signature = signing.sign(b"an update");
    assert!(verifying.verify(b"an update", &signature));
    assert!(!verifying.verify(b"another", &signature));
    let mut changed = signature;
    changed.0[0] ^= 1;
    assert!(!verifying.verify(b"an update", &changed));
    let other = SigningKey::new(&key(KeyKind::Ed25519)).expect("an Ed25519 key");
    assert!(!other.verifying().verify(b"an update", &signature));
    assert!(SigningKey::new(&key(KeyKind::EcdsaP256)).is_err());
    assert_eq!(VerifyingKey::from_info(&key(KeyKind::EcdsaP256).public()), None);
}

#[test]
fn nothing_shows_a_key() {
    let credentials = Consortium::new("hospitals").credentials(&worker("a", 1));
    let text = format!("{credentials:?} {:?}", SigningKey::new(credentials.key()).expect("an Ed25519 key"));
    assert!(text.contains("PrivateKey(..)") && text.contains("SigningKey(..)"), "{text}");
    let pem = credentials.key().to_pem();
    let secret = pem.lines().nth(1).expect("a line of the key");
    assert!(!text.contains(secret));
}
