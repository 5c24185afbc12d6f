//! A consortium on disk: founded, governed by calls, killed between any two of them, and governed on.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use futures_util::TryStreamExt as _;
use syngrad_common::identity::credentials::{self, Credentials};
use syngrad_common::identity::{
    Authority, CertificateRequest, Grant, KeyKind, PrivateKey, Sha256, Ticket, UnixTime, verify,
};
use syngrad_common::{Code, Failure, status, wire};
use syngrad_engine::principal::Role;
use syngrad_engine::{ConsortiumName, HolderName, WorkerId};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::enrolment_service_client::EnrolmentServiceClient;
use syngrad_proto::syngrad::v1::partner_service_client::PartnerServiceClient;
use syngrad_store::Folder;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;

use crate::access::{AccessLayer, Caller, Guarded, Paces};
use crate::config::{Config, Patience};
use crate::driver::Driver;
use crate::governance::{Founding, Governance, OPERATOR, Office, found};
use crate::rpc;

fn founding() -> Founding {
    Founding {
        name: ConsortiumName::parse("hospitals").expect("a name"),
        addresses: vec!["coordinator.example:7461".parse().expect("an address")],
        operator: HolderName::parse("alice").expect("a name"),
        authority: None,
    }
}

/// A coordinator's services without a network: the caller is whoever the test says.
struct Site {
    services: Guarded<Routes>,
    operator: Caller,
    _driver: tokio::task::JoinHandle<Result<(), Failure>>,
}

/// The services, called by somebody.
#[derive(Clone)]
struct As(Guarded<Routes>, Caller);

impl Service<Request<Body>> for As {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = <Guarded<Routes> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.1.clone());
        self.0.call(request)
    }
}

impl Site {
    /// Opens the state in `path`, where a consortium was founded.
    async fn open(path: &Path) -> Self {
        let path = path.to_owned();
        let (office, operator) = spawn_blocking(move || {
            let folder = Folder::open(&path).expect("the state folder");
            let office = Office::open(&path, &folder).expect("whole state").expect("a consortium");
            let credentials = credentials::Folder::new(&path.join(OPERATOR)).load().expect("credentials");
            (office, caller(&credentials))
        })
        .await
        .expect("opening does not panic");
        let standing = office.standing();
        let (driver, handle) = Driver::new(Config::default(), standing.clone());
        let governance = Governance::start(office.telling(handle.inbox.downgrade())).expect("a thread");
        let (patience, paces) = (Patience::default(), Paces::new());
        let needs = rpc::Needs {
            patience,
            paces: paces.clone(),
            governance: Some(governance),
            signers: std::collections::BTreeMap::new(),
            log: None,
            reader: None,
        };
        let mut routes = Routes::builder();
        rpc::add_to(&mut routes, &handle, needs);
        let services = AccessLayer::new(standing, paces).layer(routes.routes().prepare());
        Self { services, operator, _driver: tokio::spawn(driver.work()) }
    }

    fn partners(&self, caller: &Caller) -> PartnerServiceClient<As> {
        PartnerServiceClient::new(As(self.services.clone(), caller.clone()))
    }

    fn operators(&self) -> PartnerServiceClient<As> {
        self.partners(&self.operator)
    }

    async fn invite(&self, invite: v1::InviteRequest) -> Result<Ticket, Code> {
        let answer = self.operators().invite(invite).await.map_err(|status| status::read(&status).code)?;
        Ok(Ticket::parse(&answer.into_inner().ticket).expect("a ticket"))
    }

    async fn enrol(&self, ticket: &Ticket, key: &PrivateKey, worker: Option<u8>) -> Result<Credentials, Code> {
        let enrol = wire::Enrol {
            invitation: ticket.invitation,
            secret: ticket.secret.clone(),
            request: CertificateRequest::make(key).expect("a request"),
            worker: worker.map(|worker| WorkerId([worker; 16])),
            build: "a test".to_owned(),
        };
        let mut client = EnrolmentServiceClient::new(As(self.services.clone(), Caller::Anonymous));
        let answer = client.enrol(v1::EnrolRequest::from(enrol)).await;
        let answer = answer.map_err(|status| status::read(&status).code)?.into_inner();
        Ok(credentials_of(key, wire::granted(answer.credentials).expect("a grant")))
    }

    async fn renew(&self, caller: &Caller, key: &PrivateKey) -> Result<Credentials, Code> {
        let request = CertificateRequest::make(key).expect("a request").into();
        let mut client = EnrolmentServiceClient::new(As(self.services.clone(), caller.clone()));
        let answer = client.renew(v1::RenewRequest { certificate_request: request }).await;
        let answer = answer.map_err(|status| status::read(&status).code)?.into_inner();
        Ok(credentials_of(key, wire::granted(answer.credentials).expect("a grant")))
    }

