//! The door for browsers: the playground, and gRPC-Web on the port that speaks gRPC, for pages of the
//! server itself and of the origins that the operator names.
//!
//! A browser has no HTTP/2 trailers, so gRPC-Web carries them as a last frame of the body. The door
//! stands outside of the envelope, which therefore sees every call in its own form.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer};

use super::playground;
use crate::transport::Hosts;

/// What pages of other origins may read of an answer: where a call is refused before its first
/// message, the status is in the head.
const EXPOSED: [HeaderName; 4] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("grpc-retry-pushback-ms"),
];

/// How long a browser may remember what it was allowed. Browsers have bounds of their own below this.
const PREFLIGHT_AGE: Duration = Duration::from_hours(2);

const NOT_GRPC_WEB: &str = "This port speaks gRPC over HTTP/2, and gRPC-Web also over HTTP/1.1: \
    POST with content-type application/grpc-web+proto.\n";

const WRONG_HOST: &str = "This server does not answer browsers by that name: call it by its IP address or \
    as localhost, or give the name to --allowed-hosts.\n";

const NO_PAGE: &str = "No page here. This port speaks gRPC and gRPC-Web; its API is tessera.v1.\n";

/// Wraps all services of the server. `origins` may call from their pages; `*` stands for every one.
#[derive(Debug, Clone)]
pub(super) struct WebLayer {
    cors: CorsLayer,
    playground: bool,
    hosts: Hosts,
}

impl WebLayer {
    /// An origin that is no header value is left out: no browser can send it.
    pub(super) fn new(origins: &[String], playground: bool, hosts: Hosts) -> Self {
        let allowed = if origins.iter().any(|origin| origin == "*") {
            AllowOrigin::any()
        } else {
            AllowOrigin::list(
                origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()),
            )
        };
        // Metadata is for callers to choose: what an origin may send at all, it may send with headers.
        let cors = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED)
            .max_age(PREFLIGHT_AGE);
        Self { cors, playground, hosts }
    }
}

impl<S> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, inner: S) -> Web<S> {
        let calls = self.cors.layer(GrpcWebLayer::new().layer(inner));
        Web { calls, playground: self.playground, hosts: self.hosts.clone() }
    }
}

/// See [`WebLayer`].
#[derive(Debug, Clone)]
pub(super) struct Web<S> {
    calls: Cors<GrpcWebService<S>>,
    playground: bool,
    hosts: Hosts,
}

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.calls, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = match *request.method() {
            // Names are checked where a browser may be the caller: one cannot speak gRPC itself, whose
            // authority is for meshes and proxies to choose.
            _ if !is_grpc(&request) && !self.hosts.allow(request.uri(), request.headers()) => {
                text(StatusCode::MISDIRECTED_REQUEST, WRONG_HOST)
            }
            // No call of gRPC is one of these.
            Method::GET | Method::HEAD => self.page(&request),
            _ if is_call(&request) => return Box::pin(self.calls.call(request)),
            _ => text(StatusCode::UNSUPPORTED_MEDIA_TYPE, NOT_GRPC_WEB),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl<S> Web<S> {
    fn page(&self, request: &Request<Body>) -> Response<Body> {
        let page =
            self.playground.then(|| playground::answer(request.uri().path(), request.headers()));
        let mut answer = page.flatten().unwrap_or_else(|| text(StatusCode::NOT_FOUND, NO_PAGE));
        if request.method() == Method::HEAD {
            *answer.body_mut() = Body::empty();
        }
        answer
    }
}

/// Whether gRPC itself: over HTTP/2, and with its own content type.
fn is_grpc(request: &Request<Body>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.version() == Version::HTTP_2
        && content_type.is_some_and(|found| {
            found == b"application/grpc"
                || found.starts_with(b"application/grpc+")
                || found.starts_with(b"application/grpc;")
        })
}

/// Whether gRPC, gRPC-Web or a browser's question about the latter. A page may send other content types without
/// that question, over HTTP/2 too: they are no calls.
fn is_call(request: &Request<Body>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    is_grpc(request)
        || request.method() == Method::OPTIONS
        || content_type.is_some_and(|found| found.starts_with(b"application/grpc-web"))
}

/// A plain answer for people.
fn text(status: StatusCode, message: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(message.to_owned()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
