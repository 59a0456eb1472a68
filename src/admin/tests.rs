//! What the routes answer, over a real socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;
use crate::engine::{Load, ModelState, Status};

/// Sends one request and returns the answer as it came.
async fn ask(telemetry: &Telemetry, request: &str) -> String {
    ask_of(routes(telemetry), request).await
}

async fn ask_of(router: Router, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, router, Hosts::of(address, None), stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    stop.cancel();
    serving.await.unwrap().unwrap();
    answer
}

fn request(line: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn metrics_are_text() {
    let telemetry = Telemetry::keeping_metrics();
    telemetry.metrics().preempted();
    let answer = ask(&telemetry, &request("GET /metrics", "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{answer}");
    assert!(answer.contains("\ntessera_engine_preemptions_total 1\n"), "{answer}");
}

#[tokio::test]
async fn a_log_that_is_not_ours_has_no_level() {
    let answer = ask(&Telemetry::default(), &request("GET /log-level", "")).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let answer = ask(&Telemetry::default(), &request("GET /documents", "")).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn who_calls_by_a_name_of_somebody_else_learns_nothing() {
    let telemetry = Telemetry::keeping_metrics();
    let rebound = request("GET /metrics", "").replace("Host: localhost", "Host: evil.example:9464");
    let answer = ask(&telemetry, &rebound).await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    assert!(answer.contains("--allowed-hosts") && !answer.contains("tessera_"), "{answer}");
}

fn with(request: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    request.replacen("Connection: close\r\n", &format!("Connection: close\r\n{headers}"), 1)
}

#[tokio::test]
async fn a_page_of_somebody_else_changes_nothing() {
    let status = Status {
        state: ModelState::Ready,
        message: String::new(),
        spec: None,
        tiles_per_page_max: None,
        calibration: None,
        load: Load::default(),
        reload: None,
    };
    let (_status, status) = watch::channel(status);
    let begun = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&begun);
    let begin: Begin = Arc::new(move || Ok(counted.fetch_add(1, Ordering::Relaxed) + 1));
    let router = reload(status, begin).merge(routes(&Telemetry::default()));
    let (post, put) = (request("POST /reload", ""), request("PUT /log-level", "trace"));
    for headers in [
        // What a browser says of a page elsewhere, with `no-cors`, and of one without an origin.
        &["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"][..],
        &["Origin: https://evil.example"],
        &["Origin: null"],
        // Of one on another port of this machine.
        &["Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"],
        &["Origin: http://localhost:3000"],
        &["Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-site"],
        &["Origin: http://localhost", "Origin: https://evil.example"],
    ] {
        for request in [&post, &put] {
            let answer = ask_of(router.clone(), &with(request, headers)).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{headers:?}: {answer}");
            assert!(answer.contains("\"reason\":\"FOREIGN_PAGE\""), "{answer}");
            assert!(answer.contains("as with curl"), "the remedy is told: {answer}");
        }
        // It reads nothing by that, and whoever follows a link comes from another page.
        let answer = ask_of(router.clone(), &with(&request("GET /reload", ""), headers)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{headers:?}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control-allow"), "{answer}");
    }
    assert_eq!(begun.load(Ordering::Relaxed), 0, "no model was loaded");

    for headers in [
        &[][..],
        &["Origin: http://localhost", "Sec-Fetch-Site: same-origin"],
        &["Origin: https://LOCALHOST"],
        &["Sec-Fetch-Site: none"],
    ] {
        let answer = ask_of(router.clone(), &with(&post, headers)).await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{headers:?}: {answer}");
    }
    assert_eq!(begun.load(Ordering::Relaxed), 4);
}
