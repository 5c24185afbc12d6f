//! A real worker and a scripted coordinator, over real gRPC.

mod fake;
mod session;
mod trouble;
