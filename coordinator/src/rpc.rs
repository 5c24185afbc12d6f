//! The gRPC services of workers and operators, thin: decode, ask the driver or the office, encode.

mod enrolment;
mod export;
mod partners;
mod receipts;
mod runs;
#[cfg(test)]
mod tests;
mod training;

use std::collections::BTreeMap;
use std::sync::Arc;

use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::{Code, Failure, status};
use syngrad_engine::consortium::Serial;
use syngrad_engine::{Principal, WorkerId};
pub(crate) use syngrad_proto::FILE_DESCRIPTOR_SET as DESCRIPTORS;
use syngrad_proto::syngrad::v1::enrolment_service_server::EnrolmentServiceServer;
use syngrad_proto::syngrad::v1::partner_service_server::PartnerServiceServer;
use syngrad_proto::syngrad::v1::receipt_service_server::ReceiptServiceServer;
use syngrad_proto::syngrad::v1::run_service_server::RunServiceServer;
use syngrad_proto::syngrad::v1::training_service_server::TrainingServiceServer;
use syngrad_store::Reader;
use tonic::service::RoutesBuilder;
use tonic::{Request, Status};

use crate::access::{Caller, Paces, serial};
use crate::config::Patience;
use crate::driver::Handle;
use crate::governance::{Governance, Office};
use crate::receipts::{LogKey, Signer};
use enrolment::Enrolment;
use partners::Partners;
use receipts::Receipts;
use runs::Runs;
use training::Training;

/// What the services need beside the driver.
#[derive(Debug)]
pub(crate) struct Needs {
    pub(crate) patience: Patience,
    pub(crate) paces: Paces,
    /// None where nobody is asked who comes.
    pub(crate) governance: Option<Governance>,
    pub(crate) signers: BTreeMap<WorkerId, Arc<Signer>>,
    pub(crate) log: Option<LogKey>,
    pub(crate) reader: Option<Reader>,
}

/// Adds the services to `routes`.
pub(crate) fn add_to(routes: &mut RoutesBuilder, driver: &Handle, needs: Needs) {
    let Needs { patience, paces, governance, signers, log, reader } = needs;
    let governed = Governed(governance.clone());
    let signers = Arc::new(signers);
    let training = Training { driver: driver.clone(), patience, paces, governance, signers };
    let training = TrainingServiceServer::new(training);
    let runs = RunServiceServer::new(Runs { driver: driver.clone() });
    let receipts = ReceiptServiceServer::new(Receipts { reader, log: log.map(Arc::new) });
    let enrolment = EnrolmentServiceServer::new(Enrolment { governed: governed.clone() });
    let partners = PartnerServiceServer::new(Partners { governed, driver: driver.clone() });
    routes.add_service(receipts.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(training.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(runs.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(enrolment.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(partners.max_decoding_message_size(MAX_MESSAGE));
}

/// The office, where there is one.
#[derive(Clone, Debug)]
struct Governed(Option<Governance>);

impl Governed {
    async fn ask<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Office) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Status> {
        let none = "this coordinator asks nobody who comes, so there is no consortium to govern";
        let governance = self.0.as_ref().ok_or_else(|| status::of(&Failure::new(Code::NoConsortium, none)))?;
        governance.ask(errand).await.map_err(|failure| status::of(&failure))
    }
}

/// Who calls, by certificate.
fn known<T>(request: &Request<T>) -> Result<(Principal, Serial), Status> {
    let failure = match request.extensions().get::<Caller>() {
        Some(Caller::Known(identity)) => return Ok((identity.principal.clone(), serial(&identity.certificate))),
        Some(Caller::Insecure) => {
            Failure::new(Code::NoConsortium, "this coordinator asks nobody who comes, so nobody has credentials here")
        }
        Some(Caller::Anonymous) | None => Failure::new(Code::RoleNotAllowed, "this call needs a certificate"),
    };
    Err(status::of(&failure))
}
