//! Refuses what pages of others would change here. A page may send a request to any address that its
//! browser reaches, without being asked whether it may (CSRF): CORS only keeps the answer from it. Browsers
//! say whose page it is.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::{Answer, json};

/// Whose page a browser sends it for, as against the address that it is sent to.
const FETCH_SITE: &str = "sec-fetch-site";

const REASON: &str = "FOREIGN_PAGE";

const MESSAGE: &str = "a page in a browser sent this, and no page of this port did: call without an Origin and a \
    Sec-Fetch-Site header, as with curl";

/// Whether a page that is not of this port would change something. Who only reads is let in: the answer is
/// kept from such a page by its browser, and whoever follows a link comes from another page too.
pub(super) fn is_refused(method: &Method, headers: &HeaderMap) -> bool {
    !method.is_safe() && (is_of_another_origin(headers) || is_of_another_site(headers))
}

/// 403 with the reason.
pub(super) fn refusal() -> Answer {
    json(StatusCode::FORBIDDEN, &json!({"reason": REASON, "message": MESSAGE}))
}

/// Whether any origin is named but that of `Host`; `null` is one of those.
fn is_of_another_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        match (origin, host) {
            // Whatever ends TLS in front of this port changes the scheme.
            (Some((_, origin)), Some(host)) => !origin.eq_ignore_ascii_case(host),
            _ => true,
        }
    })
}

/// Whether it is for a page of another origin, be it on the same machine, and not for the person alone.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let own = ["same-origin", "none"].map(HeaderValue::from_static);
    headers.get_all(FETCH_SITE).iter().any(|site| !own.contains(site))
}
