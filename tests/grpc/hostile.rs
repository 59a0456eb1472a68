//! Peers that mean no good: bytes that are no message, messages that are no request, peers that break off,
//! and storms of all of them. Whatever comes, the answer is a status that blames the right side, and the
//! next honest request is answered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use prost::Message as _;
use tessera::pb::v1;
use tessera::telemetry::Telemetry;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    SOON, Server, Setup, assert_failure, collect, completed, file, first_token, open, question,
    receipt, refuse,
};

/// Bytes as they are, in both directions.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

const EXTRACT: &str = "/tessera.v1.ExtractionService/Extract";

/// Sends `bytes` as the request of a method; how the call ended.
async fn send(channel: Channel, path: &'static str, bytes: Bytes) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let called = grpc.server_streaming(Request::new(bytes), path, Raw).await;
    let mut stream = match called {
        Ok(response) => response.into_inner(),
        Err(status) => return status,
    };
    loop {
        match tokio::time::timeout(SOON, stream.message()).await.unwrap() {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok(""),
            Err(status) => return status,
        }
    }
}

async fn assert_well(server: &Server) {
    let (events, status) = collect(open(server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert!(!completed(&events).text.is_empty());
    server.until_idle().await;
}

/// A request with some of its bytes changed, cut off or doubled.
fn damaged() -> impl Strategy<Value = Bytes> {
    let honest = receipt().encode_to_vec();
    let length = honest.len();
    let changes = prop::collection::vec((0..length, any::<u8>()), 0..8);
    (changes, 0..=length, any::<bool>()).prop_map(move |(changes, cut, doubled)| {
        let mut bytes = honest.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(cut);
        if doubled {
            bytes.extend_from_within(..);
        }
        bytes.into()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_request_are_the_callers_mistake() {
    let server = Setup::default().start().await;
    let channel = server.channel().await;
    let runtime = tokio::runtime::Handle::current();
    let try_out = move |strategy: BoxedStrategy<Bytes>| {
        let (channel, runtime) = (channel.clone(), runtime.clone());
        let mut runner = TestRunner::new(Config { cases: 150, ..Config::default() });
        runner
            .run(&strategy, |bytes| {
                let status = runtime.block_on(send(channel.clone(), EXTRACT, bytes));
                let code = status.code();
                // INTERNAL is how gRPC names a message that cannot be decoded.
                prop_assert!(
                    matches!(
                        code,
                        Code::Ok | Code::InvalidArgument | Code::NotFound | Code::Internal
                    ),
                    "{code:?}"
                );
                let explained = status.get_details_error_info();
                prop_assert_eq!(explained.is_none(), code == Code::Ok, "{:?}", status);
                if let Some(info) = explained.filter(|_| code == Code::Internal) {
                    prop_assert_eq!(info.reason, "MALFORMED_MESSAGE");
                }
                Ok(())
            })
            .unwrap();
    };
    tokio::task::spawn_blocking(move || {
        try_out(prop::collection::vec(any::<u8>(), 0..512).prop_map(Bytes::from).boxed());
        try_out(damaged().boxed());
    })
    .await
    .unwrap();
    assert_well(&server).await;
}

#[tokio::test]
async fn a_method_that_is_not_there() {
    let server = Setup::default().start().await;
    let path = "/tessera.v1.ExtractionService/Nothing";
    let status = send(server.channel().await, path, Bytes::new()).await;
    assert_failure(&status, Code::Unimplemented, "UNIMPLEMENTED");
}

#[tokio::test]
async fn an_image_that_unpacks_to_too_much_costs_nothing() {
    let server = Setup::default().start().await;
    // A PNG of 60,000 × 60,000 pixels in its header, and nothing behind it.
    let mut header = b"IHDR".to_vec();
    header.extend(60_000_u32.to_be_bytes());
    header.extend(60_000_u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(13_u32.to_be_bytes());
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    let pixels = b"IDAT\x78\x9c\x63\x60";
    png.extend(4_u32.to_be_bytes());
    png.extend(pixels);
    png.extend(crc32(pixels).to_be_bytes());
    let request = tessera::pb::v1::ExtractRequest { files: vec![file(png)], ..question("?") };
    let status = crate::support::refuse(&server, request).await;
    crate::support::assert_failure(&status, Code::InvalidArgument, "LIMIT_EXCEEDED");
    assert_well(&server).await;
}

#[tokio::test]
async fn a_message_that_unpacks_to_much_more_is_refused_undecoded() {
    let server = Setup::default().start().await;
    // Two bytes each on the wire, and a hundred in memory.
    let fields = vec![v1::FieldSpec::default(); 200_000];
    let source = v1::extraction_schema::Source::FieldList(v1::FieldList { fields });
    let schema = v1::ExtractionSchema { source: Some(source), ..Default::default() };
    let task = Some(v1::extract_request::Task::Schema(schema));
    let request = v1::ExtractRequest { request_id: "a".to_owned(), task, ..question("?") };
    let status = crate::support::refuse(&server, request.clone()).await;
    crate::support::assert_failure(&status, Code::InvalidArgument, "LIMIT_EXCEEDED");
    assert_eq!(crate::support::fields(&status), ["schema"]);
    let metadata = crate::support::info(&status).1.metadata;
    assert_eq!(metadata["limit"], "max_bytes_besides_files");
    // In a batch it is the call's end.
    let message = Some(v1::batch_extract_request::Message::Extract(request));
    let requests = tokio_stream::iter([v1::BatchExtractRequest { message }]);
    let mut responses = server.client().await.batch_extract(requests).await.unwrap().into_inner();
    let status = tokio::time::timeout(SOON, responses.message()).await.unwrap().unwrap_err();
    crate::support::assert_failure(&status, Code::InvalidArgument, "LIMIT_EXCEEDED");
    assert_well(&server).await;
}

/// As PNG has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 }
        })
    })
}

#[tokio::test]
async fn peers_that_speak_no_http_are_dropped_alone() {
    let mut setup = Setup::default();
    setup.service.transport.handshake_timeout = Duration::from_millis(300);
    let server = setup.start().await;
    for garbage in [&b"EHLO mail.example\r\nMAIL FROM:<a@b>\r\n"[..], &[0; 64], &[0xFF; 4096]] {
        let mut peer = TcpStream::connect(server.address).await.unwrap();
        peer.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut peer, &mut rest);
        let _ = tokio::time::timeout(SOON, read).await.expect("the server hangs up");
    }
    assert_well(&server).await;
}

