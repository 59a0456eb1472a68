//! `/livez` and `/readyz`: what health says over gRPC, for probes that cannot speak it or its TLS.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

use crate::engine::Status;

/// `GET /livez`: whether to keep the process. `GET /readyz`: whether to send it requests.
pub fn probes(status: watch::Receiver<Status>) -> Router {
    let live = status.clone();
    Router::new()
        .route("/livez", get(move || async move { answer(&live.borrow(), Status::is_alive) }))
        .route("/readyz", get(move || async move { answer(&status.borrow(), Status::is_ready) }))
}

/// 200, or 503 with the reason, for people.
fn answer(status: &Status, is_well: fn(&Status) -> bool) -> (StatusCode, String) {
    if is_well(status) {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let state = format!("{:?}", status.state).to_lowercase();
    let separator = if status.message.is_empty() { "" } else { ": " };
    (StatusCode::SERVICE_UNAVAILABLE, format!("{state}{separator}{}\n", status.message))
}
