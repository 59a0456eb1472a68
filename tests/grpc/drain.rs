//! The end of a server: what runs is finished, what comes is refused, nothing hangs.

use std::time::{Duration, Instant};

use tessera::pb::health::HealthCheckRequest;
use tessera::pb::health::health_client::HealthClient;
use tessera::pb::v1;
use tessera::pb::xds::service::orca::v3::OrcaLoadReportRequest;
use tessera::pb::xds::service::orca::v3::open_rca_service_client::OpenRcaServiceClient;
use tessera::service::Ended;
use tokio_stream::StreamExt as _;
use tonic::{Code, Streaming};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
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

/// Reads to the end, which has to be a good one.
async fn ends_well<T>(mut stream: Streaming<T>) {
    while stream.message().await.expect("it ends with OK").is_some() {}
}

#[tokio::test]
async fn streams_that_never_end_do_not_hold_the_drain() {
    let mut setup = Setup::default();
    setup.service.drain_timeout = 10 * SOON;
    let server = setup.start().await;
    let channel = server.channel().await;

    let mut client = HealthClient::new(channel.clone());
    let health = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let watch = server.client().await.watch_model_info(v1::WatchModelInfoRequest::default()).await;
    let info = watch.unwrap().into_inner();
    let reports = OpenRcaServiceClient::new(channel.clone())
        .stream_core_metrics(OrcaLoadReportRequest::default())
        .await;
    let load = reports.unwrap().into_inner();
    // Its client asks once, and never says that it is done.
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asking = tokio_stream::once(asked).chain(tokio_stream::pending());
    let mut reflection = ServerReflectionClient::new(channel)
        .server_reflection_info(asking)
        .await
        .unwrap()
        .into_inner();
    assert!(reflection.message().await.unwrap().is_some());
    // And one that reads nothing at all.
    let _unread = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();

    let readers = [
        tokio::spawn(ends_well(health)),
        tokio::spawn(ends_well(info)),
        tokio::spawn(ends_well(load)),
        tokio::spawn(ends_well(reflection)),
    ];
    let began = Instant::now();
    server.engine.drain();
    assert_eq!(server.stop().await, Ended::Idle);
    assert!(began.elapsed() < SOON / 2, "it took {:?}", began.elapsed());
    for reader in readers {
        tokio::time::timeout(SOON, reader).await.unwrap().unwrap();
    }
}
