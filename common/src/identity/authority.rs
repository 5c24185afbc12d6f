//! The authority of a consortium: the key that every certificate of it leads back to.

pub(super) mod content;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rustls::pki_types::UnixTime;
use syngrad_engine::principal::{ConsortiumName, Principal, Role};
use x509_cert::ext::pkix::name::GeneralName;

use content::{Content, for_authority, for_holder, general_name, ia5, name, vouched};

use super::certificate::{Certificate, hex, usage_of};
use super::key::{KeyKind, PrivateKey};
use super::request::CertificateRequest;
use super::{AUTHORITY_LIFE, COORDINATOR_NAME, IdentityError, Validity, files, random};
use crate::transport::{Address, Host};

/// The file of an authority's certificate in its folder.
const CERTIFICATE: &str = "authority.pem";
/// The file of the certificates by which the authorities before it vouch for it.
const CROSS: &str = "cross.pem";
/// The file of its key.
const KEY: &str = "authority.key";

/// Something that signs certificates of a consortium.
#[derive(Clone, Debug)]
pub struct Authority {
    consortium: ConsortiumName,
    certificate: Certificate,
    cross: Vec<Certificate>,
    key: PrivateKey,
}

impl Authority {
    /// A new authority, good from `now` on for [`AUTHORITY_LIFE`].
    ///
    /// # Errors
    /// [`IdentityError::Random`] if the system gives no random bytes.
    pub fn create(consortium: &ConsortiumName, now: UnixTime) -> Result<Self, IdentityError> {
        Self::create_for(consortium, Validity::from_now(now, AUTHORITY_LIFE))
    }

    /// A new authority that is good for `validity`.
    ///
    /// # Errors
    /// [`IdentityError::Random`] if the system gives no random bytes.
    pub fn create_for(consortium: &ConsortiumName, validity: Validity) -> Result<Self, IdentityError> {
        let key = PrivateKey::generate(KeyKind::EcdsaP256)?;
        // Different from every other authority's, so that a path of certificates leads to one of them only.
        let subject = name(consortium.as_str(), &format!("syngrad authority {}", hex(&random::<4>()?)));
        let content = Content {
            issuer: subject.clone(),
            subject,
            key: key.public_info().clone(),
            validity,
            extensions: for_authority(key.public_info()),
        };
        let certificate = content.sign(&key)?;
        Ok(Self { consortium: consortium.clone(), certificate, cross: Vec::new(), key })
    }

    /// An authority that somebody else made: the first certificate of `certificates`, in PEM, and its key.
    ///
    /// # Errors
    /// [`IdentityError`] unless the certificate is an authority's, signed by itself, and the key is its own.
    pub fn from_pem(consortium: &ConsortiumName, certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let mut all = Certificate::all_from_pem(certificates)?;
        let certificate = all.remove(0);
        let key = PrivateKey::from_pem(key)?;
        if !certificate.is_authority() {
            return Err(IdentityError::Authority { why: "its certificate does not say that it signs certificates" });
        }
        if certificate.summary().key != key.public() {
            return Err(IdentityError::Authority { why: "its certificate and its key do not belong together" });
        }
        Ok(Self { consortium: consortium.clone(), certificate, cross: all, key })
    }

    /// The authority in `folder`, as [`store`](Self::store) left it.
    ///
    /// # Errors
    /// [`IdentityError`] that names the file.
    pub fn load(folder: &Path, consortium: &ConsortiumName) -> Result<Self, IdentityError> {
        let path = folder.join(CERTIFICATE);
        let certificates = files::read(&path)?;
        let key = files::read_secret(&folder.join(KEY))?;
        let mut loaded =
            Self::from_pem(consortium, &certificates, key.as_bytes()).map_err(|error| error.in_file(&path))?;
        let path = folder.join(CROSS);
        if path.exists() {
            loaded.cross = Certificate::all_from_pem(&files::read(&path)?).map_err(|error| error.in_file(&path))?;
        }
        Ok(loaded)
    }

    /// Writes the authority into `folder`, the key where only this user may read it.
    ///
    /// # Errors
    /// [`IdentityError::File`] that names the file.
    pub fn store(&self, folder: &Path) -> Result<(), IdentityError> {
        files::write_secret(&folder.join(KEY), self.key.to_pem().as_bytes())?;
        if !self.cross.is_empty() {
            let all: String = self.cross.iter().map(Certificate::to_pem).collect();
            files::write(&folder.join(CROSS), all.as_bytes())?;
        }
        // Last, since a folder with a certificate in it is a whole authority.
        files::write(&folder.join(CERTIFICATE), self.certificate.to_pem().as_bytes())
    }

