//! The wire protocol: code generated from `proto/`, and nothing else.
//!
//! Only the edges of a process name these types; everything behind them speaks the words of the engine.

/// The protocol between coordinators, workers and operators.
pub mod syngrad {
    /// Version 1.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::wildcard_enum_match_arm,
        clippy::needless_pass_by_value,
        clippy::semicolon_if_nothing_returned,
        clippy::uninlined_format_args,
        rust_2018_idioms,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("syngrad.v1");
    }
}

/// The Open Inference Protocol v2.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    clippy::uninlined_format_args,
    rust_2018_idioms,
    reason = "generated"
)]
pub mod inference {
    tonic::include_proto!("inference");
}

/// The descriptors of every service here, encoded, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
