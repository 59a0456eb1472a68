//! Streams that go on until somebody ends them, and lose nothing by it: watches, load reports, reflection. When
//! the server leaves it ends both of their sides itself. The client's side too, because a handler that waits for
//! its next question would keep the connection.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use http_body::Body as _;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::body;

/// How long they may go on: enough for a last message.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Ready when such a stream has to end.
pub(super) type Leaving = Pin<Box<dyn Future<Output = ()> + Send>>;

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

/// A request's `body` until the server leaves.
pub(super) fn questions(body: Body, leaving: CancellationToken) -> Body {
    let mut leaving = soon_after(leaving);
    body::through(body, move |inner, cx| {
        let polled = Pin::new(&mut *inner).poll_frame(cx);
        if polled.is_pending() && leaving.as_mut().poll(cx).is_ready() {
            *inner = Body::empty();
            return Poll::Ready(None);
        }
        polled
    })
}