    /// The authority that follows this one, and for which this one vouches: who trusts only this one believes what the
    /// next one issues, until this one is retired.
    ///
    /// # Errors
    /// [`IdentityError`] if the system gives no random bytes, or this authority's key cannot sign.
    pub fn successor(&self, now: UnixTime) -> Result<Self, IdentityError> {
        let mut next = Self::create(&self.consortium, now)?;
        let (ours, its) = (self.certificate.summary().validity(), next.certificate.summary().validity());
        let content = Content {
            issuer: self.certificate.subject().clone(),
            subject: next.certificate.subject().clone(),
            key: next.key.public_info().clone(),
            validity: within(its, ours),
            extensions: vouched(for_authority(next.key.public_info()), self.key.public_info()),
        };
        next.cross.push(content.sign(&self.key)?);
        next.cross.extend(self.cross.iter().cloned());
        Ok(next)
    }

    /// Whose authority it is.
    #[must_use]
    pub fn consortium(&self) -> &ConsortiumName {
        &self.consortium
    }

    /// Its own certificate: what tickets pin and holders trust.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificates by which the authorities before it vouch for it; a server sends them along.
    #[must_use]
    pub fn cross(&self) -> &[Certificate] {
        &self.cross
    }

    /// Somebody who signs certificates and may not.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn posing(certificate: Certificate, key: PrivateKey, consortium: &ConsortiumName) -> Self {
        Self { consortium: consortium.clone(), certificate, cross: Vec::new(), key }
    }

    /// The key that certificates are signed with.
    #[cfg(feature = "testing")]
    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// A certificate for the key of `request` and the name of `holder`, good within both `validity` and the authority's own.
    /// The request has no say in whose name that is.
    ///
    /// # Errors
    /// [`IdentityError::Request`] if it asks to be somebody else, or its key is of the wrong kind for that role;
    /// [`IdentityError`] if the system gives no random bytes.
    pub fn issue(
        &self,
        request: &CertificateRequest,
        holder: &Principal,
        validity: Validity,
    ) -> Result<Certificate, IdentityError> {
        self.issue_with(request, holder, &[], validity)
    }

    /// A certificate for a coordinator that is reached at `addresses`, and on its own machine.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn issue_coordinator(
        &self,
        request: &CertificateRequest,
        addresses: &[Address],
        validity: Validity,
    ) -> Result<Certificate, IdentityError> {
        let own = [
            Host::Name(COORDINATOR_NAME.to_owned()),
            Host::Name("localhost".to_owned()),
            Host::Ip(Ipv4Addr::LOCALHOST.into()),
            Host::Ip(Ipv6Addr::LOCALHOST.into()),
        ];
        let mut hosts: Vec<Host> = own.to_vec();
        for address in addresses {
            if !hosts.contains(address.host()) {
                hosts.push(address.host().clone());
            }
        }
        self.issue_with(request, &Principal::Coordinator, &hosts, validity)
    }

    fn issue_with(
        &self,
        request: &CertificateRequest,
        holder: &Principal,
        hosts: &[Host],
        validity: Validity,
    ) -> Result<Certificate, IdentityError> {
        request.agrees_with(&self.consortium, holder)?;
        let role = holder.role();
        match (role, request.kind()) {
            (Role::Partner | Role::Log, KeyKind::EcdsaP256) => {
                let why = "its key is ECDSA, and what signs updates or receipts has an Ed25519 key".to_owned();
                return Err(IdentityError::Request { why });
            }
            (Role::Partner | Role::Log, KeyKind::Ed25519)
            | (Role::Coordinator | Role::Operator | Role::Client, KeyKind::EcdsaP256 | KeyKind::Ed25519) => {}
        }
        let uri = GeneralName::UniformResourceIdentifier(ia5(&holder.uri(&self.consortium)));
        let names = std::iter::once(uri).chain(hosts.iter().map(general_name)).collect();
        let extensions = for_holder(request.key_info(), names, vec![usage_of(role)]);
        let content = Content {
            issuer: self.certificate.subject().clone(),
            subject: name(self.consortium.as_str(), &for_people(holder)),
            key: request.key_info().clone(),
            validity: within(validity, self.certificate.summary().validity()),
            extensions: vouched(extensions, self.key.public_info()),
        };
        content.sign(&self.key)
    }
}

/// The name that people see first; no program decides by it.
fn for_people(holder: &Principal) -> String {
    match holder {
        Principal::Coordinator => "coordinator".to_owned(),
        Principal::Log => "log".to_owned(),
        Principal::Worker { partner, .. } => partner.to_string(),
        Principal::Operator(name) | Principal::Client(name) => name.to_string(),
    }
}

/// The part of `wanted` that lies within `outer`: an authority does not vouch beyond its own life.
fn within(wanted: Validity, outer: Validity) -> Validity {
    Validity { not_before: wanted.not_before.max(outer.not_before), not_after: wanted.not_after.min(outer.not_after) }
}

#[cfg(test)]
mod tests;
