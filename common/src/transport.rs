//! How a connection is made, on either side.

mod address;

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

pub use address::{Address, AddressError, DEFAULT_ADDRESS, Host};

use crate::error::{Code, Failure};
use crate::limits::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW, HTTP2_FRAME, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, MAX_HEADERS, MAX_STREAMS,
    STREAM_WINDOW,
};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all, and so only within this machine.
    InsecureLoopback,
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
}

impl From<&TransportError> for Code {
    fn from(error: &TransportError) -> Self {
        match error {
            TransportError::NotLoopback { .. } => Self::InsecureAddress,
            TransportError::Listen { .. } => Self::CannotListen,
            TransportError::Unreachable { .. } => Self::Unreachable,
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
pub async fn listen(address: SocketAddr, security: Security) -> Result<TcpListener, TransportError> {
    match security {
        Security::InsecureLoopback if !address.ip().to_canonical().is_loopback() => {
            Err(TransportError::NotLoopback { address: address.to_string() })
        }
        Security::InsecureLoopback => {
            TcpListener::bind(address).await.map_err(|source| TransportError::Listen { address, source })
        }
    }
}

/// The accepted connections of `listener`. The server's own socket options do not apply to them, so they are set here.
#[must_use]
pub fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEP_ALIVE))
}

/// A server with this project's limits; services set [`MAX_MESSAGE`](crate::limits::MAX_MESSAGE) as their decode limit.
#[must_use]
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
}

/// Whether `security` allows connections to `address`; waiting does not change the answer.
///
/// # Errors
/// [`TransportError::NotLoopback`] if it does not.
pub fn permit(address: &Address, security: Security) -> Result<(), TransportError> {
    match security {
        Security::InsecureLoopback if !address.is_loopback() => {
            Err(TransportError::NotLoopback { address: address.to_string() })
        }
        Security::InsecureLoopback => Ok(()),
    }
}

/// Connects to a coordinator; clients set [`MAX_MESSAGE`](crate::limits::MAX_MESSAGE) as their decode limit.
///
/// # Errors
/// [`TransportError`] if `security` does not allow the address, or nobody answers there.
pub async fn connect(address: &Address, security: Security) -> Result<Channel, TransportError> {
    let unreachable = |error: &dyn std::error::Error| TransportError::Unreachable {
        address: address.clone(),
        why: root_cause(error),
    };
    permit(address, security)?;
    let uri = match security {
        Security::InsecureLoopback => format!("http://{address}"),
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| unreachable(&error))?;
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|error| unreachable(&error))
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
