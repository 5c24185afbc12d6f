//! The gRPC services of workers and operators, thin: decode, ask the driver, encode.

mod export;
mod receipts;
mod runs;
mod training;

use std::collections::BTreeMap;
use std::sync::Arc;

use syngrad_common::limits::MAX_MESSAGE;
use syngrad_engine::WorkerId;
pub(crate) use syngrad_proto::FILE_DESCRIPTOR_SET as DESCRIPTORS;
use syngrad_proto::syngrad::v1::receipt_service_server::ReceiptServiceServer;
use syngrad_proto::syngrad::v1::run_service_server::RunServiceServer;
use syngrad_proto::syngrad::v1::training_service_server::TrainingServiceServer;
use syngrad_store::Reader;
use tonic::service::RoutesBuilder;

use crate::access::Paces;
use crate::config::Patience;
use crate::driver::Handle;
use crate::receipts::{LogKey, Signer};
use receipts::Receipts;
use runs::Runs;
use training::Training;

/// What the services need beside the driver.
#[derive(Debug)]
pub(crate) struct Needs {
    pub(crate) patience: Patience,
    pub(crate) paces: Paces,
    pub(crate) signers: BTreeMap<WorkerId, Arc<Signer>>,
    pub(crate) log: Option<LogKey>,
    pub(crate) reader: Option<Reader>,
}

/// Adds the services to `routes`.
pub(crate) fn add_to(routes: &mut RoutesBuilder, driver: &Handle, needs: Needs) {
    let Needs { patience, paces, signers, log, reader } = needs;
    let signers = Arc::new(signers);
    let training = TrainingServiceServer::new(Training { driver: driver.clone(), patience, paces, signers });
    let runs = RunServiceServer::new(Runs { driver: driver.clone() });
    let receipts = ReceiptServiceServer::new(Receipts { reader, log: log.map(Arc::new) });
    routes.add_service(receipts.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(training.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(runs.max_decoding_message_size(MAX_MESSAGE));
}
