//! Invitations, and what is granted for them.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use rustls::pki_types::UnixTime;
use syngrad_engine::WorkerId;
use syngrad_engine::consortium::InvitationId;
use syngrad_engine::principal::{ConsortiumName, HolderName};
use syngrad_proto::syngrad::v1;
use zeroize::{Zeroize as _, Zeroizing};

use super::WireError;
use super::field::{clean, exactly, partner, present, text, within, worker_id, wrong};
use crate::identity::certificate::MAX_CHAIN;
use crate::identity::request::MAX_REQUEST;
use crate::identity::ticket::{Invited, MAX_ADDRESSES, TicketSecret, VERSION};
use crate::identity::{Certificate, Grant, Sha256, Ticket};
use crate::transport::Address;

/// The latest moment that a ticket may name: the end of the year 9999, as in certificates.
const MAX_TIME: u64 = 253_402_300_799;

/// What an `EnrolRequest` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrol {
    /// Which invitation.
    pub invitation: InvitationId,
    /// What proves it.
    pub secret: TicketSecret,
    /// PKCS #10 in DER, not read yet.
    pub request: Vec<u8>,
    /// Which worker; operators and clients have none.
    pub worker: Option<WorkerId>,
    /// Release and commit, for people.
    pub build: String,
}

/// The bytes of a ticket's message.
pub(crate) fn encode_ticket(ticket: &Ticket) -> Zeroizing<Vec<u8>> {
    let message = v1::Ticket {
        version: VERSION,
        addresses: ticket.addresses.iter().map(ToString::to_string).collect(),
        authority: Bytes::copy_from_slice(&ticket.authority.0),
        invitation: Bytes::copy_from_slice(&ticket.invitation.0),
        secret: Bytes::copy_from_slice(ticket.secret.expose()),
        role: role_of(&ticket.invited).into(),
        holder: ticket.invited.name().to_owned(),
        consortium: ticket.consortium.to_string(),
        expires: ticket.expires.as_secs(),
    };
    let bytes = Zeroizing::new(message.encode_to_vec());
    wipe(message.secret);
    bytes
}

/// The ticket in a message.
///
/// # Errors
/// [`WireError`] that names the field.
pub(crate) fn decode_ticket(bytes: &[u8]) -> Result<Ticket, WireError> {
    let message = v1::Ticket::decode(bytes).map_err(|error| wrong("ticket", "a message", error))?;
    within("ticket.version", message.version, VERSION..=VERSION)?;
    let secret = secret("ticket.secret", message.secret)?;
    Ok(Ticket {
        addresses: addresses("ticket.addresses", &message.addresses)?,
        authority: Sha256(exactly("ticket.authority", &message.authority)?),
        invitation: InvitationId(exactly("ticket.invitation", &message.invitation)?),
        secret,
        invited: invited(message.role, &message.holder)?,
        consortium: consortium("ticket.consortium", &message.consortium)?,
        expires: time("ticket.expires", message.expires)?,
    })
}

/// A ticket with more bytes than its text can hold.
pub(crate) fn ticket_too_long(most: usize, found: usize) -> WireError {
    wrong("ticket", format_args!("at most {most} bytes"), format_args!("{found} bytes"))
}

fn role_of(invited: &Invited) -> v1::CredentialRole {
    match invited {
        Invited::Partner(_) => v1::CredentialRole::Partner,
        Invited::Operator(_) => v1::CredentialRole::Operator,
        Invited::Client(_) => v1::CredentialRole::Client,
    }
}

fn invited(role: i32, name: &str) -> Result<Invited, WireError> {
    let field = "ticket.holder";
    let holder = || HolderName::parse(name).map_err(|error| wrong(field, "a holder's name", error));
    match v1::CredentialRole::try_from(role) {
        Ok(v1::CredentialRole::Partner) => partner(field, name).map(Invited::Partner),
        Ok(v1::CredentialRole::Operator) => holder().map(Invited::Operator),
        Ok(v1::CredentialRole::Client) => holder().map(Invited::Client),
        Ok(v1::CredentialRole::Unspecified) | Err(_) => Err(wrong("ticket.role", "partner, operator or client", role)),
    }
}

