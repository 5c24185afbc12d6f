//! Whether an authority stands behind a certificate, at a time and for a purpose. The path is found and checked by webpki.

use rustls::crypto::ring;
use rustls::pki_types::{TrustAnchor, UnixTime};
use syngrad_engine::principal::{ConsortiumName, Principal, Role};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Certificate, CertificateSummary, IdentityError};

/// Who somebody is, proved by a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The consortium of the authority.
    pub consortium: ConsortiumName,
    /// The holder.
    pub principal: Principal,
    /// The certificate.
    pub certificate: CertificateSummary,
    /// The certificate itself, and those that came with it.
    pub chain: Vec<Certificate>,
}

/// Whom the first certificate of `chain` was issued to, if one of `roots` stands behind it at the time `at`; the others of
/// `chain` may lead there. Needs no network and no clock, so that what was signed long ago can be checked at its own time.
///
/// # Errors
/// [`IdentityError`]: [`WrongTime`](IdentityError::WrongTime), [`Named`](IdentityError::Named) unless it names one holder
/// and is for what that holder does, else [`Untrusted`](IdentityError::Untrusted).
pub fn verify(chain: &[Certificate], roots: &[Certificate], at: UnixTime) -> Result<Identity, IdentityError> {
    let Some((certificate, others)) = chain.split_first() else {
        return Err(IdentityError::Untrusted { why: "there is none".to_owned() });
    };
    let (consortium, principal) = certificate.holder()?;
    let summary = certificate.summary();
    summary.validity().check(at)?;
    let untrusted = |error: webpki::Error| IdentityError::Untrusted { why: error.to_string() };
    let anchors =
        roots.iter().map(|root| anchor_from_trusted_cert(root.der())).collect::<Result<Vec<TrustAnchor<'_>>, _>>();
    let anchors = anchors.map_err(untrusted)?;
    let others: Vec<_> = others.iter().map(|other| other.der().clone()).collect();
    // `holder` has seen that the certificate itself says it; those of authorities say nothing.
    let usage = KeyUsage::required_if_present(usage_bytes(principal.role()));
    let end = EndEntityCert::try_from(certificate.der()).map_err(untrusted)?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    end.verify_for_usage(algorithms, &anchors, &others, at, usage, None, None).map_err(untrusted)?;
    Ok(Identity { consortium, principal, certificate: summary.clone(), chain: chain.to_vec() })
}

impl Identity {
    /// That this is `principal` of `consortium`.
    ///
    /// # Errors
    /// [`IdentityError::Named`] if it is somebody else.
    pub fn expect(&self, consortium: &ConsortiumName, principal: &Principal) -> Result<(), IdentityError> {
        let (expected, found) = (principal.uri(consortium), self.principal.uri(&self.consortium));
        match expected == found {
            true => Ok(()),
            false => Err(IdentityError::Named { expected, found }),
        }
    }
}

/// The purpose of a role's certificate as webpki takes it: the content of the identifier in DER.
fn usage_bytes(role: Role) -> &'static [u8] {
    match role {
        Role::Coordinator => &[0x2b, 6, 1, 5, 5, 7, 3, 1],
        Role::Partner | Role::Operator | Role::Client => &[0x2b, 6, 1, 5, 5, 7, 3, 2],
        Role::Log => &[0x2b, 6, 1, 5, 5, 7, 3, 36],
    }
}
