//! An invitation as one line of text, to be pasted.
//!
//! ```text
//! syngrad1-  header  message  checksum
//!            24 bits          48 bits     all three together in base64url without padding
//! ```
//!
//! The header is the message's length in 12 bits, then the same bits inverted. So a text that was cut off is told from one
//! in which something changed, and every change of one character is found: in the header by the inverted bits, elsewhere by
//! the checksum, which is the beginning of the BLAKE3 digest of header and message. The message is `syngrad.v1.Ticket`.

mod source;

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use rustls::pki_types::UnixTime;
use serde::Serialize;
use syngrad_engine::consortium::InvitationId;
use syngrad_engine::principal::{ConsortiumName, HolderName, Role};
use syngrad_engine::{Digest, PartnerName, digest::Domain};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{IdentityError, Sha256, random, shown};
use crate::error::{Code, Failure};
use crate::transport::Address;
use crate::wire::{self, WireError};

pub use source::{ENVIRONMENT, STDIN, Sources};

/// What every ticket begins with, before its version.
const NAME: &str = "syngrad";
/// What a ticket of this version begins with.
const PREFIX: &str = "syngrad1-";
/// The version of the form, which the prefix says too.
pub const VERSION: u32 = 1;
/// The most addresses in a ticket.
pub const MAX_ADDRESSES: usize = 8;
/// The longest text that is looked at, in bytes.
pub const MAX_TEXT: usize = 8 << 10;
/// The longest message, in bytes: what twelve bits can say.
const MAX_MESSAGE: usize = 0xfff;
/// Bytes before the message.
const HEADER: usize = 3;
/// Characters before the message.
const HEADER_TEXT: usize = 4;
/// Bytes behind the message.
const CHECKSUM: usize = 6;

/// What proves an invitation. It is wiped when it goes, compared in constant time, and never shown.
#[derive(Clone)]
pub struct TicketSecret(Zeroizing<[u8; TicketSecret::LEN]>);

/// Who is invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invited {
    /// A partner's workers.
    Partner(PartnerName),
    /// An operator.
    Operator(HolderName),
    /// A client.
    Client(HolderName),
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Where the coordinator is reached, best first.
    pub addresses: Vec<Address>,
    /// The pin: the SHA-256 of the authority's certificate.
    pub authority: Sha256,
    /// Which invitation it is.
    pub invitation: InvitationId,
    /// What proves it.
    pub secret: TicketSecret,
    /// Who is invited.
    pub invited: Invited,
    /// To which consortium.
    pub consortium: ConsortiumName,
    /// Until when.
    pub expires: UnixTime,
}

/// What is wrong with a text that should be a ticket; known before any connection is made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// There is nothing.
    #[error("there is no ticket: the text is empty")]
    Empty,
    /// It does not begin as one.
    #[error("this is no ticket: it begins with {found:?}, and tickets begin with {PREFIX:?}")]
    NotATicket {
        /// How it begins.
        found: String,
    },
    /// It is of another version.
    #[error("this is a ticket of version {found}, and this build reads version {VERSION}")]
    Version {
        /// That version.
        found: String,
    },
    /// Its end is missing.
    #[error("the ticket is incomplete: {found} of {expected} characters are there; copy it whole")]
    Truncated {
        /// Characters that are there.
        found: usize,
        /// Characters that it has.
        expected: usize,
    },
    /// So much is missing that not even its length is there.
    #[error("the ticket is incomplete: it ends after {found} characters; copy it whole")]
    TruncatedEarly {
        /// Characters that are there.
        found: usize,
    },
    /// There is more than a ticket.
    #[error("the ticket has {expected} characters and the text {found}; copy the ticket alone")]
    TooLong {
        /// Characters that are there.
        found: usize,
        /// Characters that it has.
        expected: usize,
    },
    /// There is something in it that no ticket has.
    #[error("the ticket is mistyped: {character:?} at position {position} is in no ticket; copy it, do not type it")]
    Character {
        /// What.
        character: char,
        /// Where, from 1.
        position: usize,
    },
    /// Something in it was changed.
    #[error("the ticket is mistyped: its checksum does not fit; copy it, do not type it")]
    Mistyped,
    /// It is whole, and says something that this build does not understand.
    #[error("the ticket is whole, but this build does not understand it: {0}; ask for a new one")]
    Content(WireError),
    /// It was good once.
    #[error("the ticket expired at {expired}, and by this machine's clock it is {now}; ask for a new one")]
    Expired {
        /// Until when it was good.
        expired: String,
        /// The time here.
        now: String,
    },
}

