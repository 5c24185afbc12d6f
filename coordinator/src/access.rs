//! Which calls are open to whom: one table, asked before anything of a request's body is read.
//!
//! ```text
//!   request ─► path in TABLE? ─► open to the caller's role? ─► certificate good, partner active? ─► not too fast? ─► service
//!                  │ no                 │ no                          │ no                              │ no
//!                  └────────────────────┴───────── status with a code ┴─────────────────────────────────┘
//! ```

mod layer;
mod pace;
mod table;

use syngrad_common::identity::CertificateSummary;
pub(crate) use syngrad_common::transport::Caller;
use syngrad_engine::consortium::Serial;
use syngrad_engine::{PartnerName, Principal};

pub(crate) use layer::AccessLayer;
#[cfg(test)]
pub(crate) use layer::Guarded;
pub(crate) use pace::Paces;
#[cfg(test)]
pub(crate) use table::TABLE;
pub(crate) use table::{Needs, Role, access};

/// The role of a caller; none for who is not asked, and for the coordinator's own certificates, with which nobody calls.
pub(crate) fn role(caller: &Caller) -> Option<Role> {
    match caller {
        Caller::Insecure => None,
        Caller::Anonymous => Some(Role::Anonymous),
        Caller::Known(identity) => match identity.principal {
            Principal::Worker { .. } => Some(Role::Partner),
            Principal::Operator(_) => Some(Role::Operator),
            Principal::Client(_) => Some(Role::Client),
            Principal::Coordinator | Principal::Log => None,
        },
    }
}

/// The partner whose worker calls.
pub(crate) fn partner(caller: &Caller) -> Option<&PartnerName> {
    match caller.principal()? {
        Principal::Worker { partner, worker: _ } => Some(partner),
        Principal::Operator(_) | Principal::Client(_) | Principal::Coordinator | Principal::Log => None,
    }
}

/// The number of a certificate. One that is longer than any of X.509's is nobody's.
pub(crate) fn serial(certificate: &CertificateSummary) -> Serial {
    Serial::from_digits(&certificate.serial.0).unwrap_or_default()
}

#[cfg(test)]
mod tests;
