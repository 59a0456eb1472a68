//! What ends a call that does not come to its own end: its deadline, the end of the drain, a server that
//! leaves, a reader that reads nothing, a handler that panics.
//!
//! A body is asked for a frame only when its reader has room for one, and a reader may never have. So each open
//! body has a task beside it, which ends the call when it is time, whether anybody asks or not: what the call
//! held is free then, and the frame that says why waits for a reader.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::body::Body;

use super::body::Polled;
use super::call::Call;
use super::{error, leaving};

/// Ready when a call has to stop, with the status it ends with.
pub(super) type Stop = Pin<Box<dyn Future<Output = Status> + Send>>;

/// A call whose handler runs. Dropping this ends the call, whatever came of it.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) call: Arc<Call>,
}

/// A response body that ends with a status when its call has to stop.
struct Watched {
    open: Arc<Mutex<Open>>,
    /// None after the end.
    watch: Option<AbortOnDropHandle<()>>,
    guarded: Guarded,
}

/// What a body and the task beside it share.
#[derive(Debug)]
struct Open {
    /// None after the end. Dropping it drops the handler's stream, which cancels the work.
    body: Option<Body>,
    /// How the task ended the call, until a reader is told.
    ended: Option<Status>,
    /// When a frame was handed out, and none was asked for since.
    unread_since: Option<Instant>,
    /// Who waits for a frame.
    waker: Option<Waker>,
}

/// When `call` has to stop, where the server may be `cut` off or, for a call without an end, is `leaving`.
pub(super) fn stop(
    call: Arc<Call>,
    cut: CancellationToken,
    leaving: Option<CancellationToken>,
) -> Stop {
    Box::pin(async move {
        let deadline = async {
            match call.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let leaving = async {
            match leaving {
                Some(leaving) => leaving::soon_after(leaving).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = deadline => error::deadline(call.phase()),
            () = cut.cancelled() => error::drain_timeout(),
            () = leaving => Status::ok("the server leaves"),
        }
    })
}

/// `body` until `stop`, or until a frame of it waits for longer than `unread_max`.
pub(super) fn watched(body: Body, guarded: Guarded, stop: Stop, unread_max: Duration) -> Body {
    let open = Open { body: Some(body), ended: None, unread_since: None, waker: None };
    let open = Arc::new(Mutex::new(open));
    let (shared, call) = (Arc::clone(&open), Arc::clone(&guarded.call));
    let watch = tokio::spawn(async move {
        let status = tokio::select! {
            biased;
            status = stop => status,
            waited = unread(&shared, unread_max) => error::unread(waited),
        };
        end(&shared, &call, status);
    });
    Body::new(Watched { open, watch: Some(AbortOnDropHandle::new(watch)), guarded })
}

/// Ready when a frame has waited for `longest`, with how long it did.
async fn unread(open: &Mutex<Open>, longest: Duration) -> Duration {
    loop {
        let waited = lock(open).unread_since.map_or(Duration::ZERO, |since| since.elapsed());
        if waited >= longest {
            return waited;
        }
        tokio::time::sleep(longest.saturating_sub(waited)).await;
    }
}

/// Ends a call in the name of nobody who asks, unless it has ended.
fn end(open: &Mutex<Open>, call: &Call, status: Status) {
    let (body, waker) = {
        let mut open = lock(open);
        let Some(body) = open.body.take() else { return };
        call.stopping(&status);
        open.ended = Some(status.clone());
        (body, open.waker.take())
    };
    drop(body);
    call.finish(&status);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Guarded ===

impl Guarded {
    /// Runs `poll` inside the span; a panic becomes a status.
    pub(super) fn guard<T>(&self, poll: impl FnOnce() -> T) -> Result<T, Status> {
        let _entered = self.call.span.enter();
        // What the panic left half done is dropped with the call and never looked at.
        catch_unwind(AssertUnwindSafe(poll)).map_err(|panic| {
            tracing::error!(panic = panic_message(&*panic), "a handler panicked");
            let status = error::panicked();
            self.call.stopping(&status);
            status
        })
    }

    /// Ends the call where its own frames say so; whether they do.
    fn observe(&self, frame: &mut Option<Result<Frame<Bytes>, Status>>) -> bool {
        match frame {
            Some(Ok(frame)) => {
                let Some(trailers) = frame.trailers_mut() else { return false };
                if let Some(status) = Status::from_header_map(trailers) {
                    self.call.finish(&status);
                }
                self.call.report_load(trailers);
                true
            }
            Some(Err(status)) => {
                self.call.finish(status);
                true
            }
            None => true,
        }
    }

    /// That of a call that is stopped.
    fn last_frame(&self, status: &Status) -> Frame<Bytes> {
        self.call.finish(status);
        let mut trailers = http::HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            // Only a message or detail that is no header value fails; the code alone is one.
            trailers.clear();
            trailers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
        }
        self.call.report_load(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl Drop for Guarded {
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

// === impl Watched ===

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let Self { open, watch, guarded } = &mut *self;
        let mut open = lock(open);
        open.unread_since = None;
        if let Some(status) = open.ended.take() {
            return Poll::Ready(Some(Ok(guarded.last_frame(&status))));
        }
        let Some(body) = &mut open.body else { return Poll::Ready(None) };
        let status = match guarded.guard(|| Pin::new(body).poll_frame(cx)) {
            Ok(Poll::Ready(mut frame)) => {
                if guarded.observe(&mut frame) {
                    open.body = None;
                    *watch = None;
                } else {
                    open.unread_since = Some(Instant::now());
                }
                return Poll::Ready(frame);
            }
            Ok(Poll::Pending) => {
                open.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Err(status) => status,
        };
        open.body = None;
        *watch = None;
        Poll::Ready(Some(Ok(guarded.last_frame(&status))))
    }

    fn is_end_stream(&self) -> bool {
        let open = lock(&self.open);
        open.ended.is_none() && open.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Before the call ends: the work is cancelled first. The task may hold on to it a moment longer.
        let body = lock(&self.open).body.take();
        drop(body);
    }
}

#[cfg(test)]
mod tests;
