//! Credentials, got for a ticket and renewed in time.

use std::path::Path;

use syngrad_common::identity::credentials::{self, Credentials};
use syngrad_common::identity::{CertificateRequest, KeyKind, PrivateKey, Ticket, UnixTime};
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::transport::{self, AuthorityPin, ClientSecurity, TransportError};
use syngrad_common::wire;
use syngrad_engine::WorkerId;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::enrolment_service_client::EnrolmentServiceClient;
use tonic::transport::Channel;

use super::{DEADLINE, within};
use crate::failure::Failure;

/// New credentials for a key whose certificate is still good.
pub(crate) async fn renew(channel: Channel, key: &PrivateKey) -> Result<Credentials, Failure> {
    let request = v1::RenewRequest { certificate_request: request(key)?.into() };
    let mut calls = EnrolmentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let answer = within(DEADLINE, calls.renew(request)).await?;
    credentials(key, answer.credentials)
}

/// Turns an operator's or a client's ticket into credentials in a folder of `state`; the folder. The key is made there, and
/// an answer that is lost costs nothing.
pub(crate) async fn redeem(ticket: &Ticket, state: &Path) -> Result<credentials::Folder, Failure> {
    let role = ticket.invited.role();
    let folder = credentials::Folder::new(&state.join(if role == syngrad_engine::principal::Role::Operator {
        "operator"
    } else {
        "client"
    }));
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
        build: concat!("syngrad ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let channel = pinned(ticket).await.map_err(syngrad_common::Failure::from)?;
    let mut calls = EnrolmentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let answer = within(DEADLINE, calls.enrol(v1::EnrolRequest::from(enrol))).await?;
    credentials(key, answer.credentials)
}

/// A connection to the first of the ticket's addresses at which the coordinator is.
async fn pinned(ticket: &Ticket) -> Result<Channel, TransportError> {
    let security = ClientSecurity::Pinned(AuthorityPin::from(ticket));
    let mut last = None;
    for address in &ticket.addresses {
        match transport::connect(address, &security).await {
            Ok(channel) => return Ok(channel),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("a ticket has an address"))
}

fn request(key: &PrivateKey) -> Result<Vec<u8>, Failure> {
    Ok(CertificateRequest::make(key).map_err(syngrad_common::Failure::from)?)
}

fn credentials(key: &PrivateKey, granted: Option<v1::Credentials>) -> Result<Credentials, Failure> {
    let grant = wire::granted(granted).map_err(syngrad_common::Failure::from)?;
    Ok(Credentials::new(key.clone(), grant, UnixTime::now()).map_err(syngrad_common::Failure::from)?)
}
