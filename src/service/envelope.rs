//! What surrounds every call, whatever its method: arrival time and deadline, span and log line, and
//! a guard that turns a panic into INTERNAL.
//!
//! The deadline is enforced here because tonic bounds only the time to the response head; a stream
//! would outlive it for ever.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::call::Call;
use super::leaving::{self, Leaving, is_endless};
use super::orca::LoadMeter;
use super::{error, trace};
use crate::telemetry::Telemetry;

/// Wraps all services of the server.
#[derive(Debug, Clone)]
pub(super) struct EnvelopeLayer {
    /// Ends every open call when the drain limit is reached.
    pub(super) cut: CancellationToken,
    /// Ends, soon, the streams that would go on for ever and lose nothing: watches, reports, reflection.
    pub(super) leaving: CancellationToken,
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
        let watched = Watched::new(call, self.cut.clone(), leaving);
        Head { inner: Box::pin(self.inner.call(request)), watched: Some(watched) }
    }
}

/// A call that may have to stop before it is done. Dropping this ends the call, whatever came of it.
struct Watched {
    call: Arc<Call>,
    deadline: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// None where the call comes to its own end.
    leaving: Option<Leaving>,
}

impl Watched {
    fn new(call: Arc<Call>, cut: CancellationToken, leaving: Option<CancellationToken>) -> Self {
        let deadline =
            call.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
        let leaving = leaving.map(leaving::soon_after);
        Self { call, deadline, cut: Box::pin(cut.cancelled_owned()), leaving }
    }

    /// Runs `poll` inside the span; a panic becomes a status.
    fn guard<T>(&self, poll: impl FnOnce() -> T) -> Result<T, Status> {
        let _entered = self.call.span.enter();
        // What the panic left half done is dropped with the call and never looked at.
        catch_unwind(AssertUnwindSafe(poll)).map_err(|panic| {
            tracing::error!(panic = panic_message(&*panic), "a handler panicked");
            let status = error::panicked();
            self.call.stopping(status.code());
            status
        })
    }

    /// Ready when the call has to stop, with the status it ends with.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let passed =
            self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        let status = if passed {
            error::deadline(self.call.phase())
        } else if self.cut.as_mut().poll(cx).is_ready() {
            error::drain_timeout()
        } else if self.leaving.as_mut().is_some_and(|leaving| leaving.as_mut().poll(cx).is_ready())
        {
            Status::ok("the server leaves")
        } else {
            return Poll::Pending;
        };
        self.call.stopping(status.code());
        Poll::Ready(status)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.call.finish_dropped();
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}

/// The future of the response head.
pub(super) struct Head<F> {
    inner: Pin<Box<F>>,
    /// Taken when the head is there; the body watches from then on.
    watched: Option<Watched>,
}

impl<F, E> Future for Head<F>
where
    F: Future<Output = Result<http::Response<Body>, E>>,
{
    type Output = Result<http::Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, watched } = &mut *self;
        let Some(mut watching) = watched.take() else { return Poll::Pending };
        let ended = match watching.guard(|| inner.as_mut().poll(cx)) {
            Ok(Poll::Ready(response)) => {
                return Poll::Ready(response.map(|response| envelop(response, watching)));
            }
            Ok(Poll::Pending) => match watching.poll_stop(cx) {
                Poll::Ready(status) => status,
                Poll::Pending => {
                    *watched = Some(watching);
                    return Poll::Pending;
                }
            },
            Err(status) => status,
        };
        watching.call.finish(&ended);
        let mut response = ended.into_http();
        watching.call.report_load(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

/// Metadata that says which trace a call is in.
const TRACE_KEY: http::HeaderName = http::HeaderName::from_static("traceresponse");

/// Puts the watch on the body, unless the head already holds the status (trailers-only).
fn envelop(mut response: http::Response<Body>, watched: Watched) -> http::Response<Body> {
    if let Some(mut status) = Status::from_header_map(response.headers()) {
        if status.code() == Code::Internal && watched.call.ended_early() {
            // Nobody's failure but the caller's, who has most likely left.
            status = Status::cancelled("the call ended before its message");
            response = status.clone().into_http();
        }
        put_trace(&watched, &mut response);
        watched.call.finish(&status);
        watched.call.report_load(response.headers_mut());
        return response;
    }
    put_trace(&watched, &mut response);
    response.map(|inner| Body::new(WatchedBody { inner: Some(inner), watched }))
}

fn put_trace(watched: &Watched, response: &mut http::Response<Body>) {
    if let Some(header) = trace::response_header(&watched.call.span) {
        response.headers_mut().insert(TRACE_KEY, header);
    }
}

/// A response body that ends with a status when its call has to stop.
struct WatchedBody {
    /// None after the end. Dropping it drops the handler's stream, which cancels the work.
    inner: Option<Body>,
    watched: Watched,
}

impl WatchedBody {
    /// The last frame of a call that is stopped.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.inner = None;
        self.watched.call.finish(status);
        let mut trailers = http::HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            // Only a message or detail that is no header value fails; the code alone is one.
            trailers.clear();
            trailers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
        }
        self.watched.call.report_load(&mut trailers);
        Frame::trailers(trailers)
    }

    /// Ends the call where its own frames say so.
    fn observe(&self, frame: Option<&Result<Frame<Bytes>, Status>>) {
        match frame {
            Some(Ok(frame)) => {
                if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) {
                    self.watched.call.finish(&status);
                }
            }
            Some(Err(status)) => self.watched.call.finish(status),
            None => {}
        }
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { inner, watched } = &mut *self;
        let Some(body) = inner else { return Poll::Ready(None) };
        let ended = match watched.guard(|| Pin::new(body).poll_frame(cx)) {
            Ok(Poll::Ready(mut frame)) => {
                self.observe(frame.as_ref());
                if let Some(Ok(frame)) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    self.watched.call.report_load(trailers);
                }
                return Poll::Ready(frame);
            }
            Ok(Poll::Pending) => match watched.poll_stop(cx) {
                Poll::Ready(status) => status,
                Poll::Pending => return Poll::Pending,
            },
            Err(status) => status,
        };
        Poll::Ready(Some(Ok(self.end(&ended))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

#[cfg(test)]
mod tests;
