//! Private keys. A key is made by who holds it, lies in a file that only its user may read, and is never sent.

use std::fmt;
use std::sync::Arc;

use der::asn1::ObjectIdentifier;
use der::pem::LineEnding;
use der::{Decode as _, pem};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use syngrad_engine::principal::Role;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::{Zeroize as _, Zeroizing};

use super::{IdentityError, random};

/// The label of a private key in PEM.
const LABEL: &str = "PRIVATE KEY";

/// What keys of ours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Of authorities, coordinators, operators and clients: every TLS library takes it.
    EcdsaP256,
    /// Of workers and of the log, which also sign updates and receipts.
    Ed25519,
}

impl KeyKind {
    /// What holders of `role` have.
    #[must_use]
    pub fn of(role: Role) -> Self {
        match role {
            Role::Partner | Role::Log => Self::Ed25519,
            Role::Coordinator | Role::Operator | Role::Client => Self::EcdsaP256,
        }
    }
}

/// A private key, in memory that is wiped when it goes. Its copies share that memory.
#[derive(Clone)]
pub struct PrivateKey {
    pkcs8: Arc<Zeroizing<Vec<u8>>>,
    signing: Arc<dyn rustls::sign::SigningKey>,
    public: SubjectPublicKeyInfoOwned,
}

/// What stands before the seed of an Ed25519 key (RFC 8410, section 7, version 1, which other programs read too).
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// How certificates and requests may be signed; what an authority from elsewhere may have is longer.
const SCHEMES: [(SignatureScheme, &str); 4] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, "1.2.840.10045.4.3.2"),
    (SignatureScheme::ED25519, "1.3.101.112"),
    (SignatureScheme::ECDSA_NISTP384_SHA384, "1.2.840.10045.4.3.3"),
    (SignatureScheme::RSA_PKCS1_SHA256, "1.2.840.113549.1.1.11"),
];

impl PrivateKey {
    /// A new key.
    ///
    /// # Errors
    /// [`IdentityError::Random`] if the system gives no random bytes.
    pub fn generate(kind: KeyKind) -> Result<Self, IdentityError> {
        match kind {
            KeyKind::EcdsaP256 => {
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
                let made = made.map_err(|_| IdentityError::Random)?;
                Self::from_pkcs8(Zeroizing::new(made.as_ref().to_vec()))
            }
            KeyKind::Ed25519 => {
                let seed = Zeroizing::new(random::<32>()?);
                Self::from_pkcs8(Zeroizing::new([ED25519_PKCS8.as_slice(), seed.as_slice()].concat()))
            }
        }
    }

    /// A key in DER.
    ///
    /// # Errors
    /// [`IdentityError::Key`] unless it is an ECDSA, Ed25519 or RSA key that is safe to use.
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, IdentityError> {
        let unusable = |_| IdentityError::Key { why: "it is no ECDSA (P-256, P-384), Ed25519 or RSA key" };
        let signing =
            any_supported_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_slice()))).map_err(unusable)?;
        let public = signing.public_key().ok_or(IdentityError::Key { why: "it has no public half" })?;
        let public = SubjectPublicKeyInfoOwned::from_der(&public);
        let public = public.map_err(|_| IdentityError::Key { why: "its public half cannot be read" })?;
        Ok(Self { pkcs8: Arc::new(pkcs8), signing, public })
    }

    /// The key in a PEM file.
    ///
    /// # Errors
    /// [`IdentityError::Key`] unless the text holds one unencrypted PKCS #8 key.
    pub fn from_pem(text: &[u8]) -> Result<Self, IdentityError> {
        let found = PrivateKeyDer::from_pem_slice(text);
        let mut found = found.map_err(|_| IdentityError::Key { why: "there is no unencrypted private key in PEM" })?;
        if let PrivateKeyDer::Pkcs8(key) = &found {
            let pkcs8 = Zeroizing::new(key.secret_pkcs8_der().to_vec());
            found.zeroize();
            return Self::from_pkcs8(pkcs8);
        }
        found.zeroize();
        Err(IdentityError::Key { why: "it is not in PKCS #8; convert it: openssl pkcs8 -topk8 -nocrypt -in KEY" })
    }

    /// The key as PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let text = pem::encode_string(LABEL, LineEnding::LF, &self.pkcs8);
        Zeroizing::new(text.expect("a key is far smaller than memory"))
    }

    /// What it is; none for kinds that are not ours.
    #[must_use]
    pub fn kind(&self) -> Option<KeyKind> {
        kind_of(&self.public)
    }

    /// Its public half, as certificates hold it: SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        der::Encode::to_der(&self.public).expect("it was read from DER")
    }

    pub(super) fn public_info(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(crate) fn signing(&self) -> Arc<dyn rustls::sign::SigningKey> {
        self.signing.clone()
    }

    /// Signs what becomes part of a certificate or of a request.
    pub(super) fn sign_x509(
        &self,
        message: impl FnOnce(&AlgorithmIdentifierOwned) -> Vec<u8>,
    ) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), IdentityError> {
        let unusable = IdentityError::Key { why: "it does not sign certificates" };
        let (scheme, oid) = match SCHEMES.iter().find(|(scheme, _)| self.signing.choose_scheme(&[*scheme]).is_some()) {
            Some(found) => found,
            None => return Err(unusable),
        };
        let rsa = *scheme == SignatureScheme::RSA_PKCS1_SHA256;
        let algorithm = AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap(oid),
            // RFC 4055: null for RSA; RFC 5758 and RFC 8410: absent for the others.
            parameters: rsa.then(|| der::asn1::Null.into()),
        };
        let signer = self.signing.choose_scheme(&[*scheme]);
        let signature = signer.and_then(|signer| signer.sign(&message(&algorithm)).ok());
        signature.map(|signature| (algorithm, signature)).ok_or(unusable)
    }
}

/// The algorithm with which a key of ours signs requests.
pub(super) fn signature_of(kind: KeyKind) -> ObjectIdentifier {
    let [(_, p256), (_, ed25519), ..] = SCHEMES;
    ObjectIdentifier::new_unwrap(match kind {
        KeyKind::EcdsaP256 => p256,
        KeyKind::Ed25519 => ed25519,
    })
}

/// Which kind of ours a public key is.
pub(super) fn kind_of(public: &SubjectPublicKeyInfoOwned) -> Option<KeyKind> {
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    let parameters = public.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    match (public.algorithm.oid, parameters, curve) {
        (EC, _, Some(P256)) => Some(KeyKind::EcdsaP256),
        (ED25519, None, _) => Some(KeyKind::Ed25519),
        _ => None,
    }
}

/// Says nothing of the key.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
