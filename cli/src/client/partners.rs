//! Who takes part, as an operator asks for it and governs it.

use serde::Serialize;
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::partner_service_client::PartnerServiceClient;
use tonic::transport::Channel;

use super::{DEADLINE, Target, channel, failed, within};
use crate::failure::Failure;

/// A connection to a coordinator's office.
#[derive(Clone, Debug)]
pub(crate) struct Partners {
    calls: PartnerServiceClient<Channel>,
}

/// What somebody is invited to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Partner,
    Operator,
    Client,
}

/// How an operator rules on a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Approve,
    Suspend,
    Resume,
    Remove,
}

/// An invitation.
#[derive(Clone, Debug)]
pub(crate) struct Invite {
    pub(crate) role: Role,
    pub(crate) holder: String,
    pub(crate) ttl: u64,
    pub(crate) uses: u32,
    pub(crate) max_workers: Option<u32>,
    pub(crate) needs_approval: bool,
    pub(crate) reason: String,
}

/// A partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Partner {
    pub(crate) partner: String,
    pub(crate) state: &'static str,
    pub(crate) workers_connected: u32,
    pub(crate) workers_enrolled: u32,
    /// None for no limit of its own.
    pub(crate) max_workers: Option<u32>,
    /// Seconds since 1970.
    pub(crate) joined: Option<u64>,
    /// Seconds since 1970.
    pub(crate) last_seen: Option<u64>,
    pub(crate) reason: String,
}

/// An administrative act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Act {
    pub(crate) number: u64,
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) reason: String,
    /// Over the act and the digest before it.
    pub(crate) digest: String,
}

impl Partners {
    /// Connects to a coordinator.
    pub(crate) async fn connect(target: &Target) -> Result<Self, Failure> {
        let calls = PartnerServiceClient::new(channel(target).await?);
        let calls = calls.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
        Ok(Self { calls })
    }

    /// A ticket, and until when it is good, in seconds since 1970.
    pub(crate) async fn invite(&mut self, invite: Invite) -> Result<(String, u64), Failure> {
        let Invite { role, holder, ttl, uses, max_workers, needs_approval, reason } = invite;
        let request = v1::InviteRequest {
            role: role.of_wire().into(),
            holder,
            ttl_seconds: ttl,
            uses,
            max_workers: max_workers.unwrap_or(0),
            reason,
            needs_approval,
        };
        let v1::InviteResponse { ticket, expires } = within(DEADLINE, self.calls.invite(request)).await?;
        Ok((ticket, expires))
    }

    /// All partners, in order of names.
    pub(crate) async fn list(&mut self) -> Result<Vec<Partner>, Failure> {
        let answer = within(DEADLINE, self.calls.list_partners(v1::ListPartnersRequest {})).await?;
        answer.partners.into_iter().map(|record| Partner::from_wire(Some(record))).collect()
    }

    /// Rules on a partner; the partner then.
    pub(crate) async fn rule(&mut self, ruling: Ruling, partner: &str, reason: &str) -> Result<Partner, Failure> {
        let (partner, reason) = (partner.to_owned(), reason.to_owned());
        let calls = &mut self.calls;
        let record = match ruling {
            Ruling::Approve => {
                let request = v1::ApprovePartnerRequest { partner, reason };
                within(DEADLINE, calls.approve_partner(request)).await?.partner
            }
            Ruling::Suspend => {
                let request = v1::SuspendPartnerRequest { partner, reason };
                within(DEADLINE, calls.suspend_partner(request)).await?.partner
            }
            Ruling::Resume => {
                let request = v1::ResumePartnerRequest { partner, reason };
                within(DEADLINE, calls.resume_partner(request)).await?.partner
            }
            Ruling::Remove => {
                let request = v1::RemovePartnerRequest { partner, reason };
                within(DEADLINE, calls.remove_partner(request)).await?.partner
            }
        };
        Partner::from_wire(record)
    }

    /// Makes credentials worthless; how many.
    pub(crate) async fn revoke(
        &mut self,
        role: Role,
        holder: &str,
        worker: Option<uuid::Uuid>,
        reason: &str,
    ) -> Result<u32, Failure> {
        let request = v1::RevokeCredentialsRequest {
            role: role.of_wire().into(),
            holder: holder.to_owned(),
            worker: worker.map(|worker| worker.into_bytes().to_vec().into()).unwrap_or_default(),
            reason: reason.to_owned(),
        };
        Ok(within(DEADLINE, self.calls.revoke_credentials(request)).await?.revoked)
    }

    /// Administrative acts from number `first` on, oldest first.
    pub(crate) async fn acts(&mut self, first: u64) -> Result<Vec<Act>, Failure> {
        let mut answers = within(DEADLINE, self.calls.list_audit(v1::ListAuditRequest { first })).await?;
        let mut acts = Vec::new();
        while let Some(act) = answers.message().await.map_err(|status| failed(&status))? {
            let v1::ListAuditResponse { number, at, who, what, reason, digest } = act;
            acts.push(Act { number, at, who, what, reason, digest: hex(&digest) });
        }
        Ok(acts)
    }

    /// Makes a new authority; the SHA-256 of its certificate.
    pub(crate) async fn rotate(&mut self, reason: &str) -> Result<String, Failure> {
        let request = v1::RotateAuthorityRequest { reason: reason.to_owned() };
        Ok(hex(&within(DEADLINE, self.calls.rotate_authority(request)).await?.authority))
    }

    /// Trusts no authority but the one that signs; how many were trusted besides.
    pub(crate) async fn retire(&mut self, reason: &str, force: bool) -> Result<u32, Failure> {
        let request = v1::RetireAuthorityRequest { reason: reason.to_owned(), force };
        Ok(within(DEADLINE, self.calls.retire_authority(request)).await?.retired)
    }
}

impl Role {
    fn of_wire(self) -> v1::CredentialRole {
        match self {
            Self::Partner => v1::CredentialRole::Partner,
            Self::Operator => v1::CredentialRole::Operator,
            Self::Client => v1::CredentialRole::Client,
        }
    }
}

impl Partner {
    fn from_wire(record: Option<v1::PartnerRecord>) -> Result<Self, Failure> {
        let record = record.ok_or_else(|| Failure::garbled("an answer without the partner"))?;
        let state = match v1::PartnerState::try_from(record.state) {
            Ok(v1::PartnerState::Invited) => "invited",
            Ok(v1::PartnerState::Pending) => "pending",
            Ok(v1::PartnerState::Active) => "active",
            Ok(v1::PartnerState::Suspended) => "suspended",
            Ok(v1::PartnerState::Removed) => "removed",
            Ok(v1::PartnerState::Unspecified) | Err(_) => return Err(Failure::garbled("a partner in no state")),
        };
        let known = |seconds: u64| (seconds > 0).then_some(seconds);
        Ok(Self {
            partner: record.partner,
            state,
            workers_connected: record.workers_connected,
            workers_enrolled: record.workers_enrolled,
            max_workers: (record.max_workers > 0).then_some(record.max_workers),
            joined: known(record.joined),
            last_seen: known(record.last_seen),
            reason: record.reason,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
