//! The owner of who takes part.

use std::path::Path;
use std::sync::Arc;

use syngrad_common::identity::ticket::{self, TicketSecret};
use syngrad_common::identity::{CertificateRequest, Grant, Sha256, Ticket, UnixTime, random};
use syngrad_common::limits::MAX_REASON;
use syngrad_common::transport::LiveServer;
use syngrad_common::{Code, Failure};
use syngrad_engine::consortium::{
    Admission, Audit, AuditEntry, AuthorityId, Change, Consortium, Enrol, Force, Holder, HolderRecord, InvitationId,
    Invite, Moment, Permit, Refusal, Renew, Ruling, SecretDigest, Serial,
};
use syngrad_engine::{PartnerName, Principal, WorkerId};
use syngrad_store::{Folder, Recalled, Register};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::notary::{Notary, authority_id, key_id};
use super::{Standing, now};
use crate::driver::Message;
use crate::receipts::LogKey;

/// Somebody who decides, and why.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// Who, by its certificate.
    pub(crate) principal: Principal,
    /// Why, in its words.
    pub(crate) reason: String,
}

/// A ticket that is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) invitation: InvitationId,
    pub(crate) secret: SecretDigest,
    /// PKCS #10 in DER, not read yet.
    pub(crate) request: Vec<u8>,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) build: String,
}

/// Who is invited, and how.
#[derive(Clone, Debug)]
pub(crate) struct Invited {
    pub(crate) holder: Holder,
    pub(crate) ttl: u64,
    pub(crate) uses: u32,
    pub(crate) max_workers: Option<u32>,
    pub(crate) admission: Admission,
}

/// A partner as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartnerView {
    pub(crate) partner: PartnerName,
    pub(crate) record: HolderRecord,
    /// Workers with a good certificate.
    pub(crate) enrolled: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Office {
    register: Register,
    consortium: Consortium,
    audit: Audit,
    notary: Notary,
    published: watch::Sender<Arc<Consortium>>,
    looked: watch::Sender<u64>,
    /// What connections are protected with, if they are.
    server: Option<LiveServer>,
    /// Who ends sessions; none before there are any.
    driver: Option<mpsc::WeakSender<Message>>,
}

impl Office {
    /// The office of the consortium that was founded in the state folder at `path`; none if none was.
    ///
    /// # Errors
    /// If what is there cannot be read, or is not whole.
    pub(crate) fn open(path: &Path, folder: &Folder) -> Result<Option<Self>, Failure> {
        let register = folder.register()?;
        let Some(Recalled { founding, consortium, audit }) = register.recall()? else { return Ok(None) };
        let addresses = founding.addresses.iter().map(|address| address.parse().map_err(Failure::from));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        let notary = Notary::open(path, &founding.name, addresses, &consortium, now())?;
        let (published, _) = watch::channel(Arc::new(consortium.clone()));
        let looked = watch::Sender::new(0);
        Ok(Some(Self { register, consortium, audit, notary, published, looked, server: None, driver: None }))
    }

    /// The same, which has `driver` end the sessions of those who are barred.
    pub(crate) fn telling(self, driver: mpsc::WeakSender<Message>) -> Self {
        Self { driver: Some(driver), ..self }
    }

    /// The key that signs receipts, and the certificates that speak for it.
    ///
    /// # Errors
    /// If the key is of the wrong kind.
    pub(crate) fn log(&self) -> Result<LogKey, Failure> {
        self.notary.log()
    }

    /// Who takes part, as it is decided from now on.
    pub(crate) fn standing(&self) -> Standing {
        Standing { decided: self.published.subscribe(), looked: self.looked.subscribe() }
    }

    /// What was decided last, and what is decided from now on.
    pub(super) fn decisions(&self) -> watch::Receiver<Arc<Consortium>> {
        self.published.subscribe()
    }

    /// Where is said that connections are to be held against what was decided.
    pub(super) fn looks(&self) -> watch::Sender<u64> {
        self.looked.clone()
    }

