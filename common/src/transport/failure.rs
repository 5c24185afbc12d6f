//! What an error of a protected connection means: what happened, and what to do next.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::verifier::Refusal;
use crate::error::{Code, Failure};

/// Whose error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The coordinator's.
    Server,
    /// The caller's.
    Client,
}

/// The failure somewhere among the causes of an error: ours, or one of TLS that says why.
#[must_use]
pub fn among(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        let of_io = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = of_io.and_then(|inner| inner.downcast_ref::<Error>()).or_else(|| cause.downcast_ref::<Error>());
        if let Some(tls) = tls {
            return Some(of_tls(tls, Side::Client));
        }
        next = cause.source();
    }
    None
}

/// What an error of the stream below means.
pub(super) fn of_io(error: &io::Error, side: Side) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(tls) => of_tls(tls, side),
        None => Failure::new(Code::TlsFailed, format!("the connection ended while it came up: {error}")),
    }
}

fn of_tls(error: &Error, side: Side) -> Failure {
    let (code, what) = match (error, side) {
        (Error::InvalidCertificate(why), _) => return of_certificate(why, side),
        (Error::AlertReceived(alert), Side::Client) => of_alert(*alert),
        (Error::InvalidMessage(_), Side::Client) => {
            (Code::ProtectionDiffers, "what answers speaks no TLS: it may be a coordinator with --insecure")
        }
        (Error::InvalidMessage(_), Side::Server) => (Code::ProtectionDiffers, "the other side speaks no TLS"),
        (Error::PeerIncompatible(_), _) => (Code::TlsFailed, "the other side speaks no TLS 1.3 that this side knows"),
        _ => (Code::TlsFailed, "the protected connection did not come up"),
    };
    Failure::new(code, format!("{what}: {error}"))
}

fn of_certificate(why: &CertificateError, side: Side) -> Failure {
    let whose = match side {
        Side::Client => "the coordinator's certificate",
        Side::Server => "the caller's certificate",
    };
    if let CertificateError::Other(other) = why
        && let Some(refusal) = other.0.downcast_ref::<Refusal>()
    {
        return match refusal {
            Refusal::NotPinned { .. } => Failure::new(Code::WrongCoordinator, refusal.to_string()),
            Refusal::Identity(_) | Refusal::Named { .. } => {
                Failure::new(Code::CertificateUntrusted, format!("{whose}: {refusal}"))
            }
        };
    }
    let of_time = matches!(
        why,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    );
    let barred = matches!(why, CertificateError::ApplicationVerificationFailure | CertificateError::Revoked);
    let code = match (of_time, barred) {
        (true, _) => Code::CertificateTime,
        (_, true) => Code::CredentialsRefused,
        (false, false) => Code::CertificateUntrusted,
    };
    Failure::new(code, format!("{whose} is refused: {why}"))
}

/// What the coordinator says when it hangs up.
fn of_alert(alert: AlertDescription) -> (Code, &'static str) {
    let about_time = alert == AlertDescription::CertificateExpired;
    let barred = matches!(alert, AlertDescription::AccessDenied | AlertDescription::CertificateRevoked);
    let untrusted = matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
    );
    match (about_time, barred, untrusted) {
        (true, _, _) => (Code::CertificateTime, "by the coordinator's clock this holder's certificate is not good now"),
        (_, true, _) => (Code::CredentialsRefused, "the coordinator does not let this holder in"),
        (_, _, true) => (Code::CertificateUntrusted, "the coordinator does not believe this holder's certificate"),
        (false, false, false) => (Code::TlsFailed, "the coordinator ended the handshake"),
    }
}
