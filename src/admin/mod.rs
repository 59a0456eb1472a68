//! HTTP for whoever operates the server: metrics, probes, and what is logged. Not for clients, and not on
//! their port.
//!
//! [`routes`] are this module's own; `app` merges those of others into them.

mod log_level;
mod probes;
mod reload;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use probes::probes;
pub use reload::{Begin, reload};

use crate::telemetry::metrics::Format;
use crate::telemetry::{Metrics, Telemetry};

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

/// Serves until `stop` is cancelled. Scrapes and probes are short: nothing is waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
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

#[cfg(test)]
mod tests;
