//! The caller's deadline. tonic's own layer answers CANCELLED when it passes; the protocol says DEADLINE_EXCEEDED.

use std::future::{self, Future};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use syngrad_common::{Code, Failure, status};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::server::NamedService;

/// How much earlier than the caller we give up, so that the answer still reaches it, and before tonic's layer, which
/// wraps this one and counts in whole milliseconds.
const MARGIN: Duration = Duration::from_millis(2);

/// Where a call's deadline is, as time from now.
const GRPC_TIMEOUT_HEADER: &str = "grpc-timeout";

/// The longest number that the header may hold, in digits.
const MAX_DIGITS: usize = 8;

/// A unary service whose calls end at the deadline in their `grpc-timeout` header.
#[derive(Clone, Debug)]
pub(super) struct Deadline<S> {
    inner: S,
}

impl<S> Deadline<S> {
    /// Holds `inner` to its callers' deadlines.
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: NamedService> NamedService for Deadline<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match timeout(request.headers()) {
            Err(text) => Box::pin(future::ready(Ok(malformed(&text).into_http()))),
            Ok(None) => Box::pin(self.inner.call(request)),
            // Nothing could be answered in time, so nothing is begun.
            Ok(Some(timeout)) if timeout <= MARGIN => Box::pin(future::ready(Ok(expired(timeout).into_http()))),
            Ok(Some(timeout)) => {
                let answer = tokio::time::timeout(timeout - MARGIN, self.inner.call(request));
                Box::pin(async move { answer.await.unwrap_or_else(|_| Ok(expired(timeout).into_http())) })
            }
        }
    }
}

fn expired(timeout: Duration) -> Status {
    let message = format!("no answer within the caller's deadline of {timeout:?}");
    status::of(&Failure::new(Code::DeadlineExceeded, message))
}

fn malformed(text: &str) -> Status {
    let message =
        format!("header grpc-timeout is {text:?}; expected up to {MAX_DIGITS} digits and one of H, M, S, m, u, n");
    status::of(&Failure::new(Code::BadMessage, message))
}

/// The deadline in `headers` as time from now: at most eight digits and a unit, as gRPC over HTTP/2 has it. The error is
/// the header's text.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let Some(value) = headers.get(GRPC_TIMEOUT_HEADER) else { return Ok(None) };
    let malformed = || String::from_utf8_lossy(value.as_bytes()).into_owned();
    let (digits, unit) =
        value.to_str().ok().and_then(|text| text.split_at_checked(text.len().max(1) - 1)).ok_or_else(malformed)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(malformed());
    }
    let number: u64 = digits.parse().map_err(|_| malformed())?;
    match unit {
        "H" => Ok(Some(Duration::from_secs(number * 3600))),
        "M" => Ok(Some(Duration::from_secs(number * 60))),
        "S" => Ok(Some(Duration::from_secs(number))),
        "m" => Ok(Some(Duration::from_millis(number))),
        "u" => Ok(Some(Duration::from_micros(number))),
        "n" => Ok(Some(Duration::from_nanos(number))),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Duration>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT_HEADER, text.parse().expect("a header"));
        timeout(&headers)
    }

    #[test]
    fn a_deadline_is_a_number_and_a_unit() {
        assert_eq!(timeout(&HeaderMap::new()), Ok(None));
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("0S", Duration::ZERO),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("8n", Duration::from_nanos(8)),
        ] {
            assert_eq!(of(text), Ok(Some(expected)), "{text}");
        }
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", " 1S", "1 S"] {
            assert_eq!(of(bad), Err(bad.to_owned()), "{bad:?} must be refused");
        }
    }
}
