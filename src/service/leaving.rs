//! Streams that go on until somebody ends them, and lose nothing by it: watches, load reports, reflection. When
//! the server leaves it ends both of their sides itself. The client's side too, because a handler that waits for
//! its next question would keep the connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

/// How long they may go on: enough for a last message.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Ready when such a stream has to end.
pub(super) type Leaving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A request body that ends when the server leaves.
struct Questions {
    inner: Body,
    leaving: Leaving,
}

/// Whether calls of the method at `path` go on until somebody ends them.
pub(super) fn is_endless(path: &str) -> bool {
    path.starts_with("/grpc.") || path.starts_with("/xds.") || path.ends_with("/WatchModelInfo")
}

pub(super) fn soon_after(leaving: CancellationToken) -> Leaving {
    Box::pin(async move {
        leaving.cancelled().await;
        tokio::time::sleep(LAST_WORD).await;
    })
}

/// `body` until the server leaves.
pub(super) fn questions(body: Body, leaving: CancellationToken) -> Body {
    Body::new(Questions { inner: body, leaving: soon_after(leaving) })
}

impl HttpBody for Questions {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_pending() && self.leaving.as_mut().poll(cx).is_ready() {
            self.inner = Body::empty();
            return Poll::Ready(None);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
