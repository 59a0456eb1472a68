//! The client's deadline bounds the whole stream.

use std::time::{Duration, Instant};

use tessera::pb::v1::extract_response::Event;
use tonic::{Code, Request};

use crate::support::{Setup, assert_failure, collect, first_token, info, open, question};

#[tokio::test]
async fn ends_a_running_stream() {
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let mut client = server.client().await;
    let mut request = Request::new(question("Read on"));
    request.set_timeout(Duration::from_millis(400));
    let started = Instant::now();
    let stream = client.extract(request).await.unwrap().into_inner();
    let (events, status) = collect(stream).await;
    let took = started.elapsed();
    assert_failure(&status, Code::DeadlineExceeded, "DEADLINE");
    assert_eq!(info(&status).1.metadata["phase"], "decode");
    assert!(matches!(events[0], Event::Accepted(_)));
    assert!(took >= Duration::from_millis(390) && took < Duration::from_secs(3), "{took:?}");
    server.until_idle().await;
}

#[tokio::test]
async fn ends_a_request_that_waits() {
    let setup = Setup { slots: 1, ..Setup::endless(Duration::from_millis(5)) };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let mut request = Request::new(question("Me too"));
    request.set_timeout(Duration::from_millis(200));
    let stream = server.client().await.extract(request).await.unwrap().into_inner();
    let (events, status) = collect(stream).await;
    assert_failure(&status, Code::DeadlineExceeded, "DEADLINE");
    assert_eq!(info(&status).1.metadata["phase"], "queue");
    assert!(matches!(events[0], Event::Accepted(_)));
    server.until(|status| status.load.queued == 0).await;
    assert_eq!(server.engine.current().load.running, 1, "the other one goes on");
}

#[tokio::test]
async fn ends_a_watch() {
    let server = Setup::default().start().await;
    let mut request = Request::new(tessera::pb::v1::WatchModelInfoRequest::default());
    request.set_timeout(Duration::from_millis(200));
    let mut watch = server.client().await.watch_model_info(request).await.unwrap().into_inner();
    let status = loop {
        match watch.message().await {
            Ok(message) => assert!(message.is_some(), "ended without a status"),
            Err(status) => break status,
        }
    };
    assert_failure(&status, Code::DeadlineExceeded, "DEADLINE");
}
