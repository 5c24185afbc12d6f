//! Where a coordinator is, and as whom it is called.

use syngrad_common::transport::{Address, ClientSecurity, DEFAULT_ADDRESS};

use crate::args::Coordinator;
use crate::failure::Failure;

/// See the module.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) address: Address,
    pub(super) security: ClientSecurity,
}

impl Target {
    /// A coordinator of this machine that asks nobody who they are.
    ///
    /// # Errors
    /// If the text is no address.
    pub fn insecure(address: &str) -> Result<Self, Failure> {
        Ok(Self { address: parsed(address)?, security: ClientSecurity::InsecureLoopback })
    }

    /// The coordinator that the command line names.
    ///
    /// # Errors
    /// If the address is none, or there are no credentials and none was asked to do without.
    pub(crate) fn named(coordinator: &Coordinator) -> Result<Self, Failure> {
        let address = coordinator.address.as_deref().unwrap_or(DEFAULT_ADDRESS);
        match coordinator.insecure {
            true => Self::insecure(address),
            false => Err(Failure::missing_insecure("a client")),
        }
    }

    /// The address that is dialed.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }
}

fn parsed(address: &str) -> Result<Address, Failure> {
    Ok(address.parse().map_err(syngrad_common::Failure::from)?)
}
