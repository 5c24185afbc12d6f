//! How a connection is made, on either side.
//!
//! A protected connection is TLS 1.3 with certificates of the consortium on both sides ([`crate::identity`], ADR 0017).
//! tonic is handed streams that are up already: [`LiveServer::accept`] on the coordinator's side, a connector on the other.

mod accept;
mod address;
mod buffered;
mod caller;
mod client;
mod failure;
mod server;
mod verifier;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use thiserror::Error;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint, Server};

pub use accept::{Accept, AcceptLimits, Connection, ConnectionCounters, ConnectionCounts, accept};
pub use address::{Address, AddressError, DEFAULT_ADDRESS, Host};
pub use buffered::Buffered;
pub use caller::{Caller, Everybody, Standing};
use client::Connector;
pub use client::{AuthorityPin, ClientSecurity, LiveCredentials};
pub use failure::among as failure_among;
pub use server::{LiveServer, Refused, ServerCredentials, ServerSecurity, ServerStream};

use crate::error::{Code, Failure};
use crate::identity::COORDINATOR_NAME;
use crate::limits::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW, HTTP2_FRAME, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, MAX_HEADERS, MAX_RESET_STREAMS,
    MAX_STREAMS, STREAM_WINDOW,
};

/// What both sides say they speak inside TLS.
const ALPN: &[u8] = b"h2";

/// Encrypted bytes of a connection that wait for the system: more at a time costs fewer calls and wakes.
const TLS_BUFFER: usize = 256 << 10;

/// The cryptography of protected connections: TLS 1.3 only, and what is cheapest on machines of today first.
fn provider() -> Arc<CryptoProvider> {
    let suites = [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), ..rustls::crypto::ring::default_provider() })
}

/// Why there is no connection or listener.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The address leaves this machine, unprotected.
    #[error("{address} is not an address of this machine alone, and the connection would not be protected")]
    NotLoopback {
        /// The address.
        address: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers at the address.
    #[error("no coordinator answers at {address}: {why}")]
    Unreachable {
        /// The address.
        address: Address,
        /// Why, from the bottom of the stack.
        why: String,
    },
    /// Somebody answers, and the connection does not come up.
    #[error("{0}")]
    Refused(Failure),
}

impl From<&TransportError> for Code {
    fn from(error: &TransportError) -> Self {
        match error {
            TransportError::NotLoopback { .. } => Self::InsecureAddress,
            TransportError::Listen { .. } => Self::CannotListen,
            TransportError::Unreachable { .. } => Self::Unreachable,
            TransportError::Refused(failure) => failure.code,
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::new((&error).into(), error.to_string())
    }
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// [`TransportError`] if `security` does not allow the address, or the system does not.
pub async fn listen(address: SocketAddr, security: &ServerSecurity) -> Result<TcpListener, TransportError> {
    permit_listening(address, security)?;
    TcpListener::bind(address).await.map_err(|source| TransportError::Listen { address, source })
}

/// Whether `security` allows to listen on `address`.
///
/// # Errors
/// [`TransportError::NotLoopback`] if it does not.
pub fn permit_listening(address: SocketAddr, security: &ServerSecurity) -> Result<(), TransportError> {
    match security {
        ServerSecurity::InsecureLoopback if !address.ip().to_canonical().is_loopback() => {
            Err(TransportError::NotLoopback { address: address.to_string() })
        }
        ServerSecurity::InsecureLoopback | ServerSecurity::Mutual(_) => Ok(()),
    }
}

/// A server with this project's limits; services set [`MAX_MESSAGE`](crate::limits::MAX_MESSAGE) as their decode limit.
#[must_use]
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_max_local_error_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
}

/// Whether `security` allows connections to `address`; waiting does not change the answer.
///
/// # Errors
/// [`TransportError::NotLoopback`] if it does not.
pub fn permit(address: &Address, security: &ClientSecurity) -> Result<(), TransportError> {
    match security {
        ClientSecurity::InsecureLoopback if !address.is_loopback() => {
            Err(TransportError::NotLoopback { address: address.to_string() })
        }
        ClientSecurity::InsecureLoopback | ClientSecurity::Mutual(_) | ClientSecurity::Pinned(_) => Ok(()),
    }
}

/// Connects to a coordinator; clients set [`MAX_MESSAGE`](crate::limits::MAX_MESSAGE) as their decode limit. The channel
/// connects again by itself, with the credentials that are current then.
///
/// # Errors
/// [`TransportError`] if `security` does not allow the address, nobody answers there, or either side refuses the other.
pub async fn connect(address: &Address, security: &ClientSecurity) -> Result<Channel, TransportError> {
    let unreachable = |error: &dyn std::error::Error| TransportError::Unreachable {
        address: address.clone(),
        why: root_cause(error),
    };
    permit(address, security)?;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| unreachable(&error))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let connector = match security {
        ClientSecurity::InsecureLoopback => {
            return endpoint.connect().await.map_err(|error| unreachable(&error));
        }
        ClientSecurity::Mutual(credentials) => Connector::mutual(address.clone(), credentials.clone()),
        ClientSecurity::Pinned(pin) => Connector::pinned(address.clone(), pin).map_err(TransportError::Refused)?,
    };
    let named = format!("https://{COORDINATOR_NAME}").parse().expect("a fixed name is an address");
    let connected = endpoint.origin(named).connect_with_connector(connector).await;
    connected.map_err(|error| match failure_among(&error) {
        Some(failure) => TransportError::Refused(failure),
        None => unreachable(&error),
    })
}

/// Connects to the first of `addresses` at which the coordinator answers; which that is.
///
/// # Errors
/// As [`connect`], of the last address.
///
/// # Panics
/// If there is no address: tickets and grants have one.
pub async fn reach<'a>(
    addresses: &'a [Address],
    security: &ClientSecurity,
) -> Result<(&'a Address, Channel), TransportError> {
    let (last, others) = addresses.split_last().expect("tickets and grants name an address");
    for address in others {
        if let Ok(channel) = connect(address, security).await {
            return Ok((address, channel));
        }
    }
    Ok((last, connect(last, security).await?))
}

/// What lies at the bottom of an error: libraries wrap "connection refused" in "transport error".
#[must_use]
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
