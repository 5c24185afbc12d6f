//! Which code an error of the domain has: one mapping, at the border.

use syngrad_engine::Rejection;
use syngrad_engine::consortium::Refusal;
use syngrad_engine::plan::PlanError;
use syngrad_engine::receipt::{Breach, RefusalCode};
use syngrad_engine::spec::SpecError;

use super::{Code, Failure};
use crate::codec::CodecError;
use crate::wire::WireError;

impl From<&Rejection> for Code {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::IdentityInUse => Self::IdentityInUse,
            Rejection::NotAMember => Self::NotAMember,
            Rejection::StaleRound { .. } => Self::StaleRound,
            Rejection::FutureRound { .. } => Self::FutureRound,
            Rejection::RoundClosed { .. } => Self::RoundClosed,
            Rejection::NotLeased { .. } => Self::NotLeased,
            Rejection::UnitsDiffer { .. } => Self::UnitsDiffer,
            Rejection::AlreadyCounted { .. } => Self::AlreadyCounted,
            Rejection::RunOver => Self::RunOver,
            Rejection::Silent => Self::Silent,
            Rejection::Stalled => Self::Stalled,
            Rejection::PartnerFull { .. } => Self::PartnerFull,
            Rejection::Quarantined { .. } => Self::Quarantined,
            Rejection::BadPayload { .. } => Self::BadPayload,
            Rejection::BadSignature => Self::BadSignature,
            Rejection::OtherParams { .. } => Self::OtherParams,
            Rejection::WrongUpdate { .. } => Self::WrongUpdate,
        }
    }
}

impl From<&Refusal> for Code {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::UnknownInvitation | Refusal::WrongSecret => Self::TicketUnknown,
            Refusal::InvitationExpired { .. } => Self::TicketExpired,
            Refusal::InvitationUsed { .. } => Self::TicketUsed,
            Refusal::InvitationWithdrawn => Self::TicketWithdrawn,
            Refusal::WorkerMissing | Refusal::WorkerUnexpected => Self::TicketMisused,
            Refusal::WorkerTaken => Self::WorkerTaken,
            Refusal::KeyTaken | Refusal::KeyRevoked => Self::KeyTaken,
            Refusal::PartnerPending => Self::PartnerPending,
            Refusal::PartnerSuspended { .. } => Self::PartnerSuspended,
            Refusal::PartnerRemoved => Self::PartnerRemoved,
            Refusal::UnknownCertificate => Self::CertificateUnknown,
            Refusal::CertificateRevoked => Self::CertificateRevoked,
            Refusal::CertificateExpired { .. } => Self::CertificateTime,
            Refusal::AuthorityRetired => Self::AuthorityRetired,
            Refusal::UnknownHolder { .. } => Self::HolderUnknown,
            Refusal::WrongState { .. } => Self::HolderState,
            Refusal::LastOperator => Self::LastOperator,
            Refusal::AuthorityInUse { .. } => Self::AuthorityInUse,
            Refusal::TooMany { .. } => Self::ConsortiumFull,
            Refusal::BadInvitation { .. } => Self::InvitationRange,
            Refusal::NameTaken => Self::Internal,
        }
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        Self::new(refusal.into(), refusal.to_string())
    }
}

impl From<&CodecError> for Code {
    fn from(error: &CodecError) -> Self {
        match error {
            CodecError::Oversize { .. } | CodecError::FrameTooLarge { .. } => Self::PayloadTooLarge,
            CodecError::WrongSize { .. }
            | CodecError::EmptyFrame { .. }
            | CodecError::Overrun { .. }
            | CodecError::Underrun { .. }
            | CodecError::WrongDigest { .. } => Self::BadPayload,
        }
    }
}

impl From<&Rejection> for Failure {
    fn from(rejection: &Rejection) -> Self {
        Self::new(rejection.into(), rejection.to_string())
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        Self::new((&error).into(), error.to_string())
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::new(Code::BadMessage, error.to_string())
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::new(Code::SpecValue, error.to_string())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::new(Code::SpecData, error.to_string())
    }
}

impl From<&Breach> for Code {
    fn from(breach: &Breach) -> Self {
        match breach {
            Breach::Forged { .. } => Self::LogForged,
            Breach::Forked { .. } => Self::LogForked,
            Breach::Foreign { .. } => Self::RecordForeign,
            Breach::Params { .. } => Self::ParamsServedDiffer,
            Breach::Missing { .. } => Self::ContributionMissing,
            Breach::Changed { .. } => Self::ContributionChanged,
            Breach::Twice { .. } => Self::CountedTwice,
            Breach::Withheld { .. } => Self::ReceiptsWithheld,
        }
    }
}

/// Each code is a refusal's number in receipts too.
impl From<Code> for RefusalCode {
    fn from(code: Code) -> Self {
        Self::parse(code.as_str()).expect("a code is E and four digits")
    }
}

impl From<Breach> for Failure {
    fn from(breach: Breach) -> Self {
        Self::new((&breach).into(), breach.to_string())
    }
}
