//! Bodies that are looked at, or ended, while they pass.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// What a body has to give when it is asked.
pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// A body that is asked through `poll`.
struct Through<P> {
    inner: Body,
    poll: P,
}

/// `body`, each frame of which is asked for by `poll`. What it says of its end and its size stays as it was.
pub(super) fn through<P>(body: Body, poll: P) -> Body
where
    P: FnMut(&mut Body, &mut Context<'_>) -> Polled + Send + Unpin + 'static,
{
    Body::new(Through { inner: body, poll })
}

impl<P> HttpBody for Through<P>
where
    P: FnMut(&mut Body, &mut Context<'_>) -> Polled + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let Self { inner, poll } = &mut *self;
        poll(inner, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
