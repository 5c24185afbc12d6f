//! One connection as tonic has it: it knows who is at the other end, and when it has to end.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tonic::transport::server::Connected;

use super::counters::ConnectionCounters;
use super::places::Place;
use crate::identity::{Identity, UnixTime};
use crate::transport::{Caller, ServerStream, Standing};

/// Why a connection ends that both sides would go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its certificate, or its time without one, has expired.
    Expired,
    /// Its holder may not come in any more.
    Barred,
}

/// Comes when a connection has to end.
pub(super) type Ending = Pin<Box<dyn Future<Output = End> + Send>>;

/// What a connection runs over.
#[derive(Debug)]
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<ServerStream>),
}

/// A connection that is up.
pub struct Connection {
    io: Io,
    caller: Caller,
    ending: Option<Ending>,
    ended: bool,
    counters: Arc<ConnectionCounters>,
    _place: Place,
}

/// The end of a connection without a certificate, which may stay for `life`.
pub(super) fn for_unknown(life: Duration) -> Ending {
    Box::pin(async move {
        sleep(life).await;
        End::Expired
    })
}

/// The end of a holder's connection: when its certificate expires, or it may not come in any more.
pub(super) fn for_known(identity: Arc<Identity>, standing: Arc<dyn Standing>) -> Ending {
    Box::pin(async move {
        let mut changes = standing.changes();
        let left = identity.certificate.not_after.as_secs().saturating_sub(UnixTime::now().as_secs());
        // The last second of a certificate is one in which it holds.
        let expired = sleep(Duration::from_secs(left.saturating_add(1)));
        tokio::pin!(expired);
        loop {
            // First of all too: something may have changed since the handshake.
            if let Err(failure) = standing.check(&identity.principal, &identity.certificate) {
                tracing::info!(who = %identity.principal, code = %failure.code, "its connection ends: {failure}");
                return End::Barred;
            }
            tokio::select! {
                () = &mut expired => return End::Expired,
                changed = changes.changed() => if changed.is_err() {
                    expired.await;
                    return End::Expired;
                },
            }
        }
    })
}

impl Connection {
    pub(super) fn new(
        io: Io,
        caller: Caller,
        ending: Option<Ending>,
        place: Place,
        counters: &Arc<ConnectionCounters>,
    ) -> Self {
        counters.opened();
        Self { io, caller, ending, ended: false, counters: counters.clone(), _place: place }
    }

    /// Whether it has ended. Asked at every turn, so that whoever waits for the other side hears of it too.
    fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(ending) = &mut self.ending else { return self.ended };
        let Poll::Ready(end) = ending.as_mut().poll(cx) else { return false };
        match end {
            End::Expired => self.counters.expired(),
            End::Barred => self.counters.barred(),
        }
        self.ending = None;
        self.ended = true;
        true
    }
}

/// Passes a call on to what the connection runs over.
macro_rules! pass {
    ($connection:expr, $io:ident => $call:expr) => {
        match &mut $connection.io {
            Io::Plain(stream) => {
                let $io = Pin::new(stream);
                $call
            }
            Io::Tls(stream) => {
                let $io = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

fn aborted<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.has_ended(cx) {
            // Nothing more comes, as if the other side had hung up.
            true => Poll::Ready(Ok(())),
            false => pass!(self, io => io.poll_read(cx, buffer)),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.has_ended(cx) {
            true => aborted(),
            false => pass!(self, io => io.poll_write(cx, bytes)),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.has_ended(cx) {
            true => aborted(),
            false => pass!(self, io => io.poll_write_vectored(cx, parts)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.has_ended(cx) {
            true => aborted(),
            false => pass!(self, io => io.poll_flush(cx)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pass!(self, io => io.poll_shutdown(cx))
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.closed();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.caller)
    }
}
