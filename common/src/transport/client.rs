//! The caller's side of protected connections.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use syngrad_engine::principal::ConsortiumName;
use tokio::io::AsyncBufRead as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};

use super::verifier::{CoordinatorVerifier, Trust, coordinator_name, under};
use super::{ALPN, Address, Buffered, Host, TLS_BUFFER, failure, provider};
use crate::error::{Code, Failure};
use crate::identity::{Credentials, Sha256, Ticket, UnixTime, shown};
use crate::limits::CONNECT_TIMEOUT;

/// A protected connection, as the caller has it.
type ClientStream = TlsStream<Buffered<TcpStream>>;

/// How a caller protects its connections.
#[derive(Clone, Debug)]
pub enum ClientSecurity {
    /// Not at all, and so only within this machine.
    InsecureLoopback,
    /// Both sides show certificates of a consortium.
    Mutual(LiveCredentials),
    /// Only the coordinator shows one: the caller has a ticket and nothing else yet.
    Pinned(AuthorityPin),
}

/// The one authority that a coordinator must show, and its consortium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityPin {
    /// The SHA-256 of the authority's certificate.
    pub authority: Sha256,
    /// The consortium.
    pub consortium: ConsortiumName,
}

impl From<&Ticket> for AuthorityPin {
    fn from(ticket: &Ticket) -> Self {
        Self { authority: ticket.authority, consortium: ticket.consortium.clone() }
    }
}

/// A holder's credentials, shared by all its connections; renewed ones are for all connections from then on.
#[derive(Clone)]
pub struct LiveCredentials {
    current: Arc<RwLock<Ready>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone)]
struct Ready {
    config: Arc<ClientConfig>,
    credentials: Arc<Credentials>,
}

impl LiveCredentials {
    /// Shows `credentials` to the coordinator, and believes it under their roots.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be used.
    pub fn new(credentials: Credentials) -> Result<Self, Failure> {
        let provider = provider();
        let ready = ready(credentials, &provider)?;
        Ok(Self { current: Arc::new(RwLock::new(ready)), provider })
    }

    /// Uses `credentials` from now on. Connections that are up stay.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be used; then the old ones stay.
    pub fn replace(&self, credentials: Credentials) -> Result<(), Failure> {
        let ready = ready(credentials, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = ready;
        Ok(())
    }

    /// What is used now.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        self.ready().credentials
    }

    fn ready(&self) -> Ready {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for LiveCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.credentials();
        let identity = credentials.identity();
        write!(f, "LiveCredentials({})", identity.principal.uri(&identity.consortium))
    }
}

fn unusable(error: &rustls::Error) -> Failure {
    Failure::new(Code::CertificateUnreadable, format!("the credentials cannot be used: {error}"))
}

fn ready(credentials: Credentials, provider: &Arc<CryptoProvider>) -> Result<Ready, Failure> {
    let grant = credentials.grant();
    let trust = Trust::Roots(under(&grant.roots, provider).map_err(|error| unusable(&error))?);
    let chain = grant.chain.iter().map(|certificate| certificate.der().clone()).collect();
    let key = CertifiedKey::new(chain, credentials.key().signing());
    let config = config(trust, grant.consortium.clone(), Some(key), provider)?;
    Ok(Ready { config: Arc::new(config), credentials: Arc::new(credentials) })
}

fn config(
    trust: Trust,
    consortium: ConsortiumName,
    key: Option<CertifiedKey>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, Failure> {
    let verifier = CoordinatorVerifier { trust, consortium, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(|error| unusable(&error))?;
    // Not that anything is skipped: the verifier leaves paths to rustls, and adds whom the certificate must name.
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match key {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Makes protected connections to one address for tonic, which calls it again whenever one has ended.
#[derive(Clone)]
pub(super) struct Connector {
    address: Address,
    from: Source,
}

#[derive(Clone)]
enum Source {
    Live(LiveCredentials),
    Fixed(Arc<ClientConfig>),
}

impl Connector {
    pub(super) fn mutual(address: Address, credentials: LiveCredentials) -> Self {
        Self { address, from: Source::Live(credentials) }
    }

    pub(super) fn pinned(address: Address, pin: &AuthorityPin) -> Result<Self, Failure> {
        let config = config(Trust::Pin(pin.authority), pin.consortium.clone(), None, &provider())?;
        Ok(Self { address, from: Source::Fixed(Arc::new(config)) })
    }

    async fn connect(self) -> Result<ClientStream, Failure> {
        let Self { address, from } = self;
        let config = match from {
            Source::Fixed(config) => config,
            Source::Live(live) => {
                let Ready { config, credentials } = live.ready();
                still_good(&credentials)?;
                config
            }
        };
        let late = |_| Failure::new(Code::Unreachable, format!("{address} did not answer in {CONNECT_TIMEOUT:?}"));
        timeout(CONNECT_TIMEOUT, bring_up(&address, config)).await.map_err(late)?
    }
}

/// No knocking with a certificate that nobody can take.
fn still_good(credentials: &Credentials) -> Result<(), Failure> {
    let (now, validity) = (UnixTime::now(), credentials.validity());
    match now > validity.not_after {
        true => Err(Failure::new(
            Code::CertificateTime,
            format!(
                "this holder's certificate expired at {}, and it is {}; join again with a new ticket",
                shown(validity.not_after),
                shown(now)
            ),
        )),
        false => Ok(()),
    }
}

async fn bring_up(address: &Address, config: Arc<ClientConfig>) -> Result<ClientStream, Failure> {
    let unreachable = |error: std::io::Error| {
        Failure::new(Code::Unreachable, format!("no coordinator answers at {address}: {error}"))
    };
    let connected = match address.host() {
        Host::Ip(ip) => TcpStream::connect((*ip, address.port())).await,
        Host::Name(name) => TcpStream::connect((name.as_str(), address.port())).await,
    };
    let stream = connected.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let refused = |error: std::io::Error| failure::of_io(&error, failure::Side::Client);
    let connecting = TlsConnector::from(config).connect(coordinator_name(), Buffered::new(stream));
    let mut stream = connecting.await.map_err(refused)?;
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    // In TLS 1.3 the caller is through before the coordinator has looked at its certificate. A coordinator that takes it
    // speaks first, with its settings; one that does not says why.
    let spoken = poll_fn(|cx| Pin::new(&mut stream).poll_fill_buf(cx).map_ok(|bytes| !bytes.is_empty())).await;
    match spoken.map_err(refused)? {
        true => Ok(stream),
        false => Err(Failure::new(Code::TlsFailed, format!("{address} closed the connection at once"))),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<ClientStream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connecting = self.clone().connect();
        Box::pin(async { connecting.await.map(TokioIo::new) })
    }
}
