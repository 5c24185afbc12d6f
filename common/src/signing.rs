//! Ed25519 outside a connection: a worker's signature under its updates, the log's under its heads.

use std::fmt;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use syngrad_engine::receipt::Signature;

use crate::error::{Code, Failure};

/// The private half, ready to sign.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

/// The public half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey(pub [u8; VerifyingKey::LEN]);

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Failure`] if the system gives no random bytes.
    pub fn generate() -> Result<Self, Failure> {
        let unable = || Failure::new(Code::Internal, "the system gives no random bytes for a key");
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| unable())?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| unable())?;
        Ok(Self(Arc::new(pair)))
    }

    /// Signs `message`, which begins with what it is, so that no signature stands for another kind of thing.
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
        write!(f, "VerifyingKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}
