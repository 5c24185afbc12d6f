//! `syngrad.v1.PartnerService`: how operators govern who takes part.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, stream};
use syngrad_common::wire::{self, WireError};
use syngrad_common::{Failure, status};
use syngrad_engine::PartnerName;
use syngrad_engine::consortium::{Admission, AuditEntry, Force, Ruling, State};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::partner_service_server::PartnerService;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::{Governed, known};
use crate::driver::{Handle, Message, shutting_down};
use crate::governance::{Actor, Invited, PartnerView};

/// Entries of the log of acts that are read at once.
const PAGE: usize = 500;

/// See the module.
#[derive(Debug)]
pub(crate) struct Partners {
    pub(crate) governed: Governed,
    pub(crate) driver: Handle,
}

impl Partners {
    async fn connected(&self) -> Result<BTreeMap<PartnerName, u32>, Status> {
        let (reply, answer) = oneshot::channel();
        let counts = async {
            self.driver.tell(Message::CountWorkers { reply }).await?;
            answer.await.map_err(|_| shutting_down())?
        };
        counts.await.map_err(|failure: Failure| status::of(&failure))
    }

    async fn rule(&self, actor: Actor, partner: &str, ruling: Ruling) -> Result<Option<v1::PartnerRecord>, Status> {
        let partner = wire::partner_name("partner", partner).map_err(bad)?;
        let view = self.governed.ask(move |office| office.rule(&actor, &partner, ruling)).await?;
        Ok(Some(encode(&view, &self.connected().await?)))
    }
}

#[tonic::async_trait]
impl PartnerService for Partners {
    type ListAuditStream = Pin<Box<dyn Stream<Item = Result<v1::ListAuditResponse, Status>> + Send>>;

    async fn invite(&self, request: Request<v1::InviteRequest>) -> Result<Response<v1::InviteResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let v1::InviteRequest { role, holder, ttl_seconds, uses, max_workers, reason: _, needs_approval } =
            request.into_inner();
        let invited = Invited {
            holder: wire::holder("holder", role, &holder).map_err(bad)?,
            ttl: ttl_seconds,
            uses,
            max_workers: (max_workers > 0).then_some(max_workers),
            admission: if needs_approval { Admission::OnApproval } else { Admission::AtOnce },
        };
        let (ticket, expires) = self.governed.ask(move |office| office.invite(&actor, invited)).await?;
        Ok(Response::new(v1::InviteResponse { ticket: ticket.to_string(), expires: expires.0 }))
    }

    async fn list_partners(
        &self,
        _: Request<v1::ListPartnersRequest>,
    ) -> Result<Response<v1::ListPartnersResponse>, Status> {
        let views = self.governed.ask(|office| Ok(office.partners())).await?;
        let connected = self.connected().await?;
        let partners = views.iter().map(|view| encode(view, &connected)).collect();
        Ok(Response::new(v1::ListPartnersResponse { partners }))
    }

    async fn approve_partner(
        &self,
        request: Request<v1::ApprovePartnerRequest>,
    ) -> Result<Response<v1::ApprovePartnerResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let partner = self.rule(actor, &request.get_ref().partner, Ruling::Approve).await?;
        Ok(Response::new(v1::ApprovePartnerResponse { partner }))
    }

    async fn suspend_partner(
        &self,
        request: Request<v1::SuspendPartnerRequest>,
    ) -> Result<Response<v1::SuspendPartnerResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let partner = self.rule(actor, &request.get_ref().partner, Ruling::Suspend).await?;
        Ok(Response::new(v1::SuspendPartnerResponse { partner }))
    }

    async fn resume_partner(
        &self,
        request: Request<v1::ResumePartnerRequest>,
    ) -> Result<Response<v1::ResumePartnerResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let partner = self.rule(actor, &request.get_ref().partner, Ruling::Resume).await?;
        Ok(Response::new(v1::ResumePartnerResponse { partner }))
    }

    async fn remove_partner(
        &self,
        request: Request<v1::RemovePartnerRequest>,
    ) -> Result<Response<v1::RemovePartnerResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let partner = self.rule(actor, &request.get_ref().partner, Ruling::Remove).await?;
        Ok(Response::new(v1::RemovePartnerResponse { partner }))
    }

    async fn revoke_credentials(
        &self,
        request: Request<v1::RevokeCredentialsRequest>,
    ) -> Result<Response<v1::RevokeCredentialsResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let v1::RevokeCredentialsRequest { role, holder, worker, reason: _ } = request.into_inner();
        let holder = wire::holder("holder", role, &holder).map_err(bad)?;
        let worker = wire::worker_of("worker", &worker).map_err(bad)?;
        let revoked = self.governed.ask(move |office| office.revoke(&actor, &holder, worker)).await?;
        Ok(Response::new(v1::RevokeCredentialsResponse { revoked: count(revoked) }))
    }

    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<Self::ListAuditStream>, Status> {
        let first = request.get_ref().first.max(1);
        // The first page is read before anything is answered: what is wrong is said at once.
        let page = read(&self.governed, first).await?;
        let entries = stream::try_unfold((self.governed.clone(), page), |(governed, mut page)| async move {
            let Some(entry) = page.pop_front() else { return Ok(None) };
            if page.is_empty() {
                page = read(&governed, entry.number + 1).await?;
            }
            Ok(Some((encode_entry(&entry), (governed, page))))
        });
        Ok(Response::new(Box::pin(entries)))
    }

    async fn rotate_authority(
        &self,
        request: Request<v1::RotateAuthorityRequest>,
    ) -> Result<Response<v1::RotateAuthorityResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let authority = self.governed.ask(move |office| office.rotate(&actor)).await?;
        Ok(Response::new(v1::RotateAuthorityResponse { authority: Bytes::copy_from_slice(&authority.0) }))
    }

    async fn retire_authority(
        &self,
        request: Request<v1::RetireAuthorityRequest>,
    ) -> Result<Response<v1::RetireAuthorityResponse>, Status> {
        let actor = actor(&request, &request.get_ref().reason)?;
        let force = if request.get_ref().force { Force::Yes } else { Force::No };
        let retired = self.governed.ask(move |office| office.retire(&actor, force)).await?;
        Ok(Response::new(v1::RetireAuthorityResponse { retired: count(retired) }))
    }
}

