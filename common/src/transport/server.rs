//! The coordinator's side of protected connections.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use syngrad_engine::principal::ConsortiumName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::verifier::{HolderVerifier, holder};
use super::{ALPN, Buffered, Caller, Standing, TLS_BUFFER, failure, provider};
use crate::error::{Code, Failure};
use crate::identity::{Authority, Certificate, CertificateRequest, Identity, PrivateKey, UnixTime, Validity, life};
use crate::transport::Address;

/// Time in which somebody who is refused is let to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes that somebody who is refused may still send before the connection is cut.
const MAX_UNREAD: usize = 64 << 10;

/// A protected connection, as the coordinator has it.
pub type ServerStream = TlsStream<Buffered<TcpStream>>;

/// How a coordinator protects its connections.
#[derive(Clone, Debug)]
pub enum ServerSecurity {
    /// Not at all, and so only within this machine.
    InsecureLoopback,
    /// Both sides show certificates of a consortium.
    Mutual(LiveServer),
}

/// What a coordinator shows and whom it trusts.
#[derive(Clone, Debug)]
pub struct ServerCredentials {
    /// The consortium.
    pub consortium: ConsortiumName,
    /// The key of its certificate.
    pub key: PrivateKey,
    /// Its certificate.
    pub certificate: Certificate,
    /// The certificates by which authorities vouch for later ones.
    pub cross: Vec<Certificate>,
    /// All authorities that are trusted now, its own first.
    pub roots: Vec<Certificate>,
}

impl ServerCredentials {
    /// A new key and a new certificate under `authority`, for a coordinator that is reached at `addresses` and trusts `older`
    /// authorities besides.
    ///
    /// # Errors
    /// [`Failure`] if the system gives no random bytes, or the authority's key cannot sign.
    pub fn issue(
        authority: &Authority,
        older: &[Certificate],
        addresses: &[Address],
        now: UnixTime,
    ) -> Result<Self, Failure> {
        let role = syngrad_engine::principal::Role::Coordinator;
        let key = PrivateKey::generate(crate::identity::KeyKind::of(role))?;
        let request = CertificateRequest::from_der(&CertificateRequest::make(&key)?)?;
        let certificate = authority.issue_coordinator(&request, addresses, Validity::from_now(now, life(role)))?;
        let own = authority.certificate();
        let others = older.iter().filter(|root| *root != own);
        Ok(Self {
            consortium: authority.consortium().clone(),
            key,
            certificate,
            cross: authority.cross().to_vec(),
            roots: std::iter::once(own).chain(others).cloned().collect(),
        })
    }

    /// What is shown: the certificate, what leads from it to older authorities, and all authorities, so that whoever has
    /// pinned one of them finds it.
    fn chain(&self) -> Vec<Certificate> {
        let own = std::iter::once(&self.certificate);
        own.chain(&self.cross).chain(&self.roots).cloned().collect()
    }

