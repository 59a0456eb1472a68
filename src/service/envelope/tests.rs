//! Calls that panic, hang or are cut, each before and after the response head.

use std::convert::Infallible;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;

/// What a handler does, before the head or in the body.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Hang,
    Panic,
    Finish,
}

#[derive(Debug, Clone, Copy)]
struct Handler {
    head: Deed,
    body: Deed,
}

struct DeedBody(Deed);

impl HttpBody for DeedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0 {
            Deed::Hang => Poll::Pending,
            Deed::Panic => panic!("a body with customer data"),
            Deed::Finish => Poll::Ready(None),
        }
    }
}

impl Service<http::Request<Body>> for Handler {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let Self { head, body } = *self;
        Box::pin(async move {
            match head {
                Deed::Hang => std::future::pending().await,
                Deed::Panic => panic!("a head with customer data"),
                Deed::Finish => Ok(http::Response::new(Body::new(DeedBody(body)))),
            }
        })
    }
}

/// Of an engine that never loads a model.
fn load() -> Arc<LoadMeter> {
    let engine = crate::engine::Handle::start(crate::engine::Config::default(), |_| {
        Err("there is no model here".into())
    });
    Arc::new(LoadMeter::new(engine))
}

/// The status that a call ends with, and whether it came in the head.
async fn outcome(
    handler: Handler,
    timeout: Option<&str>,
    cut: &CancellationToken,
) -> (Status, bool) {
    let mut service = EnvelopeLayer {
        cut: cut.clone(),
        leaving: CancellationToken::new(),
        unread_max: Duration::from_mins(1),
        telemetry: Telemetry::default(),
        load: load(),
    }
    .layer(handler);
    let mut request = http::Request::builder().uri("/tessera.v1.ExtractionService/Extract");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = service.call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return (status, true);
    }
    let mut body = response.into_body();
    let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
    let end = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    assert!(end.is_none(), "nothing follows the trailers");
    (Status::from_header_map(&trailers).unwrap(), false)
}

fn assert_status(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code);
    assert_eq!(status.get_details_error_info().unwrap().reason, reason);
}

const HEAD_HANGS: Handler = Handler { head: Deed::Hang, body: Deed::Finish };
const BODY_HANGS: Handler = Handler { head: Deed::Finish, body: Deed::Hang };

#[tokio::test]
async fn a_panic_becomes_a_status() {
    let head_panics = Handler { head: Deed::Panic, body: Deed::Finish };
    let body_panics = Handler { head: Deed::Finish, body: Deed::Panic };
    for (handler, expected_in_head) in [(head_panics, true), (body_panics, false)] {
        let (status, in_head) = outcome(handler, None, &CancellationToken::new()).await;
        assert_status(&status, Code::Internal, "BUG");
        assert!(!status.message().contains("customer"));
        assert_eq!(in_head, expected_in_head);
    }
}

#[tokio::test]
async fn the_deadline_ends_head_and_body() {
    for (handler, expected_in_head) in [(HEAD_HANGS, true), (BODY_HANGS, false)] {
        let started = Instant::now();
        let (status, in_head) = outcome(handler, Some("200m"), &CancellationToken::new()).await;
        assert_status(&status, Code::DeadlineExceeded, "DEADLINE");
        assert_eq!(in_head, expected_in_head);
        assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn the_end_of_the_drain_cuts_head_and_body() {
    let cut = CancellationToken::new();
    cut.cancel();
    for handler in [HEAD_HANGS, BODY_HANGS] {
        let (status, _) = outcome(handler, None, &cut).await;
        assert_status(&status, Code::Unavailable, "DRAIN_TIMEOUT");
    }
}
