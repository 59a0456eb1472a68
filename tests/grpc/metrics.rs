//! What the metrics say after real calls.

use std::time::Duration;

use tessera::access::Quota;
use tessera::engine;
use tessera::pb::v1;
use tessera::service;
use tessera::telemetry::Telemetry;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request};

use crate::support::{
    MODEL, SOON, Setup, collect, completed, first_token, open, question, receipt, refuse,
};

/// A server that keeps its metrics.
fn measured(setup: Setup) -> (Setup, Telemetry) {
    let telemetry = Telemetry::keeping_metrics();
    let setup = Setup {
        engine: engine::Config { telemetry: telemetry.clone(), ..setup.engine },
        service: service::Config { telemetry: telemetry.clone(), ..setup.service },
        ..setup
    };
    (setup, telemetry)
}

/// The value of the one sample whose line has all of `parts`; 0 where there is none.
fn value(telemetry: &Telemetry, parts: &[&str]) -> u64 {
    let text = telemetry.metrics().prometheus();
    let found: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))
        .collect();
    assert!(found.len() < 2, "{parts:?} in {found:?}");
    found.first().map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// Waits until that value is reached: a call is counted when its last byte is written.
async fn until(telemetry: &Telemetry, parts: &[&str], wanted: u64) {
    let reached = async {
        while value(telemetry, parts) != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = || telemetry.metrics().prometheus();
    assert!(tokio::time::timeout(SOON, reached).await.is_ok(), "{parts:?}:\n{}", found());
}

#[tokio::test]
async fn an_answer_is_counted_as_its_usage_says() {
    let (setup, telemetry) = measured(Setup::default());
    let server = setup.start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok);
    let usage = completed(&events).usage.unwrap();
    let model = format!("gen_ai_request_model=\"{MODEL}\"");
    for name in [
        "gen_ai_server_request_duration_seconds_count",
        "gen_ai_server_time_to_first_token_seconds_count",
        "gen_ai_server_time_per_output_token_seconds_count",
    ] {
        until(&telemetry, &[name, &model], 1).await;
    }
    let tokens = |kind: &str| {
        value(&telemetry, &["tessera_tokens_total", &format!("gen_ai_token_type=\"{kind}\"")])
    };
    assert_eq!(tokens("input"), u64::from(usage.input_tokens));
    assert_eq!(tokens("output"), u64::from(usage.output_tokens));
    // Each output token but the last, which ends the answer, was taken in by a step of its own.
    let taken = |phase: &str| {
        value(&telemetry, &["tessera_engine_tokens_total", &format!("tessera_phase=\"{phase}\"")])
    };
    assert_eq!(taken("decode"), u64::from(usage.output_tokens - 1));
    assert_eq!(taken("prefill"), u64::from(usage.input_tokens));
    assert_eq!(value(&telemetry, &["tessera_preprocess_pages_total"]), 1);
    let call = ["rpc_server_call_duration_seconds_count", "/Extract\"", "\"OK\""];
    until(&telemetry, &call, 1).await;
}

#[tokio::test]
async fn an_answer_that_is_whole_is_no_cancellation() {
    let (setup, telemetry) = measured(Setup::default());
    let server = setup.start().await;
    for _ in 0..50 {
        let (_, status) = collect(open(&server, receipt()).await).await;
        assert_eq!(status.code(), Code::Ok);
    }
    server.until_idle().await;
    until(&telemetry, &["tessera_answers_total"], 50).await;
    assert_eq!(value(&telemetry, &["tessera_engine_cancellations_total"]), 0);
}

#[tokio::test]
async fn a_reader_that_leaves_is_a_cancellation() {
    let (setup, telemetry) = measured(Setup::endless(Duration::from_millis(2)));
    let server = setup.start().await;
    let mut stream = open(&server, question("Read on")).await;
    first_token(&mut stream).await;
    drop(stream);
    server.until_idle().await;
    until(&telemetry, &["tessera_engine_cancellations_total"], 1).await;
    until(&telemetry, &["tessera_engine_cancel_to_free_duration_seconds_count"], 1).await;
    let failed = ["gen_ai_server_request_duration_seconds_count", "error_type=\"CANCELLED\""];
    until(&telemetry, &failed, 1).await;
    assert_eq!(value(&telemetry, &["gen_ai_server_time_to_first_token_seconds_count"]), 0);
}

#[tokio::test]
async fn refusals_and_spoilt_answers_have_reasons() {
    let bangs = "!".repeat(100);
    let (setup, telemetry) = measured(Setup { answer: bangs, ..Setup::default() });
    let server = setup.start().await;
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Internal);
    let spoilt = ["tessera_engine_spoilt_answers_total", "error_type=\"GIBBERISH\""];
    until(&telemetry, &spoilt, 1).await;

    server.engine.drain();
    let status = refuse(&server, receipt()).await;
    assert_eq!(status.code(), Code::Unavailable);
    until(&telemetry, &["tessera_rejections_total", "error_type=\"DRAINING\""], 1).await;

    let _ = refuse(&server, v1::ExtractRequest::default()).await;
    let refused = ["rpc_server_call_duration_seconds_count", "error_type=\"INVALID_ARGUMENT\""];
    until(&telemetry, &refused, 1).await;
    until(&telemetry, &["tessera_rejections_total", "error_type=\"INVALID_FIELD\""], 1).await;
}

