//! gRPC-Web over HTTP/1.1 on the port that speaks gRPC, byte for byte as a browser sends it.

use std::time::Duration;

use prost::Message as _;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::{SOON, Server, Setup, completed, question};

const EXTRACT: &str = "/tessera.v1.ExtractionService/Extract";

/// Marks the frame that carries the trailers.
const TRAILERS: u8 = 0x80;

/// An answer of HTTP/1.1.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.lines().find_map(|line| {
            line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name))
        });
        found.map(|(_, value)| value)
    }

    /// Messages, and the trailers as text.
    fn frames(&self) -> (Vec<v1::ExtractResponse>, String) {
        let (mut messages, mut trailers) = (Vec::new(), String::new());
        let mut rest = self.body.as_slice();
        while let [flags, a, b, c, d, tail @ ..] = rest {
            let (frame, tail) = tail.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            if *flags == TRAILERS {
                trailers.push_str(std::str::from_utf8(frame).unwrap());
            } else {
                messages.push(v1::ExtractResponse::decode(frame).unwrap());
            }
            rest = tail;
        }
        assert!(rest.is_empty(), "half a frame: {rest:?}");
        (messages, trailers)
    }
}

fn frame(request: &v1::ExtractRequest) -> Vec<u8> {
    let message = request.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

async fn send(server: &Server, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Who names another host says so among the headers.
    let host = if headers.starts_with("host: ") {
        String::new()
    } else {
        format!("host: {}\r\n", server.address)
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

async fn ask(server: &Server, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = send(server, method, path, headers, body).await;
    let mut bytes = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = joined(&answer.body);
    }
    answer
}

/// The chunks of a body, joined.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunks.windows(2).position(|two| two == b"\r\n").expect("a chunk");
        let text = std::str::from_utf8(&chunks[..line]).unwrap();
        let len = usize::from_str_radix(text, 16).unwrap();
        if len == 0 {
            return body;
        }
        let start = line + 2;
        body.extend_from_slice(&chunks[start..start + len]);
        chunks = &chunks[start + len + 2..];
    }
}

const GRPC_WEB: &str = "content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n";

