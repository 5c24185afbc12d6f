//! Who may come in now: operators change their minds, and certificates expire.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use syngrad_common::identity::testing::{Consortium, key, operator, worker};
use syngrad_common::identity::{CertificateSummary, Credentials, KeyKind, UnixTime, Validity, after};
use syngrad_common::transport::{AcceptLimits, Standing};
use syngrad_common::{Code, Failure};
use syngrad_engine::Principal;
use tokio::sync::watch;

use crate::service::{Asking, Server};

/// Bars whom it is told to.
#[derive(Debug)]
struct Bars {
    barred: Mutex<BTreeSet<Principal>>,
    version: watch::Sender<u64>,
}

impl Bars {
    fn new() -> Arc<Self> {
        Arc::new(Self { barred: Mutex::default(), version: watch::Sender::new(0) })
    }

    fn set(&self, holders: &[Principal]) {
        *self.barred.lock().expect("nobody panics with it") = holders.iter().cloned().collect();
        self.version.send_modify(|version| *version += 1);
    }
}

impl Standing for Bars {
    fn check(&self, who: &Principal, _: &CertificateSummary) -> Result<(), Failure> {
        match self.barred.lock().expect("nobody panics with it").contains(who) {
            true => Err(Failure::new(Code::CredentialsRefused, format!("{who} is suspended"))),
            false => Ok(()),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[tokio::test]
async fn who_is_suspended_is_cut_off_at_once_and_may_come_back() {
    let consortium = Consortium::new("hospitals");
    let bars = Bars::new();
    let server = Server::start_with(&consortium, bars.clone(), AcceptLimits::default()).await;
    let (a, b) = (worker("a", 1), worker("b", 1));
    let credentials = consortium.credentials(&a);
    let up = Asking::holding(&server.address, credentials.clone()).await.expect("it is let in");
    let mut beside = Asking::holding(&server.address, consortium.credentials(&b)).await.expect("it is let in");
    let waiting = tokio::spawn(up.ended());
    beside.ask().await.expect("an answer");
    bars.set(std::slice::from_ref(&a));
    let ended = waiting.await.expect("no panic");
    assert!(matches!(ended.code, Code::ConnectionLost | Code::CredentialsRefused), "{ended:?}");
    let refused = Asking::holding(&server.address, credentials.clone()).await.expect_err("it is suspended");
    assert_eq!(refused.code, Code::CredentialsRefused, "{refused}");
    beside.ask().await.expect("others are not touched");
    assert_eq!(server.counts().barred, 1);
    bars.set(&[]);
    Asking::holding(&server.address, credentials).await.expect("it may come back").ask().await.expect("an answer");
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let consortium = Consortium::new("hospitals");
    let server = Server::start(&consortium).await;
    let key = key(KeyKind::Ed25519);
    let short = Validity { not_before: consortium.now, not_after: after(UnixTime::now(), Duration::from_secs(1)) };
    let certificate = consortium.certify_for(&key, &worker("a", 1), short).expect("a certificate");
    let credentials = Credentials::new(key, consortium.grant(vec![certificate]), consortium.now).expect("they fit");
    let up = Asking::holding(&server.address, credentials).await.expect("it still holds");
    up.ended().await;
    assert!(UnixTime::now() > short.not_after);
    assert_eq!(server.counts().expired, 1);
}

#[tokio::test]
async fn a_holder_has_so_many_connections() {
    let consortium = Consortium::new("hospitals");
    let limits = AcceptLimits { operator: 2, ..AcceptLimits::default() };
    let server = Server::start_with(&consortium, Bars::new(), limits).await;
    let credentials = consortium.credentials(&operator("alice"));
    let connect = || Asking::holding(&server.address, credentials.clone());
    let mut first = connect().await.expect("it is let in");
    let _second = connect().await.expect("it is let in");
    connect().await.expect_err("there are two already");
    assert_eq!(server.counts().refused, 1);
    first.ask().await.expect("those that are up stay");
    Asking::holding(&server.address, consortium.credentials(&operator("bob"))).await.expect("others have their own");
}
