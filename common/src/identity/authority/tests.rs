use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::error::{Code, Failure};
use crate::identity::testing::{Consortium, Forgery, days, key, operator, worker};
use crate::identity::{after, certificate::Named, verify};

fn code(error: IdentityError) -> Code {
    Failure::from(error).code
}

fn request(key: &PrivateKey) -> CertificateRequest {
    CertificateRequest::from_der(&CertificateRequest::make(key).expect("a key that signs")).expect("a good request")
}

#[test]
fn a_request_must_be_signed_with_its_own_key() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
        let made = CertificateRequest::make(&key(kind)).expect("a key that signs");
        assert_eq!(CertificateRequest::from_der(&made).expect("a good request").kind(), kind);
        for index in 0..made.len() {
            let mut changed = made.clone();
            changed[index] ^= 1;
            let refused = CertificateRequest::from_der(&changed).expect_err("it was changed");
            assert_eq!(code(refused), Code::BadCertificateRequest, "byte {index}");
        }
        // Another key in the place of its own.
        let other = key(kind).public();
        let place = made.windows(other.len()).position(|window| window[..12] == other[..12]).expect("the key is in it");
        let mut swapped = made.clone();
        swapped[place..place + other.len()].copy_from_slice(&other);
        assert_eq!(code(CertificateRequest::from_der(&swapped).expect_err("swapped")), Code::BadCertificateRequest);
    }
    for garbage in [vec![], vec![0x30], vec![0; crate::identity::request::MAX_REQUEST + 1]] {
        assert!(CertificateRequest::from_der(&garbage).is_err());
    }
}

#[test]
fn a_request_has_no_say_in_whose_name_it_is() {
    let consortium = Consortium::new("hospitals");
    let name = consortium.authority.consortium();
    let key = key(KeyKind::Ed25519);
    let validity = Validity::from_now(consortium.now, AUTHORITY_LIFE);
    let asking = |holder: &Principal| {
        let request = CertificateRequest::make_naming(&key, &[holder.uri(name)]).expect("a key that signs");
        CertificateRequest::from_der(&request).expect("a good request")
    };
    let (own, other) = (worker("a", 1), worker("b", 1));
    assert!(consortium.authority.issue(&asking(&own), &own, validity).is_ok());
    let refused = consortium.authority.issue(&asking(&other), &own, validity).expect_err("it names another");
    assert_eq!(code(refused), Code::BadCertificateRequest);
}

#[test]
fn what_signs_has_an_ed25519_key() {
    let consortium = Consortium::new("hospitals");
    let validity = Validity::from_now(consortium.now, AUTHORITY_LIFE);
    for holder in [worker("a", 1), Principal::Log] {
        let refused = consortium.authority.issue(&request(&key(KeyKind::EcdsaP256)), &holder, validity);
        assert_eq!(code(refused.expect_err("it cannot sign updates")), Code::BadCertificateRequest);
    }
    assert!(consortium.authority.issue(&request(&key(KeyKind::Ed25519)), &operator("a"), validity).is_ok());
}

#[test]
fn a_coordinator_is_known_by_its_fixed_name_and_its_addresses() {
    let consortium = Consortium::new("hospitals");
    let addresses: Vec<Address> = ["train.example.org:443", "192.0.2.7:7070", "[2001:db8::1]:7070", "localhost:1"]
        .map(|text| text.parse().expect("an address"))
        .to_vec();
    let key = key(KeyKind::EcdsaP256);
    let validity = Validity::from_now(consortium.now, AUTHORITY_LIFE);
    let issued = consortium.authority.issue_coordinator(&request(&key), &addresses, validity).expect("a certificate");
    let dns = |name: &str| Named::Dns(name.to_owned());
    let ip = |text: &str| Named::Ip(text.parse().expect("an address"));
    let expected = [
        Named::Uri("spiffe://hospitals/coordinator".to_owned()),
        dns("syngrad-coordinator"),
        dns("localhost"),
        ip("127.0.0.1"),
        ip("::1"),
        dns("train.example.org"),
        ip("192.0.2.7"),
        ip("2001:db8::1"),
    ];
    assert_eq!(issued.names(), expected);
    assert!(verify(&[issued], &consortium.roots, consortium.now).is_ok());
}