    async fn suspend(&self, partner: &str) -> Result<v1::PartnerRecord, Code> {
        let request = v1::SuspendPartnerRequest { partner: partner.to_owned(), reason: "a test".to_owned() };
        let answer = self.operators().suspend_partner(request).await;
        let answer = answer.map_err(|status| status::read(&status).code)?.into_inner();
        Ok(answer.partner.expect("a partner"))
    }

    async fn state_of(&self, partner: &str) -> v1::PartnerState {
        let partners = self.operators().list_partners(v1::ListPartnersRequest {}).await.expect("an answer");
        let partners = partners.into_inner().partners;
        partners.iter().find(|found| found.partner == partner).expect("the partner").state()
    }

    async fn acts(&self) -> Vec<v1::ListAuditResponse> {
        let acts = self.operators().list_audit(v1::ListAuditRequest { first: 0 }).await.expect("an answer");
        acts.into_inner().try_collect().await.expect("the whole log")
    }
}

/// What only fits if the certificate is for the key and an authority stands behind it and behind the log's.
fn credentials_of(key: &PrivateKey, grant: Grant) -> Credentials {
    Credentials::new(key.clone(), grant, UnixTime::now()).expect("a grant that fits")
}

fn caller(credentials: &Credentials) -> Caller {
    Caller::Known(Arc::new(credentials.identity().clone()))
}

fn key(role: Role) -> PrivateKey {
    PrivateKey::generate(KeyKind::of(role)).expect("random bytes")
}

fn for_partner(partner: &str) -> v1::InviteRequest {
    v1::InviteRequest {
        role: v1::CredentialRole::Partner.into(),
        holder: partner.to_owned(),
        ttl_seconds: 3600,
        uses: 1,
        max_workers: 4,
        reason: "a test".to_owned(),
        needs_approval: false,
    }
}

fn founded() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    // A thread of its own: it may be called on one that drives tasks.
    let founded = thread::spawn(move || found(&path, &founding()).map(drop)).join().expect("founding does not panic");
    founded.expect("a consortium");
    folder
}

#[test]
fn a_consortium_is_founded_once() {
    let folder = founded();
    let again = found(folder.path(), &founding()).map_err(|failure| failure.code);
    assert!(matches!(again, Err(Code::AlreadyFounded)), "{again:?}");
    let operator = credentials::Folder::new(&folder.path().join(OPERATOR)).load().expect("credentials");
    assert_eq!(operator.identity().principal.to_string(), "operator/alice");
    assert_eq!(operator.grant().addresses.len(), 1);
}

#[test]
fn an_authority_of_ones_own_is_taken_and_nothing_else_for_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = Authority::create(&founding().name, UnixTime::now()).expect("an authority");
    own.store(&folder.path().join("own")).expect("it is written");
    let read = |name: &str| std::fs::read(folder.path().join("own").join(name)).expect("a file");
    let with = |authority| Founding { authority: Some(authority), ..founding() };
    let state = folder.path().join("state");
    let wrong = found(&state, &with((read("authority.pem"), b"no key".to_vec())));
    assert!(matches!(wrong, Err(Failure { code: Code::KeyUnusable, .. })), "{wrong:?}");
    let founded =
        found(&state, &with((read("authority.pem"), read("authority.key")))).expect("nothing was founded before");
    assert_eq!(founded.authority, own.certificate().sha256().to_string());
}

#[tokio::test]
async fn a_ticket_leads_to_credentials_once_and_for_the_same_key_again() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    assert!(!ticket.has_expired(UnixTime::now()));
    let (mine, other) = (key(Role::Partner), key(Role::Partner));
    let first = site.enrol(&ticket, &mine, Some(1)).await.expect("credentials");
    assert_eq!(ticket.authority, first.grant().roots[0].sha256(), "the ticket pins the authority");
    assert_eq!(site.enrol(&ticket, &other, Some(2)).await.map(drop), Err(Code::TicketUsed));
    let again = site.enrol(&ticket, &mine, Some(1)).await.expect("credentials once more");
    assert_ne!(first.identity().certificate.serial, again.identity().certificate.serial);
    assert_eq!(site.enrol(&ticket, &mine, Some(3)).await.map(drop), Err(Code::KeyTaken));
    assert_eq!(site.state_of("hospital-b").await, v1::PartnerState::Active);
    assert!(site.renew(&caller(&again), &other).await.is_ok(), "a holder may change its key");
}

