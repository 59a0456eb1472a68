//! HTTP for whoever operates the server: metrics, probes, and what is logged. Not for clients, and not on
//! their port.
//!
//! [`routes`] are this module's own; `app` merges those of others into them.

mod log_level;
mod origin;
mod probes;
mod reload;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use probes::probes;
pub use reload::{Begin, reload};

use crate::telemetry::metrics::Format;
use crate::telemetry::{Metrics, Telemetry};
use crate::transport::Hosts;

/// A page in a browser must not learn or change what is for operators, whatever its name points to.
const WRONG_HOST: &str = "This port does not answer by that name: call it by its IP address or as localhost, \
    or give the name to --allowed-hosts.\n";

/// For whoever looks around: all that `app` puts on this port.
const PATHS: &str = "There is no such path. This port has GET /metrics, GET /livez, GET /readyz, \
    GET and PUT /log-level, GET and POST /reload.\n";

/// An answer for programs.
type Answer = (StatusCode, [(HeaderName, &'static str); 1], String);

/// `GET /metrics`, and `GET` and `PUT /log-level`.
pub fn routes(telemetry: &Telemetry) -> Router {
    let metrics = telemetry.metrics().clone();
    Router::new()
        .route(
            "/metrics",
            get(move |headers: HeaderMap| async move { metrics_text(&metrics, &headers) }),
        )
        .merge(log_level::routes(telemetry))
}

/// Serves until `stop` is cancelled, to who calls by one of `hosts`, and not for pages of others. Scrapes and
/// probes are short: nothing is waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    hosts: Hosts,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = router.fallback(async || (StatusCode::NOT_FOUND, PATHS));
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        let refusal = if !hosts.allow(request.uri(), request.headers()) {
            Some((StatusCode::MISDIRECTED_REQUEST, WRONG_HOST).into_response())
        } else if origin::is_refused(request.method(), request.headers()) {
            Some(origin::refusal().into_response())
        } else {
            None
        };
        async move {
            match refusal {
                Some(refusal) => refusal,
                None => next.run(request).await,
            }
        }
    }));
    let serving = axum::serve(listener, router);
    tokio::select! {
        served = serving => served,
        () = stop.cancelled() => Ok(()),
    }
}

fn metrics_text(metrics: &Metrics, headers: &HeaderMap) -> impl IntoResponse + use<> {
    let wanted = headers.get(ACCEPT).and_then(|header| header.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(wanted);
    ([(CONTENT_TYPE, format.content_type())], metrics.exposition(format))
}

fn json(code: StatusCode, value: &Value) -> Answer {
    (code, [(CONTENT_TYPE, "application/json")], format!("{value}\n"))
}

#[cfg(test)]
mod tests;
