//! What the accept loop does with those who never come to the point.

use std::sync::Arc;
use std::time::Duration;

use syngrad_common::identity::testing::{Consortium, worker};
use syngrad_common::transport::{AcceptLimits, AuthorityPin, ClientSecurity, Everybody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service::{Asking, Server};

async fn start(limits: AcceptLimits) -> (Consortium, Server) {
    let consortium = Consortium::new("hospitals");
    let server = Server::start_with(&consortium, Arc::new(Everybody::default()), limits).await;
    (consortium, server)
}

async fn knock(server: &Server) -> TcpStream {
    TcpStream::connect(server.socket).await.expect("it listens")
}

/// Waits until the other side has hung up.
async fn hung_up(mut stream: TcpStream) {
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {}
}

async fn is_let_in(consortium: &Consortium, server: &Server) {
    let credentials = consortium.credentials(&worker("a", 1));
    Asking::holding(&server.address, credentials).await.expect("it is let in").ask().await.expect("an answer");
}

#[tokio::test]
async fn who_says_nothing_is_hung_up_on() {
    let limits = AcceptLimits { handshake: Duration::from_millis(20), ..AcceptLimits::default() };
    let (_, server) = start(limits).await;
    hung_up(knock(&server).await).await;
    // A handshake that was begun and not ended: the first bytes of a ClientHello.
    let mut slow = knock(&server).await;
    slow.write_all(&[0x16, 3, 1, 1, 0, 1]).await.expect("it is read");
    hung_up(slow).await;
    assert_eq!(server.counts().late, 2);
    assert_eq!(server.counts().open, 0);
}

#[tokio::test]
async fn an_address_has_so_many_connections_that_show_nothing() {
    let limits = AcceptLimits { unknown: 2, ..AcceptLimits::default() };
    let (consortium, server) = start(limits).await;
    let (first, _second) = (knock(&server).await, knock(&server).await);
    hung_up(knock(&server).await).await;
    assert_eq!(server.counts().refused, 1);
    // When one of them goes, there is room for somebody honest, who does not stay in it.
    drop(first);
    let pause = hung_up_on_first_refusals(&consortium, &server).await;
    assert!(pause, "somebody honest got in");
}

/// The place of a connection that went is free as soon as the server has noticed; a caller tries again, as all ours do.
async fn hung_up_on_first_refusals(consortium: &Consortium, server: &Server) -> bool {
    for _ in 0..1000 {
        if let Ok(mut asking) = Asking::holding(&server.address, consortium.credentials(&worker("a", 1))).await {
            return asking.ask().await.is_ok();
        }
    }
    false
}

#[tokio::test]
async fn the_slowest_makes_room_for_the_next() {
    let limits = AcceptLimits { handshakes: 2, ..AcceptLimits::default() };
    let (consortium, server) = start(limits).await;
    let (first, _second) = (knock(&server).await, knock(&server).await);
    let _third = knock(&server).await;
    hung_up(first).await;
    assert_eq!(server.counts().given_up, 1);
    // However many of them there are.
    is_let_in(&consortium, &server).await;
    assert_eq!(server.counts().given_up, 2);
}

#[tokio::test]
async fn who_shows_no_certificate_does_not_stay() {
    let limits = AcceptLimits { anonymous: Duration::from_millis(50), ..AcceptLimits::default() };
    let (consortium, server) = start(limits).await;
    let pin = AuthorityPin {
        authority: consortium.authority.certificate().sha256(),
        consortium: consortium.authority.consortium().clone(),
    };
    let anonymous = Asking::connect(&server.address, &ClientSecurity::Pinned(pin)).await.expect("it is let in");
    anonymous.ended().await;
    assert_eq!(server.counts().expired, 1);
    is_let_in(&consortium, &server).await;
}

#[tokio::test]
async fn a_crowd_of_silent_connections_keeps_nobody_out() {
    let (consortium, server) = start(AcceptLimits::default()).await;
    let mut crowd = Vec::new();
    for _ in 0..AcceptLimits::default().unknown - 1 {
        crowd.push(knock(&server).await);
    }
    for _ in 0..20 {
        is_let_in(&consortium, &server).await;
    }
    assert_eq!(server.seen.requests(), 20);
}