    /// What connections are protected with from now on; the office keeps it up to date.
    pub(crate) fn protect(&mut self) -> Result<LiveServer, Failure> {
        let server = LiveServer::new(self.notary.server(now())?, Arc::new(self.standing()))?;
        self.server = Some(server.clone());
        Ok(server)
    }

    /// A new certificate of the coordinator's own, if it is time.
    pub(super) fn renew_own(&mut self) {
        let due = self
            .server
            .as_ref()
            .is_some_and(|server| server.credentials().certificate.summary().validity().renewal() <= UnixTime::now());
        if due && let Err(why) = self.show_anew() {
            tracing::error!(%why, "the coordinator's certificate was not renewed");
        }
    }

    /// Shows a new certificate, of the authority that signs now.
    fn show_anew(&self) -> Result<(), Failure> {
        let Some(server) = &self.server else { return Ok(()) };
        server.replace(self.notary.server(now())?)
    }

    /// Turns a ticket into credentials.
    pub(crate) fn enrol(&mut self, shown: Shown) -> Result<Grant, Failure> {
        let Shown { invitation, secret, request, worker, build } = shown;
        let request = CertificateRequest::from_der(&request)?;
        let enrol = Enrol { invitation, secret, key: key_id(&request), worker };
        let permit = self.consortium.enrol(now(), &enrol).map_err(|why| refused(&why))?;
        let actor = Actor { principal: permit.principal.clone(), reason: format!("joined with {build}") };
        self.certify(permit, &request, &actor)
    }

    /// New credentials for somebody whose certificate is good.
    pub(crate) fn renew(&mut self, principal: &Principal, serial: Serial, request: &[u8]) -> Result<Grant, Failure> {
        let request = CertificateRequest::from_der(request)?;
        let renew = Renew { principal: principal.clone(), serial, key: key_id(&request) };
        let permit = self.consortium.renew(now(), &renew).map_err(|why| refused(&why))?;
        let actor = Actor { principal: principal.clone(), reason: String::new() };
        self.certify(permit, &request, &actor)
    }

    fn certify(&mut self, permit: Permit, request: &CertificateRequest, actor: &Actor) -> Result<Grant, Failure> {
        let (grant, issued) = self.notary.issue(request, &permit.principal, now())?;
        let change = self.consortium.certified(permit, issued).map_err(|why| refused(&why))?;
        self.keep(&change, actor)?;
        Ok(grant)
    }

    /// A ticket for somebody, and until when it is good.
    pub(crate) fn invite(&mut self, actor: &Actor, invited: Invited) -> Result<(Zeroizing<String>, Moment), Failure> {
        let Invited { holder, ttl, uses, max_workers, admission } = invited;
        let (id, secret) = (InvitationId(random()?), TicketSecret::generate()?);
        let digest = SecretDigest(secret.hashed());
        let invite = Invite { id, secret: digest, holder, ttl, uses, max_workers, admission };
        let now = now();
        let change = self.consortium.invite(now, &invite).map_err(|why| refused(&why))?;
        let expires = now.after(ttl);
        let text = Ticket {
            addresses: self.notary.addresses().to_vec(),
            authority: self.notary.authority()?.certificate().sha256(),
            invitation: id,
            secret,
            invited: match invite.holder {
                Holder::Partner(name) => ticket::Invited::Partner(name),
                Holder::Operator(name) => ticket::Invited::Operator(name),
                Holder::Client(name) => ticket::Invited::Client(name),
            },
            consortium: self.notary.name().clone(),
            expires: UnixTime::since_unix_epoch(std::time::Duration::from_secs(expires.0)),
        }
        .to_text()?;
        self.keep(&change, actor)?;
        Ok((text, expires))
    }

    /// All partners, in order of names.
    pub(crate) fn partners(&self) -> Vec<PartnerView> {
        let partner = |record: &HolderRecord| match &record.holder {
            Holder::Partner(partner) => Some(PartnerView {
                partner: partner.clone(),
                record: record.clone(),
                enrolled: self.consortium.enrolled(now(), partner),
            }),
            Holder::Operator(_) | Holder::Client(_) => None,
        };
        self.consortium.holders().filter_map(partner).collect()
    }

