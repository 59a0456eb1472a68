//! What surrounds every call, whatever its method: arrival time and deadline, span and log line, and
//! a guard that turns a panic into INTERNAL.
//!
//! The deadline is enforced here, and by `watched` once there is a body, because tonic bounds only the time to the
//! response head; a stream would outlive it for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::call::Call;
use super::error;
use super::leaving::{self, is_endless};
use super::orca::LoadMeter;
use super::trace;
use super::watched::{self, Guarded, Stop};
use crate::telemetry::Telemetry;

/// Wraps all services of the server.
#[derive(Debug, Clone)]
pub(super) struct EnvelopeLayer {
    /// Ends every open call when the drain limit is reached.
    pub(super) cut: CancellationToken,
    /// Ends, soon, the streams that would go on for ever and lose nothing: watches, reports, reflection.
    pub(super) leaving: CancellationToken,
    /// How long a response may wait for its reader.
    pub(super) unread_max: Duration,
    pub(super) telemetry: Telemetry,
    pub(super) load: Arc<LoadMeter>,
}

impl<S> Layer<S> for EnvelopeLayer {
    type Service = Envelope<S>;

    fn layer(&self, inner: S) -> Envelope<S> {
        Envelope {
            inner,
            cut: self.cut.clone(),
            leaving: self.leaving.clone(),
            unread_max: self.unread_max,
            telemetry: self.telemetry.clone(),
            load: Arc::clone(&self.load),
        }
    }
}

/// See [`EnvelopeLayer`].
#[derive(Debug, Clone)]
pub(super) struct Envelope<S> {
    inner: S,
    cut: CancellationToken,
    leaving: CancellationToken,
    unread_max: Duration,
    telemetry: Telemetry,
    load: Arc<LoadMeter>,
}

impl<S> Service<http::Request<Body>> for Envelope<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Head<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let call = Arc::new(Call::begin(
            &request,
            Instant::now(),
            &self.telemetry,
            Some(Arc::clone(&self.load)),
        ));
        request.extensions_mut().insert(Arc::clone(&call));
        let leaving = is_endless(request.uri().path()).then(|| self.leaving.clone());
        if let Some(leaving) = &leaving {
            request = request.map(|body| leaving::questions(body, leaving.clone()));
        }
        let stop = watched::stop(Arc::clone(&call), self.cut.clone(), leaving);
        let running = Running { guarded: Guarded { call }, stop, unread_max: self.unread_max };
        Head { inner: Box::pin(self.inner.call(request)), running: Some(running) }
    }
}

/// The future of the response head.
pub(super) struct Head<F> {
    inner: Pin<Box<F>>,
    /// Taken when the head is there; what is left of it goes with the body.
    running: Option<Running>,
}

/// A call that may have to stop before it is done.
struct Running {
    guarded: Guarded,
    stop: Stop,
    unread_max: Duration,
}

impl<F, E> Future for Head<F>
where
    F: Future<Output = Result<http::Response<Body>, E>>,
{
    type Output = Result<http::Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, running } = &mut *self;
        let Some(mut call) = running.take() else { return Poll::Pending };
        let ended = match call.guarded.guard(|| inner.as_mut().poll(cx)) {
            Ok(Poll::Ready(response)) => {
                return Poll::Ready(response.map(|response| envelop(response, call)));
            }
            Ok(Poll::Pending) => match call.stop.as_mut().poll(cx) {
                Poll::Ready(status) => status,
                Poll::Pending => {
                    *running = Some(call);
                    return Poll::Pending;
                }
            },
            Err(status) => status,
        };
        let call = &call.guarded.call;
        call.stopping(&ended);
        Poll::Ready(Ok(trailers_only(call, &ended, ended.clone().into_http())))
    }
}

/// Metadata that says which trace a call is in.
const TRACE_KEY: http::HeaderName = http::HeaderName::from_static("traceresponse");

/// Puts the watch on the body, unless the head already holds the status.
fn envelop(mut response: http::Response<Body>, running: Running) -> http::Response<Body> {
    let Running { guarded, stop, unread_max } = running;
    let call = &guarded.call;
    if let Some(mut status) = Status::from_header_map(response.headers()) {
        if status.code() == Code::Internal && call.ended_early() {
            // Nobody's failure but the caller's, who has most likely left.
            status = Status::cancelled("the call ended before its message");
            response = status.clone().into_http();
        } else if status.details().is_empty() && status.code() != Code::Ok {
            status = error::explained(status);
            response = status.clone().into_http();
        }
        return trailers_only(call, &status, response);
    }
    put_trace(call, &mut response);
    response.map(|body| watched::watched(body, guarded, stop, unread_max))
}

/// Ends `call` with its head, which has all that trailers would.
fn trailers_only(
    call: &Call,
    status: &Status,
    mut response: http::Response<Body>,
) -> http::Response<Body> {
    put_trace(call, &mut response);
    call.finish(status);
    call.report_load(response.headers_mut());
    response
}

fn put_trace(call: &Call, response: &mut http::Response<Body>) {
    if let Some(header) = trace::response_header(&call.span) {
        response.headers_mut().insert(TRACE_KEY, header);
    }
}

#[cfg(test)]
mod tests;
