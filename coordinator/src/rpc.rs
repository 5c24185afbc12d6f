//! The gRPC services of workers and operators, thin: decode, ask the driver, encode.

mod runs;
mod training;

use syngrad_common::limits::MAX_MESSAGE;
pub(crate) use syngrad_proto::FILE_DESCRIPTOR_SET as DESCRIPTORS;
use syngrad_proto::syngrad::v1::run_service_server::RunServiceServer;
use syngrad_proto::syngrad::v1::training_service_server::TrainingServiceServer;
use tonic::service::RoutesBuilder;

use crate::access::Paces;
use crate::config::Patience;
use crate::driver::Handle;
use runs::Runs;
use training::Training;

/// Adds both services to `routes`.
pub(crate) fn add_to(routes: &mut RoutesBuilder, driver: &Handle, patience: Patience, paces: &Paces) {
    let training = TrainingServiceServer::new(Training { driver: driver.clone(), patience, paces: paces.clone() });
    let runs = RunServiceServer::new(Runs { driver: driver.clone() });
    routes.add_service(training.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(runs.max_decoding_message_size(MAX_MESSAGE));
}
