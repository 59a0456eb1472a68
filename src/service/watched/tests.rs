//! Bodies that are not asked for frames, and those that wait for their handler.

use std::sync::atomic::{AtomicBool, Ordering};

use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::telemetry::Telemetry;

/// Far above what is needed: only a bug meets it.
const SOON: Duration = Duration::from_secs(20);

/// Far below what a call without a reason to end is watched for here.
const UNREAD_MAX: Duration = Duration::from_millis(40);

/// A handler's body: so many frames, and then none for ever.
struct Handler {
    frames: usize,
    dropped: Arc<AtomicBool>,
}

impl HttpBody for Handler {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
        if self.frames == 0 {
            return Poll::Pending;
        }
        self.frames -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"frame")))))
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
    }
}

/// An open call.
struct Open {
    body: Body,
    dropped: Arc<AtomicBool>,
    telemetry: Telemetry,
    cut: CancellationToken,
}

impl Open {
    fn new(frames: usize, timeout: Option<&str>, unread_max: Duration) -> Self {
        let telemetry = Telemetry::keeping_metrics();
        let mut request = http::Request::builder().uri("/tessera.v1.ExtractionService/Extract");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let request = request.body(()).unwrap();
        let call = Arc::new(Call::begin(&request, std::time::Instant::now(), &telemetry, None));
        let (cut, dropped) = (CancellationToken::new(), Arc::<AtomicBool>::default());
        let handler = Body::new(Handler { frames, dropped: Arc::clone(&dropped) });
        let stop = stop(Arc::clone(&call), cut.clone(), None);
        let body = watched(handler, Guarded { call }, stop, unread_max);
        Self { body, dropped, telemetry, cut }
    }

    async fn frame(&mut self) -> Option<Frame<Bytes>> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
        tokio::time::timeout(SOON, frame).await.unwrap().map(Result::unwrap)
    }

    /// Waits until the call has ended, which nobody asks for: the codes that were counted.
    async fn ended(&self) -> Vec<String> {
        let counted = || -> Vec<String> {
            let text = self.telemetry.metrics().prometheus();
            let of_calls =
                |line: &&str| line.starts_with("rpc_server_call_duration_seconds_count{");
            text.lines().filter(of_calls).map(str::to_owned).collect()
        };
        let ended = async {
            while !self.dropped.load(Ordering::Relaxed) || counted().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(SOON, ended).await.expect("the call ends");
        counted()
    }

    /// What a reader is told that comes late, and nothing after it.
    async fn late(mut self) -> Status {
        assert!(!self.body.is_end_stream());
        let trailers = self.frame().await.unwrap().into_trailers().unwrap();
        assert!(self.frame().await.is_none());
        assert!(self.body.is_end_stream());
        Status::from_header_map(&trailers).unwrap()
    }
}

#[tokio::test]
async fn a_frame_that_nobody_follows_up_ends_the_call() {
    let mut open = Open::new(2, None, UNREAD_MAX);
    assert!(open.frame().await.unwrap().is_data());
    let counted = open.ended().await;
    assert!(counted.len() == 1 && counted[0].contains("RESOURCE_EXHAUSTED"), "{counted:?}");
    let status = open.late().await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "SLOW_CLIENT");
    assert!(info.metadata["waited_ms"].parse::<u128>().unwrap() >= UNREAD_MAX.as_millis());
}

#[tokio::test]
async fn the_deadline_ends_a_call_that_nobody_reads() {
    for frames_read in [0, 1] {
        let mut open = Open::new(2, Some("50m"), SOON);
        for _ in 0..frames_read {
            assert!(open.frame().await.unwrap().is_data());
        }
        let counted = open.ended().await;
        assert!(counted.len() == 1 && counted[0].contains("DEADLINE_EXCEEDED"), "{counted:?}");
        assert_eq!(open.late().await.code(), Code::DeadlineExceeded);
    }
}

#[tokio::test]
async fn the_end_of_the_drain_ends_a_call_that_nobody_reads() {
    let mut open = Open::new(2, None, SOON);
    assert!(open.frame().await.unwrap().is_data());
    open.cut.cancel();
    let counted = open.ended().await;
    assert!(counted.len() == 1 && counted[0].contains("UNAVAILABLE"), "{counted:?}");
    assert_eq!(open.late().await.get_details_error_info().unwrap().reason, "DRAIN_TIMEOUT");
}

#[tokio::test]
async fn a_reader_that_waits_for_the_handler_is_not_slow() {
    let mut open = Open::new(1, None, UNREAD_MAX);
    assert!(open.frame().await.unwrap().is_data());
    let waits = std::future::poll_fn(|cx| Pin::new(&mut open.body).poll_frame(cx));
    assert!(tokio::time::timeout(5 * UNREAD_MAX, waits).await.is_err());
    assert!(!open.dropped.load(Ordering::Relaxed));
    // Left by its reader the work ends at once.
    let Open { body, dropped, .. } = open;
    drop(body);
    assert!(dropped.load(Ordering::Relaxed));
}
