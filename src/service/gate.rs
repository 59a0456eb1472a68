//! Who may call: asks `access` before a handler sees a call, and turns its refusals into statuses.
//!
//! Health is open to everybody, because probes have no credentials. Reflection and paths that nobody
//! knows are under the rules like every method of ours.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::call::Call;
use super::pace::Pace;
use super::received::{Memory, Received};
use super::{error, trace};
use crate::access::{Action, Counted, Credentials, Gate};
use crate::transport::Peer;

const HEALTH: &str = "/grpc.health.v1.Health/";

/// The name of all reflection in rules, whatever its version.
const REFLECTION: &str = "reflection";

/// The name in rules of load reports for balancers, which say how busy the server is.
const LOAD_REPORTS: &str = "load-reports";

/// The name in rules of what is served by nobody.
const UNKNOWN: &str = "unknown";

/// What quotas count of a method: what makes the model work. A batch call alone does not: its documents do, each
/// like an `Extract` (`batch`), or a caller would have one document less at once for each call that it has open.
fn counted(name: &str) -> Counted {
    match name {
        "Extract" => Counted::Call,
        "BatchExtract" => Counted::Documents,
        _ => Counted::Nothing,
    }
}

/// The names that rules of an access file may use.
pub fn rule_names() -> Vec<&'static str> {
    trace::METHODS.iter().map(|method| short(method)).chain([REFLECTION, LOAD_REPORTS]).collect()
}

/// Stands between the envelope and the services.
#[derive(Debug, Clone)]
pub(super) struct GateLayer {
    pub(super) gate: Arc<Gate>,
    pub(super) memory: Memory,
    pub(super) pace: Pace,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: Arc::clone(&self.gate), memory: self.memory.clone(), pace: self.pace }
    }
}

/// See [`GateLayer`].
#[derive(Debug, Clone)]
pub(super) struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
    memory: Memory,
    pace: Pace,
}

impl<S> Service<http::Request<Body>> for Gated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let received = admit(&self.gate, &self.memory, &request);
        let received = match received {
            Ok(received) => received,
            Err(status) => return Box::pin(std::future::ready(Ok(status.into_http()))),
        };
        if let Some(received) = received {
            let is_stream = request.uri().path().ends_with("/BatchExtract");
            let pace = self.pace;
            request = request.map(|body| received.count(body, is_stream, pace));
        }
        // What was shown has been looked at, and is for nobody's log.
        for name in ["authorization", "x-api-key"] {
            request.headers_mut().remove(name);
        }
        Box::pin(self.inner.call(request))
    }
}

/// Lets a call in or says why not; with an account for its bytes, where they count.
fn admit<B>(
    gate: &Gate,
    memory: &Memory,
    request: &http::Request<B>,
) -> Result<Option<Arc<Received>>, Status> {
    let path = request.uri().path();
    if path.starts_with(HEALTH) {
        return Ok(None);
    }
    let peer = request.extensions().get::<Peer>();
    let credentials = Credentials {
        token: token(request.headers())?,
        certificate: peer.map_or(&[], |peer| &peer.names),
        address: peer.map(|peer| peer.remote.ip()),
    };
    let name = name(path);
    let action = Action { name, counted: counted(name) };
    let admitted = gate
        .admit(&credentials, action, Instant::now())
        .map_err(|refusal| error::refused(&refusal))?;
    let brings_files = action.counted != Counted::Nothing;
    let received = if brings_files { Some(memory.open()?) } else { None };
    if let Some(call) = request.extensions().get::<Arc<Call>>() {
        call.admitted(admitted, received.clone());
    }
    Ok(received)
}

/// The name of a path in rules.
fn name(path: &str) -> &str {
    match trace::method(path) {
        Some(method) => short(method),
        None if path.starts_with("/grpc.reflection.") => REFLECTION,
        None if path.starts_with("/xds.service.orca.") => LOAD_REPORTS,
        None => UNKNOWN,
    }
}

/// `Extract` of `tessera.v1.ExtractionService/Extract`.
fn short(method: &'static str) -> &'static str {
    method.rsplit_once('/').map_or(method, |(_, name)| name)
}

/// The bearer token or API key of a call.
fn token(headers: &http::HeaderMap) -> Result<Option<&str>, Status> {
    let unreadable = || error::refused(&crate::access::Refusal::Invalid { why: "not ASCII text" });
    if let Some(value) = headers.get("authorization") {
        let value = value.to_str().map_err(|_| unreadable())?;
        // Other schemes are for others on the way.
        if let Some((scheme, token)) = value.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            return Ok(Some(token.trim()));
        }
    }
    let key = headers.get("x-api-key").map(|value| value.to_str().map_err(|_| unreadable()));
    key.transpose()
}
