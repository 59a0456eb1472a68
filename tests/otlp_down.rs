//! A collector that takes connections and answers nothing: requests do not notice, and what is lost is counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "shared with the gRPC tests, which use all of it")]
#[path = "grpc/support.rs"]
mod support;

use std::time::{Duration, Instant};

use tessera::engine;
use tessera::service;
use tessera::telemetry::{self, Otlp};
use tokio::net::TcpListener;

use support::{Setup, collect, open, receipt};

#[tokio::test(flavor = "multi_thread")]
async fn serving_goes_on() {
    // A port that takes connections and answers nothing, which is worse than a refused one.
    let hole = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", hole.local_addr().unwrap());
    let otlp = Otlp { timeout: Duration::from_millis(500), ..Otlp::new(endpoint) };
    let guard =
        telemetry::init(&telemetry::Config { otlp: Some(otlp), ..Default::default() }).unwrap();
    let telemetry = guard.telemetry();
    let metrics = telemetry.metrics().clone();
    let setup = Setup::default();
    let server = Setup {
        engine: engine::Config { telemetry: telemetry.clone(), ..setup.engine },
        service: service::Config { telemetry, ..setup.service },
        ..setup
    }
    .start()
    .await;
    for _ in 0..5 {
        let (_, status) = collect(open(&server, receipt()).await).await;
        assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
    }
    let lost = || {
        let text = metrics.prometheus();
        let of = |line: &&str| line.starts_with("otel_sdk_exporter_span_exported_total{error_type");
        let counts = text.lines().filter(of).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().unwrap()).sum::<u64>()
    };
    let begin = Instant::now();
    // A call's own span and the one below it, five times, and their phases and steps.
    while lost() < 50 {
        assert!(begin.elapsed() < support::SOON, "{} spans are said to be lost", lost());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let flushing = Instant::now();
    guard.flush(Duration::from_secs(1)).await;
    let took = flushing.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}
