//! A real `tessera serve`, a real collector, and what came of a request: shared by the tests of what the server
//! tells others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const PARENT_ID: &str = "00f067aa0ba902b7";
/// Far above what is needed, so that only a bug meets it.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// A process that ends with its test.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The collector that `make collector` builds; none where it did not.
pub(crate) fn collector_binary() -> Option<PathBuf> {
    built("collector")
}

pub(crate) fn free_port() -> u16 {
    crate::port::free().port()
}

/// A file of `deploy/observability`.
pub(crate) fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability").join(name)
}

/// Where the collector writes, and that it does so soon.
fn at_once(directory: &Path, name: &str) -> String {
    format!("path: {}\n    flush_interval: 100ms", directory.join(name).display())
}

pub(crate) fn start_collector(binary: &Path, directory: &Path) -> (Process, u16, u16) {
    let (grpc, http) = (free_port(), free_port());
    // As operators get it, but for its ports and files.
    let mut config = std::fs::read_to_string(deploy("collector.yaml")).unwrap();
    for (shipped, own) in [
        (" endpoint: 127.0.0.1:4317", format!(" endpoint: 127.0.0.1:{grpc}")),
        (" endpoint: 127.0.0.1:4318", format!(" endpoint: 127.0.0.1:{http}")),
        ("timeout: 1s", "timeout: 100ms".to_owned()),
        ("path: traces.jsonl", at_once(directory, "traces.jsonl")),
        ("path: metrics.jsonl", at_once(directory, "metrics.jsonl")),
        // Of its own, on a port that another one may have.
        ("service:\n", "service:\n  telemetry:\n    metrics:\n      level: none\n".to_owned()),
    ] {
        assert_eq!(config.matches(shipped).count(), 1, "{shipped} in {config}");
        config = config.replace(shipped, &own);
    }
    let path = directory.join("collector.yaml");
    std::fs::write(&path, config).unwrap();
    let log = directory.join("collector.log");
    let process = start(Command::new(binary).arg("--config").arg(&path), &log);
    until_listening(grpc, &log);
    (process, grpc, http)
}

/// A server on a free port, once it takes requests.
pub(crate) fn start_server(options: &[String]) -> (Process, u16) {
    let port = free_port();
    let devices: &[&str] =
        if options.iter().any(|o| o == "--devices") { &[] } else { &["--devices", "cpu"] };
    let mut child = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .args(devices)
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("SERVING"), "{first:?}");
    (Process(child), port)
}

/// Options as a command line has them.
pub(crate) fn options(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The bundled receipt, to be read freely: every token is a step, where what a schema forces costs none.
pub(crate) fn receipt() -> v1::ExtractRequest {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/receipt-01.png");
    let source = v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into());
    let schema = v1::ExtractionSchema { source: Some(source), ..Default::default() };
    v1::ExtractRequest {
        files: vec![v1::InputFile {
            content: std::fs::read(page).unwrap().into(),
            ..Default::default()
        }],
        task: Some(v1::extract_request::Task::Schema(schema)),
        generation: Some(v1::GenerationOptions { constrain: Some(false), ..Default::default() }),
        ..Default::default()
    }
}

/// Begins a call in a caller's trace.
pub(crate) async fn open(
    port: u16,
    request: v1::ExtractRequest,
    trace_id: &str,
    level: &str,
) -> Result<Response<Streaming<v1::ExtractResponse>>, Status> {
    let parent = format!("00-{trace_id}-{PARENT_ID}-01");
    call(port, request, &[("traceparent", &parent), ("x-trace-level", level)]).await
}

/// Begins a call with this metadata.
pub(crate) async fn call(
    port: u16,
    request: v1::ExtractRequest,
    metadata: &[(&'static str, &str)],
) -> Result<Response<Streaming<v1::ExtractResponse>>, Status> {
    let mut request = Request::new(request);
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    let mut client =
        ExtractionServiceClient::connect(format!("http://127.0.0.1:{port}")).await.unwrap();
    client.extract(request).await
}

/// Reads `request` to its end.
pub(crate) async fn read(
    port: u16,
    request: v1::ExtractRequest,
    trace_id: &str,
    level: &str,
) -> v1::Completed {
    let answer = open(port, request, trace_id, level).await.unwrap();
    finish(answer, trace_id).await
}

/// Reads an answer in this trace to its end.
pub(crate) async fn finish(
    answer: Response<Streaming<v1::ExtractResponse>>,
    trace_id: &str,
) -> v1::Completed {
    let sent = answer.metadata().get("traceresponse").unwrap().to_str().unwrap();
    assert!(sent.starts_with(&format!("00-{trace_id}-")) && sent.ends_with("-01"), "{sent}");
    let mut stream = answer.into_inner();
    let mut completed = None;
    while let Some(message) = stream.message().await.unwrap() {
        match message.event {
            Some(Event::Accepted(accepted)) => assert_eq!(accepted.trace_id, trace_id),
            Some(Event::Completed(event)) => completed = Some(event),
            _ => {}
        }
    }
    completed.unwrap()
}

/// Reads the bundled receipt in a caller's trace.
pub(crate) async fn extract(port: u16, trace_id: &str, level: &str) -> v1::Completed {
    read(port, receipt(), trace_id, level).await
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// All export requests in a file.
pub(crate) fn exported(file: &Path) -> Vec<ExportTraceServiceRequest> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for the call's own span, which ends last, and a moment for what comes beside it.
pub(crate) fn spans(file: &Path, trace_id: &str) -> Vec<Span> {
    let begin = Instant::now();
    loop {
        let scopes =
            exported(file).into_iter().flat_map(|r| r.resource_spans).flat_map(|r| r.scope_spans);
        let all: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
        let of_trace = |span: &Span| hex(&span.trace_id) == trace_id;
        let whole = ["tessera.v1.ExtractionService/Extract", "decode", "finalise"];
        if whole.iter().all(|name| all.iter().any(|s| of_trace(s) && s.name == *name)) {
            return all;
        }
        assert!(begin.elapsed() < SOON, "only {} spans came", all.len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What `make collector` builds beside the collector.
pub(crate) fn built(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join(name);
    let found = path.exists().then_some(path);
    if found.is_none() {
        eprintln!("skipped: {name} is not built; `make collector backends` builds it");
    }
    found
}

pub(crate) fn http(port: u16, line: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Runs `tessera trace`.
pub(crate) fn shown(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tessera")).arg("trace").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// What `GET path` answers, as JSON. HTTP 1.0: the body comes in one piece.
pub(crate) fn json(port: u16, path: &str) -> serde_json::Value {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

/// A word of a query string.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().fold(String::new(), |out, byte| match byte {
        byte if plain(byte) => out + std::str::from_utf8(&[byte]).unwrap(),
        byte => out + &format!("%{byte:02X}"),
    })
}

/// Waits until something listens there.
pub(crate) fn until_listening(port: u16, log: &Path) {
    let begin = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(begin.elapsed() < SOON, "nothing listens:\n{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Starts a program that logs to `log`.
pub(crate) fn start(command: &mut Command, log: &Path) -> Process {
    let log = std::fs::File::create(log).unwrap();
    Process(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
}