#[test]
fn who_trusts_only_the_old_authority_believes_the_next() {
    let consortium = Consortium::new("hospitals");
    let old = &consortium.authority;
    let next = old.successor(consortium.now).expect("random bytes");
    let old_root = std::slice::from_ref(old.certificate());
    let last = next.successor(consortium.now).expect("random bytes");
    let key = key(KeyKind::Ed25519);
    let validity = Validity::from_now(consortium.now, AUTHORITY_LIFE);
    for issuer in [&next, &last] {
        let issued = issuer.issue(&request(&key), &worker("a", 1), validity).expect("a certificate");
        let issuer_root = std::slice::from_ref(issuer.certificate());
        let chain = [std::slice::from_ref(&issued), issuer.cross()].concat();
        assert!(verify(&chain, old_root, consortium.now).is_ok());
        assert!(verify(std::slice::from_ref(&issued), issuer_root, consortium.now).is_ok());
        assert!(verify(&[issued], old_root, consortium.now).is_err(), "nobody vouches");
    }
    assert_eq!((next.cross().len(), last.cross().len()), (1, 2));
}

#[test]
fn an_authority_is_kept_in_a_folder() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("authority");
    let consortium = Consortium::new("hospitals");
    let made = consortium.authority.successor(consortium.now).expect("random bytes");
    made.store(&folder).expect("a folder that can be written");
    let mode = |name: &str| folder.join(name).metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("authority.key"), mode("authority.pem")), (0o600, 0o644));
    assert_eq!(folder.metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
    let loaded = Authority::load(&folder, consortium.authority.consortium()).expect("what was stored");
    assert_eq!((loaded.certificate(), loaded.cross()), (made.certificate(), made.cross()));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 3, "nothing else is left behind");
    std::fs::set_permissions(folder.join("authority.key"), std::fs::Permissions::from_mode(0o640)).expect("our file");
    let refused = Authority::load(&folder, consortium.authority.consortium()).expect_err("others can read the key");
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    assert_eq!(code(refused), Code::KeyUnusable);
}

#[test]
fn an_authority_from_elsewhere_must_be_one() {
    let consortium = Consortium::new("hospitals");
    let name = consortium.authority.consortium();
    let key = consortium.authority.key();
    let own = consortium.authority.certificate().to_pem();
    assert!(Authority::from_pem(name, own.as_bytes(), key.to_pem().as_bytes()).is_ok());
    let other = PrivateKey::generate(KeyKind::EcdsaP256).expect("random bytes");
    let refused = Authority::from_pem(name, own.as_bytes(), other.to_pem().as_bytes()).expect_err("another key");
    assert_eq!(code(refused), Code::AuthorityUnfit);
    let holder = consortium.certify(&other, &operator("alice")).expect("a certificate").to_pem();
    let refused = Authority::from_pem(name, holder.as_bytes(), other.to_pem().as_bytes()).expect_err("no authority");
    assert_eq!(code(refused), Code::AuthorityUnfit);
    for key in ["", "-----BEGIN EC PRIVATE KEY-----\nMA==\n-----END EC PRIVATE KEY-----\n"] {
        let refused = Authority::from_pem(name, own.as_bytes(), key.as_bytes()).expect_err("no key");
        assert_eq!(code(refused), Code::KeyUnusable);
    }
    assert!(Authority::from_pem(name, b"", key.to_pem().as_bytes()).is_err());
}

#[test]
fn a_holder_is_no_authority() {
    let consortium = Consortium::new("hospitals");
    let key = key(KeyKind::EcdsaP256);
    let mallory = consortium.certify(&key, &operator("mallory")).expect("a certificate");
    // Her certificate does not say that she may, and she signs all the same.
    let pretending = Authority { certificate: mallory.clone(), key: key.clone(), ..consortium.authority.clone() };
    let forged = Forgery::of(&operator("alice").uri(consortium.authority.consortium()), consortium.now);
    let forged = forged.sign(&pretending, &key);
    assert!(verify(&[forged, mallory], &consortium.roots, consortium.now).is_err());
}

#[test]
fn a_certificate_may_end_in_another_century() {
    let consortium = Consortium::new("hospitals");
    let far = Validity { not_before: consortium.now, not_after: days(consortium.now, 40_000) };
    let authority = Authority::create_for(consortium.authority.consortium(), far).expect("random bytes");
    assert_eq!(authority.certificate().summary().not_after, after(far.not_after, std::time::Duration::ZERO));
    let issued = authority.issue(&request(&key(KeyKind::Ed25519)), &worker("a", 1), far).expect("a certificate");
    assert!(verify(&[issued], std::slice::from_ref(authority.certificate()), days(consortium.now, 39_999)).is_ok());
}