#[tokio::test]
async fn clients_that_are_gone_without_a_word_free_their_slots() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    // Each on a connection of its own, which breaks with it.
    for _ in 0..20 {
        let mut stream = open(&server, question("Read on")).await;
        first_token(&mut stream).await;
    }
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_resets_hurts_nobody_else() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    let mut honest = open(&server, question("Read on")).await;
    first_token(&mut honest).await;
    let channel = server.channel().await;
    for _ in 0..500 {
        // Begun and given up before there is an answer.
        let mut client = tessera::pb::v1::extraction_service_client::ExtractionServiceClient::new(
            channel.clone(),
        );
        let call = client.extract(question("Never mind"));
        let _ = tokio::time::timeout(Duration::from_micros(200), call).await;
    }
    first_token(&mut honest).await;
    drop(honest);
    server.until_idle().await;
}

/// A request body that nothing comes of.
struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_call_that_is_left_before_its_message_is_no_failure_of_the_server() {
    let telemetry = Telemetry::keeping_metrics();
    let mut setup = Setup::default();
    setup.service.telemetry = telemetry.clone();
    let server = setup.start().await;
    let mut client = server.http2().await;
    let request = |body| server.post(EXTRACT, "application/grpc", body);
    // Reset, as by a client that gives up; and ended, as by one that is wrong.
    let answer = client.send_request(request(tonic::body::Body::new(Silent)));
    assert!(tokio::time::timeout(Duration::from_millis(200), answer).await.is_err());
    let answer = client.send_request(request(tonic::body::Body::empty()));
    let head = tokio::time::timeout(SOON, answer).await.unwrap().unwrap();
    let code = head.headers()["grpc-status"].to_str().unwrap();
    assert_eq!(code, (Code::Cancelled as i32).to_string());

    let counted = || -> Vec<String> {
        let text = telemetry.metrics().prometheus();
        let of_calls = |line: &&str| line.starts_with("rpc_server_call_duration_seconds_count{");
        text.lines().filter(of_calls).map(str::to_owned).collect()
    };
    let both = async {
        while !counted().iter().any(|line| line.ends_with(" 2")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, both).await.is_ok(), "{:?}", counted());
    assert!(counted().iter().all(|line| line.contains("CANCELLED")), "{:?}", counted());
    assert_well(&server).await;
}

/// A request body that is fed by hand.
fn fed() -> (mpsc::Sender<Bytes>, Body) {
    let (feed, fed) = mpsc::channel(64);
    let frames = ReceiverStream::new(fed).map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
    (feed, Body::new(StreamBody::new(frames)))
}

/// A message as it is on the wire.
fn framed(message: &impl prost::Message) -> Bytes {
    let message = message.encode_to_vec();
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat().into()
}

/// How a call ended, whether its answer began or not.
async fn ending(answer: http::Response<hyper::body::Incoming>) -> Status {
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let body = tokio::time::timeout(SOON, answer.into_body().collect()).await.unwrap().unwrap();
    Status::from_header_map(body.trailers().expect("trailers")).expect("a status")
}

/// No image, and so refused for its content once it is whole.
fn large(bytes: usize) -> v1::ExtractRequest {
    v1::ExtractRequest { files: vec![file(vec![b'x'; bytes])], ..question("Much?") }
}