impl From<&TicketError> for Code {
    fn from(error: &TicketError) -> Self {
        match error {
            TicketError::Empty
            | TicketError::NotATicket { .. }
            | TicketError::Version { .. }
            | TicketError::Truncated { .. }
            | TicketError::TruncatedEarly { .. }
            | TicketError::TooLong { .. }
            | TicketError::Character { .. }
            | TicketError::Mistyped
            | TicketError::Content(_) => Self::TicketUnreadable,
            TicketError::Expired { .. } => Self::TicketExpired,
        }
    }
}

impl From<TicketError> for Failure {
    fn from(error: TicketError) -> Self {
        Self::new((&error).into(), error.to_string())
    }
}

/// A ticket for people and programs, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TicketView {
    /// The consortium.
    pub consortium: String,
    /// What the ticket invites to be: `partner`, `operator` or `client`.
    pub role: &'static str,
    /// Who is invited.
    pub holder: String,
    /// Where the coordinator is reached.
    pub addresses: Vec<String>,
    /// The pin, in hexadecimal digits.
    pub authority: String,
    /// Which invitation it is, in hexadecimal digits.
    pub invitation: String,
    /// Never the secret.
    pub secret: &'static str,
    /// Until when, in UTC.
    pub expires: String,
    /// Whether that has passed.
    pub expired: bool,
}

impl Ticket {
    /// Reads a ticket, whether or not it has expired. White space is nothing: mails break lines.
    ///
    /// # Errors
    /// [`TicketError`] that names what is wrong.
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        if text.len() > MAX_TEXT {
            return Err(TicketError::NotATicket { found: beginning(text) });
        }
        let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
        let body = body(&text)?;
        if let Some((position, character)) = body.char_indices().find(|(_, c)| !is_base64url(*c)) {
            return Err(TicketError::Character { character, position: PREFIX.len() + position + 1 });
        }
        let Some(header) = body.get(..HEADER_TEXT) else {
            return Err(TicketError::TruncatedEarly { found: text.len() });
        };
        let mut decoded = [0; HEADER];
        Base64UrlUnpadded::decode(header, &mut decoded).map_err(|_| TicketError::Mistyped)?;
        let message = length(decoded).ok_or(TicketError::Mistyped)?;
        let (found, expected) = (text.len(), PREFIX.len() + characters(HEADER + message + CHECKSUM));
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => return Err(TicketError::Truncated { found, expected }),
            std::cmp::Ordering::Greater => return Err(TicketError::TooLong { found, expected }),
            std::cmp::Ordering::Equal => {}
        }
        let mut bytes = Zeroizing::new(vec![0; HEADER + message + CHECKSUM]);
        Base64UrlUnpadded::decode(body, &mut bytes).map_err(|_| TicketError::Mistyped)?;
        let (checked, checksum) = bytes.split_at(HEADER + message);
        if checksum_of(checked) != checksum {
            return Err(TicketError::Mistyped);
        }
        wire::decode_ticket(&checked[HEADER..]).map_err(TicketError::Content)
    }

    /// Reads a ticket that is good at `now`.
    ///
    /// # Errors
    /// [`TicketError`] that names what is wrong.
    pub fn parse_valid(text: &str, now: UnixTime) -> Result<Self, TicketError> {
        let ticket = Self::parse(text)?;
        match ticket.has_expired(now) {
            true => Err(TicketError::Expired { expired: shown(ticket.expires), now: shown(now) }),
            false => Ok(ticket),
        }
    }

    /// Whether it is good no more.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        now >= self.expires
    }

    /// The ticket as text. This is the secret itself: it goes to the one who is invited, and nowhere else.
    ///
    /// # Errors
    /// [`TicketError::Content`] if it has more or longer addresses than a ticket holds.
    pub fn to_text(&self) -> Result<Zeroizing<String>, TicketError> {
        let message = wire::encode_ticket(self);
        wire::decode_ticket(&message).map_err(TicketError::Content)?;
        let length = u32::try_from(message.len()).ok().filter(|&length| length as usize <= MAX_MESSAGE);
        let length = length.ok_or_else(|| TicketError::Content(wire::ticket_too_long(MAX_MESSAGE, message.len())))?;
        let header = length << 12 | !length & 0xfff;
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + message.len() + CHECKSUM));
        bytes.extend_from_slice(&header.to_be_bytes()[1..]);
        bytes.extend_from_slice(&message);
        let checksum = checksum_of(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + characters(bytes.len())));
        text.push_str(PREFIX);
        text.push_str(&Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes)));
        Ok(text)
    }

    /// What may be shown of it.
    #[must_use]
    pub fn view(&self, now: UnixTime) -> TicketView {
        TicketView {
            consortium: self.consortium.to_string(),
            role: match self.invited {
                Invited::Partner(_) => "partner",
                Invited::Operator(_) => "operator",
                Invited::Client(_) => "client",
            },
            holder: self.invited.name().to_owned(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            authority: self.authority.to_string(),
            invitation: self.invitation.to_string(),
            secret: "(hidden)",
            expires: shown(self.expires),
            expired: self.has_expired(now),
        }
    }
}

