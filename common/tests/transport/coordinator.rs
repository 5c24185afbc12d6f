//! What a caller believes, and what it learns when it does not.

use std::sync::Arc;

use syngrad_common::Code;
use syngrad_common::identity::certificate::Named;
use syngrad_common::identity::testing::{
    CLIENT_USAGE, Consortium, Forgery, SERVER_USAGE, client, days, key, operator, worker,
};
use syngrad_common::identity::{Credentials, Grant, KeyKind, Sha256, UnixTime, Validity};
use syngrad_common::transport::{
    self, AcceptLimits, Address, AuthorityPin, Caller, ClientSecurity, Everybody, LiveCredentials, ServerCredentials,
    ServerSecurity,
};
use tokio::net::TcpListener;

use crate::service::{Asking, Server};

fn pin(consortium: &Consortium) -> ClientSecurity {
    ClientSecurity::Pinned(AuthorityPin {
        authority: consortium.authority.certificate().sha256(),
        consortium: consortium.authority.consortium().clone(),
    })
}

#[tokio::test]
async fn handlers_know_who_calls() {
    let consortium = Consortium::new("hospitals");
    let server = Server::start(&consortium).await;
    for holder in [worker("hospital-b", 7), operator("alice"), client("ward-7")] {
        let credentials = consortium.credentials(&holder);
        let identity = credentials.identity().clone();
        let mut asking = Asking::holding(&server.address, credentials).await.expect("it is let in");
        asking.ask().await.expect("an answer");
        assert_eq!(server.seen.last(), Caller::Known(Arc::new(identity)));
    }
    let mut asking = Asking::connect(&server.address, &pin(&consortium)).await.expect("the pinned authority");
    asking.ask().await.expect("an answer");
    assert_eq!(server.seen.last(), Caller::Anonymous);
}

#[tokio::test]
async fn a_pin_tells_one_coordinator_from_all_others() {
    let consortium = Consortium::new("hospitals");
    let other = Consortium::new("hospitals");
    let server = Server::start(&other).await;
    let refused = Asking::connect(&server.address, &pin(&consortium)).await.expect_err("another authority");
    assert_eq!(refused.code, Code::WrongCoordinator, "{refused}");
    // Showing the pinned certificate without its key is worth nothing.
    let mut posing = ServerCredentials::clone(&server.live.credentials());
    posing.cross.push(consortium.authority.certificate().clone());
    server.live.replace(posing).expect("anybody may show any certificate");
    let refused = Asking::connect(&server.address, &pin(&consortium)).await.expect_err("another authority");
    assert_eq!(refused.code, Code::CertificateUntrusted, "{refused}");
    let unknown = ClientSecurity::Pinned(AuthorityPin {
        authority: Sha256([0; 32]),
        consortium: other.authority.consortium().clone(),
    });
    let refused = Asking::connect(&server.address, &unknown).await.expect_err("nobody's");
    assert_eq!(refused.code, Code::WrongCoordinator, "{refused}");
    assert_eq!(server.seen.requests(), 0, "no secret was sent");
}

/// What a server shows that is not the coordinator, or not any more.
fn impostors(consortium: &Consortium, now: UnixTime) -> Vec<(&'static str, ServerCredentials, Code)> {
    let name = consortium.authority.consortium();
    let key = key(KeyKind::EcdsaP256);
    let shown = |certificate| ServerCredentials {
        consortium: name.clone(),
        key: key.clone(),
        certificate,
        cross: Vec::new(),
        roots: consortium.roots.clone(),
    };
    let host = Named::Dns("syngrad-coordinator".to_owned());
    let honest = Forgery {
        names: vec![Named::Uri(format!("spiffe://{name}/coordinator")), host.clone()],
        usages: vec![SERVER_USAGE],
        ..Forgery::of("", now)
    };
    let forged = |forgery: &Forgery| shown(forgery.sign(&consortium.authority, &key));
    let named = |uri: &str| Forgery { names: vec![Named::Uri(uri.to_owned()), host.clone()], ..honest.clone() };
    let at = |from, to| Validity { not_before: days(now, from), not_after: days(now, to) };
    let stranger = Consortium::new(name.as_str());
    vec![
        ("expired", forged(&Forgery { validity: at(-2, -1), ..honest.clone() }), Code::CertificateTime),
        ("not yet valid", forged(&Forgery { validity: at(1, 2), ..honest.clone() }), Code::CertificateTime),
        ("another authority", shown(honest.sign(&stranger.authority, &key)), Code::CertificateUntrusted),
        (
            "a client's use",
            forged(&Forgery { usages: vec![CLIENT_USAGE], ..honest.clone() }),
            Code::CertificateUntrusted,
        ),
        ("an operator", forged(&named(&operator("mallory").uri(name))), Code::CertificateUntrusted),
        ("a worker", forged(&named(&worker("mallory", 1).uri(name))), Code::CertificateUntrusted),
        ("another consortium", forged(&named("spiffe://banks/coordinator")), Code::CertificateUntrusted),
        ("nobody", forged(&Forgery { names: vec![host.clone()], ..honest.clone() }), Code::CertificateUntrusted),
        (
            "no fixed name",
            forged(&Forgery { names: vec![honest.names[0].clone()], ..honest.clone() }),
            Code::CertificateUntrusted,
        ),
    ]
}

