//! Every call that there is × everybody who may call.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use syngrad_common::identity::{self, Identity, Sha256, UnixTime};
use syngrad_common::{Code, status};
use syngrad_engine::consortium::{
    Admission, AuthorityId, Consortium, Enrol, Holder, InvitationId, Invite, Issued, KeyId, Moment, Ruling,
    SecretDigest, Serial,
};
use syngrad_engine::{ConsortiumName, HolderName, WorkerId};
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::codegen::http::{Request, Response};

use super::*;
use crate::governance::Standing;

/// Long after anything in these tests.
const FOREVER: Moment = Moment(u64::MAX / 4);

fn name(name: &str) -> HolderName {
    HolderName::parse(name).expect("a name")
}

fn partner(name: &str) -> PartnerName {
    PartnerName::parse(name).expect("a name")
}

/// Somebody whose certificate says so much.
fn known(principal: Principal, serial: Serial) -> Caller {
    let time = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
    let certificate = CertificateSummary {
        serial: identity::Serial(serial.0.to_vec()),
        sha256: Sha256([0; 32]),
        not_before: time,
        not_after: time,
        key: Vec::new(),
    };
    let consortium = ConsortiumName::parse("hospitals").expect("a name");
    Caller::Known(Arc::new(Identity { consortium, principal, certificate, chain: Vec::new() }))
}

/// A consortium with a partner in each state that has certificates, an operator and a client.
struct People {
    consortium: Consortium,
    serials: u8,
}

impl People {
    fn new() -> Self {
        let mut consortium = Consortium::default();
        consortium.apply(&Consortium::founding(Moment(0), AuthorityId([1; 32])));
        Self { consortium, serials: 0 }
    }

    fn enrol(&mut self, holder: Holder, admission: Admission) -> Caller {
        self.serials += 1;
        let number = self.serials;
        let (id, secret) = (InvitationId([number; 16]), SecretDigest::of(&[number]));
        let worker = matches!(holder, Holder::Partner(_)).then_some(WorkerId([number; 16]));
        let invite = Invite { id, secret: secret.clone(), holder, ttl: 60, uses: 1, max_workers: None, admission };
        self.consortium.apply(&self.consortium.invite(Moment(0), &invite).expect("it is invited"));
        let enrol = Enrol { invitation: id, secret, key: KeyId([number; 32]), worker };
        let permit = self.consortium.enrol(Moment(0), &enrol).expect("it is enrolled");
        let (principal, serial) = (permit.principal.clone(), Serial([number; 20]));
        let issued = Issued { serial, authority: AuthorityId([1; 32]), not_after: FOREVER };
        self.consortium.apply(&self.consortium.certified(permit, issued).expect("a new number"));
        known(principal, serial)
    }

    fn rule(&mut self, name: &str, ruling: Ruling) {
        self.consortium.apply(&self.consortium.rule(&partner(name), ruling, "a test").expect("it may be"));
    }

    fn layer(self) -> AccessLayer {
        AccessLayer::new(Standing::of(self.consortium), Paces::new())
    }
}

/// Everybody, what they are, and the code that a call open to their role answers with; none if it is let through.
type Everybody = Vec<(Caller, Option<Role>, [Option<Code>; 2])>;

fn everybody() -> (AccessLayer, Everybody) {
    let mut people = People::new();
    let of = |name| Holder::Partner(partner(name));
    let operator = people.enrol(Holder::Operator(name("alice")), Admission::AtOnce);
    let client = people.enrol(Holder::Client(name("ward")), Admission::AtOnce);
    let active = people.enrol(of("active"), Admission::AtOnce);
    let pending = people.enrol(of("pending"), Admission::OnApproval);
    let suspended = people.enrol(of("suspended"), Admission::AtOnce);
    let removed = people.enrol(of("removed"), Admission::AtOnce);
    let revoked = people.enrol(of("revoked"), Admission::AtOnce);
    people.rule("suspended", Ruling::Suspend);
    people.rule("removed", Ruling::Remove);
    let (change, _) = people.consortium.revoke(Moment(1), &of("revoked"), None).expect("it is there");
    people.consortium.apply(&change);
    let Caller::Known(identity) = &active else { unreachable!("it has a certificate") };
    let serial = serial(&identity.certificate);
    let worker = Principal::Worker { partner: partner("active"), worker: WorkerId([99; 16]) };
    let both = |code| [Some(code), Some(code)];
    let everybody = vec![
        (Caller::Anonymous, Some(Role::Anonymous), [None, None]),
        (operator, Some(Role::Operator), [None, None]),
        (client, Some(Role::Client), [None, None]),
        (active, Some(Role::Partner), [None, None]),
        (pending, Some(Role::Partner), [None, Some(Code::PartnerPending)]),
        (suspended, Some(Role::Partner), [None, Some(Code::PartnerSuspended)]),
        (removed, Some(Role::Partner), both(Code::PartnerRemoved)),
        (revoked, Some(Role::Partner), both(Code::CertificateRevoked)),
        // The number of another's certificate, and of none.
        (known(worker.clone(), serial), Some(Role::Partner), both(Code::CertificateUnknown)),
        (known(worker, Serial([77; 20])), Some(Role::Partner), both(Code::CertificateUnknown)),
        (known(Principal::Operator(name("mallory")), serial), Some(Role::Operator), both(Code::CertificateUnknown)),
        (known(Principal::Coordinator, serial), None, [None, None]),
        (known(Principal::Log, serial), None, [None, None]),
    ];
    (people.layer(), everybody)
}

