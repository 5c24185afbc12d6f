//! The gRPC services, thin: decode, ask the driver, encode.

mod runs;
mod training;

pub(crate) use runs::Runs;
pub(crate) use training::Training;