#[tokio::test]
async fn a_message_that_stops_short_frees_its_memory() {
    let mut setup = Setup::default();
    setup.service.request_memory_bytes = 100_000;
    setup.service.receive_timeout = Duration::from_secs(2);
    let server = setup.start().await;
    let message = framed(&large(90_000));
    let of_others = async |reason: &str| {
        tokio::time::timeout(SOON, async {
            while crate::support::info(&refuse(&server, large(30_000)).await).1.reason != reason {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("others never get {reason}"));
    };
    let mut attempts = 0;
    let (feed, answer) = loop {
        attempts += 1;
        assert!(attempts < 20, "others never get REQUEST_MEMORY_FULL");
        let (feed, body) = fed();
        let mut client = server.http2().await;
        let request = server.post(EXTRACT, "application/grpc", body);
        let mut answer = tokio::spawn(client.send_request(request));
        feed.send(message.slice(..message.len() - 1)).await.unwrap();
        // There is room for one of the two: the others of the attempt before may still have it.
        let first = Duration::from_millis(20 * attempts);
        if tokio::time::timeout(first, &mut answer).await.is_ok() {
            continue;
        }
        tokio::select! {
            () = of_others("REQUEST_MEMORY_FULL") => break (feed, answer),
            _ = &mut answer => {}
        }
    };
    let answer = tokio::time::timeout(SOON, answer).await.expect("the call ends");
    let status = ending(answer.unwrap().unwrap()).await;
    assert_failure(&status, Code::DeadlineExceeded, "MESSAGE_TIMEOUT");
    let metadata = crate::support::info(&status).1.metadata;
    assert_eq!((&*metadata["limit"], &*metadata["limit_value"]), ("receive_timeout_ms", "2000"));
    of_others("INVALID_FIELD").await;
    assert_well(&server).await;
    drop(feed);
}

#[tokio::test]
async fn a_message_that_drips_has_an_end() {
    let mut setup = Setup::default();
    setup.service.receive_timeout = 10 * SOON;
    setup.service.message_time = Duration::from_secs(1);
    let server = setup.start().await;
    let (feed, body) = fed();
    let mut client = server.http2().await;
    let answer = tokio::spawn(client.send_request(server.post(EXTRACT, "application/grpc", body)));
    let message = framed(&large(100_000));
    let dripping = async {
        for at in 0..message.len() {
            if feed.send(message.slice(at..=at)).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = tokio::time::timeout(SOON, answer) => answer.expect("the call ends"),
        () = dripping => unreachable!("it goes on"),
    };
    let status = ending(answer.unwrap().unwrap()).await;
    assert_failure(&status, Code::DeadlineExceeded, "MESSAGE_TIMEOUT");
    assert_eq!(crate::support::info(&status).1.metadata["limit"], "message_ms");
    assert_well(&server).await;
}

/// Its answer waits for the end of what its caller says.
#[tokio::test]
async fn a_call_that_does_not_end_behind_its_message_is_ended() {
    let mut setup = Setup::default();
    setup.service.receive_timeout = Duration::from_millis(300);
    let server = setup.start().await;
    let (feed, body) = fed();
    feed.send(framed(&receipt())).await.unwrap();
    let mut client = server.http2().await;
    let answer = client.send_request(server.post(EXTRACT, "application/grpc", body));
    let answer = tokio::time::timeout(SOON, answer).await.expect("the call ends").unwrap();
    assert_failure(&ending(answer).await, Code::DeadlineExceeded, "MESSAGE_TIMEOUT");
    drop(feed);
}

#[tokio::test]
async fn a_batch_may_be_silent_between_messages_and_not_within_one() {
    let silence = Duration::from_millis(300);
    let mut setup = Setup::default();
    setup.service.receive_timeout = silence;
    let server = setup.start().await;
    let (feed, body) = fed();
    let mut client = server.http2().await;
    let path = "/tessera.v1.ExtractionService/BatchExtract";
    let answer = client.send_request(server.post(path, "application/grpc", body)).await.unwrap();
    let message = framed(&v1::BatchExtractRequest {
        message: Some(v1::batch_extract_request::Message::CancelRequestId("a".to_owned())),
    });
    for _ in 0..2 {
        tokio::time::sleep(3 * silence).await;
        feed.send(message.clone()).await.expect("the call is open");
    }
    tokio::time::sleep(3 * silence).await;
    feed.send(message.slice(..3)).await.expect("the call is open");
    assert_failure(&ending(answer).await, Code::DeadlineExceeded, "MESSAGE_TIMEOUT");
}

/// Those that do have allow lists and a guard: `grpc::fetch` and `tessera::fetch`.
const PLACES: [&str; 3] = ["InputFile.uri", "Capabilities.uri_origins", "Limits.max_uri_bytes"];

#[test]
fn only_known_fields_name_a_place_to_fetch_from() {
    let set = prost_types::FileDescriptorSet::decode(tessera::pb::DESCRIPTOR_SET).unwrap();
    let ours = set.file.iter().filter(|file| file.package() == "tessera.v1");
    let mut fields = 0;
    for message in ours.flat_map(|file| &file.message_type) {
        for field in &message.field {
            fields += 1;
            let words: Vec<&str> = field.name().split('_').collect();
            let fetches = ["uri", "url", "path", "bucket", "endpoint"];
            let name = format!("{}.{}", message.name(), field.name());
            assert_eq!(
                words.iter().any(|word| fetches.contains(word)),
                PLACES.contains(&name.as_str()),
                "{name} is to be fetched: allow lists and a guard belong to it"
            );
        }
    }
    assert!(fields > 50, "{fields} fields: the contract is not here");
}
