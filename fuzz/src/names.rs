//! Addresses, names and identifiers: what is read is written as it was read, or at least reads as the same again.

use std::fmt::Display;
use std::str::FromStr as _;

use syngrad_common::Code;
use syngrad_common::transport::Address;
use syngrad_engine::principal::{ConsortiumName, HolderName, Principal};
use syngrad_engine::{Digest, PartnerName, RunId, WorkerId};

/// Reads a text as each of them.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Address::from_str(text) {
        Ok(address) => {
            assert_eq!(Address::from_str(&address.to_string()).as_ref(), Ok(&address));
            assert!(!address.to_string().contains(|c: char| c.is_whitespace() || c.is_control()));
        }
        Err(why) => assert!(why.to_string().len() < 2_048, "an error is short"),
    }
    exact(text, PartnerName::parse(text).ok());
    exact(text, ConsortiumName::parse(text).ok());
    exact(text, HolderName::parse(text).ok());
    exact(text, RunId::parse(text));
    exact(text, WorkerId::parse(text));
    exact(&text.to_ascii_lowercase(), Digest::from_hex(text));
    if let Some(code) = Code::parse(text) {
        assert!(code.as_str().eq_ignore_ascii_case(text));
    }
    if let Ok((consortium, principal)) = Principal::parse_uri(text) {
        assert!(text.len() <= Principal::MAX_LEN);
        assert_eq!(principal.uri(&consortium), text, "a name has one spelling");
    }
}

/// What has one spelling is written as it was read.
fn exact(text: &str, read: Option<impl Display>) {
    if let Some(read) = read {
        assert_eq!(read.to_string(), text);
    }
}

/// One of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let id = "12345678-9abc-def0-0102-030405060708";
    let texts = [
        "127.0.0.1:7070",
        "http://coordinator.example:443/",
        "[::1]:7070",
        "[::ffff:127.0.0.1]:1",
        "hospital-b",
        id,
        "E0101",
        "spiffe://hospitals/coordinator",
        "spiffe://hospitals/log",
        "spiffe://hospitals/operator/alice",
        "spiffe://hospitals/client/ward-7",
    ];
    let worker = format!("spiffe://hospitals/partner/hospital-b/worker/{id}");
    let digest = Digest([0xa5; 32]).to_string();
    texts.map(str::to_owned).into_iter().chain([worker, digest]).map(String::into_bytes).collect()
}
