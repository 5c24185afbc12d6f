//! The address of a coordinator, as people write it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::error::{Code, Failure};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: Host,
    port: u16,
}

/// The machine of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// By its number.
    Ip(IpAddr),
    /// By its name.
    Name(String),
}

/// Where a coordinator listens, and where it is looked for, if nobody says otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:7070";

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is no coordinator's address: {why}; write it as {DEFAULT_ADDRESS}")]
pub struct AddressError {
    text: String,
    why: &'static str,
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::new(Code::BadAddress, error.to_string())
    }
}

impl Address {
    /// The machine.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether a connection to it cannot leave this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Ip(ip) => ip.to_canonical().is_loopback(),
            Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |why| AddressError { text: text.chars().take(256).collect(), why };
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let (host, port) = bare.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
        let port = port.parse().ok().filter(|&port| port > 0).ok_or_else(|| wrong("the port is not 1 to 65535"))?;
        let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Some(host) = unbracketed {
            let ip = host.parse().map_err(|_| wrong("what is in brackets is no IPv6 address"))?;
            return Ok(Self { host: Host::Ip(IpAddr::V6(ip)), port });
        }
        if let Ok(ip) = host.parse() {
            return Ok(Self { host: Host::Ip(IpAddr::V4(ip)), port });
        }
        let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        match !host.is_empty() && host.len() <= 253 && host.chars().all(label) {
            true => Ok(Self { host: Host::Name(host.to_owned()), port }),
            false => Err(wrong("the host is neither a name nor an IP address")),
        }
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Self { host: Host::Ip(address.ip()), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}