/// The path of every method of every service that is served.
fn methods() -> BTreeSet<String> {
    let sets = [
        crate::rpc::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = BTreeSet::new();
    for set in sets {
        for file in FileDescriptorSet::decode(set).expect("a descriptor set").file {
            for service in &file.service {
                let method = |method: &prost_types::MethodDescriptorProto| {
                    format!("/{}.{}/{}", file.package(), service.name(), method.name())
                };
                paths.extend(service.method.iter().map(method));
            }
        }
    }
    paths
}

#[test]
fn every_method_is_in_the_table_once_and_nothing_else_is() {
    let listed: Vec<String> = TABLE.iter().map(|access| access.path.to_owned()).collect();
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "a path is in the table twice");
    assert_eq!(unique, methods());
    assert!(unique.len() > 30);
}

#[test]
fn the_whole_matrix_of_callers_and_calls() {
    let (layer, everybody) = everybody();
    let mut let_through = 0;
    for access in TABLE {
        for (caller, role, answers) in &everybody {
            let found = layer.check(access.path, Some(caller)).map_err(|failure| failure.code);
            let is_open = role.is_some_and(|role| access.roles.contains(&role));
            let answer = match access.needs {
                Needs::Certificate => answers[0],
                Needs::Standing => answers[1],
            };
            let expected = match (is_open, answer) {
                (false, _) => Err(Code::RoleNotAllowed),
                (true, Some(code)) => Err(code),
                (true, None) => Ok(()),
            };
            assert_eq!(found, expected, "{} called by {caller:?}", access.path);
            let_through += usize::from(found.is_ok());
        }
        assert_eq!(layer.check(access.path, None).map_err(|failure| failure.code), Err(Code::RoleNotAllowed));
        assert_eq!(layer.check(access.path, Some(&Caller::Insecure)), Ok(()));
    }
    assert!(let_through > TABLE.len(), "honest calls are let through");
}

#[test]
fn what_is_not_in_the_table_is_open_to_nobody() {
    let (layer, everybody) = everybody();
    let paths =
        ["", "/", "/syngrad.v1.RunService", "/syngrad.v1.RunService/startrun", "/syngrad.v1.RunService/StartRun/"];
    for path in paths {
        for (caller, ..) in &everybody {
            let found = layer.check(path, Some(caller)).map_err(|failure| failure.code);
            assert_eq!(found, Err(Code::RoleNotAllowed), "{path:?} called by {caller:?}");
        }
    }
}

#[test]
fn what_an_operator_may_do_nobody_else_may() {
    for access in TABLE.iter().filter(|access| access.path.contains("PartnerService") || access.path.contains("Start"))
    {
        assert_eq!(access.roles, [Role::Operator], "{}", access.path);
    }
    let anonymous = TABLE.iter().filter(|access| access.roles.contains(&Role::Anonymous));
    let anonymous: Vec<_> = anonymous.map(|access| access.path).collect();
    assert_eq!(anonymous, ["/syngrad.v1.EnrolmentService/Enrol", "/grpc.health.v1.Health/Check"]);
}

/// A service that notes that it was reached.
#[derive(Clone)]
struct Reached(std::sync::Arc<std::sync::atomic::AtomicU32>);

impl tonic::codegen::Service<Request<Body>> for Reached {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response<Body>, std::convert::Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::ready(Ok(Response::new(Body::default())))
    }
}

#[tokio::test]
async fn a_refused_call_never_reaches_a_service_and_says_why() {
    let (layer, everybody) = everybody();
    let reached = Reached(std::sync::Arc::default());
    let mut guarded = layer.layer(reached.clone());
    let mut call = |caller: &Caller| {
        let mut request = Request::new(Body::new(NeverRead));
        *request.uri_mut() = "/syngrad.v1.RunService/StartRun".parse().expect("a path");
        request.extensions_mut().insert(caller.clone());
        guarded.call(request)
    };
    for (caller, ..) in &everybody {
        let answer = call(caller).await.expect("it answers");
        let refused = status::of_headers(answer.headers()).map(|failure| failure.code);
        let expected = match caller {
            Caller::Known(identity) => match &identity.principal {
                Principal::Operator(found) if *found == name("alice") => None,
                Principal::Operator(_) => Some(Code::CertificateUnknown),
                Principal::Coordinator | Principal::Log | Principal::Worker { .. } | Principal::Client(_) => {
                    Some(Code::RoleNotAllowed)
                }
            },
            Caller::Insecure | Caller::Anonymous => Some(Code::RoleNotAllowed),
        };
        assert_eq!(refused, expected, "{caller:?}");
    }
    assert_eq!(reached.0.load(std::sync::atomic::Ordering::Relaxed), 1, "the operator alone");
}

/// A body that nobody may ask for anything.
struct NeverRead;

impl http_body::Body for NeverRead {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>>> {
        unreachable!("the body of a call is read by its service only")
    }
}
