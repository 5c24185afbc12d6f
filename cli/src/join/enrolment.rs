//! From a ticket to a worker with credentials: pinned, enrolled, its terms shown; and credentials that stay good.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use syngrad_common::identity::credentials::{Credentials, Folder};
use syngrad_common::identity::ticket::Invited;
use syngrad_common::identity::{KeyKind, SigningKey, Ticket, UnixTime, VerifyingKey, files};
use syngrad_common::transport::{Address, ClientSecurity, LiveCredentials, reach};
use syngrad_common::{Code, Failure as Refusal};
use syngrad_engine::principal::Role;
use syngrad_engine::terms::Terms;
use syngrad_engine::{PartnerName, Principal, WorkerId};
use syngrad_worker::{Config, Keys, StatePlace};
use tokio::time::sleep;

use crate::args::JoinArgs;
use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::init::ticket_text;
use crate::output::Output;

/// The folder of credentials in a worker's state folder.
const CREDENTIALS: &str = "credentials";
/// The file of the worker's identity in it, drawn before anybody is asked for a certificate.
const IDENTITY: &str = "worker";
/// Time between two tries to renew credentials.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest time for which nobody looks whether it is time to renew: a machine may have slept.
const LOOK: Duration = Duration::from_secs(15 * 60);

/// A worker that somebody knows.
pub(super) struct Enrolled {
    pub(super) state: PathBuf,
    folder: Folder,
    live: LiveCredentials,
    partner: PartnerName,
    worker: WorkerId,
}

/// The ticket that the command line names, whole and good.
pub(super) fn ticket(args: &JoinArgs) -> Result<Ticket, Failure> {
    let text = ticket_text(args.ticket.as_deref(), args.ticket_file.as_deref())?;
    let ticket = Ticket::parse_valid(&text, UnixTime::now()).map_err(Refusal::from)?;
    match &ticket.invited {
        Invited::Partner(_) => Ok(ticket),
        Invited::Operator(name) | Invited::Client(name) => {
            let why = format!("this ticket is for {name}, who is no worker; turn it into credentials: ticket redeem");
            Err(Failure::usage(&why))
        }
    }
}

/// The folder of credentials in the state folder at `state`.
pub(super) fn folder(state: &Path) -> Folder {
    Folder::new(&state.join(CREDENTIALS))
}

impl Enrolled {
    /// The worker whose state is in `state`, enrolled with `ticket` unless it has good credentials of that partner already.
    pub(super) async fn with_ticket(ticket: &Ticket, state: &Path) -> Result<Self, Failure> {
        let folder = folder(state);
        if let Ok(found) = folder.load()
            && found.validity().holds(UnixTime::now())
            && is_for(&found, ticket)
        {
            return Self::new(state, folder, found);
        }
        let key = folder.key(KeyKind::of(Role::Partner)).map_err(Refusal::from)?;
        let worker = identity(folder.path())?;
        let credentials = client::enrol(ticket, &key, Some(worker)).await?;
        folder.store(&credentials).map_err(Refusal::from)?;
        Self::new(state, folder, credentials)
    }

    /// The worker that joined with `state` earlier.
    pub(super) fn recalled(state: &Path) -> Result<Self, Failure> {
        let folder = folder(state);
        let credentials = folder.load().map_err(Refusal::from)?;
        credentials.validity().check(UnixTime::now()).map_err(Refusal::from)?;
        Self::new(state, folder, credentials)
    }

    fn new(state: &Path, folder: Folder, credentials: Credentials) -> Result<Self, Failure> {
        let Principal::Worker { partner, worker } = credentials.identity().principal.clone() else {
            let why = format!("the credentials in {} are no worker's", folder.path().display());
            return Err(Failure::new(Code::NoCredentials, why));
        };
        let live = LiveCredentials::new(credentials)?;
        Ok(Self { state: state.to_owned(), folder, live, partner, worker })
    }

    pub(super) fn partner(&self) -> &PartnerName {
        &self.partner
    }

    fn security(&self) -> ClientSecurity {
        ClientSecurity::Mutual(self.live.clone())
    }

    /// The first of its addresses at which its coordinator answers; the first of all, if none does now.
    pub(super) async fn address(&self) -> Address {
        let credentials = self.live.credentials();
        match credentials.grant().addresses.as_slice() {
            [only] => only.clone(),
            several => match reach(several, &self.security()).await {
                Ok((address, _)) => address.clone(),
                Err(_) => several[0].clone(),
            },
        }
    }

