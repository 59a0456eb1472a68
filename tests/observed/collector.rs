//! What a real OpenTelemetry Collector gets over gRPC, over HTTP, and what it does not get: the span tree,
//! attributes against the conventions; one trace with callers that OpenTelemetry instruments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use expect_test::expect_file;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tessera::pb::v1;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::support::{
    PARENT_ID, SOON, TRACE_ID, built, collector_binary, extract, free_port, hex, http, shown,
    spans, start_collector, start_server,
};

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
    expect_file!["../data/telemetry/span-tree.txt"].assert_eq(&found);
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
        let of = |line: &&str| line.starts_with("otel_sdk_exporter_span_exported_total{error_type");
        let counts = text.lines().filter(of).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().unwrap()).sum::<u64>()
    };
    let begin = Instant::now();
    while lost() < u64::from(completed.usage.unwrap().output_tokens) {
        assert!(begin.elapsed() < SOON, "{} are said to be lost", lost());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Takes connections, and no spans.
#[derive(Debug)]
struct Refusing;

#[tonic::async_trait]
impl TraceService for Refusing {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Err(Status::resource_exhausted("come back never"))
    }
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let refusing = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Refusing))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(refusing);
    let admin = free_port();
    let options = ["--otlp-endpoint", &endpoint, "--otlp-signals", "traces", "--admin-listen"];
    let mut options: Vec<String> = options.map(ToOwned::to_owned).to_vec();
    options.push(format!("127.0.0.1:{admin}"));
    let (_server, port) =
        tokio::task::spawn_blocking(move || start_server(&options)).await.unwrap();
    let completed = extract(port, TRACE_ID, "2").await;
    let steps = u64::from(completed.usage.unwrap().output_tokens);
    let lost = "otel_sdk_exporter_span_exported_total{error_type=\"rejected\"}";
    let begin = Instant::now();
    loop {
        let text =
            tokio::task::spawn_blocking(move || http(admin, "GET /metrics", "")).await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(lost));
        if line.is_some_and(|count| count.trim().parse::<u64>().unwrap() > steps) {
            return;
        }
        assert!(begin.elapsed() < SOON, "{text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
