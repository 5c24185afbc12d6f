//! Small consortia for tests, with certificates of any time and kind.

use std::time::Duration;

use der::asn1::ObjectIdentifier;
use rustls::pki_types::UnixTime;
use syngrad_engine::principal::{ConsortiumName, HolderName, Principal};
use syngrad_engine::{PartnerName, WorkerId};
use x509_cert::ext::pkix::name::GeneralName;

use super::authority::content::{self, Content};
use super::certificate::Named;
use super::{
    Authority, Certificate, CertificateRequest, Credentials, Grant, IdentityError, KeyKind, PrivateKey, Validity, life,
};
use crate::transport::{Address, Host};

/// A consortium with its authority, its coordinator's key and its log's.
#[derive(Clone, Debug)]
pub struct Consortium {
    /// Its authority.
    pub authority: Authority,
    /// All authorities that its holders and its coordinator trust.
    pub roots: Vec<Certificate>,
    /// Where its coordinator is said to be.
    pub addresses: Vec<Address>,
    /// The time at which everything in it is made.
    pub now: UnixTime,
    log: PrivateKey,
}

impl Consortium {
    /// A consortium that begins now.
    ///
    /// # Panics
    /// If the name is none, or the system gives no random bytes.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::at(name, UnixTime::now())
    }

    /// A consortium that began at `now`.
    ///
    /// # Panics
    /// If the name is none, or the system gives no random bytes.
    #[must_use]
    pub fn at(name: &str, now: UnixTime) -> Self {
        let name = ConsortiumName::parse(name).expect("a name");
        let authority = Authority::create(&name, now).expect("random bytes");
        Self {
            roots: vec![authority.certificate().clone()],
            addresses: vec!["127.0.0.1:7070".parse().expect("an address")],
            log: key(KeyKind::Ed25519),
            authority,
            now,
        }
    }

    /// The certificate of `holder` for `key`, as usual.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn certify(&self, key: &PrivateKey, holder: &Principal) -> Result<Certificate, IdentityError> {
        self.certify_for(key, holder, Validity::from_now(self.now, life(holder.role())))
    }

    /// The certificate of `holder` for `key`, good for `validity`.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn certify_for(
        &self,
        key: &PrivateKey,
        holder: &Principal,
        validity: Validity,
    ) -> Result<Certificate, IdentityError> {
        let request = CertificateRequest::from_der(&CertificateRequest::make(key)?)?;
        match holder {
            Principal::Coordinator => self.authority.issue_coordinator(&request, &self.addresses, validity),
            Principal::Log | Principal::Worker { .. } | Principal::Operator(_) | Principal::Client(_) => {
                self.authority.issue(&request, holder, validity)
            }
        }
    }

    /// The certificate of the log's key.
    ///
    /// # Panics
    /// If the system gives no random bytes.
    #[must_use]
    pub fn log(&self) -> Certificate {
        self.certify(&self.log, &Principal::Log).expect("the log's own key")
    }

    /// The log's key.
    #[must_use]
    pub fn log_key(&self) -> &PrivateKey {
        &self.log
    }

    /// What is granted to the holder of `chain`.
    #[must_use]
    pub fn grant(&self, chain: Vec<Certificate>) -> Grant {
        Grant {
            consortium: self.authority.consortium().clone(),
            chain,
            roots: self.roots.clone(),
            addresses: self.addresses.clone(),
            log: self.log(),
        }
    }

    /// Credentials of `holder` with a new key.
    ///
    /// # Panics
    /// If the system gives no random bytes.
    #[must_use]
    pub fn credentials(&self, holder: &Principal) -> Credentials {
        let key = key(KeyKind::of(holder.role()));
        let certificate = self.certify(&key, holder).expect("a key of the right kind");
        Credentials::new(key, self.grant(vec![certificate]), self.now).expect("they were just made")
    }
}

/// A certificate that no authority of ours would issue.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// The alternative names in it, in order.
    pub names: Vec<Named>,
    /// What it says it is for, as object identifiers.
    pub usages: Vec<&'static str>,
    /// From when to when it is good.
    pub validity: Validity,
}

/// A client's purpose, in X.509.
pub const CLIENT_USAGE: &str = "1.3.6.1.5.5.7.3.2";
/// A server's purpose, in X.509.
pub const SERVER_USAGE: &str = "1.3.6.1.5.5.7.3.1";

impl Forgery {
    /// What an honest certificate of a holder named `uri` has.
    #[must_use]
    pub fn of(uri: &str, now: UnixTime) -> Self {
        let validity = Validity::from_now(now, life(syngrad_engine::principal::Role::Partner));
        Self { names: vec![Named::Uri(uri.to_owned())], usages: vec![CLIENT_USAGE], validity }
    }

    /// The certificate, for `key`, signed by `authority` without a question.
    ///
    /// # Panics
    /// If the system gives no random bytes, or a usage is no object identifier.
    #[must_use]
    pub fn sign(&self, authority: &Authority, key: &PrivateKey) -> Certificate {
        let names = self.names.iter().map(|name| match name {
            Named::Uri(uri) => GeneralName::UniformResourceIdentifier(content::ia5(uri)),
            Named::Dns(name) => content::general_name(&Host::Name(name.clone())),
            Named::Ip(ip) => content::general_name(&Host::Ip(*ip)),
            Named::Other => GeneralName::Rfc822Name(content::ia5("somebody@example.org")),
        });
        let usages = self.usages.iter().map(|usage| ObjectIdentifier::new_unwrap(usage)).collect();
        let extensions = content::for_holder(key.public_info(), names.collect(), usages);
        let content = Content {
            issuer: authority.certificate().subject().clone(),
            subject: content::name(authority.consortium().as_str(), "forged"),
            key: key.public_info().clone(),
            validity: self.validity,
            extensions: content::vouched(extensions, authority.key().public_info()),
        };
        content.sign(authority.key()).expect("an authority's key signs")
    }
}

/// A new key.
///
/// # Panics
/// If the system gives no random bytes.
#[must_use]
pub fn key(kind: KeyKind) -> PrivateKey {
    PrivateKey::generate(kind).expect("random bytes")
}

/// A worker of the partner `partner`, told apart by `number`.
///
/// # Panics
/// If the name is none.
#[must_use]
pub fn worker(partner: &str, number: u8) -> Principal {
    Principal::Worker { partner: PartnerName::parse(partner).expect("a name"), worker: WorkerId([number; 16]) }
}

/// An operator.
///
/// # Panics
/// If the name is none.
#[must_use]
pub fn operator(name: &str) -> Principal {
    Principal::Operator(HolderName::parse(name).expect("a name"))
}

/// A client.
///
/// # Panics
/// If the name is none.
#[must_use]
pub fn client(name: &str) -> Principal {
    Principal::Client(HolderName::parse(name).expect("a name"))
}

/// `days` after `time`; before it if negative.
#[must_use]
pub fn days(time: UnixTime, days: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs().saturating_add_signed(days * 24 * 60 * 60)))
}
