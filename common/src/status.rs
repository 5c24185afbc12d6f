//! Failures as gRPC statuses: the only place that builds one, and the one that reads it back.

use std::collections::HashMap;
use std::error::Error as _;

use tonic::Status;
use tonic::codegen::http::HeaderMap;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::{Code, Exit, Failure};
use crate::transport::{failure_among, root_cause};

/// The domain of our reasons in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "syngrad";

/// The status that tells a caller of `failure`, its code in the details.
#[must_use]
pub fn of(failure: &Failure) -> Status {
    let details = ErrorDetails::with_error_info(failure.code.as_str(), DOMAIN, HashMap::<String, String>::new());
    Status::with_error_details(grpc(failure.code), failure.message.clone(), details)
}

/// The failure that `status` tells of, whoever made it.
#[must_use]
pub fn read(status: &Status) -> Failure {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
    if let (None, Some(source)) = (&info, status.source()) {
        if let Some(failure) = failure_among(source) {
            return failure;
        }
        return Failure::new(Code::ConnectionLost, format!("the connection broke: {}", root_cause(source)));
    }
    let code = info.and_then(|info| Code::parse(&info.reason)).unwrap_or_else(|| code_of(status.code()));
    let message = match status.message() {
        "" => format!("the other side answered {:?}", status.code()),
        message => message.to_owned(),
    };
    Failure::new(code, message)
}

/// The failure in the headers of an answer that is nothing else; none if it is none.
#[must_use]
pub fn of_headers(headers: &HeaderMap) -> Option<Failure> {
    Status::from_header_map(headers).filter(|status| status.code() != tonic::Code::Ok).map(|status| read(&status))
}

/// Whether `status` was made by [`of`], on whichever side.
#[must_use]
pub fn is_ours(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN)
}

/// What a status of another program, or of a library below us, means here.
fn code_of(code: tonic::Code) -> Code {
    match code {
        tonic::Code::Unavailable => Code::Unreachable,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        tonic::Code::PermissionDenied | tonic::Code::Unauthenticated => Code::NotAuthorized,
        tonic::Code::ResourceExhausted => Code::Busy,
        tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::BadInput,
        tonic::Code::NotFound => Code::ModelNotFound,
        tonic::Code::Unimplemented => Code::ProtocolVersion,
        // A defect of another program, or a program that speaks something else, is none of ours.
        tonic::Code::Cancelled
        | tonic::Code::Aborted
        | tonic::Code::Unknown
        | tonic::Code::Ok
        | tonic::Code::AlreadyExists
        | tonic::Code::FailedPrecondition
        | tonic::Code::Internal
        | tonic::Code::DataLoss => Code::ConnectionLost,
    }
}

/// Codes that another code of gRPC says better than the one for their kind of end.
const SAID_BETTER: &[(tonic::Code, &[Code])] = &[
    (
        tonic::Code::InvalidArgument,
        &[Code::BadHandshake, Code::BadMessage, Code::BadPayload, Code::NotFinite, Code::CertificateUnreadable],
    ),
    (
        tonic::Code::AlreadyExists,
        &[
            Code::IdentityInUse,
            Code::CannotListen,
            Code::RunActive,
            Code::WorkerTaken,
            Code::KeyTaken,
            Code::AlreadyFounded,
        ],
    ),
    (
        tonic::Code::ResourceExhausted,
        &[
            Code::TooManySessions,
            Code::PayloadTooLarge,
            Code::BatchTooLarge,
            Code::Busy,
            Code::ConsortiumFull,
            Code::TooManyWorkers,
            Code::TooFast,
        ],
    ),
    (tonic::Code::FailedPrecondition, &[Code::UnexpectedMessage, Code::Unfit]),
    (
        tonic::Code::NotFound,
        &[Code::RunNotFound, Code::DataMissing, Code::ShardNotLeased, Code::ModelNotFound, Code::HolderUnknown],
    ),
    (tonic::Code::Aborted, &[Code::RunFailed, Code::TargetMissed, Code::BarMissed]),
    (tonic::Code::DataLoss, &[Code::DataCorrupt, Code::ShardCorrupt, Code::StateDamaged, Code::HistoryDiffers]),
    (tonic::Code::Unavailable, &[Code::StateUnwritable]),
    (tonic::Code::Unauthenticated, &[Code::CertificateUntrusted, Code::CertificateTime]),
    (tonic::Code::Cancelled, &[Code::Interrupted]),
];

fn grpc(code: Code) -> tonic::Code {
    let better = SAID_BETTER.iter().find(|(_, codes)| codes.contains(&code)).map(|(said, _)| *said);
    better.unwrap_or(match code.exit() {
        Exit::Failed | Exit::Bug => tonic::Code::Internal,
        Exit::Usage => tonic::Code::InvalidArgument,
        Exit::Unreachable => tonic::Code::Unavailable,
        Exit::NotAllowed => tonic::Code::PermissionDenied,
        Exit::TimedOut => tonic::Code::DeadlineExceeded,
        Exit::Conflict => tonic::Code::FailedPrecondition,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for &code in Code::ALL {
            let failure = Failure::new(code, format!("what happened for {code}"));
            assert_eq!(read(&of(&failure)), failure);
        }
    }

    #[test]
    fn foreign_statuses_have_a_code_too() {
        let status = Status::new(tonic::Code::Unavailable, "");
        assert_eq!(read(&status).code, Code::Unreachable);
        assert!(read(&status).message.contains("Unavailable"));
    }

    #[test]
    fn a_reason_of_another_domain_is_not_ours() {
        let details = ErrorDetails::with_error_info("E0205", "elsewhere", HashMap::<String, String>::new());
        let status = Status::with_error_details(tonic::Code::NotFound, "no", details);
        assert_eq!(read(&status).code, Code::ModelNotFound);
    }
}
