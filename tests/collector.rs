//! What a real server tells, as a real OpenTelemetry Collector, the terminal and operators get it: the
//! span tree, attribute names and metric names, over gRPC, over HTTP and in files; one trace with callers
//! that OpenTelemetry instruments. Where no collector is built those tests say so and pass:
//! `make collector` builds one with Go.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use expect_test::expect_file;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::Request;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";
/// Far above what is needed, so that only a bug meets it.
const SOON: Duration = Duration::from_mins(1);

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The collector that `make collector` builds; none where it did not.
fn collector_binary() -> Option<PathBuf> {
    built("collector")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start_collector(binary: &Path, directory: &Path) -> (Process, u16, u16) {
    let (grpc, http) = (free_port(), free_port());
    let config = format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: 127.0.0.1:{grpc}\n      \
         http:\n        endpoint: 127.0.0.1:{http}\nexporters:\n  file/traces:\n    path: {0}/traces.jsonl\n    \
         flush_interval: 100ms\n  file/metrics:\n    path: {0}/metrics.jsonl\n    flush_interval: 100ms\n\
         service:\n  telemetry:\n    metrics:\n      level: none\n  pipelines:\n    traces:\n      \
         receivers: [otlp]\n      exporters: [file/traces]\n    metrics:\n      receivers: [otlp]\n      \
         exporters: [file/metrics]\n",
        directory.display()
    );
    let path = directory.join("collector.yaml");
    std::fs::write(&path, config).unwrap();
    let log = std::fs::File::create(directory.join("collector.log")).unwrap();
    let child = Command::new(binary)
        .arg("--config")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let process = Process(child);
    let begin = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", grpc)).is_err() {
        let log = || std::fs::read_to_string(directory.join("collector.log")).unwrap();
        assert!(begin.elapsed() < SOON, "the collector does not listen:\n{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    (process, grpc, http)
}

/// A server on a free port, once it takes requests.
fn start_server(options: &[String]) -> (Process, u16) {
    let port = free_port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["serve", "--devices", "cpu", "--listen", &format!("127.0.0.1:{port}")])
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

/// Reads the bundled receipt in a caller's trace.
async fn extract(port: u16, trace_id: &str, level: &str) -> v1::Completed {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/receipt-01.png");
    let source = v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into());
    let schema = v1::ExtractionSchema { source: Some(source), ..Default::default() };
    let mut request = Request::new(v1::ExtractRequest {
        files: vec![v1::InputFile {
            content: std::fs::read(page).unwrap().into(),
            ..Default::default()
        }],
        task: Some(v1::extract_request::Task::Schema(schema)),
        ..Default::default()
    });
    let parent = format!("00-{trace_id}-{PARENT_ID}-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("x-trace-level", level.parse().unwrap());
    let mut client =
        ExtractionServiceClient::connect(format!("http://127.0.0.1:{port}")).await.unwrap();
    let mut stream = client.extract(request).await.unwrap().into_inner();
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Waits for the call's own span, which ends last, and a moment for what comes beside it.
fn spans(file: &Path, trace_id: &str) -> Vec<Span> {
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let requests = text
            .lines()
            .filter_map(|line| serde_json::from_str::<ExportTraceServiceRequest>(line).ok());
        let scopes = requests.flat_map(|r| r.resource_spans).flat_map(|r| r.scope_spans);
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

/// Names, kinds and attribute keys below `parent`; siblings of one name and shape are told once.
fn tree(spans: &[&Span], parent: &[u8], depth: usize, out: &mut String) {
    let mut shapes: BTreeMap<String, usize> = BTreeMap::new();
    let mut below: Vec<&&Span> = spans.iter().filter(|s| s.parent_span_id == parent).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    let mut order: Vec<String> = Vec::new();
    for span in below {
        let keys: BTreeSet<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
        let keys = keys.into_iter().collect::<Vec<_>>().join(" ");
        let indent = "  ".repeat(depth);
        let mut shape = format!("{indent}{} {:?} [{keys}]\n", span.name, span.kind());
        tree(spans, &span.span_id, depth + 1, &mut shape);
        if !shapes.contains_key(&shape) {
            order.push(shape.clone());
        }
        *shapes.entry(shape).or_default() += 1;
    }
    for shape in order {
        let count = shapes[&shape];
        // How many steps and fields there are is the model's business, and is checked against usage.
        let many = if count > 1 { "many × " } else { "" };
        let indent = shape.len() - shape.trim_start().len();
        let _ = write!(out, "{}{many}{}", &shape[..indent], &shape[indent..]);
    }
}

fn check(spans: &[Span], trace_id: &str, completed: &v1::Completed) {
    let own: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == trace_id).collect();
    let usage = completed.usage.unwrap();
    let steps = own.iter().filter(|span| span.name == "decode_step").count();
    assert_eq!(steps, usage.output_tokens as usize, "every generation step has its span");
    let fields = own.iter().filter(|span| span.name.starts_with("field ")).count();
    assert_eq!(fields, completed.fields.len());
    let generate = own.iter().find(|span| span.name.starts_with("generate_content")).unwrap();
    let linked = spans.iter().filter(|span| {
        span.name == "engine.step"
            && span.links.iter().any(|link| link.span_id == generate.span_id)
            && span.parent_span_id.is_empty()
    });
    assert_eq!(linked.count(), steps, "a pass of the engine for each");
    let mut found = String::new();
    let caller: Vec<u8> = (0..16)
        .step_by(2)
        .map(|at| u8::from_str_radix(&PARENT_ID[at..at + 2], 16).unwrap())
        .collect();
    tree(&own, &caller, 0, &mut found);
    expect_file!["data/telemetry/span-tree.txt"].assert_eq(&found);
}

#[tokio::test]
async fn a_trace_arrives_whole_over_both_protocols() {
    let Some(binary) = collector_binary() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (_collector, grpc, http) = start_collector(&binary, directory.path());
    let second = TRACE_ID.replace("4bf9", "5bf9");
    for (protocol, port, id) in [("grpc", grpc, TRACE_ID), ("http", http, second.as_str())] {
        let options =
            ["--otlp-endpoint", &format!("http://127.0.0.1:{port}"), "--otlp-protocol", protocol]
                .map(ToOwned::to_owned);
        let (mut server, port) = start_server(&options);
        let completed = extract(port, id, "3").await;
        let file = directory.path().join("traces.jsonl");
        check(&spans(&file, id), id, &completed);
        let (success, text) = shown(&[file.to_str().unwrap(), "--id", id]);
        assert!(success && text.contains("decode_step ×"), "the collector's file: {text}");
        // The last metrics are sent as it ends.
        Command::new("kill").arg(server.0.id().to_string()).status().unwrap();
        server.0.wait().unwrap();
    }
    let metrics = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
    for name in
        ["gen_ai.server.time_to_first_token", "tessera.engine.steps", "rpc.server.call.duration"]
    {
        assert!(metrics.contains(&format!("\"name\":\"{name}\"")), "{name} did not come");
    }
}

/// Runs a client that OpenTelemetry's own instrumentation wraps, and checks that its spans and the
/// server's are one trace.
fn shares_a_trace(client: &mut Command) {
    let Some(binary) = collector_binary() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (_collector, grpc, _) = start_collector(&binary, directory.path());
    let (_server, port) =
        start_server(&["--otlp-endpoint".to_owned(), format!("http://127.0.0.1:{grpc}")]);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/receipt-01.png");
    let output = client
        .args([format!("127.0.0.1:{port}"), format!("127.0.0.1:{grpc}"), page.to_owned()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let all = spans(&directory.path().join("traces.jsonl"), &id);
    let own = |kind: SpanKind| {
        let found = all.iter().find(|span| span.kind() == kind && hex(&span.trace_id) == id);
        found.unwrap_or_else(|| panic!("no {kind:?} span in {id}"))
    };
    assert_eq!(own(SpanKind::Server).parent_span_id, own(SpanKind::Client).span_id);
}

/// What `make collector` builds beside the collector.
fn built(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join(name);
    let found = path.exists().then_some(path);
    if found.is_none() {
        eprintln!("skipped: {name} is not built; `make collector` builds it");
    }
    found
}

#[test]
fn a_go_client_and_the_server_share_a_trace() {
    let Some(client) = built("traced-client") else { return };
    shares_a_trace(&mut Command::new(client));
}

#[test]
fn a_python_client_and_the_server_share_a_trace() {
    let Some(python) = built("traced-python/bin/python") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/collector/traced_client.py");
    let clients = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python");
    shares_a_trace(Command::new(python).arg(script).env("PYTHONPATH", clients));
}

#[tokio::test]
async fn prometheus_reads_a_scrape_the_rules_and_the_dashboard() {
    let Some(promcheck) = built("promcheck") else { return };
    let admin = free_port();
    let options = ["--metrics-vllm-names", "--admin-listen", &format!("127.0.0.1:{admin}")];
    let (_server, port) = start_server(&options.map(ToOwned::to_owned));
    extract(port, TRACE_ID, "2").await;
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability");
    let output = Command::new(promcheck)
        .args([deploy.join("rules.yaml"), deploy.join("dashboard.json")])
        .arg(format!("http://127.0.0.1:{admin}/metrics"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let counts: Vec<usize> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(counts.len() == 3 && counts.iter().all(|count| *count > 10), "{text}");
}

#[tokio::test]
async fn a_collector_that_goes_away_costs_spans_and_nothing_else() {
    let Some(binary) = collector_binary() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (collector, grpc, _) = start_collector(&binary, directory.path());
    let admin = free_port();
    let options = [
        "--otlp-endpoint",
        &format!("http://127.0.0.1:{grpc}"),
        "--admin-listen",
        &format!("127.0.0.1:{admin}"),
    ]
    .map(ToOwned::to_owned);
    let (_server, port) = start_server(&options);
    extract(port, TRACE_ID, "2").await;
    spans(&directory.path().join("traces.jsonl"), TRACE_ID);
    drop(collector);
    let completed = extract(port, &TRACE_ID.replace("4bf9", "6bf9"), "2").await;
    assert!(completed.usage.unwrap().output_tokens > 0);
    let lost = || {
        let text = http(admin, "GET /metrics", "");
        let line = text.lines().find(|line| {
            line.starts_with("otel_sdk_exporter_span_exported_total") && line.contains("error_type")
        });
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    let begin = Instant::now();
    while lost() < u64::from(completed.usage.unwrap().output_tokens) {
        assert!(begin.elapsed() < SOON, "{} are said to be lost", lost());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs `tessera trace`.
fn shown(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tessera")).arg("trace").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn without_a_collector_files_and_the_terminal_have_the_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (_server, port) = start_server(&["--trace-dir".to_owned(), path.to_owned()]);
    let completed = extract(port, TRACE_ID, "2").await;
    spans(&directory.path().join("spans.jsonl"), TRACE_ID);
    let steps = format!("decode_step ×{}", completed.usage.unwrap().output_tokens);
    for arguments in [&["--trace-dir", path, "--last"][..], &[path, "--id", "4bf92f"]] {
        let (success, text) = shown(arguments);
        assert!(success && text.contains(&steps) && text.contains("field /TOTAL_"), "{text}");
    }
    let (success, text) = shown(&[path, "--list"]);
    assert!(success && text.contains(TRACE_ID), "{text}");
    assert!(!shown(&[path, "--id", "ffff"]).0, "there is no such trace");
}

#[tokio::test]
async fn what_is_logged_changes_while_the_server_runs() {
    let admin = free_port();
    let (_server, _) = start_server(&["--admin-listen".to_owned(), format!("127.0.0.1:{admin}")]);
    assert!(http(admin, "GET /log-level", "").ends_with("\r\n\r\ninfo\n"));
    let answer = http(admin, "PUT /log-level", "warn,tessera::engine=debug");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(http(admin, "GET /log-level", "").ends_with("warn,tessera::engine=debug\n"));
    let answer = http(admin, "PUT /log-level", "tessera=loud");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("tessera=loud"), "{answer}");
    assert!(http(admin, "GET /log-level", "").ends_with("warn,tessera::engine=debug\n"));
}

fn http(port: u16, line: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