    /// What it works with, at `address`.
    pub(super) fn config(&self, address: Address) -> Result<Config, Failure> {
        let credentials = self.live.credentials();
        let grant = credentials.grant();
        let unusable = || Failure::new(Code::NoCredentials, "the log's certificate is for no Ed25519 key");
        let keys = Keys {
            key: SigningKey::new(credentials.key()).map_err(Refusal::from)?,
            log: VerifyingKey::of(&grant.log).ok_or_else(unusable)?,
        };
        let config = Config::new(address, self.security(), self.partner.clone())?;
        Ok(Config {
            worker: self.worker,
            consortium: Some(grant.consortium.to_string()),
            keys: Some(keys),
            state: StatePlace::Folder(self.state.clone()),
            ..config
        })
    }

    /// The terms of the run that is open now, if there is one.
    pub(super) async fn terms(&self, address: &Address) -> Result<Option<Terms>, Failure> {
        let mut client = Client::connect(&Target::new(address.clone(), self.security())).await?;
        match client.get(None).await {
            Ok(status) if !status.phase.is_over() => Ok(Some(status.terms()?)),
            Ok(_) => Ok(None),
            Err(failure) if failure.code() == Code::RunNotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Renews the credentials for as long as it is awaited, at two thirds of their life; `trouble` hears of what fails.
    pub(super) async fn stay_good(&self, trouble: impl Fn(&Failure)) {
        loop {
            let due = self.live.credentials().validity().renewal().as_secs();
            match due.saturating_sub(UnixTime::now().as_secs()) {
                0 => {
                    if let Err(why) = self.renew().await {
                        trouble(&why);
                        sleep(AGAIN).await;
                    }
                }
                left => sleep(Duration::from_secs(left).min(LOOK)).await,
            }
        }
    }

    async fn renew(&self) -> Result<(), Failure> {
        let credentials = self.live.credentials();
        let reached = reach(&credentials.grant().addresses, &self.security()).await;
        client::renew(reached.map_err(Refusal::from)?.1, &self.live, &self.folder).await
    }
}

fn is_for(found: &Credentials, ticket: &Ticket) -> bool {
    match (&found.identity().principal, &ticket.invited) {
        (Principal::Worker { partner, .. }, Invited::Partner(invited)) => {
            partner == invited && found.grant().consortium == ticket.consortium
        }
        (
            Principal::Worker { .. }
            | Principal::Coordinator
            | Principal::Log
            | Principal::Operator(_)
            | Principal::Client(_),
            Invited::Partner(_) | Invited::Operator(_) | Invited::Client(_),
        ) => false,
    }
}

/// The worker's identity in `folder`, drawn once: whoever enrols again after a lost answer is still the same.
fn identity(folder: &Path) -> Result<WorkerId, Failure> {
    let path = folder.join(IDENTITY);
    if let Ok(text) = files::read(&path)
        && let Some(worker) = std::str::from_utf8(&text).ok().and_then(|text| WorkerId::parse(text.trim()))
    {
        return Ok(worker);
    }
    let worker = WorkerId(syngrad_common::identity::random().map_err(Refusal::from)?);
    files::write(&path, worker.to_string().as_bytes()).map_err(Refusal::from)?;
    Ok(worker)
}

/// Shows the terms, and asks whether they are accepted unless that was said before.
pub(super) fn agree(terms: Option<&Terms>, accepted: bool, output: Output) -> Result<(), Failure> {
    let none =
        || "no run is open now; a policy decides which are taken part in, and all are if there is none".to_owned();
    output.say(&terms.map_or_else(none, Terms::to_string));
    if accepted {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(&"nobody is there to be asked whether to take part; say so with --accept"));
    }
    // The question is for the person at the terminal, whatever results are written as.
    let mut stderr = io::stderr();
    let asked = write!(stderr, "take part? [y/N] ").and_then(|()| stderr.flush());
    asked.map_err(|why| Failure::io("asking", &why))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|why| Failure::io("reading the answer", &why))?;
    match matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::usage(&"not accepted; the credentials are kept, and worker serve takes part later")),
    }
}