#[tokio::test]
async fn what_is_not_the_coordinator_hears_nothing() {
    let consortium = Consortium::new("hospitals");
    let now = UnixTime::now();
    for (what, shown, code) in impostors(&consortium, now) {
        let server = Server::show(shown, Arc::new(Everybody::default()), AcceptLimits::default()).await;
        for security in [
            ClientSecurity::Mutual(LiveCredentials::new(consortium.credentials(&worker("a", 1))).expect("usable")),
            pin(&consortium),
        ] {
            let refused = Asking::connect(&server.address, &security).await.expect_err(what);
            assert_eq!(refused.code, code, "{what}: {refused}");
        }
        assert_eq!(server.seen.requests(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_new_authority_loses_nobody_until_the_old_one_is_retired() {
    let mut consortium = Consortium::new("hospitals");
    let server = Server::start(&consortium).await;
    let (old_pin, before) = (pin(&consortium), consortium.credentials(&worker("a", 1)));
    let old_root = consortium.authority.certificate().clone();
    consortium.authority = consortium.authority.successor(consortium.now).expect("random bytes");
    consortium.roots.insert(0, consortium.authority.certificate().clone());
    let show = |older: &[_]| {
        let shown = ServerCredentials::issue(&consortium.authority, older, &consortium.addresses, UnixTime::now());
        server.live.replace(shown.expect("an authority that signs")).expect("they fit");
    };
    show(std::slice::from_ref(&old_root));
    // Credentials that know the old authority only, and those that know both; tickets of before and of after.
    let after = consortium.credentials(&worker("b", 1));
    for credentials in [before.clone(), after.clone()] {
        Asking::holding(&server.address, credentials).await.expect("it is let in").ask().await.expect("an answer");
    }
    for pin in [&old_pin, &pin(&consortium)] {
        Asking::connect(&server.address, pin).await.expect("it is shown").ask().await.expect("an answer");
    }
    let served = server.seen.requests();
    show(&[]);
    let refused = Asking::holding(&server.address, before).await.expect_err("its authority is retired");
    assert_eq!(refused.code, Code::CertificateUntrusted, "{refused}");
    let refused = Asking::connect(&server.address, &old_pin).await.expect_err("its authority is retired");
    assert_eq!(refused.code, Code::WrongCoordinator, "{refused}");
    assert_eq!(server.seen.requests(), served);
    Asking::holding(&server.address, after).await.expect("it is let in").ask().await.expect("an answer");
}

#[tokio::test]
async fn renewed_credentials_are_for_the_next_connection() {
    let consortium = Consortium::new("hospitals");
    let server = Server::start(&consortium).await;
    let first = consortium.credentials(&worker("a", 1));
    let certificate = consortium.certify(first.key(), &worker("a", 1)).expect("a certificate");
    let renewed = Credentials::new(first.key().clone(), consortium.grant(vec![certificate]), consortium.now);
    let renewed = renewed.expect("they fit");
    let live = LiveCredentials::new(first.clone()).expect("usable");
    let security = ClientSecurity::Mutual(live.clone());
    let serial = |caller: Caller| match caller {
        Caller::Known(identity) => identity.certificate.serial.clone(),
        Caller::Insecure | Caller::Anonymous => panic!("it showed a certificate"),
    };
    let mut up = Asking::connect(&server.address, &security).await.expect("it is let in");
    live.replace(renewed.clone()).expect("usable");
    up.ask().await.expect("an answer");
    assert_eq!(serial(server.seen.last()), first.identity().certificate.serial);
    Asking::connect(&server.address, &security).await.expect("it is let in").ask().await.expect("an answer");
    assert_eq!(serial(server.seen.last()), renewed.identity().certificate.serial);
}

#[tokio::test]
async fn expired_credentials_do_not_even_knock() {
    let consortium = Consortium::at("hospitals", days(UnixTime::now(), -100));
    let credentials = consortium.credentials(&worker("a", 1));
    // Nobody listens there.
    let address: Address = "127.0.0.1:9".parse().expect("an address");
    let refused = Asking::holding(&address, credentials).await.expect_err("they expired");
    assert_eq!(refused.code, Code::CertificateTime, "{refused}");
}

#[tokio::test]
async fn a_side_without_protection_is_told_so() {
    let consortium = Consortium::new("hospitals");
    let server = Server::start(&consortium).await;
    let insecure = ClientSecurity::InsecureLoopback;
    let refused = match Asking::connect(&server.address, &insecure).await {
        Ok(mut asking) => asking.ask().await.expect_err("the server speaks TLS"),
        Err(refused) => refused,
    };
    assert!(matches!(refused.code, Code::ConnectionLost | Code::Unreachable), "{refused:?}");
    assert_eq!(server.seen.requests(), 0);
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::from(plain.local_addr().expect("an address"));
    let incoming = transport::accept(plain, ServerSecurity::InsecureLoopback, AcceptLimits::default(), Arc::default());
    let routes = tonic::service::Routes::default();
    tokio::spawn(transport::server().add_routes(routes).serve_with_incoming(incoming));
    let refused = Asking::holding(&address, consortium.credentials(&worker("a", 1))).await.expect_err("plain text");
    assert!(matches!(refused.code, Code::ProtectionDiffers | Code::TlsFailed), "{refused:?}");
}

#[tokio::test]
async fn a_grant_of_another_consortium_is_not_enough() {
    let consortium = Consortium::new("hospitals");
    let banks = Consortium::new("banks");
    let server = Server::start(&consortium).await;
    let theirs = banks.credentials(&worker("a", 1));
    let refused = Asking::holding(&server.address, theirs.clone()).await.expect_err("another consortium");
    assert_eq!(refused.code, Code::CertificateUntrusted, "{refused}");
    // Even if it trusts our authority, it is not ours.
    let roots = [banks.roots.clone(), consortium.roots.clone()].concat();
    let grant = Grant { roots, ..theirs.grant().clone() };
    let trusting = Credentials::new(theirs.key().clone(), grant, banks.now).expect("they fit");
    let refused = Asking::holding(&server.address, trusting).await.expect_err("another consortium");
    assert_eq!(refused.code, Code::CertificateUntrusted, "{refused}");
    assert_eq!(server.seen.requests(), 0);
}
