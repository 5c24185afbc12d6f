//! `partner …`, `operator …`, `client …`, `audit …`, `authority …`: what an operator decides about who takes part.

use std::time::Duration;

use serde::Serialize;
use syngrad_common::identity::{UnixTime, shown};

use crate::args::{
    ActArgs, AuditCommand, AuthorityCommand, Coordinator, HolderCommand, InviteArgs, InvitePartnerArgs, PartnerCommand,
};
use crate::client::{Act, Invite, Partner, Partners, Role, Ruling, Target};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::runtime;
use crate::table::{facts, rows};

async fn connect(coordinator: &Coordinator) -> Result<Partners, Failure> {
    Partners::connect(&Target::named(coordinator)?).await
}

pub(crate) fn partner(command: &PartnerCommand, output: Output) -> Result<Exit, Failure> {
    runtime::light()?.block_on(async {
        match command {
            PartnerCommand::Invite(InvitePartnerArgs { invite: args, max_workers, needs_approval }) => {
                let asked = (*max_workers, *needs_approval);
                output.result(&invite(Role::Partner, args, asked).await?);
            }
            PartnerCommand::List(coordinator) => {
                let partners = connect(coordinator).await?.list().await?;
                output.result(&PartnerList { partners });
            }
            PartnerCommand::Approve(args) => output.result(&rule(Ruling::Approve, args).await?),
            PartnerCommand::Suspend(args) => output.result(&rule(Ruling::Suspend, args).await?),
            PartnerCommand::Resume(args) => output.result(&rule(Ruling::Resume, args).await?),
            PartnerCommand::Remove(args) => output.result(&rule(Ruling::Remove, args).await?),
            PartnerCommand::Revoke(args) => {
                output.result(&revoke(Role::Partner, &args.act, args.worker).await?);
            }
        }
        Ok(Exit::Ok)
    })
}

/// An operator or a client.
pub(crate) fn holder(role: Role, command: &HolderCommand, output: Output) -> Result<Exit, Failure> {
    runtime::light()?.block_on(async {
        match command {
            HolderCommand::Invite(args) => output.result(&invite(role, args, (None, false)).await?),
            HolderCommand::Revoke(args) => output.result(&revoke(role, args, None).await?),
        }
        Ok(Exit::Ok)
    })
}

pub(crate) fn audit(command: &AuditCommand, output: Output) -> Result<Exit, Failure> {
    let AuditCommand::List(args) = command;
    runtime::light()?.block_on(async {
        let acts = connect(&args.coordinator).await?.acts(args.first).await?;
        output.result(&ActList { acts });
        Ok(Exit::Ok)
    })
}

pub(crate) fn authority(command: &AuthorityCommand, output: Output) -> Result<Exit, Failure> {
    runtime::light()?.block_on(async {
        match command {
            AuthorityCommand::Rotate(args) => {
                let authority = connect(&args.coordinator).await?.rotate(&args.reason).await?;
                output.result(&Rotated { authority });
            }
            AuthorityCommand::Retire(args) => {
                let mut partners = connect(&args.rotate.coordinator).await?;
                let retired = partners.retire(&args.rotate.reason, args.force).await?;
                output.result(&Retired { retired });
            }
        }
        Ok(Exit::Ok)
    })
}

async fn invite(role: Role, args: &InviteArgs, asked: (Option<u32>, bool)) -> Result<Invited, Failure> {
    let (max_workers, needs_approval) = asked;
    let InviteArgs { name, ttl, uses, reason, coordinator } = args;
    let (holder, reason) = (name.clone(), reason.clone());
    let invite = Invite { role, holder, ttl: *ttl, uses: *uses, max_workers, needs_approval, reason };
    let (ticket, expires) = connect(coordinator).await?.invite(invite).await?;
    let command = match role {
        Role::Partner => format!("syngrad worker join {ticket}"),
        Role::Operator | Role::Client => format!("syngrad ticket redeem {ticket}"),
    };
    Ok(Invited { ticket, command, expires })
}

async fn rule(ruling: Ruling, args: &ActArgs) -> Result<Partner, Failure> {
    connect(&args.coordinator).await?.rule(ruling, &args.name, &args.reason).await
}

async fn revoke(role: Role, args: &ActArgs, worker: Option<uuid::Uuid>) -> Result<Revoked, Failure> {
    let revoked = connect(&args.coordinator).await?.revoke(role, &args.name, worker, &args.reason).await?;
    Ok(Revoked { revoked })
}

/// An invitation that was made.
#[derive(Serialize)]
struct Invited {
    /// The secret itself: for the one who is invited, and nobody else.
    ticket: String,
    /// What the one who is invited runs.
    command: String,
    /// Seconds since 1970.
    expires: u64,
}

#[derive(Serialize)]
struct PartnerList {
    partners: Vec<Partner>,
}

#[derive(Serialize)]
struct ActList {
    acts: Vec<Act>,
}

#[derive(Serialize)]
struct Revoked {
    revoked: u32,
}

#[derive(Serialize)]
struct Rotated {
    /// SHA-256 of its certificate.
    authority: String,
}

#[derive(Serialize)]
struct Retired {
    retired: u32,
}

fn time(seconds: u64) -> String {
    shown(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

impl Report for Invited {
    fn text(&self) -> String {
        let until = time(self.expires);
        format!("Good until {until}. Who is invited runs, and nobody else may see:\n\n{}\n", self.command)
    }
}

impl Report for PartnerList {
    fn text(&self) -> String {
        let known = |seconds: Option<u64>| seconds.map_or_else(|| "never".to_owned(), time);
        rows(
            ["partner", "state", "connected", "enrolled", "most", "last heard", "reason"],
            &["connected", "enrolled", "most"],
            self.partners.iter().map(|partner| {
                [
                    partner.partner.clone(),
                    partner.state.to_owned(),
                    partner.workers_connected.to_string(),
                    partner.workers_enrolled.to_string(),
                    partner.max_workers.map_or_else(|| "any".to_owned(), |most| most.to_string()),
                    known(partner.last_seen),
                    partner.reason.clone(),
                ]
            }),
        )
    }
}

impl Report for Partner {
    fn text(&self) -> String {
        facts(&[
            ("partner", self.partner.clone()),
            ("state", self.state.to_owned()),
            ("reason", self.reason.clone()),
            ("workers connected", self.workers_connected.to_string()),
        ])
    }
}

impl Report for ActList {
    fn text(&self) -> String {
        rows(
            ["number", "at", "who", "what", "reason"],
            &["number"],
            self.acts.iter().map(|act| {
                [act.number.to_string(), time(act.at), act.who.clone(), act.what.clone(), act.reason.clone()]
            }),
        )
    }
}

impl Report for Revoked {
    fn text(&self) -> String {
        format!("{} certificates are worth nothing any more, nor are open tickets\n", self.revoked)
    }
}

impl Report for Rotated {
    fn text(&self) -> String {
        format!("authority {} signs from now on; retire the old one once all have renewed\n", self.authority)
    }
}

impl Report for Retired {
    fn text(&self) -> String {
        format!("{} authorities are trusted no more\n", self.retired)
    }
}
