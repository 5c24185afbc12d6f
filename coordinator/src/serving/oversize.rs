//! A message over the decode limit. tonic answers OUT_OF_RANGE; clients of the protocol know RESOURCE_EXHAUSTED, which is
//! what gRPC's other implementations say.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::{Code, Failure, status};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::server::NamedService;

/// A service that never says OUT_OF_RANGE of its own accord, so that the code can only be tonic's.
#[derive(Clone, Debug)]
pub(super) struct Oversize<S> {
    inner: S,
}

impl<S> Oversize<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: NamedService> NamedService for Oversize<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Oversize<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map(renamed) })
    }
}

fn renamed(answer: Response<Body>) -> Response<Body> {
    let out_of_range = HeaderValue::from(i32::from(tonic::Code::OutOfRange));
    match answer.headers().get("grpc-status") {
        Some(found) if *found == out_of_range => {
            let message = format!("the request is larger than {MAX_MESSAGE} bytes; send the batch in parts");
            status::of(&Failure::new(Code::PayloadTooLarge, message)).into_http()
        }
        Some(_) | None => answer,
    }
}
