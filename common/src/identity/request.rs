//! Certificate requests: PKCS #10, signed with the key that is to be certified. A request of ours names nobody, since it is
//! the coordinator that knows who asks.

use der::asn1::BitString;
use der::{Decode as _, Encode as _};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use syngrad_engine::principal::{ConsortiumName, Principal};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::IdentityError;
use super::key::{self, KeyKind, PrivateKey, kind_of};

/// The longest request that is read, in bytes.
pub const MAX_REQUEST: usize = 4 << 10;

/// A request whose sender holds the private half of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    key: SubjectPublicKeyInfoOwned,
    kind: KeyKind,
    asked: Vec<String>,
}

impl CertificateRequest {
    /// A request for `key`, in DER.
    ///
    /// # Errors
    /// [`IdentityError::Key`] if the key cannot sign.
    pub fn make(key: &PrivateKey) -> Result<Vec<u8>, IdentityError> {
        Self::sign(key, der::asn1::SetOfVec::default())
    }

    /// A request as programs of others make them, which asks to be named by `uris`.
    ///
    /// # Errors
    /// [`IdentityError::Key`] if the key cannot sign.
    ///
    /// # Panics
    /// If one of `uris` is not ASCII.
    #[cfg(feature = "testing")]
    pub fn make_naming(key: &PrivateKey, uris: &[String]) -> Result<Vec<u8>, IdentityError> {
        use crate::identity::authority::content;
        let names = uris.iter().map(|uri| GeneralName::UniformResourceIdentifier(content::ia5(uri))).collect();
        let extensions = ExtensionReq(content::for_holder(key.public_info(), names, Vec::new()));
        let attribute = extensions.try_into().expect("extensions are an attribute");
        Self::sign(key, vec![attribute].try_into().expect("one attribute is a set"))
    }

    fn sign(key: &PrivateKey, attributes: x509_cert::attr::Attributes) -> Result<Vec<u8>, IdentityError> {
        let info = CertReqInfo {
            version: Version::V1,
            subject: x509_cert::name::Name::default(),
            public_key: key.public_info().clone(),
            attributes,
        };
        let encoded = info.to_der().expect("checked parts have a DER");
        let (algorithm, signature) = key.sign_x509(|_| encoded.clone())?;
        let signature = BitString::from_bytes(&signature).expect("a signature is far smaller than memory");
        Ok(CertReq { info, algorithm, signature }.to_der().expect("checked parts have a DER"))
    }

    /// Reads a request and checks that it is signed with its own key, which is one of ours.
    ///
    /// # Errors
    /// [`IdentityError::Request`] that says what is wrong.
    pub fn from_der(bytes: &[u8]) -> Result<Self, IdentityError> {
        let refused = |why: String| IdentityError::Request { why };
        if bytes.len() > MAX_REQUEST {
            return Err(refused(format!("it has {} bytes, and {MAX_REQUEST} is the most", bytes.len())));
        }
        let request = CertReq::from_der(bytes).map_err(|error| refused(format!("it is no PKCS #10: {error}")))?;
        let public_key = request.info.public_key.clone();
        let kind =
            kind_of(&public_key).ok_or_else(|| refused("its key is neither ECDSA P-256 nor Ed25519".to_owned()))?;
        let algorithm: &dyn VerificationAlgorithm = match kind {
            KeyKind::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            KeyKind::Ed25519 => &ED25519,
        };
        let stated = &request.algorithm;
        if (stated.oid, stated.parameters.as_ref()) != (key::signature_of(kind), None) {
            return Err(refused("its signature is not of its key's kind".to_owned()));
        }
        let info = request.info.to_der().map_err(|error| refused(format!("it has no DER: {error}")))?;
        let public = UnparsedPublicKey::new(algorithm, public_key.subject_public_key.raw_bytes());
        let signed = public.verify(&info, request.signature.as_bytes().unwrap_or_default());
        signed.map_err(|_| refused("it is not signed with its own key".to_owned()))?;
        let asked = asked(&request.info).map_err(|error| refused(format!("its names cannot be read: {error}")))?;
        Ok(Self { key: public_key, kind, asked })
    }

    /// What its key is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its key: SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        self.key.to_der().expect("it was read from DER")
    }

    pub(super) fn key_info(&self) -> &SubjectPublicKeyInfoOwned {
        &self.key
    }

    /// That it does not ask to be somebody else. Who asks is decided by the coordinator alone; a request that names
    /// somebody else is a mistake or an attack, and no certificate is the answer to either.
    pub(super) fn agrees_with(&self, consortium: &ConsortiumName, holder: &Principal) -> Result<(), IdentityError> {
        let uri = holder.uri(consortium);
        match self.asked.iter().find(|asked| **asked != uri) {
            None => Ok(()),
            Some(asked) => {
                let asked: String = asked.chars().take(Principal::MAX_LEN).collect();
                Err(IdentityError::Request { why: format!("it asks to be {asked:?}, and who sends it is {uri}") })
            }
        }
    }
}

/// Every alternative name that a request asks for, as text.
fn asked(info: &CertReqInfo) -> der::Result<Vec<String>> {
    let mut asked = Vec::new();
    for attribute in
        info.attributes.iter().filter(|attribute| attribute.oid == <ExtensionReq as der::oid::AssociatedOid>::OID)
    {
        for value in attribute.values.iter() {
            let extensions = value.decode_as::<ExtensionReq>()?;
            let of_names = |oid| oid == <SubjectAltName as der::oid::AssociatedOid>::OID;
            for extension in extensions.0.iter().filter(|extension| of_names(extension.extn_id)) {
                let names = SubjectAltName::from_der(extension.extn_value.as_bytes())?;
                asked.extend(names.0.into_iter().map(|name| match &name {
                    GeneralName::UniformResourceIdentifier(uri) => uri.as_str().to_owned(),
                    GeneralName::OtherName(_)
                    | GeneralName::Rfc822Name(_)
                    | GeneralName::DnsName(_)
                    | GeneralName::DirectoryName(_)
                    | GeneralName::EdiPartyName(_)
                    | GeneralName::IpAddress(_)
                    | GeneralName::RegisteredId(_) => format!("{name:?}"),
                }));
            }
        }
    }
    Ok(asked)
}
