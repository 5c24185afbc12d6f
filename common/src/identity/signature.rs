//! Ed25519 signatures outside a connection: a worker's under its updates, the log's under receipts.

use std::fmt;
use std::sync::Arc;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use syngrad_engine::receipt::Signature;

use super::key::{KeyKind, PrivateKey};
use super::{Certificate, IdentityError};

/// The private half, ready to sign.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

/// The public half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey(pub [u8; VerifyingKey::LEN]);

impl SigningKey {
    /// The key, ready to sign.
    ///
    /// # Errors
    /// [`IdentityError::Key`] unless it is Ed25519.
    pub fn new(key: &PrivateKey) -> Result<Self, IdentityError> {
        let why = "what signs updates and receipts is an Ed25519 key";
        match key.kind() {
            // A key from elsewhere may lack its public half, which is then computed.
            Some(KeyKind::Ed25519) => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.pkcs8()) {
                Ok(pair) => Ok(Self(Arc::new(pair))),
                Err(_) => Err(IdentityError::Key { why }),
            },
            Some(KeyKind::EcdsaP256) | None => Err(IdentityError::Key { why }),
        }
    }

    /// Signs `message`. The caller sees to it that it begins with what it is, so that no signature stands for another
    /// kind of thing.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(message);
        Signature(signature.as_ref().try_into().expect("a signature has 64 bytes"))
    }

    /// The public half.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey(self.0.public_key().as_ref().try_into().expect("a public key has 32 bytes"))
    }
}

impl VerifyingKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The key of `certificate`; none unless it is Ed25519.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Option<Self> {
        Self::from_info(&certificate.summary().key)
    }

    /// The key in a SubjectPublicKeyInfo; none unless it is Ed25519.
    #[must_use]
    pub fn from_info(info: &[u8]) -> Option<Self> {
        // RFC 8410: the one encoding of an Ed25519 key.
        const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        info.strip_prefix(&PREFIX).and_then(|key| key.try_into().ok()).map(Self)
    }

    /// Whether the holder of the private half signed `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature.0).is_ok()
    }
}

/// Says nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", super::certificate::hex(&self.0[..4]))
    }
}
