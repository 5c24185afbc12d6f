//! The consortium of a fleet: founded as an operator would, its workers invited one by one.

use std::net::TcpListener;
use std::path::Path;

use syngrad_coordinator::{Founding, found};
use syngrad_engine::{ConsortiumName, HolderName};

use crate::client::{Invite, Partners, Role, Target};
use crate::failure::Failure;

/// What a fleet's consortium is called.
const NAME: &str = "fleet";
/// How long a ticket of a fleet is good, in seconds: it is used at once.
const TTL: u64 = 600;

/// Founds a consortium in `state`, whose coordinator listens on this machine at `port`; 0 is a free one. The port.
pub(super) fn begin(state: &Path, port: u16) -> Result<u16, Failure> {
    let port = if port == 0 { free_port()? } else { port };
    let address = format!("127.0.0.1:{port}").parse().map_err(syngrad_common::Failure::from)?;
    let founding = Founding {
        name: ConsortiumName::parse(NAME).expect("a constant with the form of a name"),
        addresses: vec![address],
        operator: HolderName::parse("operator").expect("a constant with the form of a name"),
        authority: None,
    };
    found(state, &founding)?;
    Ok(port)
}

/// A port that nobody listens on now: tickets have it in them before the coordinator listens.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|why| Failure::io("looking for a free port", &why))
}

/// A ticket for one worker of `partner`.
pub(super) async fn invite(target: &Target, partner: &str) -> Result<String, Failure> {
    let invite = Invite {
        role: Role::Partner,
        holder: partner.to_owned(),
        ttl: TTL,
        uses: 1,
        max_workers: None,
        needs_approval: false,
        reason: String::new(),
    };
    let (ticket, _) = Partners::connect(target).await?.invite(invite).await?;
    Ok(ticket)
}
