use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::Coordinator;

/// `syngrad partner …`
#[derive(Debug, Subcommand)]
pub enum PartnerCommand {
    /// Make a ticket with which workers of a partner join.
    Invite(InvitePartnerArgs),
    /// List all partners: in which state they are, how many workers they have, when they were heard last.
    List(Coordinator),
    /// Let a partner that has joined and waits take part.
    Approve(ActArgs),
    /// End a partner's sessions at once; it takes no part until it is resumed.
    Suspend(ActArgs),
    /// Let a suspended partner take part again.
    Resume(ActArgs),
    /// End a partner's part for good: its certificates and tickets are worth nothing any more.
    Remove(ActArgs),
    /// Make a partner's certificates and tickets worthless; it may be invited again.
    Revoke(RevokePartnerArgs),
}

/// `syngrad operator …` and `syngrad client …`
#[derive(Debug, Subcommand)]
pub enum HolderCommand {
    /// Make a ticket that leads to credentials.
    Invite(InviteArgs),
    /// Make all credentials and tickets of this name worthless.
    Revoke(ActArgs),
}

/// `syngrad audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List every administrative act, oldest first: when, who, what and why.
    List(AuditArgs),
}

/// `syngrad authority …`
#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// Make a new authority, which signs from now on; the old one stays trusted until it is retired.
    Rotate(RotateArgs),
    /// Trust no authority any more but the one that signs.
    Retire(RetireArgs),
}

/// `syngrad ticket …`
#[derive(Debug, Subcommand)]
pub enum TicketCommand {
    /// Say what a ticket says, without its secret. Needs no network.
    Show(TicketArgs),
    /// Turn an operator's or a client's ticket into credentials. A partner's is for `worker join`.
    Redeem(RedeemArgs),
}

/// How long something is good.
fn duration(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number and one of s, m, h or d, such as 24h".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).ok_or_else(wrong)
}

/// How long a ticket is good, for whom, and why.
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// Who is invited: 1 to 64 of a-z, 0-9 and '-', beginning with a letter.
    pub name: String,
    /// How long the ticket is good, such as 90s, 30m, 24h or 7d; at most 90 days.
    #[arg(long, default_value = "24h", value_parser = duration, value_name = "TIME")]
    pub ttl: u64,
    /// How many keys may be enrolled with it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024), value_name = "KEYS")]
    pub uses: u32,
    /// Why, for the log of acts.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub reason: String,
    /// Where the coordinator is.
    #[command(flatten)]
    pub coordinator: Coordinator,
}

/// Of `partner invite`.
#[derive(Debug, Args)]
pub struct InvitePartnerArgs {
    /// What every invitation has.
    #[command(flatten)]
    pub invite: InviteArgs,
    /// Workers of the partner that may be connected at once; if absent, what an earlier invitation said, or any number.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024), value_name = "WORKERS")]
    pub max_workers: Option<u32>,
    /// Let the partner wait for `partner approve` once it has joined.
    #[arg(long)]
    pub needs_approval: bool,
}

/// An act on somebody.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// Whom it is about.
    pub name: String,
    /// Why, for the log of acts; a suspended partner hears it.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub reason: String,
    /// Where the coordinator is.
    #[command(flatten)]
    pub coordinator: Coordinator,
}

/// Of `partner revoke`.
#[derive(Debug, Args)]
pub struct RevokePartnerArgs {
    /// Whom it is about, and why.
    #[command(flatten)]
    pub act: ActArgs,
    /// Of one worker only.
    #[arg(long, value_name = "UUID")]
    pub worker: Option<uuid::Uuid>,
}

/// Of `audit list`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// The number of the first act that is shown.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub first: u64,
    /// Where the coordinator is.
    #[command(flatten)]
    pub coordinator: Coordinator,
}

/// Of `authority rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Why, for the log of acts.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub reason: String,
    /// Where the coordinator is.
    #[command(flatten)]
    pub coordinator: Coordinator,
}

/// Of `authority retire`.
#[derive(Debug, Args)]
pub struct RetireArgs {
    /// Why, and where.
    #[command(flatten)]
    pub rotate: RotateArgs,
    /// Also if somebody is locked out by it, who has not renewed since: for a key that was stolen.
    #[arg(long)]
    pub force: bool,
}

/// Of `ticket show`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").multiple(false))]
pub struct TicketArgs {
    /// The ticket, or '-' to read it from standard input. If there is neither this nor a file, SYNGRAD_TICKET counts.
    #[arg(group = "source")]
    pub ticket: Option<String>,
    /// A file with the ticket.
    #[arg(long, group = "source", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Of `ticket redeem`.
#[derive(Debug, Args)]
pub struct RedeemArgs {
    /// Where the ticket is.
    #[command(flatten)]
    pub ticket: TicketArgs,
    /// The state folder. If absent, `$XDG_STATE_HOME/syngrad/coordinator` or `~/.local/state/syngrad/coordinator`.
    #[arg(long, alias = "state-dir", env = "SYNGRAD_STATE_DIR", value_name = "FOLDER")]
    pub state: Option<PathBuf>,
}

/// Of `coordinator init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The consortium's name: 1 to 64 of a-z, 0-9 and '-', beginning with a letter.
    #[arg(long)]
    pub name: String,
    /// Where partners reach the coordinator, host:port; several, best first.
    #[arg(long, required = true, value_name = "HOST:PORT", value_delimiter = ',')]
    pub public: Vec<String>,
    /// The name of the operator whose credentials are written into the state folder.
    #[arg(long, default_value = "founder", value_name = "NAME")]
    pub operator: String,
    /// The certificate, in PEM, of an authority that is there already; a new one is made if absent.
    #[arg(long, requires = "ca_key", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, requires = "ca_cert", value_name = "FILE")]
    pub ca_key: Option<PathBuf>,
    /// The state folder. If absent, `$XDG_STATE_HOME/syngrad/coordinator` or `~/.local/state/syngrad/coordinator`.
    #[arg(long, alias = "state-dir", env = "SYNGRAD_STATE_DIR", value_name = "FOLDER")]
    pub state: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "h", "24", "1w", "-1h", "1.5h", "99999999999999999999d", "9999999999999999d", "24é"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
