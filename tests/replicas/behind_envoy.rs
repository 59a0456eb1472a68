//! What passes Envoy, and what Envoy makes of two replicas.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::envoy::Envoy;
use crate::load::{rolling_restart, short_question, try_once};
use crate::port::free;
use crate::replica::{Replica, SOON, endpoint};

const ORCA: &str = include_str!("../../deploy/proxy/envoy-orca.yaml");

/// Envoy gathers what changes for a second before it counts.
const GATHERED: Duration = Duration::from_millis(1500);

const EXTRACT: &str = "/tessera.v1.ExtractionService/Extract";

async fn two(flags: &[&str]) -> [Replica; 2] {
    [Replica::with(free(), flags).await, Replica::with(free(), flags).await]
}

fn addresses(replicas: &[Replica; 2]) -> [SocketAddr; 2] {
    replicas.each_ref().map(|replica| replica.address)
}

/// A question with an answer of more than a hundred tokens.
fn long_question() -> v1::ExtractRequest {
    let mut request = short_question();
    request.generation.as_mut().unwrap().max_output_tokens = Some(512);
    let receipt = v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into());
    request.task = Some(v1::extract_request::Task::Schema(v1::ExtractionSchema {
        source: Some(receipt),
        ..Default::default()
    }));
    request
}

async fn open(
    channel: &Channel,
    request: Request<v1::ExtractRequest>,
) -> Result<Streaming<v1::ExtractResponse>, Status> {
    Ok(ExtractionServiceClient::new(channel.clone()).extract(request).await?.into_inner())
}

async fn connect(address: SocketAddr) -> Channel {
    endpoint(address).connect().await.unwrap()
}

