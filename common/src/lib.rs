//! What both sides of the wire share. What only one side needs lives with that side.
//!
//! * [`wire`]: protocol messages as values of the domain; the only conversion there is
//! * [`codec`]: params and updates as frames
//! * [`transport`], [`limits`]: how a connection is made, and what bounds it
//! * [`identity`]: keys, certificates, authorities and tickets
//! * [`error`], [`status`]: stable codes, and how they travel
//! * [`config`]: run specs as text; [`archive`]: what is exported of a run
//! * [`telemetry`][]: logs; [`bug`]: what a panic does

pub mod archive;
pub mod bug;
pub mod codec;
pub mod config;
pub mod error;
pub mod identity;
pub mod limits;
pub mod status;
pub mod telemetry;
pub mod transport;
pub mod wire;

pub use error::{Code, Failure};

/// The release, for people, as either side names it to the other.
pub const BUILD: &str = concat!("syngrad ", env!("CARGO_PKG_VERSION"));
