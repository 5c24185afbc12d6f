//! What certificates are made of.

use std::time::Duration;

use der::asn1::{BitString, Ia5String, ObjectIdentifier, OctetString};
use der::oid::AssociatedOid;
use der::{DateTime, Encode, Sequence};
use rustls::pki_types::UnixTime;
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time;

use crate::identity::certificate::Sha256;
use crate::identity::{Certificate, IdentityError, PrivateKey, Validity, random};
use crate::transport::Host;

/// What a certificate is going to say.
pub(in crate::identity) struct Content {
    pub(in crate::identity) issuer: Name,
    pub(in crate::identity) subject: Name,
    pub(in crate::identity) key: SubjectPublicKeyInfoOwned,
    pub(in crate::identity) validity: Validity,
    pub(in crate::identity) extensions: Extensions,
}

/// TBSCertificate of RFC 5280, section 4.1, as far as ours need it.
#[derive(Sequence)]
struct Body {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial: SerialNumber,
    algorithm: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: time::Validity,
    subject: Name,
    key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Extensions,
}

/// Certificate of RFC 5280, section 4.1.
#[derive(Sequence)]
struct Signed {
    body: Body,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

impl Content {
    pub(in crate::identity) fn sign(self, key: &PrivateKey) -> Result<Certificate, IdentityError> {
        let mut serial = random::<16>()?;
        // A positive number that always takes sixteen bytes.
        serial[0] = serial[0] & 0x3f | 0x40;
        let body = |algorithm: &AlgorithmIdentifierOwned| Body {
            version: Version::V3,
            serial: SerialNumber::new(&serial).expect("sixteen bytes are a serial number"),
            algorithm: algorithm.clone(),
            issuer: self.issuer.clone(),
            validity: time::Validity::new(moment(self.validity.not_before), moment(self.validity.not_after)),
            subject: self.subject.clone(),
            key: self.key.clone(),
            extensions: self.extensions.clone(),
        };
        let encoded =
            |algorithm: &AlgorithmIdentifierOwned| body(algorithm).to_der().expect("checked parts have a DER");
        let (algorithm, signature) = key.sign_x509(encoded)?;
        let signature = BitString::from_bytes(&signature).expect("a signature is far smaller than memory");
        let signed = Signed { body: body(&algorithm), algorithm, signature };
        Certificate::from_der(&signed.to_der().expect("checked parts have a DER"))
    }
}

/// The organisation and the name of a subject. Its parts are names of ours, or made here, and need no escapes.
pub(in crate::identity) fn name(organisation: &str, common: &str) -> Name {
    format!("CN={common},O={organisation}").parse().expect("names of ours are names of X.500")
}

pub(in crate::identity) fn for_authority(key: &SubjectPublicKeyInfoOwned) -> Extensions {
    vec![
        extension(true, &BasicConstraints { ca: true, path_len_constraint: None }),
        extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)),
        extension(false, &SubjectKeyIdentifier(key_id(key))),
    ]
}

/// The extensions of a certificate of somebody who signs none.
pub(in crate::identity) fn for_holder(
    key: &SubjectPublicKeyInfoOwned,
    names: Vec<GeneralName>,
    usages: Vec<ObjectIdentifier>,
) -> Extensions {
    let mut extensions = vec![
        extension(true, &BasicConstraints { ca: false, path_len_constraint: None }),
        extension(true, &KeyUsage(KeyUsages::DigitalSignature.into())),
        extension(false, &SubjectKeyIdentifier(key_id(key))),
    ];
    if !usages.is_empty() {
        extensions.push(extension(false, &ExtendedKeyUsage(usages)));
    }
    if !names.is_empty() {
        extensions.push(extension(false, &SubjectAltName(names)));
    }
    extensions
}

/// The extensions of a certificate that another authority signs.
pub(in crate::identity) fn vouched(mut extensions: Extensions, authority: &SubjectPublicKeyInfoOwned) -> Extensions {
    let identifier = AuthorityKeyIdentifier { key_identifier: Some(key_id(authority)), ..Default::default() };
    extensions.push(extension(false, &identifier));
    extensions
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Extension {
    let value = value.to_der().expect("checked parts have a DER");
    let extn_value = OctetString::new(value).expect("an extension is far smaller than memory");
    Extension { extn_id: <T as AssociatedOid>::OID, critical, extn_value }
}

/// RFC 7093, method 1: the leftmost 160 bits of the key's SHA-256.
fn key_id(key: &SubjectPublicKeyInfoOwned) -> OctetString {
    OctetString::new(&Sha256::of(key.subject_public_key.raw_bytes()).0[..20]).expect("twenty bytes are a string")
}

pub(in crate::identity) fn general_name(host: &Host) -> GeneralName {
    match host {
        Host::Name(name) => GeneralName::DnsName(ia5(name)),
        Host::Ip(ip) => GeneralName::from(ip.to_canonical()),
    }
}

pub(in crate::identity) fn ia5(text: &str) -> Ia5String {
    Ia5String::new(text).expect("names of holders and hosts are ASCII")
}

fn moment(time: UnixTime) -> time::Time {
    // What is beyond the calendar of X.509 is as good as its end.
    let date = DateTime::from_unix_duration(Duration::from_secs(time.as_secs()));
    date.unwrap_or(DateTime::INFINITY).into()
}
