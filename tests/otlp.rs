//! Traces of a request, as a collector gets them. Its own test program: the exporter belongs to the
//! whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "shared with the gRPC tests, which use all of it")]
#[path = "grpc/support.rs"]
mod support;

#[allow(dead_code, reason = "shared with the gRPC tests, which use all of it")]
#[path = "grpc/origin.rs"]
mod origin;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
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
use tessera::engine;
use tessera::fetch::{self, Fetcher};
use tessera::pb::v1;
use tessera::pb::v1::batch_extract_request::Message;
use tessera::pb::v1::batch_extract_response::Outcome;
use tessera::pb::v1::extract_response::Event;
use tessera::service;
use tessera::telemetry::{self, LogFormat, Otlp};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use origin::Origin;
use support::{MODEL, Server, Setup, collect, completed, question, receipt};

const EXTRACT: &str = "tessera.v1.ExtractionService/Extract";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";
const UNSAMPLED_ID: &str = "5bf92f3577b34da6a3ce929d0e0e4737";
const REFUSED_ID: &str = "6bf92f3577b34da6a3ce929d0e0e4738";
const PHASES_ID: &str = "7bf92f3577b34da6a3ce929d0e0e4739";
const CAPPED_ID: &str = "8bf92f3577b34da6a3ce929d0e0e473a";
const ENGINE_ID: &str = "9bf92f3577b34da6a3ce929d0e0e473b";
const OFF_ID: &str = "abf92f3577b34da6a3ce929d0e0e473c";
const FIELDS_ID: &str = "bbf92f3577b34da6a3ce929d0e0e473d";
const FETCHED_ID: &str = "cbf92f3577b34da6a3ce929d0e0e473e";
const MISSING_ID: &str = "dbf92f3577b34da6a3ce929d0e0e473f";
const ASKED_IDS: [&str; 10] = [
    TRACE_ID,
    UNSAMPLED_ID,
    REFUSED_ID,
    PHASES_ID,
    CAPPED_ID,
    ENGINE_ID,
    OFF_ID,
    FIELDS_ID,
    FETCHED_ID,
    MISSING_ID,
];
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
    async fn until_closed(&self, trace_ids: &[&str]) {
        let closed = |id: &&str| !self.trace(id).named(EXTRACT).is_empty();
        tokio::time::timeout(support::SOON, async {
            while !trace_ids.iter().all(closed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    /// Names of spans in traces that nobody asked for; the engine's steps have theirs.
    fn strays(&self) -> Vec<String> {
        let spans = self.spans.lock().unwrap();
        let passes: HashSet<&[u8]> = spans
            .iter()
            .filter(|span| span.name == "engine.step")
            .map(|span| &span.trace_id[..])
            .collect();
        let is_stray = |span: &&Span| {
            !passes.contains(&span.trace_id[..])
                && !ASKED_IDS.contains(&hex(&span.trace_id).as_str())
        };
        spans.iter().filter(is_stray).map(|span| span.name.clone()).collect()
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

/// Metadata of a call.
type Pairs<'a> = &'a [(&'static str, &'a str)];

/// Runs `request` in a trace that the caller records, with this metadata.
async fn traced(
    server: &Server,
    request: v1::ExtractRequest,
    id: &str,
    metadata: Pairs<'_>,
) -> (Vec<Event>, Status) {
    let parent = format!("00-{id}-{PARENT_ID}-01");
    let pairs: Vec<_> =
        [("traceparent", parent.as_str())].iter().chain(metadata).copied().collect();
    run(server, request, &pairs).await
}

async fn run(
    server: &Server,
    request: v1::ExtractRequest,
    metadata: Pairs<'_>,
) -> (Vec<Event>, Status) {
    let mut request = Request::new(request);
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    match server.client().await.extract(request).await {
        Ok(answer) => collect(answer.into_inner()).await,
        Err(status) => (Vec::new(), status),
    }
}

/// A server that records with `telemetry`.
fn recording(setup: Setup, telemetry: &telemetry::Telemetry) -> Setup {
    Setup {
        engine: engine::Config { telemetry: telemetry.clone(), ..setup.engine },
        service: service::Config { telemetry: telemetry.clone(), ..setup.service },
        ..setup
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
    let telemetry = guard.telemetry();
    let asked = Setup { answer: SECRET.to_owned(), ..Setup::default() };
    let server = recording(asked, &telemetry).start().await;

    let request = v1::ExtractRequest { request_id: "doc-7".to_owned(), ..question(SECRET) };
    let (events, status) = traced(&server, request, TRACE_ID, &[]).await;
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
    let unsampled = format!("00-{UNSAMPLED_ID}-{PARENT_ID}-00");
    let (quiet, _) = run(&server, receipt(), &[("traceparent", &unsampled)]).await;
    traced(&server, v1::ExtractRequest::default(), REFUSED_ID, &[]).await;
    let leveled = level_requests(&server).await;
    server.until_idle().await;
    // Root spans close last, a moment after the client has its trailers.
    collector.until_closed(&[TRACE_ID, REFUSED_ID, PHASES_ID, CAPPED_ID, ENGINE_ID]).await;
    let reader = recording(Setup::default(), &telemetry).start().await;
    let (_, status) = traced(&reader, receipt(), FIELDS_ID, &[]).await;
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
    collector.until_closed(&[FIELDS_ID]).await;
    untraced(&reader).await;
    reader.until_idle().await;
    let origin = fetch_files(&telemetry).await;
    collector.until_closed(&[FETCHED_ID, MISSING_ID]).await;
    guard.flush(Duration::from_secs(10)).await;

    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.trace_id, TRACE_ID);
    let Event::Accepted(accepted) = &quiet[0] else { panic!("{quiet:?}") };
    assert_eq!(accepted.trace_id, "", "the caller did not want it recorded");
    assert!(collector.trace(UNSAMPLED_ID).0.is_empty());

    assert_eq!(collector.strays(), [""; 0], "level 0 is nothing");
    check_tree(&collector.trace(TRACE_ID), completed(&events));
    check_refusal(&collector.trace(REFUSED_ID));
    check_levels(&collector, leveled);
    check_fields(&collector.trace(FIELDS_ID));
    check_fetches(&collector, origin);
    let resource = attributes(&collector.resources.lock().unwrap()[0].attributes);
    assert_eq!(resource["service.name"], "tessera");
    assert!(resource["service.version"].starts_with(env!("CARGO_PKG_VERSION")));
    let everything = format!("{:?}", collector.spans.lock().unwrap());
    assert!(!everything.contains("Jane"), "content in a span");
    assert!(!everything.contains(origin::SECRET), "a signed URI in a span");
}

/// A call and a batch that want nothing traced, of answers that are held to their schema.
async fn untraced(server: &Server) {
    let level = ("x-trace-level", "0");
    let options = v1::GenerationOptions { max_output_tokens: Some(20), ..Default::default() };
    let request =
        v1::ExtractRequest { request_id: "a".to_owned(), generation: Some(options), ..receipt() };
    let (events, status) = run(server, request.clone(), &[level]).await;
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.trace_id, "");
    let message = Some(Message::Extract(request));
    let mut batch = Request::new(tokio_stream::iter([v1::BatchExtractRequest { message }]));
    batch.metadata_mut().insert(level.0, level.1.parse().unwrap());
    let mut answers = server.client().await.batch_extract(batch).await.unwrap().into_inner();
    let mut outcomes = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        outcomes += 1;
        let Some(Outcome::Response(response)) = answer.outcome else { panic!("{answer:?}") };
        if let Some(Event::Accepted(accepted)) = response.event {
            assert_eq!(accepted.trace_id, "");
        }
    }
    assert!(outcomes > 1);
}

/// Two requests that name their file by URI, of which the second has none; where they were asked for.
async fn fetch_files(telemetry: &telemetry::Telemetry) -> SocketAddr {
    let origin = Origin::start().await;
    let listed = format!("http://{}", origin.address).parse().unwrap();
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let config = fetch::Config { networks, ..fetch::Config::new(vec![listed]) };
    let mut setup = Setup::default();
    setup.service.fetcher = Some(Arc::new(Fetcher::new(&config).unwrap()));
    let server = recording(setup, telemetry).start().await;
    for (id, path, code) in [
        (FETCHED_ID, "/page.png", tonic::Code::Ok),
        (MISSING_ID, "/none", tonic::Code::FailedPrecondition),
    ] {
        let file = v1::InputFile { uri: origin.uri(path), ..Default::default() };
        let request = v1::ExtractRequest { files: vec![file], ..question("Total?") };
        let (_, status) = traced(&server, request, id, &[]).await;
        assert_eq!(status.code(), code, "{status:?}");
    }
    origin.address
}

fn check_fetches(collector: &Collector, address: SocketAddr) {
    let (fetched, missing) = (collector.trace(FETCHED_ID), collector.trace(MISSING_ID));
    for trace in [&fetched, &missing] {
        let span = trace.one("fetch");
        assert_eq!(span.parent_span_id, trace.one(EXTRACT).span_id);
        assert_eq!(span.kind(), SpanKind::Client);
        let found = attributes(&span.attributes);
        assert_eq!(found["http.request.method"], "GET");
        assert_eq!(found["url.scheme"], "http");
        assert_eq!(found["server.address"], address.ip().to_string());
        assert_eq!(found["server.port"], address.port().to_string());
    }
    let (page, none) = (fetched.one("fetch"), missing.one("fetch"));
    let found = attributes(&page.attributes);
    assert_eq!(found["http.response.body.size"], support::png().len().to_string());
    assert_eq!(found["http.response.status_code"], "200");
    assert!(!found.contains_key("error.type"));
    assert!(page.end_time_unix_nano <= fetched.one(EXTRACT).end_time_unix_nano);
    let found = attributes(&none.attributes);
    assert_eq!(found["error.type"], "status");
    assert_eq!(found["http.response.status_code"], "404");
    assert!(!found.contains_key("http.response.body.size"));
    assert_eq!(none.status.as_ref().unwrap().code(), StatusCode::Error);
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
    check_steps(&steps, usage);
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

fn check_steps(steps: &[&Span], usage: v1::Usage) {
    for (index, step) in steps.iter().enumerate() {
        let found = attributes(&step.attributes);
        assert_eq!(found["tessera.step.index"], index.to_string());
        assert_eq!(found["tessera.step.batch_size"], "1");
        // The prompt, and the tokens before this one.
        let tokens = usage.input_tokens as usize + index;
        assert_eq!(found["tessera.step.kv_tokens"], tokens.to_string());
        assert!(found["tessera.step.ms"].parse::<f64>().unwrap() >= 0.0);
        assert!(found["tessera.step.sample_ms"].parse::<f64>().unwrap() >= 0.0);
        assert!(step.end_time_unix_nano >= step.start_time_unix_nano);
    }
    let ordered = |pair: &[&Span]| pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano;
    assert!(steps.windows(2).all(ordered), "one step ends before the next begins");
}

/// Requests that say how much they want traced; their output tokens.
async fn level_requests(server: &Server) -> u32 {
    let mut tokens = Vec::new();
    for (id, metadata) in [
        (PHASES_ID, &[("x-trace-level", "1")][..]),
        (CAPPED_ID, &[("x-trace-steps", "1")]),
        (ENGINE_ID, &[("x-trace-level", "4")]),
        (OFF_ID, &[("x-trace-level", "0")]),
    ] {
        let (events, status) = traced(server, question(SECRET), id, metadata).await;
        assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
        tokens.push(completed(&events).usage.unwrap().output_tokens);
    }
    assert!(tokens.windows(2).all(|pair| pair[0] == pair[1]), "{tokens:?}");
    for (key, value) in [("x-trace-level", "9"), ("x-trace-steps", "some")] {
        let (_, status) = traced(server, question(SECRET), OFF_ID, &[(key, value)]).await;
        support::assert_failure(&status, tonic::Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(support::fields(&status), [format!("metadata {key}")]);
    }
    tokens[0]
}

fn check_levels(collector: &Collector, output_tokens: u32) {
    let phases = collector.trace(PHASES_ID);
    assert_eq!(phases.named("decode_step").len() + phases.named("prefill_chunk").len(), 0);
    assert!(phases.one("decode").end_time_unix_nano > 0);

    let capped = collector.trace(CAPPED_ID);
    let shown = capped.named("decode_step").len();
    let found = attributes(&capped.one("decode").attributes);
    let number = |key: &str| found[key].parse::<usize>().unwrap();
    assert_eq!(number("tessera.decode.steps"), output_tokens as usize);
    assert_eq!(number("tessera.decode.steps_in_trace"), shown);
    assert_eq!(shown + number("tessera.decode.steps_elided"), output_tokens as usize);
    assert_eq!(number("tessera.decode.tokens_forced"), 0);
    assert!(number("tessera.decode.steps_elided") > 0, "{found:?}");

    // Asked for 4, allowed 3: the engine's steps, but no numbers.
    let engine = collector.trace(ENGINE_ID);
    let generate = engine.one(&format!("generate_content {MODEL}"));
    let spans = collector.spans.lock().unwrap();
    let passes: Vec<&Span> = spans.iter().filter(|span| span.name == "engine.step").collect();
    assert_eq!(passes.len(), output_tokens as usize);
    for pass in passes {
        assert!(pass.parent_span_id.is_empty() && hex(&pass.trace_id) != ENGINE_ID);
        assert_eq!(pass.links.len(), 1);
        assert_eq!(pass.links[0].span_id, generate.span_id, "linked, not parented");
        assert_eq!(hex(&pass.links[0].trace_id), ENGINE_ID);
        let below: Vec<&Span> =
            spans.iter().filter(|span| span.parent_span_id == pass.span_id).collect();
        assert_eq!(below.len(), 1, "what each device did: {below:?}");
        assert_eq!(below[0].name, "device cpu");
        assert_eq!(below[0].trace_id, pass.trace_id);
    }
    let step = engine.named("decode_step")[0].clone();
    assert!(!attributes(&step.attributes).contains_key("tessera.step.logprob"));
    let offs = spans.iter().filter(|span| hex(&span.trace_id) == OFF_ID);
    // The refused calls did not ask for nothing.
    assert!(offs.clone().all(|span| span.name == EXTRACT), "{offs:?}");
}

fn check_fields(trace: &Trace) {
    let field = trace.one("field /TOTAL_AMOUNT");
    assert_eq!(field.parent_span_id, trace.one("decode").span_id);
    let found = attributes(&field.attributes);
    assert_eq!(found["tessera.field.pointer"], "/TOTAL_AMOUNT");
    let confidence: f64 = found["tessera.field.confidence"].parse().unwrap();
    assert!((0.0..=1.0).contains(&confidence), "{found:?}");
    assert!(!format!("{trace:?}").contains("12.50"), "the value in a span");
    // Its characters were said one after the other.
    assert!(field.end_time_unix_nano > field.start_time_unix_nano);
    let generate = trace.one(&format!("generate_content {MODEL}"));
    assert_eq!(trace.one("finalise").parent_span_id, generate.span_id);
}
