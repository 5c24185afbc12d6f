//! Why something about an identity does not work.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{Code, Failure};

/// Why something about an identity does not work. None of its texts holds a secret.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// A private key cannot be used.
    #[error("the private key cannot be used: {why}")]
    Key {
        /// Why.
        why: &'static str,
    },
    /// A certificate cannot be read.
    #[error("the certificate cannot be read: {why}")]
    Certificate {
        /// Why.
        why: String,
    },
    /// A certificate request is refused.
    #[error("the certificate request is refused: {why}")]
    Request {
        /// Why.
        why: String,
    },
    /// Something that was given as authority is none.
    #[error("this cannot be a consortium's authority: {why}")]
    Authority {
        /// Why.
        why: &'static str,
    },
    /// No trusted authority stands behind a certificate at that time and for that purpose.
    #[error("no trusted authority stands behind the certificate: {why}")]
    Untrusted {
        /// Why.
        why: String,
    },
    /// A certificate is good at another time.
    #[error("the certificate is good from {not_before} to {not_after}, and it is {now}")]
    WrongTime {
        /// Its first moment.
        not_before: String,
        /// Its last moment.
        not_after: String,
        /// The moment it was checked for.
        now: String,
    },
    /// A certificate names nobody, several, or somebody else.
    #[error("the certificate names {found} and not {expected}")]
    Named {
        /// Who was expected.
        expected: String,
        /// Whom it names.
        found: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with a secret may be read by others.
    #[error("{} holds a secret and others may read it (mode {mode:o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nobody has joined with this folder.
    #[error("there are no credentials in {}", folder.display())]
    NoCredentials {
        /// The folder.
        folder: PathBuf,
    },
}

impl From<&IdentityError> for Code {
    fn from(error: &IdentityError) -> Self {
        match error {
            IdentityError::Random | IdentityError::File { .. } => Self::LocalFile,
            IdentityError::Key { .. } | IdentityError::Exposed { .. } => Self::KeyUnusable,
            IdentityError::Certificate { .. } | IdentityError::Content { .. } => Self::CertificateUnreadable,
            IdentityError::Request { .. } => Self::BadCertificateRequest,
            IdentityError::Authority { .. } => Self::AuthorityUnfit,
            IdentityError::Untrusted { .. } | IdentityError::Named { .. } => Self::CertificateUntrusted,
            IdentityError::WrongTime { .. } => Self::CertificateTime,
            IdentityError::NoCredentials { .. } => Self::NoCredentials,
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::new((&error).into(), error.to_string())
    }
}

impl IdentityError {
    /// What was read from `path` is not what it should be, for this reason.
    #[must_use]
    pub fn in_file(self, path: &std::path::Path) -> Self {
        match self {
            Self::Random | Self::File { .. } | Self::Exposed { .. } | Self::Content { .. } => self,
            Self::Key { .. }
            | Self::Certificate { .. }
            | Self::Request { .. }
            | Self::Authority { .. }
            | Self::Untrusted { .. }
            | Self::WrongTime { .. }
            | Self::Named { .. }
            | Self::NoCredentials { .. } => Self::Content { path: path.to_owned(), why: self.to_string() },
        }
    }
}