    /// An operator rules on a partner; the partner then.
    pub(crate) fn rule(
        &mut self,
        actor: &Actor,
        partner: &PartnerName,
        ruling: Ruling,
    ) -> Result<PartnerView, Failure> {
        let change = self.consortium.rule(partner, ruling, &actor.reason).map_err(|why| refused(&why))?;
        self.keep(&change, actor)?;
        let found = self.partners().into_iter().find(|view| view.partner == *partner);
        found.ok_or_else(|| refused(&Refusal::UnknownHolder { holder: Holder::Partner(partner.clone()) }))
    }

    /// How many certificates were revoked.
    pub(crate) fn revoke(
        &mut self,
        actor: &Actor,
        holder: &Holder,
        worker: Option<WorkerId>,
    ) -> Result<usize, Failure> {
        let (change, revoked) = self.consortium.revoke(now(), holder, worker).map_err(|why| refused(&why))?;
        self.keep(&change, actor)?;
        Ok(revoked)
    }

    /// Makes a new authority; which.
    pub(crate) fn rotate(&mut self, actor: &Actor) -> Result<Sha256, Failure> {
        let now = now();
        // Asked before any file is written: there may be too many already.
        let _ = self.consortium.rotate(now, AuthorityId::default()).map_err(|why| refused(&why))?;
        let next = self.notary.successor(now)?;
        let change = self.consortium.rotate(now, authority_id(&next)).map_err(|why| refused(&why))?;
        self.keep(&change, actor)?;
        let sha256 = next.certificate().sha256();
        self.notary.follow(next, now)?;
        self.show_anew()?;
        Ok(sha256)
    }

    /// Trusts no authority but the one that signs; how many were trusted besides.
    pub(crate) fn retire(&mut self, actor: &Actor, force: Force) -> Result<usize, Failure> {
        let (change, retired) = self.consortium.retire(now(), force).map_err(|why| refused(&why))?;
        self.keep(&change, actor)?;
        self.notary.forget_retired(&self.consortium);
        self.show_anew()?;
        Ok(retired)
    }

    /// Entries of the log of acts from `first` on, at most `most`.
    pub(crate) fn acts(&self, first: u64, most: usize) -> Result<Vec<AuditEntry>, Failure> {
        Ok(self.register.audit(first, most)?)
    }

    /// Somebody was heard.
    pub(super) fn seen(&mut self, principal: &Principal) {
        let change = self.consortium.seen(now(), principal);
        let actor = Actor { principal: principal.clone(), reason: String::new() };
        if let Err(why) = self.keep(&change, &actor) {
            tracing::debug!(%why, "when a partner was heard was not kept");
        }
    }

    /// Makes a change durable; then it counts, and everybody knows.
    fn keep(&mut self, change: &Change, actor: &Actor) -> Result<(), Failure> {
        if change.is_empty() {
            return Ok(());
        }
        let Actor { principal, reason } = actor;
        if reason.len() > MAX_REASON {
            let why = format!("the reason has {} bytes, and {MAX_REASON} is the most", reason.len());
            return Err(Failure::new(Code::BadMessage, why));
        }
        let who = principal.uri(self.notary.name());
        let entry = change.act.as_ref().map(|act| self.audit.next(now(), &who, act, reason));
        self.register.keep(change, entry.as_ref())?;
        if let Some(entry) = &entry {
            self.audit.take(entry).expect("it was made to be the next one");
            tracing::info!(number = entry.number, who = entry.who, reason = entry.reason, "{}", entry.what);
        }
        self.consortium.apply(change);
        self.published.send_replace(Arc::new(self.consortium.clone()));
        if let Some(driver) = self.driver.as_ref().and_then(mpsc::WeakSender::upgrade) {
            for bar in &change.bars {
                // A driver that is gone has no sessions left.
                let _ = driver.blocking_send(Message::Barred(bar.clone()));
            }
        }
        Ok(())
    }
}

fn refused(why: &Refusal) -> Failure {
    Failure::from(why)
}