#[tokio::test]
async fn a_burnt_ticket_is_burnt_after_a_restart_too() {
    let folder = founded();
    let (mine, other) = (key(Role::Partner), key(Role::Partner));
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    let credentials = site.enrol(&ticket, &mine, Some(1)).await.expect("credentials");
    drop(site);
    let site = Site::open(folder.path()).await;
    assert_eq!(site.enrol(&ticket, &other, Some(2)).await.map(drop), Err(Code::TicketUsed));
    assert!(site.enrol(&ticket, &mine, Some(1)).await.is_ok(), "an answer that was lost costs nothing");
    assert!(site.renew(&caller(&credentials), &mine).await.is_ok(), "what was acknowledged is not lost");
}

#[tokio::test]
async fn whoever_shows_something_else_than_a_ticket_of_its_own_gets_nothing() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let partner = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    let role = v1::CredentialRole::Client.into();
    let client = v1::InviteRequest { role, max_workers: 0, ..for_partner("ward") };
    let client = site.invite(client).await.expect("a ticket");
    let mixed = Ticket { secret: client.secret.clone(), ..partner.clone() };
    let (worker, other) = (key(Role::Partner), key(Role::Client));
    assert_eq!(site.enrol(&mixed, &worker, Some(1)).await.map(drop), Err(Code::TicketUnknown));
    assert_eq!(site.enrol(&partner, &worker, None).await.map(drop), Err(Code::TicketMisused));
    assert_eq!(site.enrol(&client, &other, Some(1)).await.map(drop), Err(Code::TicketMisused));
    assert_eq!(site.enrol(&partner, &other, Some(1)).await.map(drop), Err(Code::BadCertificateRequest));
    assert!(site.enrol(&partner, &worker, Some(1)).await.is_ok(), "none of that has cost a use");
    assert!(site.enrol(&client, &other, None).await.is_ok());
}

#[tokio::test]
async fn a_partner_that_needs_approval_waits_for_it() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = v1::InviteRequest { needs_approval: true, ..for_partner("hospital-b") };
    let ticket = site.invite(ticket).await.expect("a ticket");
    let mine = key(Role::Partner);
    site.enrol(&ticket, &mine, Some(1)).await.expect("credentials");
    assert_eq!(site.state_of("hospital-b").await, v1::PartnerState::Pending);
    let approve = v1::ApprovePartnerRequest { partner: "hospital-b".to_owned(), reason: String::new() };
    site.operators().approve_partner(approve.clone()).await.expect("it is approved");
    site.operators().approve_partner(approve).await.expect("and stays so");
    assert_eq!(site.state_of("hospital-b").await, v1::PartnerState::Active);
}

#[tokio::test]
async fn suspended_is_for_now_and_removed_for_good() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    let mine = key(Role::Partner);
    let credentials = site.enrol(&ticket, &mine, Some(1)).await.expect("credentials");
    let worker = caller(&credentials);
    assert_eq!(site.suspend("nobody").await.map(drop), Err(Code::HolderUnknown));
    let record = site.suspend("hospital-b").await.expect("it is suspended");
    assert_eq!((record.state(), record.reason.as_str()), (v1::PartnerState::Suspended, "a test"));
    assert!(site.renew(&worker, &mine).await.is_ok(), "it keeps its name");
    assert_eq!(site.invite(for_partner("hospital-b")).await.map(drop), Err(Code::HolderState));
    let remove = v1::RemovePartnerRequest { partner: "hospital-b".to_owned(), reason: "enough".to_owned() };
    site.operators().remove_partner(remove).await.expect("it is removed");
    assert_eq!(site.renew(&worker, &mine).await.map(drop), Err(Code::PartnerRemoved));
    let resume = v1::ResumePartnerRequest { partner: "hospital-b".to_owned(), reason: String::new() };
    let refused = site.operators().resume_partner(resume).await.map_err(|status| status::read(&status).code);
    assert_eq!(refused.map(drop), Err(Code::HolderState));
    drop(site);
    let site = Site::open(folder.path()).await;
    assert_eq!(site.invite(for_partner("hospital-b")).await.map(drop), Err(Code::PartnerRemoved));
    assert_eq!(site.renew(&worker, &mine).await.map(drop), Err(Code::PartnerRemoved));
}

