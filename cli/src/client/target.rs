//! Where a coordinator is, and as whom it is called.

use std::path::{Path, PathBuf};

use syngrad_common::Code;
use syngrad_common::identity::credentials::{self, Credentials};
use syngrad_common::identity::{IdentityError, UnixTime};
use syngrad_common::transport::{Address, ClientSecurity, DEFAULT_ADDRESS, LiveCredentials};
use syngrad_coordinator::{OPERATOR, default_state_dir};
use syngrad_engine::principal::Role;

use crate::args::Coordinator;
use crate::failure::Failure;

/// Whose credentials a state folder may hold, in the order in which they are looked for.
const HOLDERS: [Role; 2] = [Role::Operator, Role::Client];

/// The folder of the credentials of somebody who is no worker, in a state folder.
pub(super) fn folder_of(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Operator | Role::Partner | Role::Coordinator | Role::Log => OPERATOR,
    }
}

/// The state folder that is named, or this user's own.
///
/// # Errors
/// If none is named and the environment names none.
pub(crate) fn state_folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let nowhere = || Failure::new(Code::Usage, "the environment names no folder for state: name one with --state");
    named.map(Path::to_owned).or_else(default_state_dir).ok_or_else(nowhere)
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) address: Address,
    pub(super) security: ClientSecurity,
    /// Where the credentials are from, to be renewed there.
    folder: Option<credentials::Folder>,
}

impl Target {
    /// A coordinator of this machine that asks nobody who they are.
    ///
    /// # Errors
    /// If the text is no address.
    pub fn insecure(address: &str) -> Result<Self, Failure> {
        Ok(Self { address: parsed(address)?, security: ClientSecurity::InsecureLoopback, folder: None })
    }

    /// A coordinator at `address`.
    pub(crate) fn new(address: Address, security: ClientSecurity) -> Self {
        Self { address, security, folder: None }
    }

    /// The coordinator that the credentials in a state folder are for, at another address if one is named.
    ///
    /// # Errors
    /// If nobody has credentials there, or they cannot be used.
    pub fn in_state(state: &Path, address: Option<&str>) -> Result<Self, Failure> {
        let (folder, credentials) = found(state)?;
        let first = credentials.grant().addresses.first().cloned();
        let address = match (address, first) {
            (Some(address), _) => parsed(address)?,
            (None, Some(first)) => first,
            (None, None) => parsed(DEFAULT_ADDRESS)?,
        };
        let security = ClientSecurity::Mutual(LiveCredentials::new(credentials)?);
        Ok(Self { address, security, folder: Some(folder) })
    }

    /// The coordinator that the command line names.
    ///
    /// # Errors
    /// If the address is none, or there are no credentials and none was asked to do without.
    pub(crate) fn named(coordinator: &Coordinator) -> Result<Self, Failure> {
        let address = coordinator.address.as_deref();
        if coordinator.insecure {
            return Self::insecure(address.unwrap_or(DEFAULT_ADDRESS));
        }
        Self::in_state(&state_folder(coordinator.state_dir.as_deref())?, address)
    }

    /// The address that is dialed.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The credentials that it is called with, and their folder, if it is time to renew them.
    pub(super) fn to_renew(&self) -> Option<(&LiveCredentials, &credentials::Folder)> {
        match (&self.security, &self.folder) {
            (ClientSecurity::Mutual(live), Some(folder)) => {
                let due = live.credentials().validity().renewal() <= UnixTime::now();
                due.then_some((live, folder))
            }
            (ClientSecurity::InsecureLoopback | ClientSecurity::Pinned(_), _) | (ClientSecurity::Mutual(_), None) => {
                None
            }
        }
    }
}

fn found(state: &Path) -> Result<(credentials::Folder, Credentials), Failure> {
    for role in HOLDERS {
        let folder = credentials::Folder::new(&state.join(folder_of(role)));
        match folder.load() {
            Ok(credentials) => return Ok((folder, credentials)),
            Err(IdentityError::NoCredentials { .. }) => {}
            Err(error) => return Err(syngrad_common::Failure::from(error).into()),
        }
    }
    let why = format!(
        "nobody has credentials in {}; call a coordinator that was started with --insecure with --insecure too",
        state.display()
    );
    Err(Failure::new(Code::NoCredentials, why))
}

fn parsed(address: &str) -> Result<Address, Failure> {
    Ok(address.parse().map_err(syngrad_common::Failure::from)?)
}
