//! `POST /reload` loads the model anew beside the one that serves, `GET /reload` says how that goes.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;

use super::{Answer, json};
use crate::engine::{Reload, ReloadRefused, ReloadState, Status};

/// Begins an exchange and returns its number.
pub type Begin = Arc<dyn Fn() -> Result<u32, ReloadRefused> + Send + Sync>;

/// `GET` and `POST /reload`.
pub fn reload(status: watch::Receiver<Status>, begin: Begin) -> Router {
    let shown = get(move || async move { show(status.borrow().reload.as_ref()) });
    Router::new().route("/reload", shown.post(move || async move { start(&begin) }))
}

fn show(reload: Option<&Reload>) -> Answer {
    let Some(Reload { number, state, message }) = reload else {
        return json(StatusCode::OK, &json!({"number": 0, "state": "none", "message": ""}));
    };
    let state = match state {
        ReloadState::Loading => "loading",
        ReloadState::Draining => "draining",
        ReloadState::Done => "done",
        ReloadState::Failed => "failed",
    };
    json(StatusCode::OK, &json!({"number": number, "state": state, "message": message}))
}

/// 202 with the number, or 409 with the reason.
fn start(begin: &Begin) -> Answer {
    match begin() {
        Ok(number) => json(StatusCode::ACCEPTED, &json!({"number": number, "state": "loading"})),
        Err(refused) => {
            let (reason, message) = (refused.reason(), refused.to_string());
            json(StatusCode::CONFLICT, &json!({"reason": reason, "message": message}))
        }
    }
}
