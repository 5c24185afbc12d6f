//! The table itself.

use Role::{Anonymous, Client, Operator, Partner};

/// What somebody is to a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Without a certificate: may show a ticket, and look whether anybody is there.
    Anonymous,
    /// A worker of a partner.
    Partner,
    /// Who governs.
    Operator,
    /// Who asks for predictions.
    Client,
}

/// What a caller with a certificate needs besides its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// That its certificate is good. A partner that waits or is suspended hears why from the call itself.
    Certificate,
    /// That it takes part, too.
    Standing,
}

/// To whom a call is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The call's path, as HTTP has it.
    pub(crate) path: &'static str,
    /// Whom it is open to.
    pub(crate) roles: &'static [Role],
    /// What they need besides.
    pub(crate) needs: Needs,
}

const EVERYBODY: &[Role] = &[Anonymous, Partner, Operator, Client];
const KNOWN: &[Role] = &[Partner, Operator, Client];
const GOVERNS: &[Role] = &[Operator];
const TRAINS: &[Role] = &[Partner];
const CHECKS: &[Role] = &[Partner, Operator];
const ASKS: &[Role] = &[Operator, Client];

const fn to(roles: &'static [Role], path: &'static str) -> Access {
    Access { path, roles, needs: Needs::Standing }
}

const fn told_why(roles: &'static [Role], path: &'static str) -> Access {
    Access { path, roles, needs: Needs::Certificate }
}

/// Every call that there is. What is not here is open to nobody.
pub(crate) const TABLE: &[Access] = &[
    told_why(EVERYBODY, "/syngrad.v1.EnrolmentService/Enrol"),
    told_why(KNOWN, "/syngrad.v1.EnrolmentService/Renew"),
    told_why(TRAINS, "/syngrad.v1.TrainingService/Session"),
    to(TRAINS, "/syngrad.v1.TrainingService/FetchShard"),
    to(GOVERNS, "/syngrad.v1.RunService/StartRun"),
    to(GOVERNS, "/syngrad.v1.RunService/StopRun"),
    to(CHECKS, "/syngrad.v1.RunService/GetRun"),
    to(GOVERNS, "/syngrad.v1.RunService/ListRuns"),
    to(GOVERNS, "/syngrad.v1.RunService/WatchRun"),
    to(GOVERNS, "/syngrad.v1.PartnerService/Invite"),
    to(GOVERNS, "/syngrad.v1.PartnerService/ListPartners"),
    to(GOVERNS, "/syngrad.v1.PartnerService/ApprovePartner"),
    to(GOVERNS, "/syngrad.v1.PartnerService/SuspendPartner"),
    to(GOVERNS, "/syngrad.v1.PartnerService/ResumePartner"),
    to(GOVERNS, "/syngrad.v1.PartnerService/RemovePartner"),
    to(GOVERNS, "/syngrad.v1.PartnerService/RevokeCredentials"),
    to(GOVERNS, "/syngrad.v1.PartnerService/ListAudit"),
    to(GOVERNS, "/syngrad.v1.PartnerService/RotateAuthority"),
    to(GOVERNS, "/syngrad.v1.PartnerService/RetireAuthority"),
    to(CHECKS, "/syngrad.v1.ReceiptService/ListReceipts"),
    to(CHECKS, "/syngrad.v1.ReceiptService/GetHead"),
    to(CHECKS, "/syngrad.v1.ReceiptService/ExportRun"),
    to(ASKS, "/inference.GRPCInferenceService/ServerLive"),
    to(ASKS, "/inference.GRPCInferenceService/ServerReady"),
    to(ASKS, "/inference.GRPCInferenceService/ModelReady"),
    to(ASKS, "/inference.GRPCInferenceService/ServerMetadata"),
    to(ASKS, "/inference.GRPCInferenceService/ModelMetadata"),
    to(ASKS, "/inference.GRPCInferenceService/ModelInfer"),
    told_why(EVERYBODY, "/grpc.health.v1.Health/Check"),
    to(KNOWN, "/grpc.health.v1.Health/Watch"),
    to(ASKS, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    to(ASKS, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

/// To whom the call at `path` is open; none if there is no such call.
pub(crate) fn access(path: &str) -> Option<&'static Access> {
    TABLE.iter().find(|access| access.path == path)
}
