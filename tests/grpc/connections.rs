//! Connections: how many, how long, and those that never say a word.

use std::error::Error as _;
use std::time::Duration;

use tessera::pb::v1::ModelInfoRequest;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::support::{SOON, Setup, first_token, question};

/// Waits until the other side has closed.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // Whatever came before, and however it ended.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is closed");
}

#[tokio::test]
async fn a_connection_that_reached_its_age_ends_its_calls_first() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.transport.connection_age = Some(Duration::from_millis(300));
    let server = setup.start().await;
    let channel = server.channel().await;
    let mut client = ExtractionServiceClient::new(channel);
    let mut stream = client.extract(question("Read on")).await.unwrap().into_inner();
    first_token(&mut stream).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The stream outlives the age; calls after it are made on a new connection.
    first_token(&mut stream).await;
    let mut refused = 0;
    for _ in 0..20 {
        if let Err(status) = client.model_info(ModelInfoRequest::default()).await {
            // This client learns that its connection is closing by trying: it fails that one call itself.
            assert!(status.source().is_some(), "the server refused: {status:?}");
            refused += 1;
        }
        first_token(&mut stream).await;
    }
    assert!(refused <= 1, "{refused} calls failed");
}

#[tokio::test]
async fn nothing_outlives_age_and_grace() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.transport.connection_age = Some(Duration::from_millis(100));
    setup.service.transport.connection_grace = Duration::from_millis(200);
    let server = setup.start().await;
    let mut stream = server.client().await.extract(question("Read on")).await.unwrap().into_inner();
    let end = tokio::time::timeout(SOON, async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        }
    });
    end.await.unwrap().unwrap_err();
    server.until_idle().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_not_kept() {
    let mut setup = Setup::default();
    setup.service.transport.handshake_timeout = Duration::from_millis(100);
    let server = setup.start().await;
    let mut client = server.client().await;
    closed(TcpStream::connect(server.address).await.unwrap()).await;
    // One that spoke stays, however long it is idle.
    client.model_info(ModelInfoRequest::default()).await.unwrap();
}

#[tokio::test]
async fn connections_have_a_bound() {
    let mut setup = Setup::default();
    setup.service.transport.connections_max = 2;
    let server = setup.start().await;
    let mut first = server.client().await;
    first.model_info(ModelInfoRequest::default()).await.unwrap();
    let second = TcpStream::connect(server.address).await.unwrap();
    closed(TcpStream::connect(server.address).await.unwrap()).await;
    first.model_info(ModelInfoRequest::default()).await.unwrap();
    drop(second);
    // The place is free as soon as the server has seen it.
    let again = async {
        loop {
            let Ok(channel) = server.endpoint().connect().await else { continue };
            let mut client = ExtractionServiceClient::new(channel);
            if client.model_info(ModelInfoRequest::default()).await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, again).await.unwrap();
}

/// Carries bytes between a client and `server` until it is told to keep them: neither side learns of that.
async fn relay(
    server: std::net::SocketAddr,
    keep: tokio_util::sync::CancellationToken,
) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
            () = keep.cancelled() => std::future::pending().await,
        }
    });
    address
}

#[tokio::test]
async fn a_half_open_peer_is_found() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.transport.keepalive_interval = Duration::from_millis(200);
    setup.service.transport.keepalive_timeout = Duration::from_millis(200);
    let server = setup.start().await;
    let cable_cut = tokio_util::sync::CancellationToken::new();
    let address = relay(server.address, cable_cut.clone()).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = ExtractionServiceClient::new(endpoint.connect().await.unwrap());
    let mut stream = client.extract(question("Read on")).await.unwrap().into_inner();
    first_token(&mut stream).await;
    assert_eq!(server.engine.current().load.running, 1);
    cable_cut.cancel();
    // The stream is still held, and its sockets are open: only silence says that nobody is there.
    server.until_idle().await;
    drop(stream);
}