/// What follows the prefix.
fn body(text: &str) -> Result<&str, TicketError> {
    if text.is_empty() {
        return Err(TicketError::Empty);
    }
    if let Some(body) = text.strip_prefix(PREFIX) {
        return Ok(body);
    }
    if PREFIX.starts_with(text) {
        return Err(TicketError::TruncatedEarly { found: text.len() });
    }
    let version = text.strip_prefix(NAME).and_then(|rest| rest.split_once('-')).map(|(version, _)| version);
    match version.filter(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(version) => Err(TicketError::Version { found: beginning(version) }),
        None => Err(TicketError::NotATicket { found: beginning(text) }),
    }
}

/// As much of a text as may be shown: not enough to be a secret.
fn beginning(text: &str) -> String {
    text.chars().take(NAME.len() + 3).collect()
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// The length in a header, if its two halves agree.
fn length([a, b, c]: [u8; HEADER]) -> Option<usize> {
    let header = u32::from_be_bytes([0, a, b, c]);
    let (length, inverted) = (header >> 12, header & 0xfff);
    (length ^ inverted == 0xfff).then_some(length as usize)
}

/// Characters of base64 without padding for so many bytes.
fn characters(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

fn checksum_of(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest = Digest::of(Domain::Ticket, bytes).0;
    *digest.first_chunk().expect("a digest is longer than a checksum")
}

impl TicketSecret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A secret of these bytes, which must come from the system's random source.
    #[must_use]
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new secret.
    ///
    /// # Errors
    /// [`IdentityError::Random`] if the system gives no random bytes.
    pub fn generate() -> Result<Self, IdentityError> {
        random().map(Self::new)
    }

    /// What a coordinator keeps instead of it. The secret has 256 random bits, so nothing needs to be slow about this.
    #[must_use]
    pub fn hashed(&self) -> Digest {
        Digest::of(Domain::Secret, self.expose())
    }

    /// The bytes, for the one message that carries them.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Takes the same time wherever the two differ.
impl PartialEq for TicketSecret {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(other.0.iter()).fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl Eq for TicketSecret {}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(..)")
    }
}

impl Invited {
    /// What its certificates will be for.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Partner(_) => Role::Partner,
            Self::Operator(_) => Role::Operator,
            Self::Client(_) => Role::Client,
        }
    }

    /// The name of who is invited.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Partner(name) => name.as_str(),
            Self::Operator(name) | Self::Client(name) => name.as_str(),
        }
    }
}

#[cfg(test)]
mod tests;