#[tokio::test]
async fn revoked_credentials_are_worth_nothing_and_the_last_operator_stays() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    let mine = key(Role::Partner);
    let worker = caller(&site.enrol(&ticket, &mine, Some(1)).await.expect("credentials"));
    let revoke = |role: v1::CredentialRole, holder: &str| v1::RevokeCredentialsRequest {
        role: role.into(),
        holder: holder.to_owned(),
        worker: bytes::Bytes::new(),
        reason: "a test".to_owned(),
    };
    let revoked = site.operators().revoke_credentials(revoke(v1::CredentialRole::Partner, "hospital-b")).await;
    assert_eq!(revoked.expect("an answer").into_inner().revoked, 1);
    assert_eq!(site.renew(&worker, &mine).await.map(drop), Err(Code::CertificateRevoked));
    assert_eq!(site.enrol(&ticket, &mine, Some(1)).await.map(drop), Err(Code::TicketWithdrawn));
    let last = site.operators().revoke_credentials(revoke(v1::CredentialRole::Operator, "alice")).await;
    assert_eq!(last.map_err(|status| status::read(&status).code).map(drop), Err(Code::LastOperator));
}

#[tokio::test]
async fn one_authority_follows_another_and_loses_nobody() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    let mine = key(Role::Partner);
    let before = site.enrol(&ticket, &mine, Some(1)).await.expect("credentials");
    let rotate = v1::RotateAuthorityRequest { reason: "yearly".to_owned() };
    let new = site.operators().rotate_authority(rotate).await.expect("a new authority").into_inner().authority;
    let renewed = site.renew(&caller(&before), &mine).await.expect("the old certificate is good");
    assert_eq!(renewed.grant().roots.len(), 2, "both are trusted");
    assert_eq!(renewed.grant().roots[0].sha256(), Sha256(new.as_ref().try_into().expect("a SHA-256")));
    // Who trusts the old authority only believes what the new one signs.
    verify(&renewed.grant().chain, &before.grant().roots, UnixTime::now()).expect("the old vouches for the new");
    let retire = |force| v1::RetireAuthorityRequest { reason: String::new(), force };
    let refused = site.operators().retire_authority(retire(false)).await;
    let refused = refused.map_err(|status| status::read(&status).code);
    assert_eq!(refused.map(drop), Err(Code::AuthorityInUse), "the operator has not renewed");
    let mut site = site;
    let operator = key(Role::Operator);
    site.operator = caller(&site.renew(&site.operator, &operator).await.expect("the operator renews"));
    drop(site.operators().retire_authority(retire(false)).await.expect("nobody is lost"));
    assert_eq!(site.renew(&caller(&before), &mine).await.map(drop), Err(Code::AuthorityRetired));
    let operator = site.operator.clone();
    drop(site);
    let mut site = Site::open(folder.path()).await;
    site.operator = operator;
    let after = site.renew(&caller(&renewed), &mine).await.expect("the new certificate is good after a restart");
    assert_eq!(after.grant().roots.len(), 1);
    assert_eq!(after.grant().log, renewed.grant().log, "a restart makes no new certificate of the log");
}

#[tokio::test]
async fn every_act_is_in_the_log_with_who_and_why() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    site.enrol(&ticket, &key(Role::Partner), Some(1)).await.expect("credentials");
    site.suspend("hospital-b").await.expect("it is suspended");
    site.suspend("hospital-b").await.expect("it is so already");
    drop(site);
    let acts = Site::open(folder.path()).await.acts().await;
    let told: Vec<_> = acts.iter().map(|act| (act.number, act.what.split(' ').next().unwrap_or_default())).collect();
    assert_eq!(told, [(1, "founded"), (2, "enrolled"), (3, "invited"), (4, "enrolled"), (5, "suspended")]);
    assert_eq!(acts[4].who, "spiffe://hospitals/operator/alice");
    assert_eq!(acts[4].reason, "a test");
    assert!(acts[3].who.starts_with("spiffe://hospitals/partner/hospital-b/worker/01010101-"), "{}", acts[3].who);
    assert!(acts.iter().all(|act| !act.what.contains(&format!("{:?}", ticket.secret.expose()))));
}

#[tokio::test]
async fn who_is_not_asked_for_a_name_finds_no_consortium() {
    let folder = founded();
    let site = Site::open(folder.path()).await;
    let ticket = site.invite(for_partner("hospital-b")).await.expect("a ticket");
    let mut client = site.partners(&Caller::Insecure);
    let refused = client.invite(for_partner("hospital-c")).await.map_err(|status| status::read(&status).code);
    assert_eq!(refused.map(drop), Err(Code::NoConsortium));
    let mut client = EnrolmentServiceClient::new(As(site.services.clone(), Caller::Insecure));
    let enrol = wire::Enrol {
        invitation: ticket.invitation,
        secret: ticket.secret.clone(),
        request: vec![1],
        worker: None,
        build: String::new(),
    };
    let refused = client.enrol(v1::EnrolRequest::from(enrol)).await.map_err(|status| status::read(&status).code);
    assert_eq!(refused.map(drop), Err(Code::NoConsortium));
}
