//! `syngrad.v1.EnrolmentService`: from a ticket to credentials, and from credentials to newer ones.

use syngrad_common::wire::{self, WireError};
use syngrad_common::{Code, Failure, status};
use syngrad_engine::consortium::SecretDigest;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::enrolment_service_server::EnrolmentService;
use tonic::{Request, Response, Status};

use super::{Governed, known};
use crate::access::Caller;
use crate::governance::Shown;

/// See the module.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) governed: Governed,
}

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        if let Some(Caller::Insecure) = request.extensions().get::<Caller>() {
            let why = "this connection is not protected, and a ticket's secret is not to be said on it";
            return Err(status::of(&Failure::new(Code::NoConsortium, why)));
        }
        let enrol = wire::Enrol::try_from(request.into_inner()).map_err(refused)?;
        let wire::Enrol { invitation, secret, request, worker, build } = enrol;
        let secret = SecretDigest(secret.hashed());
        let shown = Shown { invitation, secret, request, worker, build };
        let grant = self.governed.ask(move |office| office.enrol(shown)).await?;
        Ok(Response::new(v1::EnrolResponse { credentials: Some((&grant).into()) }))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let (principal, serial) = known(&request)?;
        let request = wire::renewal(request.get_ref()).map_err(refused)?;
        let grant = self.governed.ask(move |office| office.renew(&principal, serial, &request)).await?;
        Ok(Response::new(v1::RenewResponse { credentials: Some((&grant).into()) }))
    }
}

fn refused(error: WireError) -> Status {
    status::of(&error.into())
}