/// Refused before a handler has the call, and while it reads: by a quota, by the memory for requests, by the
/// most that one message may have, as a document of a batch.
#[tokio::test]
async fn what_no_handler_saw_is_counted_too() {
    let (mut setup, telemetry) = measured(Setup::endless(Duration::from_millis(2)));
    setup.service.request_memory_bytes = 400_000;
    setup.service.batch_in_flight_max = 1;
    setup.service.access.quota = Quota { in_flight: Some(1), per_minute: None };
    let server = setup.start().await;
    let of = |bytes: usize| v1::ExtractRequest {
        files: vec![crate::support::file(vec![b'x'; bytes])],
        ..question("Too much?")
    };
    let refused = async |request, reason: &str| {
        let status = refuse(&server, request).await;
        assert_eq!(crate::support::info(&status).1.reason, reason);
        let counted = format!("error_type=\"{reason}\"");
        until(&telemetry, &["tessera_rejections_total", &counted], 1).await;
    };
    refused(of(500_000), "REQUEST_MEMORY_FULL").await;
    refused(question(&"x".repeat(300_000)), "LIMIT_EXCEEDED").await;
    let message = |id: &str| {
        let request = v1::ExtractRequest { request_id: id.to_owned(), ..question("Read on") };
        let message = Some(v1::batch_extract_request::Message::Extract(request));
        v1::BatchExtractRequest { message }
    };
    let requests = tokio_stream::iter([message("a"), message("b")]);
    let requests = requests.chain(tokio_stream::pending());
    let batch = server.client().await.batch_extract(requests).await.unwrap().into_inner();
    until(&telemetry, &["tessera_rejections_total", "error_type=\"BATCH_FULL\""], 1).await;
    refused(question("Read on"), "QUOTA_IN_FLIGHT").await;
    drop(batch);
    let sum: u64 = telemetry
        .metrics()
        .prometheus()
        .lines()
        .filter(|line| line.starts_with("tessera_rejections_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, 4, "each of the four once");
}

#[tokio::test]
async fn content_is_no_label() {
    const SECRET: &str = "the account of Jane Doe";
    let (setup, telemetry) = measured(Setup { answer: SECRET.to_owned(), ..Setup::default() });
    let server = setup.start().await;
    let request = v1::ExtractRequest { request_id: "Jane-7".to_owned(), ..question(SECRET) };
    let _ = collect(open(&server, request).await).await;
    until(&telemetry, &["gen_ai_server_request_duration_seconds_count"], 1).await;
    assert!(!telemetry.metrics().prometheus().contains("Jane"));
}

#[tokio::test]
async fn a_document_that_the_drain_cuts_is_no_cancellation() {
    let (mut setup, telemetry) = measured(Setup::endless(Duration::from_millis(2)));
    setup.service.drain_timeout = Duration::from_millis(200);
    let server = setup.start().await;
    let request = v1::ExtractRequest { request_id: "a".to_owned(), ..question("Read on") };
    let message = Some(v1::batch_extract_request::Message::Extract(request));
    // The client's side stays open.
    let requests = tokio_stream::once(v1::BatchExtractRequest { message });
    let requests = requests.chain(tokio_stream::pending());
    let mut responses = server.client().await.batch_extract(requests).await.unwrap().into_inner();
    assert!(responses.message().await.unwrap().is_some());
    server.shutdown.cancel();
    let status = loop {
        match responses.message().await {
            Ok(message) => assert!(message.is_some(), "a cut call must not look whole"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let failed = ["gen_ai_server_request_duration_seconds_count", "error_type=\"DRAIN_TIMEOUT\""];
    until(&telemetry, &failed, 1).await;
    assert_eq!(value(&telemetry, &["tessera_engine_cancellations_total"]), 0);
}

/// Whoever notices first, the engine or the watch over the call: alerts leave out callers' deadlines by this name.
#[tokio::test]
async fn a_callers_deadline_has_one_name() {
    let (setup, telemetry) = measured(Setup::endless(Duration::from_millis(2)));
    let server = setup.start().await;
    for _ in 0..5 {
        let mut request = Request::new(question("Read on"));
        request.set_timeout(Duration::from_millis(300));
        let answer = server.client().await.extract(request).await.unwrap();
        let (_, status) = collect(answer.into_inner()).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    let failed = ["gen_ai_server_request_duration_seconds_count", "error_type=\"DEADLINE\""];
    until(&telemetry, &failed, 5).await;
}