/// Waits until nothing runs or waits on a replica.
async fn until_idle(replica: SocketAddr) {
    let mut client = ExtractionServiceClient::new(connect(replica).await);
    let began = Instant::now();
    loop {
        let info = client.model_info(v1::ModelInfoRequest::default()).await.unwrap().into_inner();
        let load = info.status.unwrap().load.unwrap();
        if (load.running_requests, load.queued_requests) == (0, 0) {
            return;
        }
        assert!(began.elapsed() < SOON, "{load:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < SOON, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_call_although_no_client_tries_again() {
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let Some(envoy) = Envoy::start(&addresses(&replicas), &[]).await else { return };
    // What `minReadySeconds` is for: a replica that serves is not yet one that Envoy would send a call to.
    let known = async |replica| {
        let healthy = || envoy.host(replica, "health_flags") == "healthy";
        until("Envoy knows of the new one", healthy).await;
        tokio::time::sleep(GATHERED).await;
    };
    let channel = endpoint(envoy.address).connect_lazy();
    let tally = rolling_restart(channel, replicas, known).await;
    let retries = envoy.stat("cluster.tessera.upstream_rq_retry");
    println!("{tally:?}, Envoy tried again {retries} times");
    assert!(tally.failed().is_empty(), "Envoy does what there is to try again: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_as_they_are_made_and_calls_go_to_both_replicas() {
    let replicas = two(&["--weights", "fake:step=50ms"]).await;
    let addresses = addresses(&replicas);
    let Some(envoy) = Envoy::start(&addresses, &[]).await else { return };
    assert_eq!(envoy.log(), "", "the file holds for this Envoy without a warning");
    for replica in addresses {
        let healthy = || envoy.host(replica, "health_flags") == "healthy";
        until("Envoy knows of both", healthy).await;
    }
    // One connection, as a client of gRPC has it.
    let channel = connect(envoy.address).await;
    let mut calls = tokio::task::JoinSet::new();
    // Of two that it picks, which may be the same twice, Envoy asks the one with fewer calls: so many leave none out.
    for _ in 0..12 {
        let channel = channel.clone();
        calls.spawn(async move {
            let mut stream = open(&channel, Request::new(long_question())).await.unwrap();
            let (mut gaps, mut last, mut whole) = (0, Instant::now(), false);
            while let Some(message) = stream.message().await.unwrap() {
                gaps += usize::from(last.elapsed() > Duration::from_millis(25));
                last = Instant::now();
                whole = matches!(message.event, Some(Event::Completed(_)));
            }
            assert!(whole);
            gaps
        });
    }
    while let Some(gaps) = calls.join_next().await {
        let gaps = gaps.unwrap();
        assert!(gaps >= 10, "{gaps} times something came on its own: the answer was held back");
    }
    for replica in addresses {
        assert!(envoy.sent(replica) > 0, "{replica} was never asked");
    }
}

/// Reads until something comes after `time`; how many messages came.
async fn read_past(
    mut stream: Streaming<v1::ExtractResponse>,
    time: Duration,
) -> Result<usize, Status> {
    let (began, mut messages) = (Instant::now(), 0);
    while stream.message().await?.is_some() {
        messages += 1;
        if began.elapsed() > time {
            return Ok(messages);
        }
    }
    panic!("the answer ended after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_keeps_a_silent_stream_open() {
    const IDLE: Duration = Duration::from_secs(26);
    // The only slot is taken for longer than Envoy lets a stream be silent: who waits hears heartbeats alone.
    let replica = Replica::with(free(), &["--weights", "fake:step=1s", "--slots", "1"]).await;
    let direct = connect(replica.address).await;
    let _running = open(&direct, Request::new(long_question())).await.unwrap();
    let idle = |time: &'static str| [("stream_idle_timeout: 60s", time)];
    let longer = idle("stream_idle_timeout: 26s");
    let Some(longer) = Envoy::start(&[replica.address], &longer).await else { return };
    let shorter = idle("stream_idle_timeout: 3s");
    let shorter = Envoy::start(&[replica.address], &shorter).await.unwrap();
    let read = async |envoy: &Envoy| {
        let stream = open(&connect(envoy.address).await, Request::new(long_question())).await?;
        read_past(stream, IDLE).await
    };
    let (kept, cut) = tokio::join!(read(&longer), read(&shorter));
    // The first message, a heartbeat within Envoy's time, and one after it.
    assert!(kept.unwrap() >= 3);
    // A timeout below the heartbeat does cut: it is in force.
    assert_ne!(cut.unwrap_err().code(), Code::Ok);
    assert_eq!(shorter.stat("http.tessera.downstream_rq_idle_timeout"), 1);
    assert_eq!(longer.stat("http.tessera.downstream_rq_idle_timeout"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_cancels_reach_the_replicas() {
    let replicas = two(&["--weights", "fake:step=200ms"]).await;
    let addresses = addresses(&replicas);
    let Some(envoy) = Envoy::start(&addresses, &[]).await else { return };
    let channel = connect(envoy.address).await;
    let mut request = Request::new(long_question());
    request.set_timeout(Duration::from_secs(2));
    let began = Instant::now();
    let mut stream = open(&channel, request).await.unwrap();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "a whole answer in two seconds"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "after {:?}", began.elapsed());
    for replica in addresses {
        until_idle(replica).await;
    }
    // A client that goes frees its slot behind Envoy too.
    let mut stream = open(&channel, Request::new(long_question())).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    drop(stream);
    for replica in addresses {
        until_idle(replica).await;
    }
    // What a client with no deadline at all gets is bounded by Envoy.
    let bound = ("max_stream_duration: 600s", "max_stream_duration: 1s");
    let bounded = Envoy::start(&addresses, &[bound]).await.unwrap();
    let began = Instant::now();
    let channel = connect(bounded.address).await;
    let ended = match open(&channel, Request::new(long_question())).await {
        Ok(mut stream) => loop {
            match stream.message().await {
                Ok(message) => assert!(message.is_some(), "a whole answer in a second"),
                Err(status) => break status,
            }
        },
        Err(status) => status,
    };
    assert_ne!(ended.code(), Code::Ok);
    assert_eq!(bounded.stat("http.tessera.downstream_rq_max_duration_reached"), 1, "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "after {:?}", began.elapsed());
    for replica in addresses {
        until_idle(replica).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_tells_the_client_when_to_come_back() {
    let flags = ["--weights", "fake:step=500ms", "--slots", "1", "--queue", "1"];
    let replicas = two(&flags).await;
    let addresses = addresses(&replicas);
    let Some(envoy) = Envoy::start(&addresses, &[]).await else { return };
    let mut held = Vec::new();
    for replica in addresses {
        for _ in 0..2 {
            let direct = connect(replica).await;
            held.push(open(&direct, Request::new(long_question())).await.unwrap());
        }
    }
    let channel = connect(envoy.address).await;
    let status = open(&channel, Request::new(long_question())).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "QUEUE_FULL");
    let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert_eq!(pushback, retry.as_millis().to_string());
    // Asking the others as well would be three times the load where all of them are full.
    assert_eq!(envoy.stat("cluster.tessera.upstream_rq_retry"), 0);
    // Once there is room the same call is taken.
    drop(held);
    for replica in addresses {
        until_idle(replica).await;
    }
    assert!(open(&channel, Request::new(long_question())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_leaves_gets_no_more_calls() {
    let flags = ["--weights", "fake:step=1ms", "--drain-propagation", "60s"];
    let [stays, leaves] = two(&flags).await;
    let addresses = [stays.address, leaves.address];
    let often = ("interval: 2s", "interval: 0.2s");
    let Some(envoy) = Envoy::start(&addresses, &[often]).await else { return };
    let flags = |of: &Replica| envoy.host(of.address, "health_flags");
    until("both are healthy", || [&stays, &leaves].map(flags) == ["healthy", "healthy"]).await;
    leaves.signal("-TERM");
    until("Envoy knows", || flags(&leaves) == "/failed_active_hc").await;
    assert_eq!(flags(&stays), "healthy");
    tokio::time::sleep(GATHERED).await;
    let before = addresses.map(|replica| envoy.sent(replica));
    let channel = connect(envoy.address).await;
    for _ in 0..8 {
        try_once(&channel).await.unwrap();
    }
    let after = addresses.map(|replica| envoy.sent(replica));
    assert_eq!([after[0] - before[0], after[1] - before[1]], [8, 0]);
    assert_eq!(envoy.stat("cluster.tessera.upstream_rq_retry"), 0, "nobody had to try again");
    // Who has not heard of it yet is still served.
    try_once(&connect(leaves.address).await).await.unwrap();
    // Its successor gets calls again.
    drop(leaves);
    let _next = Replica::with(addresses[1], &["--weights", "fake:step=1ms"]).await;
    until("it is healthy again", || envoy.host(addresses[1], "health_flags") == "healthy").await;
}

/// An answer to a request of HTTP/1.1 as it is on the wire, read until `enough` of it is there.
async fn http(address: SocketAddr, head: &str, body: &[u8], enough: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{head}\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            answer.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&answer);
            if read == 0 || text.contains(enough) {
                return text.into_owned();
            }
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_reach_the_replicas() {
    use prost::Message as _;
    let replicas = two(&["--weights", "fake:step=1ms"]).await;
    let Some(envoy) = Envoy::start(&addresses(&replicas), &[]).await else { return };
    let message = short_question().encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&message);
    let head = format!(
        "POST {EXTRACT} HTTP/1.1\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1"
    );
    let answer = http(envoy.address, &head, &frame, "grpc-status:").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/grpc-web+proto\r\n"), "{answer}");
    assert!(answer.contains("grpc-status:0\r\n"), "{answer}");
    // What is refused has its status in the same place.
    let answer = http(envoy.address, &head, &[0, 0, 0, 0, 0], "grpc-status").await;
    assert!(
        answer.to_lowercase().contains("grpc-status: 3\r\n") || answer.contains("grpc-status:3"),
        "{answer}"
    );
    // The page that calls, and what a browser asks before a page of another origin may.
    let page = http(envoy.address, "GET / HTTP/1.1", b"", "</html>").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("text/html"), "{page}");
    let preflight = format!(
        "OPTIONS {EXTRACT} HTTP/1.1\r\norigin: https://elsewhere.example\r\naccess-control-request-method: POST"
    );
    let answer = http(envoy.address, &preflight, b"", "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("access-control-allow-origin"), "no origin was allowed: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn load_reports_move_calls_to_the_replica_that_has_room() {
    let small = Replica::with(free(), &["--weights", "fake:step=10ms", "--slots", "1"]).await;
    let large = Replica::with(free(), &["--weights", "fake:step=10ms", "--slots", "8"]).await;
    let addresses = [small.address, large.address];
    let orca = ORCA.replace("blackout_period: 10s", "blackout_period: 1s");
    let policy = ("      lb_policy: LEAST_REQUEST\n", orca.as_str());
    let Some(envoy) = Envoy::start(&addresses, &[policy]).await else { return };
    let channel = connect(envoy.address).await;
    let over = Instant::now() + Duration::from_secs(9);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move {
                while Instant::now() < over {
                    try_once(&channel).await.unwrap();
                }
            })
        })
        .collect();
    let sent = || addresses.map(|replica| envoy.sent(replica));
    // Without weights it goes in turns.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let turns = sent();
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let before = sent();
    for caller in callers {
        caller.await.unwrap();
    }
    let after = sent();
    let [to_small, to_large] = [after[0] - before[0], after[1] - before[1]];
    println!("in turns {turns:?}, by load {to_small} and {to_large}");
    assert!(to_large >= 2 * to_small, "{to_small} to the small one, {to_large} to the large one");
    assert!(to_small > 0, "the small one has its share");
}