#[tokio::test]
async fn a_browser_gets_the_stream_and_its_trailers() {
    let server = Setup::default().start().await;
    let answer = ask(&server, "POST", EXTRACT, GRPC_WEB, &frame(&question("What?"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/grpc-web+proto"));
    let (messages, trailers) = answer.frames();
    let sequence: Vec<u64> = messages.iter().map(|message| message.sequence).collect();
    assert_eq!(sequence, (1..=messages.len() as u64).collect::<Vec<_>>());
    let events: Vec<Event> = messages.into_iter().filter_map(|message| message.event).collect();
    assert!(matches!(events[0], Event::Accepted(_)), "{events:?}");
    assert_eq!(completed(&events).text, r#"{"TOTAL_AMOUNT": "12.50"}"#);
    assert!(trailers.contains("grpc-status:0"), "{trailers:?}");
}

#[tokio::test]
async fn a_refusal_comes_with_its_details() {
    let server = Setup::default().start().await;
    let answer =
        ask(&server, "POST", EXTRACT, GRPC_WEB, &frame(&v1::ExtractRequest::default())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("grpc-status"), Some("3"), "{}", answer.head);
    assert!(answer.header("grpc-status-details-bin").is_some(), "{}", answer.head);
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn the_deadline_ends_the_stream() {
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let headers = format!("{GRPC_WEB}grpc-timeout: 300m\r\n");
    let answer = ask(&server, "POST", EXTRACT, &headers, &frame(&question("What?"))).await;
    let (messages, trailers) = answer.frames();
    assert!(!messages.is_empty());
    let code = format!("grpc-status:{}", Code::DeadlineExceeded as i32);
    assert!(trailers.contains(&code), "{trailers:?}");
    server.until_idle().await;
}

#[tokio::test]
async fn a_page_that_is_left_frees_its_slot() {
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let mut stream = send(&server, "POST", EXTRACT, GRPC_WEB, &frame(&question("What?"))).await;
    let mut some = [0; 64];
    stream.read_exact(&mut some).await.unwrap();
    server.until(|status| status.load.running == 1).await;
    drop(stream);
    server.until_idle().await;
}

#[tokio::test]
async fn only_named_origins_may_call() {
    let mut setup = Setup::default();
    setup.service.cors_origins = vec!["https://app.example.com".to_owned()];
    let server = setup.start().await;
    let preflight = |origin: &str| {
        format!(
            "origin: {origin}\r\naccess-control-request-method: POST\r\n\
             access-control-request-headers: content-type,x-grpc-web,authorization\r\n"
        )
    };

    let friend = ask(&server, "OPTIONS", EXTRACT, &preflight("https://app.example.com"), b"").await;
    assert_eq!(friend.status, 200);
    assert_eq!(friend.header("access-control-allow-origin"), Some("https://app.example.com"));
    let headers = friend.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("authorization"), "{headers}");

    let stranger = ask(&server, "OPTIONS", EXTRACT, &preflight("https://evil.example"), b"").await;
    assert_eq!(stranger.header("access-control-allow-origin"), None, "{}", stranger.head);

    let headers = format!("{GRPC_WEB}origin: https://app.example.com\r\n");
    let call = ask(&server, "POST", EXTRACT, &headers, &frame(&question("What?"))).await;
    assert_eq!(call.header("access-control-allow-origin"), Some("https://app.example.com"));
    let exposed = call.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("grpc-status-details-bin"), "{exposed}");
}

#[tokio::test]
async fn without_origins_nobody_elses_page_may_call() {
    let server = Setup::default().start().await;
    let headers = "origin: https://app.example.com\r\naccess-control-request-method: POST\r\n";
    let answer = ask(&server, "OPTIONS", EXTRACT, headers, b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), None, "{}", answer.head);
}

#[tokio::test]
async fn what_is_no_grpc_web_is_told_what_is() {
    let server = Setup::default().start().await;
    // A page of another origin may send these without asking first.
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = format!("content-type: {content_type}\r\n");
        let answer = ask(&server, "POST", EXTRACT, &headers, &frame(&question("What?"))).await;
        assert_eq!(answer.status, 415, "{content_type}");
        assert!(String::from_utf8(answer.body).unwrap().contains("application/grpc-web+proto"));
    }
}

#[tokio::test]
async fn the_playground_is_served_under_a_strict_policy() {
    let server = Setup::default().start().await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/app.css", "text/css; charset=utf-8"),
        ("/samples/receipt.png", "image/png"),
    ] {
        let page = ask(&server, "GET", path, "", b"").await;
        assert_eq!((page.status, page.header("content-type")), (200, Some(media_type)), "{path}");
        assert!(!page.body.is_empty());
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");

        let tag = format!("if-none-match: {}\r\n", page.header("etag").unwrap());
        let again = ask(&server, "GET", path, &tag, b"").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    let head = ask(&server, "HEAD", "/", "", b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let missing = ask(&server, "GET", "/no-such-page", "", b"").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn the_playground_can_be_switched_off() {
    let mut setup = Setup::default();
    setup.service.playground = false;
    let server = setup.start().await;
    assert_eq!(ask(&server, "GET", "/", "", b"").await.status, 404);
    let call = ask(&server, "POST", EXTRACT, GRPC_WEB, &frame(&question("What?"))).await;
    assert!(call.frames().1.contains("grpc-status:0"));
}

/// A page whose name was made to point here (DNS rebinding) is of the server's own origin: only the name that
/// it calls by tells it from one of ours.
#[tokio::test]
async fn browsers_call_by_names_that_are_ours() {
    let server = Setup::default().start().await;
    let body = frame(&question("Total?"));
    let call = "content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n";
    for host in ["localhost:50051", "127.0.0.1:50051", "[::1]:50051"] {
        let page = ask(&server, "GET", "/", &format!("host: {host}\r\n"), b"").await;
        assert_eq!(page.status, 200, "{host}: {}", page.head);
        let answer = ask(&server, "POST", EXTRACT, &format!("host: {host}\r\n{call}"), &body).await;
        assert_eq!(answer.status, 200, "{host}: {}", answer.head);
    }
    for host in ["evil.example:50051", "localhost.evil.example"] {
        let page = ask(&server, "GET", "/", &format!("host: {host}\r\n"), b"").await;
        assert_eq!(page.status, 421, "{host}: {}", page.head);
        assert!(String::from_utf8_lossy(&page.body).contains("--allowed-hosts"));
        let origin = format!("host: {host}\r\norigin: http://{host}\r\n{call}");
        let answer = ask(&server, "POST", EXTRACT, &origin, &body).await;
        assert_eq!(answer.status, 421, "{host}: {}", answer.head);
        assert!(answer.header("access-control-allow-origin").is_none(), "{}", answer.head);
    }
    // gRPC itself, which no browser speaks, may be for any authority: meshes and proxies choose it.
    let endpoint = server.endpoint().origin("http://reader.mesh.internal".parse().unwrap());
    let mut client = v1::extraction_service_client::ExtractionServiceClient::new(
        endpoint.connect().await.unwrap(),
    );
    client.model_info(v1::ModelInfoRequest::default()).await.unwrap();

    let mut setup = Setup::default();
    setup.service.allowed_hosts = Some(vec!["tessera.example".to_owned()]);
    let named = setup.start().await;
    let page = ask(&named, "GET", "/", "host: Tessera.example\r\n", b"").await;
    assert_eq!(page.status, 200, "{}", page.head);
}

/// A page may send these without asking whether it may.
#[tokio::test]
async fn what_a_page_may_send_unasked_is_no_call() {
    let server = Setup::default().start().await;
    let mut client = server.http2().await;
    let body = bytes::Bytes::from(frame(&question("Total?")));
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"]
    {
        let body = tonic::body::Body::new(http_body_util::Full::new(body.clone()));
        let request = server.post(EXTRACT, content_type, body);
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 415, "{content_type}");
    }
    let body = tonic::body::Body::new(http_body_util::Full::new(body));
    let answer = client.send_request(server.post(EXTRACT, "application/grpc", body)).await.unwrap();
    assert_eq!(answer.status(), 200);
}
