//! Too much at once, and readers that do not read.

use std::time::Duration;

use tessera::engine;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{Setup, assert_failure, collect, first_token, info, open, question, refuse};

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let setup = Setup {
        slots: 1,
        engine: engine::Config { queued_max: 1, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(5))
    };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let _waiting = open(&server, question("Me too")).await;
    let status = refuse(&server, question("And me")).await;
    assert_failure(&status, Code::ResourceExhausted, "QUEUE_FULL");
    assert_eq!(info(&status).1.metadata["queued_requests"], "1");
    let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert_eq!(pushback, retry.as_millis().to_string());
}

#[tokio::test]
async fn what_waits_has_a_bound_of_tokens() {
    let setup = Setup {
        slots: 1,
        engine: engine::Config { queued_tokens_max: 64, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(5))
    };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    // However long the first that waits is, it may.
    let _waiting = open(&server, question(&"Read on. ".repeat(20))).await;
    let refused = async |text: &str| {
        let status = refuse(&server, question(text)).await;
        assert_failure(&status, Code::ResourceExhausted, "QUEUE_FULL");
        let metadata = info(&status).1.metadata;
        assert_eq!((&*metadata["limit"], &*metadata["limit_value"]), ("queue_tokens", "64"));
        assert!(metadata["queued_tokens"].parse::<usize>().unwrap() > 64);
        let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
        assert_eq!(pushback.to_str().unwrap(), retry.as_millis().to_string());
    };
    refused("Me too").await;
    server.until(|status| status.load.running == 1 && status.load.queued == 1).await;
    let asked = tessera::pb::v1::ModelInfoRequest::default();
    let told = server.client().await.model_info(asked).await.unwrap();
    assert!(told.into_inner().status.unwrap().load.unwrap().queued_tokens > 64);
}

#[tokio::test]
async fn requests_have_a_bound_together() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.request_memory_bytes = 100_000;
    let server = setup.start().await;
    // A file that is too large for what is left, and no image either: it is never looked at.
    let large = |bytes: usize| tessera::pb::v1::ExtractRequest {
        files: vec![crate::support::file(vec![b'x'; bytes])],
        ..question("Too much?")
    };
    let status = refuse(&server, large(120_000)).await;
    assert_failure(&status, Code::ResourceExhausted, "REQUEST_MEMORY_FULL");
    assert_eq!(info(&status).1.metadata["limit_value"], "100000");
    assert!(status.get_details_retry_info().is_some());
    // What is over has given back what it had.
    assert_failure(&refuse(&server, large(90_000)).await, Code::InvalidArgument, "INVALID_FIELD");
    assert_failure(&refuse(&server, large(90_000)).await, Code::InvalidArgument, "INVALID_FIELD");
    first_token(&mut open(&server, question("Read on")).await).await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_is_ended() {
    let slow_client = Duration::from_millis(300);
    let setup = Setup {
        engine: engine::Config { events_buffered: 2, slow_client, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(1))
    };
    let server = setup.start().await;
    // A window this small is full after a few messages.
    let endpoint = server.endpoint().initial_stream_window_size(512);
    let mut slow = ExtractionServiceClient::new(endpoint.connect().await.unwrap());
    let stream = slow.extract(question("Read on")).await.unwrap().into_inner();
    server.until(|status| status.load.running == 1).await;
    let mut fast = open(&server, question("Read on")).await;
    first_token(&mut fast).await;
    // It frees its slot although it never read a thing,
    server.until(|status| status.load.running == 1 && status.load.queued == 0).await;
    // the other goes on,
    first_token(&mut fast).await;
    // and when it reads at last it learns why.
    let (_, status) = collect(stream).await;
    assert_failure(&status, Code::ResourceExhausted, "SLOW_CLIENT");
    assert!(info(&status).1.metadata["waited_ms"].parse::<u64>().unwrap() >= 300);
}
