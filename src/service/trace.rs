//! Spans of a call: W3C parent, RPC span, `generate_content` span. Names and keys are those of the
//! OpenTelemetry conventions (RPC 1.44, `GenAI` 1.41).

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Array, Context, StringValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tonic::transport::server::TcpConnectInfo;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::engine::{Done, FinishReason, Job};

/// Full name of the service: the health name, and the start of every traced method.
pub(super) const SERVICE: &str = "tessera.v1.ExtractionService";

/// A closed list, so that a made-up path cannot become a span name.
const METHODS: [&str; 3] = [
    "tessera.v1.ExtractionService/Extract",
    "tessera.v1.ExtractionService/ModelInfo",
    "tessera.v1.ExtractionService/WatchModelInfo",
];

/// The method behind an HTTP/2 path, where it is one of ours.
pub(super) fn method(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix('/')?;
    METHODS.into_iter().find(|method| *method == name)
}

/// The server span of a call, child of the caller's span where `traceparent` names one.
pub(super) fn rpc_span<B>(method: &'static str, request: &http::Request<B>) -> Span {
    let peers = request.extensions().get::<TcpConnectInfo>();
    let local = peers.and_then(TcpConnectInfo::local_addr);
    let remote = peers.and_then(TcpConnectInfo::remote_addr);
    let span = tracing::info_span!(
        parent: None,
        "rpc",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        "rpc.system.name" = "grpc",
        "rpc.method" = method,
        "rpc.response.status_code" = Empty,
        "error.type" = Empty,
        "server.address" = local.map(|address| address.ip().to_string()),
        "server.port" = local.map(|address| address.port()),
        "network.peer.address" = remote.map(|address| address.ip().to_string()),
        "network.peer.port" = remote.map(|address| address.port()),
    );
    let parent = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &Headers(request.headers()));
    // Fails where nothing is exported: then there is no trace to join.
    let _ = span.set_parent(parent);
    span
}

/// Writes how the call ended. Only codes that are the server's own doing mark the span as failed.
pub(super) fn end_rpc_span(span: &Span, code: Code) {
    span.record("rpc.response.status_code", code_name(code));
    if code != Code::Ok {
        span.record("error.type", code_name(code));
    }
    if is_server_error(code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of the model's work, below the RPC span; the engine hangs phases and steps under it.
pub(super) fn generate_span(parent: &Span, model: &str, job: &Job, output_type: &str) -> Span {
    let sampled = (job.sampling.temperature > 0.0).then_some(job.sampling);
    tracing::info_span!(
        parent: parent,
        "generate_content",
        otel.name = format!("generate_content {model}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        "gen_ai.operation.name" = "generate_content",
        "gen_ai.provider.name" = "tessera",
        "gen_ai.request.model" = model,
        "gen_ai.request.stream" = true,
        "gen_ai.request.max_tokens" = job.output_tokens_max,
        "gen_ai.request.temperature" = job.sampling.temperature,
        "gen_ai.request.top_p" = sampled.map(|sampling| sampling.top_p),
        "gen_ai.request.seed" = sampled.map(|sampling| sampling.seed as i64),
        "gen_ai.output.type" = output_type,
        "gen_ai.response.id" = job.id,
        "gen_ai.response.model" = model,
        "gen_ai.response.time_to_first_chunk" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.image.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "error.type" = Empty,
    )
}

/// Writes the outcome of a whole answer.
pub(super) fn end_generate_span(span: &Span, done: &Done) {
    span.record("gen_ai.usage.input_tokens", done.usage.input_tokens);
    span.record("gen_ai.usage.image.input_tokens", done.usage.image_tokens);
    span.record("gen_ai.usage.output_tokens", done.usage.output_tokens);
    let first_chunk = done.timings.time_to_first_token.as_secs_f64();
    span.record("gen_ai.response.time_to_first_chunk", first_chunk);
    // The conventions want an array, which a field of a tracing span cannot be.
    let reason = StringValue::from(finish_reason_name(done.finish_reason));
    let reasons = Value::Array(Array::String(vec![reason]));
    span.set_attribute("gen_ai.response.finish_reasons", reasons);
}

/// Writes why there is no whole answer.
pub(super) fn fail_generate_span(span: &Span, code: Code) {
    span.record("error.type", code_name(code));
    if is_server_error(code) {
        span.record("otel.status_code", "ERROR");
    }
}

pub(super) fn finish_reason_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// The trace id as 32 hex digits, where the trace is really recorded.
pub(super) fn sampled_trace_id(context: &Context) -> Option<String> {
    let span = context.span();
    let context = span.span_context();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}

fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code as the gRPC specification spells it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Lets the propagator read HTTP headers.
struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
