//! What the routes answer, over a real socket.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// Sends one request and returns the answer as it came.
async fn ask(telemetry: &Telemetry, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving =
        tokio::spawn(serve(listener, routes(telemetry), Hosts::of(address, None), stop.clone()));
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
