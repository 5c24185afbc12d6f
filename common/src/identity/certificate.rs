//! What a certificate says, read once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use der::asn1::ObjectIdentifier;
use der::pem::LineEnding;
use der::{Decode as _, Encode as _, pem};
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use syngrad_engine::principal::{ConsortiumName, Principal, Role};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::name::Name;

use super::{IdentityError, Validity};

/// The label of a certificate in PEM.
const LABEL: &str = "CERTIFICATE";

/// The longest certificate that is read, in bytes.
pub const MAX_CERTIFICATE: usize = 16 << 10;

/// The most certificates in one file or message.
pub const MAX_CHAIN: usize = 16;

/// A SHA-256, as everyone's tools show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; Sha256::LEN]);

impl Sha256 {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(digest(&SHA256, bytes).as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }
}

/// A certificate's number, unique under its authority: the digits of a positive number without leading zeros.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub Vec<u8>);

/// What of a certificate others decide by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Its number.
    pub serial: Serial,
    /// The SHA-256 of its DER.
    pub sha256: Sha256,
    /// Its first moment.
    pub not_before: UnixTime,
    /// Its last moment.
    pub not_after: UnixTime,
    /// Its public key: SubjectPublicKeyInfo in DER.
    pub key: Vec<u8>,
}

impl CertificateSummary {
    /// From when to when it is good.
    #[must_use]
    pub fn validity(&self) -> Validity {
        Validity { not_before: self.not_before, not_after: self.not_after }
    }
}

/// A certificate that could be read. Who stands behind it is another question: [`verify`](super::verify()).
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate(Arc<Read>);

#[derive(PartialEq, Eq)]
struct Read {
    der: CertificateDer<'static>,
    summary: CertificateSummary,
    subject: Name,
    names: Vec<Named>,
    usages: Vec<ObjectIdentifier>,
    signs_certificates: bool,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A URI.
    Uri(String),
    /// A host's name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// Something that certificates of ours never hold.
    Other,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] if it is too long, or no X.509 certificate, or has bytes behind its end.
    pub fn from_der(bytes: &[u8]) -> Result<Self, IdentityError> {
        if bytes.len() > MAX_CERTIFICATE {
            let why = format!("it has {} bytes, and {MAX_CERTIFICATE} is the most", bytes.len());
            return Err(IdentityError::Certificate { why });
        }
        let unreadable = |error: der::Error| IdentityError::Certificate { why: error.to_string() };
        let parsed = x509_cert::Certificate::from_der(bytes).map_err(unreadable)?;
        let inner = parsed.tbs_certificate();
        let names = inner.get_extension::<SubjectAltName>().map_err(unreadable)?;
        let usages = inner.get_extension::<ExtendedKeyUsage>().map_err(unreadable)?;
        let constraints = inner.get_extension::<BasicConstraints>().map_err(unreadable)?;
        let usage = inner.get_extension::<KeyUsage>().map_err(unreadable)?;
        let may_sign = usage.is_none_or(|(_, usage)| usage.key_cert_sign());
        let time = |time: x509_cert::time::Time| UnixTime::since_unix_epoch(time.to_unix_duration());
        Ok(Self(Arc::new(Read {
            der: CertificateDer::from(bytes.to_vec()),
            summary: CertificateSummary {
                serial: Serial(digits(inner.serial_number().as_bytes())),
                sha256: Sha256::of(bytes),
                not_before: time(inner.validity().not_before),
                not_after: time(inner.validity().not_after),
                key: inner.subject_public_key_info().to_der().map_err(unreadable)?,
            },
            subject: inner.subject().clone(),
            names: names.map_or_else(Vec::new, |(_, names)| names.0.into_iter().map(Named::from).collect()),
            usages: usages.map_or_else(Vec::new, |(_, usages)| usages.0),
            signs_certificates: constraints.is_some_and(|(_, constraints)| constraints.ca) && may_sign,
        })))
    }

    /// Reads every certificate of a PEM text, in order.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] unless there is at least one and each can be read.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, IdentityError> {
        let unreadable = |why: &dyn fmt::Display| IdentityError::Certificate { why: why.to_string() };
        let all = CertificateDer::pem_slice_iter(text).take(MAX_CHAIN + 1);
        let all = all.map(|der| Self::from_der(&der.map_err(|error| unreadable(&error))?));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        match all.len() {
            0 => Err(unreadable(&"there is none in PEM")),
            count if count > MAX_CHAIN => Err(unreadable(&format!("there are more than {MAX_CHAIN}"))),
            _ => Ok(all),
        }
    }

    /// Its DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// Its PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode_string(LABEL, LineEnding::LF, &self.0.der).expect("a certificate is far smaller than memory")
    }

    /// What others decide by.
    #[must_use]
    pub fn summary(&self) -> &CertificateSummary {
        &self.0.summary
    }

    /// The SHA-256 of its DER.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.0.summary.sha256
    }

    /// Whether it says that its key signs certificates.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.0.signs_certificates
    }

    /// The names in it, in its order.
    #[must_use]
    pub fn names(&self) -> &[Named] {
        &self.0.names
    }

    pub(super) fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// Whom it names, if it is one of ours by form: one URI, which is a name of a consortium; hosts beside it only for a
    /// coordinator; and said to be for what that role does, and for nothing else.
    ///
    /// # Errors
    /// [`IdentityError::Named`] with what is there instead.
    pub fn holder(&self) -> Result<(ConsortiumName, Principal), IdentityError> {
        let wrong = |found: String| IdentityError::Named { expected: "one holder of a consortium".to_owned(), found };
        let is_uri = |name: &&Named| matches!(name, Named::Uri(_));
        let uris: Vec<&Named> = self.0.names.iter().filter(is_uri).collect();
        let [Named::Uri(uri)] = uris.as_slice() else {
            return Err(wrong(match uris.len() {
                0 => "nobody".to_owned(),
                count => format!("{count} holders"),
            }));
        };
        let (consortium, principal) = Principal::parse_uri(uri).map_err(|error| wrong(error.to_string()))?;
        let role = principal.role();
        if role != Role::Coordinator && self.0.names.len() != 1 {
            return Err(wrong(format!("{uri} and something else")));
        }
        match self.0.usages.as_slice() {
            [usage] if *usage == usage_of(role) => Ok((consortium, principal)),
            _ => Err(wrong(format!("{uri} for another use than that role's"))),
        }
    }
}

/// What a certificate of `role` is for.
pub(super) fn usage_of(role: Role) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(match role {
        Role::Coordinator => "1.3.6.1.5.5.7.3.1",
        Role::Partner | Role::Operator | Role::Client => "1.3.6.1.5.5.7.3.2",
        // RFC 9336, signing of documents: the log's key opens no connection.
        Role::Log => "1.3.6.1.5.5.7.3.36",
    })
}

/// A number without the zero that keeps it positive in DER.
fn digits(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|&byte| byte == 0).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<GeneralName> for Named {
    fn from(name: GeneralName) -> Self {
        match name {
            GeneralName::UniformResourceIdentifier(uri) => Self::Uri(uri.as_str().to_owned()),
            GeneralName::DnsName(name) => Self::Dns(name.as_str().to_owned()),
            GeneralName::IpAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(bytes.as_bytes()).map(IpAddr::from);
                let v6 = <[u8; 16]>::try_from(bytes.as_bytes()).map(IpAddr::from);
                v4.or(v6).map_or(Self::Other, Self::Ip)
            }
            GeneralName::OtherName(_)
            | GeneralName::Rfc822Name(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::RegisteredId(_) => Self::Other,
        }
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({})", hex(&self.0[..4]))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:?})", self.sha256())
    }
}
