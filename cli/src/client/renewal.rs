//! Credentials, got for a ticket and renewed in time.

use std::path::Path;

use syngrad_common::identity::credentials::{self, Credentials};
use syngrad_common::identity::{CertificateRequest, KeyKind, PrivateKey, Ticket, UnixTime};
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::transport::{self, AuthorityPin, ClientSecurity, LiveCredentials};
use syngrad_common::{BUILD, wire};
use syngrad_engine::WorkerId;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::enrolment_service_client::EnrolmentServiceClient;
use tonic::transport::Channel;

use super::target::folder_of;
use super::{DEADLINE, within};
use crate::failure::Failure;

/// Renews what is live: kept in `folder`, and used for all connections from then on.
pub(crate) async fn renew(
    channel: Channel,
    live: &LiveCredentials,
    folder: &credentials::Folder,
) -> Result<(), Failure> {
    let current = live.credentials();
    let request = v1::RenewRequest { certificate_request: request(current.key())?.into() };
    let answer = within(DEADLINE, calls(channel).renew(request)).await?;
    let renewed = credentials(current.key(), answer.credentials)?;
    folder.store(&renewed).map_err(syngrad_common::Failure::from)?;
    Ok(live.replace(renewed)?)
}

/// Turns an operator's or a client's ticket into credentials in a folder of `state`; the folder. The key is made there, and
/// an answer that is lost costs nothing.
pub(crate) async fn redeem(ticket: &Ticket, state: &Path) -> Result<credentials::Folder, Failure> {
    let role = ticket.invited.role();
    let folder = credentials::Folder::new(&state.join(folder_of(role)));
    let key = folder.key(KeyKind::of(role)).map_err(syngrad_common::Failure::from)?;
    let granted = enrol(ticket, &key, None).await?;
    folder.store(&granted).map_err(syngrad_common::Failure::from)?;
    Ok(folder)
}

/// Credentials for `key`, as what the ticket invites to be; a worker says which it is. The same ticket with the same key
/// again gives the same holder, so this may be tried again.
pub(crate) async fn enrol(ticket: &Ticket, key: &PrivateKey, worker: Option<WorkerId>) -> Result<Credentials, Failure> {
    let enrol = wire::Enrol {
        invitation: ticket.invitation,
        secret: ticket.secret.clone(),
        request: request(key)?,
        worker,
        build: BUILD.to_owned(),
    };
    let security = ClientSecurity::Pinned(AuthorityPin::from(ticket));
    let (_, channel) = transport::reach(&ticket.addresses, &security).await.map_err(syngrad_common::Failure::from)?;
    let answer = within(DEADLINE, calls(channel).enrol(v1::EnrolRequest::from(enrol))).await?;
    credentials(key, answer.credentials)
}

fn calls(channel: Channel) -> EnrolmentServiceClient<Channel> {
    EnrolmentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

fn request(key: &PrivateKey) -> Result<Vec<u8>, Failure> {
    Ok(CertificateRequest::make(key).map_err(syngrad_common::Failure::from)?)
}

fn credentials(key: &PrivateKey, granted: Option<v1::Credentials>) -> Result<Credentials, Failure> {
    let grant = wire::granted(granted).map_err(syngrad_common::Failure::from)?;
    Ok(Credentials::new(key.clone(), grant, UnixTime::now()).map_err(syngrad_common::Failure::from)?)
}