fn time(field: &'static str, seconds: u64) -> Result<UnixTime, WireError> {
    within(field, seconds, 0..=MAX_TIME).map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

fn consortium(field: &'static str, text: &str) -> Result<ConsortiumName, WireError> {
    ConsortiumName::parse(text).map_err(|error| wrong(field, "a consortium's name", error))
}

fn addresses(field: &'static str, list: &[String]) -> Result<Vec<Address>, WireError> {
    within(field, list.len(), 1..=MAX_ADDRESSES)?;
    list.iter().map(|text| text.parse().map_err(|error| wrong(field, "addresses", error))).collect()
}

fn secret(field: &'static str, bytes: Bytes) -> Result<TicketSecret, WireError> {
    let secret = exactly(field, &bytes).map(TicketSecret::new);
    wipe(bytes);
    secret
}

/// Wipes bytes that nobody else holds.
fn wipe(bytes: Bytes) {
    if let Ok(mut bytes) = bytes.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}

impl From<Enrol> for v1::EnrolRequest {
    fn from(enrol: Enrol) -> Self {
        Self {
            invitation: Bytes::copy_from_slice(&enrol.invitation.0),
            secret: Bytes::copy_from_slice(enrol.secret.expose()),
            certificate_request: enrol.request.into(),
            worker: enrol.worker.map_or_else(Bytes::new, |worker| Bytes::copy_from_slice(&worker.0)),
            build: clean(&enrol.build),
        }
    }
}

impl TryFrom<v1::EnrolRequest> for Enrol {
    type Error = WireError;

    fn try_from(message: v1::EnrolRequest) -> Result<Self, WireError> {
        let worker = match message.worker.is_empty() {
            true => None,
            false => Some(worker_id("enrol.worker", &message.worker)?),
        };
        Ok(Self {
            secret: secret("enrol.secret", message.secret)?,
            invitation: InvitationId(exactly("enrol.invitation", &message.invitation)?),
            request: certificate_request("enrol.certificate_request", &message.certificate_request)?,
            worker,
            build: text("enrol.build", message.build)?,
        })
    }
}

/// The request of a `RenewRequest`: PKCS #10 in DER, not read yet.
///
/// # Errors
/// [`WireError`] if it is absent or too long.
pub fn renewal(message: &v1::RenewRequest) -> Result<Vec<u8>, WireError> {
    certificate_request("renew.certificate_request", &message.certificate_request)
}

fn certificate_request(field: &'static str, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    within(field, bytes.len(), 1..=MAX_REQUEST)?;
    Ok(bytes.to_vec())
}

/// What an `EnrolResponse` or a `RenewResponse` grants.
///
/// # Errors
/// [`WireError`] that names the field.
pub fn granted(credentials: Option<v1::Credentials>) -> Result<Grant, WireError> {
    present("credentials", credentials)?.try_into()
}

impl From<&Grant> for v1::Credentials {
    fn from(grant: &Grant) -> Self {
        let der = |certificate: &Certificate| Bytes::copy_from_slice(certificate.der());
        Self {
            chain: grant.chain.iter().map(der).collect(),
            roots: grant.roots.iter().map(der).collect(),
            addresses: grant.addresses.iter().map(ToString::to_string).collect(),
            consortium: grant.consortium.to_string(),
            log_certificate: der(&grant.log),
        }
    }
}

impl TryFrom<v1::Credentials> for Grant {
    type Error = WireError;

    fn try_from(message: v1::Credentials) -> Result<Self, WireError> {
        Ok(Self {
            consortium: consortium("credentials.consortium", &message.consortium)?,
            chain: certificates("credentials.chain", &message.chain)?,
            roots: certificates("credentials.roots", &message.roots)?,
            addresses: addresses("credentials.addresses", &message.addresses)?,
            log: certificate("credentials.log_certificate", &message.log_certificate)?,
        })
    }
}

fn certificates(field: &'static str, list: &[Bytes]) -> Result<Vec<Certificate>, WireError> {
    within(field, list.len(), 1..=MAX_CHAIN)?;
    list.iter().map(|bytes| certificate(field, bytes)).collect()
}

fn certificate(field: &'static str, bytes: &[u8]) -> Result<Certificate, WireError> {
    Certificate::from_der(bytes).map_err(|error| wrong(field, "a certificate", error))
}
