//! A real worker and a scripted coordinator, over real gRPC.

mod control;
mod fake;
mod guard;
mod session;
mod trouble;