async fn read(governed: &Governed, first: u64) -> Result<VecDeque<AuditEntry>, Status> {
    governed.ask(move |office| office.acts(first, PAGE)).await.map(VecDeque::from)
}

fn bad(error: WireError) -> Status {
    status::of(&error.into())
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// Who asks, and why.
fn actor<T>(request: &Request<T>, reason: &str) -> Result<Actor, Status> {
    let (principal, _) = known(request)?;
    Ok(Actor { principal, reason: wire::reason("reason", reason.to_owned()).map_err(bad)? })
}

fn encode(view: &PartnerView, connected: &BTreeMap<PartnerName, u32>) -> v1::PartnerRecord {
    let PartnerView { partner, record, enrolled } = view;
    let seconds = |moment: Option<syngrad_engine::consortium::Moment>| moment.map_or(0, |moment| moment.0);
    let state = match record.state {
        State::Invited => v1::PartnerState::Invited,
        State::Pending => v1::PartnerState::Pending,
        State::Active => v1::PartnerState::Active,
        State::Suspended => v1::PartnerState::Suspended,
        State::Removed => v1::PartnerState::Removed,
    };
    v1::PartnerRecord {
        partner: partner.to_string(),
        state: state.into(),
        workers_connected: connected.get(partner).copied().unwrap_or(0),
        workers_enrolled: count(*enrolled),
        max_workers: record.max_workers.unwrap_or(0),
        joined: seconds(record.joined),
        last_seen: seconds(record.seen),
        reason: record.reason.clone(),
    }
}

fn encode_entry(entry: &AuditEntry) -> v1::ListAuditResponse {
    v1::ListAuditResponse {
        number: entry.number,
        at: entry.at.0,
        who: entry.who.clone(),
        what: entry.what.clone(),
        reason: entry.reason.clone(),
        digest: Bytes::copy_from_slice(&entry.digest.0),
    }
}
