//! Who is believed while a connection comes up. Paths of certificates are found and checked by rustls' own verifiers; what
//! is added here is which root they may lead to, and whom a certificate must name.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use syngrad_engine::principal::{ConsortiumName, Principal};
use thiserror::Error as ThisError;

use super::Standing;
use crate::identity::{COORDINATOR_NAME, Certificate, IdentityError, Sha256};

/// Why a certificate is refused that rustls knows no reason for.
#[derive(Debug, ThisError)]
pub(super) enum Refusal {
    /// The certificate that a ticket pins is not in the chain.
    #[error("the coordinator is not the one that the ticket was made for: it does not show the authority {pin}")]
    NotPinned {
        /// The pin.
        pin: Sha256,
    },
    /// It cannot be read, or names somebody else.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It names somebody of another consortium, or another role.
    #[error("the certificate names {found} and not {expected}")]
    Named {
        /// Who was expected.
        expected: String,
        /// Whom it names.
        found: String,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

/// Which root a coordinator's certificate must lead to.
#[derive(Debug)]
pub(super) enum Trust {
    /// One of those that the holder was granted.
    Roots(Arc<WebPkiServerVerifier>),
    /// The one with this SHA-256, which the coordinator shows itself: before a holder has any root.
    Pin(Sha256),
}

/// Believes the coordinator of one consortium, whatever its address.
#[derive(Debug)]
pub(super) struct CoordinatorVerifier {
    pub(super) trust: Trust,
    pub(super) consortium: ConsortiumName,
    pub(super) provider: Arc<CryptoProvider>,
}

/// A verifier of rustls that takes certificates under `roots`.
pub(super) fn under(roots: &[Certificate], provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let store = Arc::new(store(roots.iter().map(|root| root.der().clone()))?);
    let built = WebPkiServerVerifier::builder_with_provider(store, provider.clone()).build();
    built.map_err(|error| Error::General(error.to_string()))
}

fn store(roots: impl Iterator<Item = CertificateDer<'static>>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    Ok(store)
}

impl CoordinatorVerifier {
    fn roots(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, Error> {
        match &self.trust {
            Trust::Roots(verifier) => Ok(verifier.clone()),
            Trust::Pin(pin) => {
                let pinned = chain.iter().find(|certificate| Sha256::of(certificate) == *pin);
                let pinned = pinned.ok_or(Refusal::NotPinned { pin: *pin })?;
                under(&[Certificate::from_der(pinned).map_err(Refusal::from)?], &self.provider)
            }
        }
    }
}

/// The name that every coordinator's certificate has.
pub(super) fn coordinator_name() -> ServerName<'static> {
    ServerName::DnsName(DnsName::try_from(COORDINATOR_NAME).expect("it is a host's name"))
}

/// Whom `certificate` names, which must be of `consortium`.
pub(super) fn holder(certificate: &Certificate, consortium: &ConsortiumName) -> Result<Principal, Error> {
    let (of, principal) = certificate.holder().map_err(Refusal::from)?;
    match of == *consortium {
        true => Ok(principal),
        false => {
            let expected = format!("a holder of {consortium}");
            Err(Refusal::Named { expected, found: principal.uri(&of) }.into())
        }
    }
}

impl ServerCertVerifier for CoordinatorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots(intermediates)?;
        let verified = roots.verify_server_cert(end_entity, intermediates, &coordinator_name(), ocsp_response, now)?;
        let certificate = Certificate::from_der(end_entity).map_err(Refusal::from)?;
        match holder(&certificate, &self.consortium)? {
            Principal::Coordinator => Ok(verified),
            other @ (Principal::Log | Principal::Worker { .. } | Principal::Operator(_) | Principal::Client(_)) => {
                let expected = Principal::Coordinator.uri(&self.consortium);
                Err(Refusal::Named { expected, found: other.uri(&self.consortium) }.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Believes holders of one consortium who may come in now. Who shows no certificate comes in as nobody; who shows one must
/// show a good one.
pub(super) struct HolderVerifier {
    paths: Arc<dyn ClientCertVerifier>,
    consortium: ConsortiumName,
    standing: Arc<dyn Standing>,
}

impl HolderVerifier {
    /// Takes certificates under `roots`, or none.
    pub(super) fn new(
        roots: &[Certificate],
        consortium: ConsortiumName,
        standing: Arc<dyn Standing>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let store = Arc::new(store(roots.iter().map(|root| root.der().clone()))?);
        let paths =
            WebPkiClientVerifier::builder_with_provider(store, provider.clone()).allow_unauthenticated().build();
        Ok(Self { paths: paths.map_err(|error| Error::General(error.to_string()))?, consortium, standing })
    }
}

impl fmt::Debug for HolderVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HolderVerifier({})", self.consortium)
    }
}

impl ClientCertVerifier for HolderVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a holder has one certificate, and whoever knocks need not learn whom we trust.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.paths.verify_client_cert(end_entity, intermediates, now)?;
        let certificate = Certificate::from_der(end_entity).map_err(Refusal::from)?;
        let principal = holder(&certificate, &self.consortium)?;
        self.standing.check(&principal, certificate.summary()).map_err(|failure| {
            tracing::debug!(who = %principal, code = %failure.code, "refused: {failure}");
            Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
        })?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.paths.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.paths.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.paths.supported_verify_schemes()
    }
}
