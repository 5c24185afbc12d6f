//! The table, enforced.

use std::convert::Infallible;
use std::future::{self, Future};
use std::pin::Pin;
use std::task::{Context, Poll};

use syngrad_common::{Code, Failure, status};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};

use super::{Caller, Needs, Paces, access, partner, role, serial};
use crate::governance::Standing;

/// Wraps a server's services.
#[derive(Clone, Debug)]
pub(crate) struct AccessLayer {
    standing: Standing,
    paces: Paces,
}

impl AccessLayer {
    pub(crate) fn new(standing: Standing, paces: Paces) -> Self {
        Self { standing, paces }
    }

    /// Wraps a service.
    pub(crate) fn layer<S>(&self, inner: S) -> Guarded<S> {
        Guarded { layer: self.clone(), inner }
    }

    /// Whether the call at `path` is open to `caller` now.
    pub(super) fn check(&self, path: &str, caller: Option<&Caller>) -> Result<(), Failure> {
        // A request without a caller came by no transport of ours.
        let caller = caller.ok_or_else(|| Failure::new(Code::RoleNotAllowed, "nobody says who makes this call"))?;
        let known = access(path);
        if *caller == Caller::Insecure {
            // The service itself says that it does not know the call.
            return Ok(());
        }
        let access = known.ok_or_else(|| {
            let path: String = path.chars().take(MAX_SHOWN).collect();
            Failure::new(Code::RoleNotAllowed, format!("the call {path} is open to nobody here"))
        })?;
        if role(caller).is_none_or(|role| !access.roles.contains(&role)) {
            let whom = match caller {
                Caller::Insecure | Caller::Anonymous => "who has no certificate".to_owned(),
                Caller::Known(identity) => identity.principal.to_string(),
            };
            return Err(Failure::new(Code::RoleNotAllowed, format!("the call {path} is not open to {whom}")));
        }
        if let Caller::Known(identity) = caller {
            let (principal, serial) = (&identity.principal, serial(&identity.certificate));
            let standing = match access.needs {
                Needs::Certificate => self.standing.known(principal, serial),
                Needs::Standing => self.standing.standing(principal, serial),
            };
            standing.map_err(|why| Failure::from(&why))?;
        }
        match partner(caller) {
            Some(partner) => self.paces.request(Instant::now(), partner),
            None => Ok(()),
        }
    }
}

/// Characters of an unknown path that are said back.
const MAX_SHOWN: usize = 200;

/// See [`AccessLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Guarded<S> {
    layer: AccessLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.layer.check(request.uri().path(), request.extensions().get::<Caller>()) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(failure) => {
                tracing::debug!(code = %failure.code, why = %failure, "a call was refused");
                Box::pin(future::ready(Ok(status::of(&failure).into_http())))
            }
        }
    }
}
