//! What is logged, read and changed while the server runs:
//! `curl -X PUT -d info,tessera::engine=debug localhost:9464/log-level`.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::telemetry::{LogControl, Telemetry};

type Answer = (StatusCode, String);

pub(super) fn routes(telemetry: &Telemetry) -> Router {
    let log = telemetry.log().cloned();
    let other = log.clone();
    let shown = get(move || async move { show(log.as_ref()) });
    Router::new().route(
        "/log-level",
        shown.put(move |directives: String| async move { set(other.as_ref(), &directives) }),
    )
}

fn show(log: Option<&LogControl>) -> Answer {
    log.map_or_else(absent, |log| (StatusCode::OK, log.directives() + "\n"))
}

fn set(log: Option<&LogControl>, directives: &str) -> Answer {
    let Some(log) = log else { return absent() };
    let directives = directives.trim();
    let (before, set) = (log.directives(), log.set(directives));
    match set {
        Ok(()) => {
            tracing::warn!(from = before, to = directives, "the log level changed");
            (StatusCode::OK, log.directives() + "\n")
        }
        Err(error) => {
            let remedy = "give error, warn, info, debug, trace or off, or MODULE=LEVEL with commas";
            (StatusCode::BAD_REQUEST, format!("{error}; {remedy}\n"))
        }
    }
}

fn absent() -> Answer {
    (StatusCode::NOT_FOUND, "this process does not write its own log\n".to_owned())
}
