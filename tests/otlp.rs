//! Traces of a request, as a collector gets them. Its own test program: the exporter belongs to the
//! whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "shared with the gRPC tests, which use all of it")]
#[path = "grpc/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::telemetry::{self, LogFormat, Otlp};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use support::{MODEL, Server, Setup, collect, completed, question, receipt};

const EXTRACT: &str = "tessera.v1.ExtractionService/Extract";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";
const UNSAMPLED_ID: &str = "5bf92f3577b34da6a3ce929d0e0e4737";
const REFUSED_ID: &str = "6bf92f3577b34da6a3ce929d0e0e4738";
const SECRET: &str = "the account of Jane Doe";

/// Keeps what it is sent.
#[derive(Debug, Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    resources: Arc<Mutex<Vec<Resource>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            self.resources.lock().unwrap().extend(of_resource.resource);
            for of_scope in of_resource.scope_spans {
                self.spans.lock().unwrap().extend(of_scope.spans);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on a free port and returns its endpoint.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(self.clone());
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        endpoint
    }

    /// Waits until the calls of these traces are exported.
    async fn until_closed(&self, trace_ids: [&str; 2]) {
        let closed = |id| !self.trace(id).named(EXTRACT).is_empty();
        tokio::time::timeout(support::SOON, async {
            while !trace_ids.into_iter().all(closed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    fn trace(&self, trace_id: &str) -> Trace {
        let spans = self.spans.lock().unwrap();
        Trace(spans.iter().filter(|span| hex(&span.trace_id) == trace_id).cloned().collect())
    }
}

/// The spans of one trace.
#[derive(Debug)]
struct Trace(Vec<Span>);

impl Trace {
    fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> &Span {
        let found = self.named(name);
        let names: Vec<_> = self.0.iter().map(|span| &span.name).collect();
        assert_eq!(found.len(), 1, "{name} in {names:?}");
        found[0]
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

/// Runs `request` with a `traceparent`.
async fn run(server: &Server, request: v1::ExtractRequest, parent: &str) -> (Vec<Event>, Status) {
    let mut request = Request::new(request);
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    match server.client().await.extract(request).await {
        Ok(answer) => collect(answer.into_inner()).await,
        Err(status) => (Vec::new(), status),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_tree_of_spans() {
    let collector = Collector::default();
    let otlp = Otlp::new(collector.start().await);
    let config = telemetry::Config {
        log_format: LogFormat::Json,
        log_filter: "info".to_owned(),
        otlp: Some(otlp),
        ..telemetry::Config::default()
    };
    let guard = telemetry::init(&config).unwrap();
    let server = Setup { answer: SECRET.to_owned(), ..Setup::default() }.start().await;

    let sampled = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    let request = v1::ExtractRequest { request_id: "doc-7".to_owned(), ..question(SECRET) };
    let (events, status) = run(&server, request, &sampled).await;
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
    let unsampled = format!("00-{UNSAMPLED_ID}-{PARENT_ID}-00");
    let (quiet, _) = run(&server, receipt(), &unsampled).await;
    let refused = format!("00-{REFUSED_ID}-{PARENT_ID}-01");
    run(&server, v1::ExtractRequest::default(), &refused).await;
    server.until_idle().await;
    // Root spans close last, a moment after the client has its trailers.
    collector.until_closed([TRACE_ID, REFUSED_ID]).await;
    guard.flush(Duration::from_secs(10)).await;

    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.trace_id, TRACE_ID);
    let Event::Accepted(accepted) = &quiet[0] else { panic!("{quiet:?}") };
    assert_eq!(accepted.trace_id, "", "the caller did not want it recorded");
    assert!(collector.trace(UNSAMPLED_ID).0.is_empty());

    check_tree(&collector.trace(TRACE_ID), completed(&events));
    check_refusal(&collector.trace(REFUSED_ID));
    let resource = attributes(&collector.resources.lock().unwrap()[0].attributes);
    assert_eq!(resource["service.name"], "tessera");
    assert!(resource["service.version"].starts_with(env!("CARGO_PKG_VERSION")));
    let everything = format!("{:?}", collector.spans.lock().unwrap());
    assert!(!everything.contains("Jane"), "content in a span");
}

fn check_tree(trace: &Trace, completed: &v1::Completed) {
    let usage = completed.usage.unwrap();
    let rpc = trace.one(EXTRACT);
    assert_eq!(hex(&rpc.parent_span_id), PARENT_ID);
    assert_eq!(rpc.kind(), SpanKind::Server);
    assert_eq!(rpc.status.as_ref().map_or(0, |status| status.code), StatusCode::Unset as i32);
    let found = attributes(&rpc.attributes);
    assert_eq!(found["rpc.system.name"], "grpc");
    assert_eq!(found["rpc.method"], EXTRACT);
    assert_eq!(found["rpc.response.status_code"], "OK");
    assert!(found.contains_key("network.peer.port"), "{found:?}");

    let generate = trace.one(&format!("generate_content {MODEL}"));
    assert_eq!(generate.parent_span_id, rpc.span_id);
    assert_eq!(generate.kind(), SpanKind::Internal);
    let found = attributes(&generate.attributes);
    assert_eq!(found["gen_ai.operation.name"], "generate_content");
    assert_eq!(found["gen_ai.request.model"], MODEL);
    assert_eq!(found["gen_ai.response.id"], "doc-7");
    assert_eq!(found["gen_ai.output.type"], "text");
    assert_eq!(found["gen_ai.usage.input_tokens"], usage.input_tokens.to_string());
    assert_eq!(found["gen_ai.usage.output_tokens"], usage.output_tokens.to_string());
    assert!(found["gen_ai.response.finish_reasons"].contains("stop"), "{found:?}");

    for phase in ["queue", "preprocess", "vision_encode", "prefill", "decode"] {
        assert_eq!(trace.one(phase).parent_span_id, generate.span_id, "{phase}");
    }
    let decode = trace.one("decode");
    let steps = trace.named("decode_step");
    assert!(steps.iter().all(|step| step.parent_span_id == decode.span_id));
    assert_eq!(steps.len(), usage.output_tokens as usize);
    let within = |inner: &Span, outer: &Span| {
        inner.start_time_unix_nano >= outer.start_time_unix_nano
            && inner.end_time_unix_nano <= outer.end_time_unix_nano
    };
    assert!(within(generate, rpc), "the call covers the whole stream");
}

fn check_refusal(trace: &Trace) {
    let rpc = trace.one(EXTRACT);
    let found = attributes(&rpc.attributes);
    assert_eq!(found["rpc.response.status_code"], "INVALID_ARGUMENT");
    assert_eq!(found["error.type"], "INVALID_ARGUMENT");
    let code = rpc.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(code, StatusCode::Unset as i32, "the caller's fault is no server error");
}
