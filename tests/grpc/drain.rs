//! The end of a server: what runs is finished, what comes is refused, nothing hangs.

use std::time::Duration;

use tessera::service::Ended;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    SOON, Setup, assert_failure, collect, completed, first_token, open, question, refuse,
};

#[tokio::test]
async fn running_streams_finish_and_new_calls_are_refused() {
    let step_delay = Duration::from_millis(20);
    let server = Setup { step_delay, ..Setup::default() }.start().await;
    let mut stream = open(&server, question("Total?")).await;
    first_token(&mut stream).await;
    server.engine.drain();

    let status = refuse(&server, question("Me too")).await;
    assert_failure(&status, Code::Unavailable, "DRAINING");
    let retry = status.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.unwrap() > Duration::ZERO);
    assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));

    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        last = message.event;
    }
    let events = [last.unwrap()];
    assert!(!completed(&events).text.is_empty());
    drop(stream);
    assert_eq!(server.stop().await, Ended::Idle);
}

#[tokio::test]
async fn streams_are_cut_at_the_limit() {
    let mut setup = Setup::endless(Duration::from_millis(5));
    setup.service.drain_timeout = Duration::from_millis(200);
    let server = setup.start().await;
    let stream = open(&server, question("Read on")).await;
    server.shutdown.cancel();
    let (_, status) = collect(stream).await;
    assert_failure(&status, Code::Unavailable, "DRAIN_TIMEOUT");
    assert_eq!(server.stop().await, Ended::Cut);
}

#[tokio::test]
async fn a_stopped_engine_ends_its_streams() {
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let mut stream = open(&server, question("Read on")).await;
    first_token(&mut stream).await;
    server.engine.stop();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "a cut answer must not look whole"),
            Err(status) => break status,
        }
    };
    assert_failure(&status, Code::Unavailable, "DRAIN_TIMEOUT");
}

#[tokio::test]
async fn a_silent_peer_does_not_hold_the_server() {
    let server = Setup::default().start().await;
    // Connects and never says a word: not even the start of HTTP/2.
    let peer = tokio::net::TcpStream::connect(server.address).await.unwrap();
    // Connections are taken in order: once this one is served, the silent one is taken.
    let request = tessera::pb::v1::ModelInfoRequest::default();
    server.client().await.model_info(request).await.unwrap();
    // No call can be on it: there is nothing to wait for, however long the drain might take.
    let ended = tokio::time::timeout(SOON, server.stop()).await.unwrap();
    assert_eq!(ended, Ended::Idle);
    drop(peer);
}
