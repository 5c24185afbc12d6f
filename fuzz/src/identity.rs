//! What somebody pastes or presents to be believed: tickets, certificates and the names in them, requests for one.

use std::str::FromStr as _;

use syngrad_common::identity::certificate::Certificate;
use syngrad_common::identity::ticket::{Invited, MAX_TEXT, Ticket, TicketError, TicketSecret};
use syngrad_common::identity::{CertificateRequest, Sha256, UnixTime};
use syngrad_common::transport::Address;
use syngrad_engine::PartnerName;
use syngrad_engine::consortium::InvitationId;
use syngrad_engine::digest::{Digest, Domain};
use syngrad_engine::principal::{ConsortiumName, Principal};

/// Certificates of an authority, a coordinator and a worker, as `cargo run --example identity_seeds` makes them.
const CERTIFICATES: &str = include_str!("../seeds/certificates.pem");
/// Requests of an ECDSA and an Ed25519 key, in hexadecimal digits.
const REQUESTS: &str = include_str!("../seeds/requests.hex");

/// When tickets are looked at.
const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 5 {
        0 => check_text(bytes),
        1 => check_message(bytes),
        2 => check_certificate(bytes),
        3 => {
            if let Ok(all) = Certificate::all_from_pem(bytes) {
                let text: String = all.iter().map(Certificate::to_pem).collect();
                assert_eq!(
                    ders(&Certificate::all_from_pem(text.as_bytes()).expect("what was written reads")),
                    ders(&all)
                );
            }
        }
        _ => match CertificateRequest::from_der(bytes) {
            Ok(request) => assert!(!request.key().is_empty()),
            Err(why) => assert!(!why.to_string().is_empty()),
        },
    }
}

fn check_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Ticket::parse(text) {
        Ok(ticket) => check_ticket(&ticket),
        Err(why) => assert!(why.to_string().len() < 1_024, "an error is short"),
    }
}

/// A message behind a header and a checksum that fit.
fn check_message(bytes: &[u8]) {
    let message = &bytes[..bytes.len().min(0xfff)];
    let length = message.len() as u32;
    let checked = [&(length << 12 | !length & 0xfff).to_be_bytes()[1..], message].concat();
    let checksum = Digest::of(Domain::Ticket, &checked);
    let text = format!("syngrad1-{}", base64url(&[&checked, &checksum.0[..6]].concat()));
    match Ticket::parse(&text) {
        Ok(ticket) => check_ticket(&ticket),
        Err(TicketError::Content(why)) => assert!(!why.to_string().is_empty()),
        Err(why) => panic!("header and checksum are right: {why}"),
    }
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = |three: &[u8]| {
        let bits = three.iter().chain(&[0, 0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        (0..=three.len()).map(move |place| char::from(DIGITS[bits >> (18 - 6 * place) & 63])).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

fn check_ticket(ticket: &Ticket) {
    let shown = format!("{ticket:?}");
    let secret: String = ticket.secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal = format!("{:?}", ticket.secret.expose());
    assert!(!shown.contains(&secret) && !shown.contains(decimal.trim_matches(['[', ']'])), "a secret is shown");
    if let Ok(text) = ticket.to_text() {
        assert!(text.len() <= MAX_TEXT);
        assert_eq!(Ticket::parse(&text).as_ref(), Ok(ticket));
        assert_eq!(Ticket::parse_valid(&text, NOW).is_err(), ticket.has_expired(NOW));
        let cut = text.len() / 2;
        assert!(Ticket::parse(&text[..cut]).is_err(), "half a ticket is none");
    }
    let _ = ticket.view(NOW);
}

fn check_certificate(bytes: &[u8]) {
    match Certificate::from_der(bytes) {
        Ok(certificate) => {
            assert_eq!(certificate.der().as_ref(), bytes);
            assert_eq!(ders(&Certificate::all_from_pem(certificate.to_pem().as_bytes()).expect("its PEM")), [bytes]);
            if let Ok((consortium, principal)) = certificate.holder() {
                let uri = principal.uri(&consortium);
                assert_eq!(Principal::parse_uri(&uri), Ok((consortium, principal)));
            }
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

fn ders(all: &[Certificate]) -> Vec<&[u8]> {
    all.iter().map(|certificate| certificate.der().as_ref()).collect()
}

fn ticket(invited: Invited) -> Ticket {
    Ticket {
        addresses: ["127.0.0.1:7070", "[::1]:7070", "coordinator.example:443"]
            .map(|text| Address::from_str(text).expect("an address"))
            .into(),
        authority: Sha256([1; Sha256::LEN]),
        invitation: InvitationId([2; 16]),
        secret: TicketSecret::new([0xab; TicketSecret::LEN]),
        invited,
        consortium: ConsortiumName::parse("hospitals").expect("a name"),
        expires: NOW,
    }
}

/// The message of a ticket.
fn message_of(text: &str) -> Vec<u8> {
    let value = |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".find(c).expect("a digit");
    let digits: Vec<usize> = text.trim_start_matches("syngrad1-").chars().map(value).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four.iter().chain(&[0, 0, 0]).take(4).fold(0, |bits, digit| bits << 6 | digit);
        (0..four.len() - 1).map(move |place| (bits >> (16 - 8 * place)) as u8)
    });
    let bytes: Vec<u8> = bytes.collect();
    bytes[3..bytes.len() - 6].to_vec()
}

/// Tickets, certificates and requests, whole.
pub fn seeds() -> Vec<Vec<u8>> {
    let name = PartnerName::parse("hospital-b").expect("a name");
    let ticket = ticket(Invited::Partner(name));
    let text = ticket.to_text().expect("it fits");
    let message = message_of(&text);
    let certificates = Certificate::all_from_pem(CERTIFICATES.as_bytes()).expect("certificates");
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
    let requests = REQUESTS.lines().map(|line| line.as_bytes().chunks(2).map(digit).collect::<Vec<u8>>());
    let one = [(0, text.as_bytes().to_vec()), (1, message), (3, CERTIFICATES.as_bytes().to_vec())];
    let certificates = certificates.iter().map(|certificate| (2, certificate.der().to_vec()));
    let all = one.into_iter().chain(certificates).chain(requests.map(|request| (4, request)));
    all.map(|(kind, bytes)| [vec![kind], bytes].concat()).collect()
}
