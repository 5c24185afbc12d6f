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

use syngrad_engine::consortium::Serial;
use syngrad_engine::{PartnerName, Principal};

pub(crate) use layer::AccessLayer;
#[cfg(test)]
pub(crate) use layer::Guarded;
pub(crate) use pace::Paces;
#[cfg(test)]
pub(crate) use table::TABLE;
pub(crate) use table::{Needs, Role, access};

/// Who is at the other end of a connection. The transport puts it into the extensions of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody on this machine: the coordinator was started without protection, and asks nobody who comes.
    Insecure,
    /// Somebody without a certificate.
    Anonymous,
    /// Somebody with a certificate that a trusted authority signed.
    Known {
        /// Whose certificate it is.
        principal: Principal,
        /// Its number.
        serial: Serial,
    },
}

impl Caller {
    /// The role; none for who is not asked, and for the coordinator's own certificates, with which nobody calls.
    pub(crate) fn role(&self) -> Option<Role> {
        match self {
            Self::Insecure => None,
            Self::Anonymous => Some(Role::Anonymous),
            Self::Known { principal, serial: _ } => match principal {
                Principal::Worker { .. } => Some(Role::Partner),
                Principal::Operator(_) => Some(Role::Operator),
                Principal::Client(_) => Some(Role::Client),
                Principal::Coordinator | Principal::Log => None,
            },
        }
    }

    /// The partner whose worker calls.
    pub(crate) fn partner(&self) -> Option<&PartnerName> {
        match self {
            Self::Known { principal, serial: _ } => match principal {
                Principal::Worker { partner, worker: _ } => Some(partner),
                Principal::Operator(_) | Principal::Client(_) | Principal::Coordinator | Principal::Log => None,
            },
            Self::Insecure | Self::Anonymous => None,
        }
    }
}

#[cfg(test)]
mod tests;