    fn config(
        &self,
        standing: Arc<dyn Standing>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<ServerConfig, rustls::Error> {
        let verifier = HolderVerifier::new(&self.roots, self.consortium.clone(), standing, provider)?;
        let chain = self.chain().iter().map(|certificate| certificate.der().clone()).collect();
        let shown = CertifiedKey::new(chain, self.key.signing());
        shown.keys_match()?;
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would bring an old certificate back unchecked.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// What a coordinator shows now; a new certificate or authority is for all connections from then on.
#[derive(Clone)]
pub struct LiveServer {
    current: Arc<RwLock<Shown>>,
    standing: Arc<dyn Standing>,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone)]
struct Shown {
    config: Arc<ServerConfig>,
    credentials: Arc<ServerCredentials>,
}

impl LiveServer {
    /// Shows `credentials` to whoever connects, and lets in whom `standing` lets in.
    ///
    /// # Errors
    /// [`Failure`] if they do not fit each other.
    pub fn new(credentials: ServerCredentials, standing: Arc<dyn Standing>) -> Result<Self, Failure> {
        let provider = provider();
        let shown = shown(credentials, &standing, &provider)?;
        Ok(Self { current: Arc::new(RwLock::new(shown)), standing, provider })
    }

    /// Shows `credentials` from now on. Connections that are up stay.
    ///
    /// # Errors
    /// [`Failure`] if they do not fit each other; then what was shown stays.
    pub fn replace(&self, credentials: ServerCredentials) -> Result<(), Failure> {
        let shown = shown(credentials, &self.standing, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    /// What is shown now.
    #[must_use]
    pub fn credentials(&self) -> Arc<ServerCredentials> {
        self.shown().credentials
    }

    /// Who decides whether a holder may come in.
    #[must_use]
    pub fn standing(&self) -> &Arc<dyn Standing> {
        &self.standing
    }

    fn shown(&self) -> Shown {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings a protected connection up on `stream`. Takes as long as the other side makes it: set a limit.
    ///
    /// # Errors
    /// [`Refused`] if the other side speaks something else, shows a certificate that is not good, or hangs up.
    pub async fn accept(&self, stream: TcpStream) -> Result<(ServerStream, Caller), Refused> {
        let Shown { config, credentials } = self.shown();
        let mut stream = match TlsAcceptor::from(config).accept(Buffered::new(stream)).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                return Err(Refused { failure: failure::of_io(&error, failure::Side::Server), stream });
            }
        };
        match caller(&stream, &credentials.consortium) {
            Ok(caller) => {
                stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
                Ok((stream, caller))
            }
            Err(failure) => Err(Refused { failure, stream: stream.into_inner().0 }),
        }
    }
}

/// Somebody who is not let in, still at the other end.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub failure: Failure,
    stream: Buffered<TcpStream>,
}

/// Who is at the other end of a connection that is up.
fn caller(stream: &ServerStream, consortium: &ConsortiumName) -> Result<Caller, Failure> {
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(ALPN) {
        return Err(Failure::new(Code::TlsFailed, "the other side does not speak HTTP/2"));
    }
    let Some((der, others)) = session.peer_certificates().and_then(<[_]>::split_first) else {
        return Ok(Caller::Anonymous);
    };
    let certificate = Certificate::from_der(der)?;
    let others = others.iter().map(|other| Certificate::from_der(other));
    let chain = std::iter::once(Ok(certificate.clone())).chain(others).collect::<Result<Vec<_>, _>>()?;
    let principal = holder(&certificate, consortium);
    let principal = principal.map_err(|error| Failure::new(Code::CertificateUntrusted, error.to_string()))?;
    let (consortium, certificate) = (consortium.clone(), certificate.summary().clone());
    Ok(Caller::Known(Arc::new(Identity { consortium, principal, certificate, chain })))
}
impl Refused {
    /// Lets the other side read why it is refused: closing a connection with unread bytes would take that back. A side that
    /// is gone, or goes on talking, is not waited for.
    pub async fn farewell(mut self) {
        let said = async {
            self.stream.shutdown().await?;
            let mut unread = [0; 4096];
            let mut left = MAX_UNREAD;
            while left > 0 {
                match self.stream.read(&mut unread).await? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
            }
            std::io::Result::Ok(())
        };
        let _ = timeout(FAREWELL, said).await;
    }
}

fn shown(
    credentials: ServerCredentials,
    standing: &Arc<dyn Standing>,
    provider: &Arc<CryptoProvider>,
) -> Result<Shown, Failure> {
    let config = credentials.config(standing.clone(), provider);
    let unfit = |error: rustls::Error| Failure::new(Code::CertificateUnreadable, error.to_string());
    Ok(Shown { config: Arc::new(config.map_err(unfit)?), credentials: Arc::new(credentials) })
}

impl fmt::Debug for LiveServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveServer({})", self.credentials().consortium)
    }
}
