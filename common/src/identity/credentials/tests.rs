use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::error::{Code, Failure};
use crate::identity::testing::{Consortium, days, key, operator, worker};

fn code(error: IdentityError) -> Code {
    Failure::from(error).code
}

#[test]
fn credentials_are_found_again_in_their_folder() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(&place.path().join("deep/worker"));
    assert_eq!(code(folder.load().expect_err("nobody joined")), Code::NoCredentials);
    let key = folder.key(KeyKind::Ed25519).expect("a new key");
    assert_eq!(folder.key(KeyKind::Ed25519).expect("the same key").public(), key.public());
    assert_eq!(code(folder.load().expect_err("nothing was granted yet")), Code::NoCredentials);
    let consortium = Consortium::new("hospitals");
    let chain = vec![consortium.certify(&key, &worker("a", 1)).expect("a certificate")];
    let made = Credentials::new(key, consortium.grant(chain), consortium.now).expect("they fit");
    folder.store(&made).expect("a folder that can be written");
    let loaded = folder.load().expect("what was stored");
    assert_eq!((loaded.grant(), loaded.identity()), (made.grant(), made.identity()));
    let mode = |name: &str| folder.path().join(name).metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("key.pem"), mode("credentials.json")), (0o600, 0o600));
    let refused = folder.key(KeyKind::EcdsaP256).expect_err("it is a worker's");
    assert!(refused.to_string().contains("key.pem"), "{refused}");
    fs::set_permissions(folder.path().join("key.pem"), fs::Permissions::from_mode(0o604)).expect("our file");
    assert_eq!(code(folder.load().expect_err("others can read the key")), Code::KeyUnusable);
}

#[test]
fn credentials_that_expired_can_still_be_looked_at() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(place.path());
    let consortium = Consortium::at("hospitals", days(UnixTime::now(), -100));
    let key = folder.key(KeyKind::Ed25519).expect("a new key");
    let chain = vec![consortium.certify(&key, &worker("a", 1)).expect("a certificate")];
    let grant = consortium.grant(chain);
    let refused = Credentials::new(key.clone(), grant.clone(), UnixTime::now()).expect_err("they expired");
    assert_eq!(code(refused), Code::CertificateTime);
    folder.store(&Credentials::new(key, grant, consortium.now).expect("then they held")).expect("our folder");
    assert!(!folder.load().expect("they are there").validity().holds(UnixTime::now()));
}

#[test]
fn a_grant_must_fit_its_key_and_its_consortium() {
    let consortium = Consortium::new("hospitals");
    let own = key(KeyKind::Ed25519);
    let chain = vec![consortium.certify(&own, &worker("a", 1)).expect("a certificate")];
    let good = consortium.grant(chain);
    let stranger = Consortium::new("hospitals");
    let others = Consortium::new("banks");
    let alice = vec![consortium.certify(&key(KeyKind::EcdsaP256), &operator("alice")).expect("a certificate")];
    let bad = [
        Grant { chain: alice, ..good.clone() },
        Grant { chain: Vec::new(), ..good.clone() },
        Grant { roots: Vec::new(), ..good.clone() },
        Grant { roots: stranger.roots.clone(), ..good.clone() },
        Grant { log: stranger.log(), ..good.clone() },
        Grant { log: good.chain[0].clone(), ..good.clone() },
        Grant { consortium: others.authority.consortium().clone(), ..good.clone() },
        Grant { addresses: Vec::new(), ..good.clone() },
    ];
    for grant in bad {
        let refused = Credentials::new(own.clone(), grant.clone(), consortium.now);
        assert_eq!(code(refused.expect_err("it does not fit")), Code::CertificateUntrusted, "{grant:?}");
    }
    assert!(Credentials::new(own, good, consortium.now).is_ok());
}

#[test]
fn a_damaged_file_is_named() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(place.path());
    let consortium = Consortium::new("hospitals");
    let key = folder.key(KeyKind::Ed25519).expect("a new key");
    let chain = vec![consortium.certify(&key, &worker("a", 1)).expect("a certificate")];
    folder.store(&Credentials::new(key, consortium.grant(chain), consortium.now).expect("they fit")).expect("ours");
    let path = folder.path().join("credentials.json");
    let good = fs::read_to_string(&path).expect("text");
    for bad in [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"form\": 1", "\"form\": 2"),
        good.replace("hospitals", "banks"),
        good.replace("127.0.0.1:7070", "nowhere"),
    ] {
        fs::write(&path, &bad).expect("our file");
        let refused = folder.load().expect_err("it is damaged");
        assert!(refused.to_string().contains("credentials.json"), "{refused}");
    }
}
