//! The coordinator's accept loop: who may knock, how long that may take, and how long a connection stays.
//!
//! Nothing of a request is read before its connection is up: a connection that is refused has cost a handshake at most, and
//! those are bounded in number, in time, and for each address.

mod connection;
mod counters;
mod places;

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tonic::codegen::tokio_stream::Stream;

pub use connection::Connection;
use connection::{Io, for_known, for_unknown};
pub use counters::{ConnectionCounters, ConnectionCounts};
use places::{Place, Places};

use super::{Caller, LiveServer, ServerSecurity};
use crate::limits::{
    ANONYMOUS_LIFE, KEEP_ALIVE, MAX_CONNECTIONS, MAX_CONNECTIONS_CLIENT, MAX_CONNECTIONS_OPERATOR,
    MAX_CONNECTIONS_UNKNOWN, MAX_CONNECTIONS_WORKER, MAX_TLS_HANDSHAKES, TLS_HANDSHAKE_TIMEOUT,
};

/// Connections that are up and wait for the server to take them.
const WAITING: usize = 64;
/// The pause when the system gives no connection, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// What bounds connections. Its default is [`crate::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptLimits {
    /// Connections in all.
    pub all: usize,
    /// Connections of one address without a certificate.
    pub unknown: usize,
    /// Connections of one worker.
    pub worker: usize,
    /// Connections of one operator.
    pub operator: usize,
    /// Connections of one client.
    pub client: usize,
    /// Connections that come up at once.
    pub handshakes: usize,
    /// Time in which one must come up.
    pub handshake: Duration,
    /// How long one may stay without a certificate.
    pub anonymous: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            all: MAX_CONNECTIONS,
            unknown: MAX_CONNECTIONS_UNKNOWN,
            worker: MAX_CONNECTIONS_WORKER,
            operator: MAX_CONNECTIONS_OPERATOR,
            client: MAX_CONNECTIONS_CLIENT,
            handshakes: MAX_TLS_HANDSHAKES,
            handshake: TLS_HANDSHAKE_TIMEOUT,
            anonymous: ANONYMOUS_LIFE,
        }
    }
}

/// Connections that are up, for tonic's `serve_with_incoming`. Handlers find the [`Caller`] in a request's extensions.
/// Dropping it closes the listener and what was still coming up.
#[derive(Debug)]
pub struct Accept(mpsc::Receiver<Connection>);

/// Accepts connections of `listener`, protected as `security` says, within `limits`; `counters` count them.
#[must_use]
pub fn accept(
    listener: TcpListener,
    security: ServerSecurity,
    limits: AcceptLimits,
    counters: Arc<ConnectionCounters>,
) -> Accept {
    let (ready, receiver) = mpsc::channel(WAITING);
    let door = Door { limits, places: Places::new(limits), counters, ready };
    tokio::spawn(run(listener, security, door));
    Accept(receiver)
}

impl Stream for Accept {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

/// What every connection passes.
#[derive(Clone)]
struct Door {
    limits: AcceptLimits,
    places: Arc<Places>,
    counters: Arc<ConnectionCounters>,
    ready: mpsc::Sender<Connection>,
}

/// Connections that come up, oldest first.
#[derive(Default)]
struct ComingUp {
    tasks: JoinSet<u64>,
    order: BTreeMap<u64, AbortHandle>,
    next: u64,
}

async fn run(listener: TcpListener, security: ServerSecurity, door: Door) {
    let mut coming_up = ComingUp::default();
    loop {
        let accepted = tokio::select! {
            () = door.ready.closed() => return,
            Some(done) = coming_up.tasks.join_next() => {
                if let Ok(number) = done {
                    coming_up.order.remove(&number);
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        door.counters.accepted();
        if let Err(error) = tune(&stream) {
            tracing::debug!(%peer, "the connection ended at once: {error}");
            continue;
        }
        match &security {
            ServerSecurity::InsecureLoopback => match door.places.local() {
                Some(place) => {
                    let connection = Connection::new(Io::Plain(stream), Caller::Insecure, None, place, &door.counters);
                    // Nobody takes connections any more: the loop sees that next.
                    let _ = door.ready.send(connection).await;
                }
                None => door.counters.refused(),
            },
            ServerSecurity::Mutual(server) => match door.places.unknown(peer.ip()) {
                Some(place) => coming_up.begin(stream, server.clone(), place, door.clone()),
                None => door.counters.refused(),
            },
        }
    }
}

/// Small messages go out at once, and the system notices too when the other machine is gone.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))
}

impl ComingUp {
    /// Brings a protected connection up beside the others. When there are as many as may be, the oldest makes room: an
    /// honest one takes milliseconds, so the oldest is the least likely to be one.
    fn begin(&mut self, stream: TcpStream, server: LiveServer, place: Place, door: Door) {
        if self.order.len() >= door.limits.handshakes
            && let Some((_, oldest)) = self.order.pop_first()
        {
            door.counters.given_up();
            oldest.abort();
        }
        let number = self.next;
        self.next += 1;
        let task = self.tasks.spawn(async move {
            door.bring_up(stream, &server, place).await;
            number
        });
        self.order.insert(number, task);
    }
}

impl Door {
    async fn bring_up(self, stream: TcpStream, server: &LiveServer, place: Place) {
        // Counted before it is dropped, so that whoever is hung up on finds itself counted.
        let mut accepting = std::pin::pin!(server.accept(stream));
        let (stream, caller) = match timeout(self.limits.handshake, &mut accepting).await {
            Ok(Ok(up)) => up,
            Ok(Err(refused)) => {
                self.counters.failed();
                tracing::debug!(code = %refused.failure.code, "a connection is refused: {}", refused.failure);
                refused.farewell().await;
                return;
            }
            Err(_) => {
                self.counters.late();
                return;
            }
        };
        let (place, end) = match &caller {
            Caller::Insecure | Caller::Anonymous => (Some(place), for_unknown(self.limits.anonymous)),
            Caller::Known(identity) => {
                (place.known(&identity.principal), for_known(identity.clone(), server.standing().clone()))
            }
        };
        let Some(place) = place else {
            self.counters.refused();
            return;
        };
        let connection = Connection::new(Io::Tls(Box::new(stream)), caller, Some(end), place, &self.counters);
        // Nobody takes connections any more: this one ends with the others.
        let _ = self.ready.send(connection).await;
    }
}
