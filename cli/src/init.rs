//! `coordinator init`: founds a consortium. `ticket show`: reads a ticket.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::Serialize;
use syngrad_common::Code;
use syngrad_common::identity::ticket::{ENVIRONMENT, Invited, Sources, TicketView};
use syngrad_common::identity::{Ticket, UnixTime};
use syngrad_common::transport::Address;
use syngrad_coordinator::{Founding, found};
use syngrad_engine::{ConsortiumName, HolderName};

use crate::args::{InitArgs, TicketArgs, TicketCommand};
use crate::client::{redeem, state_folder};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::runtime;
use crate::table::facts;

/// A consortium that was founded.
#[derive(Serialize)]
struct Founded {
    consortium: String,
    /// SHA-256 of its authority's certificate.
    authority: String,
    public: Vec<String>,
    state: PathBuf,
    /// The folder of the founder's credentials.
    operator: PathBuf,
}

pub(crate) fn run(args: &InitArgs, output: Output) -> Result<Exit, Failure> {
    let state = state_folder(args.state.as_deref())?;
    let name = ConsortiumName::parse(&args.name).map_err(|why| Failure::usage(&why))?;
    let operator = HolderName::parse(&args.operator).map_err(|why| Failure::usage(&why))?;
    let address =
        |text: &String| text.parse::<Address>().map_err(|why| Failure::from(syngrad_common::Failure::from(why)));
    let addresses = args.public.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    let authority = match (&args.ca_cert, &args.ca_key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        (None, None) | (Some(_), None) | (None, Some(_)) => None,
    };
    let founding = Founding { name, addresses, operator, authority };
    let founded = found(&state, &founding)?;
    output.result(&Founded {
        consortium: founding.name.to_string(),
        authority: founded.authority,
        public: founding.addresses.iter().map(ToString::to_string).collect(),
        state,
        operator: founded.operator.path().to_owned(),
    });
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|why| Failure::io(&format!("reading {}", path.display()), &why))
}

pub(crate) fn ticket(command: &TicketCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        TicketCommand::Show(args) => {
            output.result(&Shown(read_ticket(args)?.view(UnixTime::now())));
        }
        TicketCommand::Redeem(args) => {
            let ticket = read_ticket(&args.ticket)?;
            let state = state_folder(args.state.as_deref())?;
            if let Invited::Partner(partner) = &ticket.invited {
                let why = format!("the ticket invites partner {partner}, whose workers join with it");
                return Err(Failure::new(Code::TicketMisused, why));
            }
            let folder = runtime::light()?.block_on(redeem(&ticket, &state))?;
            let who = format!("{} of {}", ticket.invited.name(), ticket.consortium);
            output.result(&Redeemed { who, credentials: folder.path().to_owned() });
        }
    }
    Ok(Exit::Ok)
}

fn read_ticket(TicketArgs { ticket, file }: &TicketArgs) -> Result<Ticket, Failure> {
    let text = ticket_text(ticket.as_deref(), file.as_deref())?;
    Ok(Ticket::parse(&text).map_err(syngrad_common::Failure::from)?)
}

/// The text of the ticket that the command line, or else the environment, names.
pub(crate) fn ticket_text(argument: Option<&str>, file: Option<&Path>) -> Result<impl Deref<Target = String>, Failure> {
    let environment = std::env::var_os(ENVIRONMENT);
    Ok(Sources { argument, file, environment, stdin: std::io::stdin() }.text()?)
}

/// Credentials that were got for a ticket.
#[derive(Serialize)]
struct Redeemed {
    who: String,
    /// Their folder.
    credentials: PathBuf,
}

impl Report for Redeemed {
    fn text(&self) -> String {
        format!("credentials of {} are in {}\n", self.who, self.credentials.display())
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(TicketView);

impl Report for Shown {
    fn text(&self) -> String {
        let TicketView { consortium, role, holder, addresses, authority, invitation, secret, expires, expired } =
            &self.0;
        let has = if *expired { "expired" } else { "good until" };
        facts(&[
            ("consortium", consortium.clone()),
            ("for", format!("{role} {holder}")),
            ("coordinator", addresses.join(", ")),
            ("authority", authority.clone()),
            ("invitation", invitation.clone()),
            ("secret", (*secret).to_owned()),
            (has, expires.clone()),
        ])
    }
}

impl Report for Founded {
    fn text(&self) -> String {
        facts(&[
            ("consortium", self.consortium.clone()),
            ("authority", self.authority.clone()),
            ("reached at", self.public.join(", ")),
            ("state", self.state.display().to_string()),
            ("operator's credentials", self.operator.display().to_string()),
            ("next", "syngrad coordinator serve, then syngrad partner invite NAME".to_owned()),
        ])
    }
}
