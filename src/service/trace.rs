//! Spans of a call: W3C parent, RPC span, `generate_content` span. Names and keys are those of the
//! OpenTelemetry conventions (RPC 1.44, `GenAI` 1.41).

use std::str::FromStr;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Array, Context, StringValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::FieldViolation;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::error::{Failure, Reason};
use crate::engine::{Done, FinishReason, Job};
use crate::fetch::Target;
use crate::schema::DocumentKind;
use crate::telemetry::Tracing;
use crate::telemetry::spans::{
    Content, Level, ParseLevelError, RequestTrace, StepCap, TraceOptions, span_below,
};
use crate::transport::Peer;

/// Full name of the service: the health name, and the start of every traced method.
pub(super) const SERVICE: &str = "tessera.v1.ExtractionService";

/// Metadata with which a caller says how much to trace, and how many steps.
const LEVEL_KEY: &str = "x-trace-level";
const STEPS_KEY: &str = "x-trace-steps";

/// A closed list, so that a made-up path cannot become a span name.
pub(super) const METHODS: [&str; 4] = [
    "tessera.v1.ExtractionService/BatchExtract",
    "tessera.v1.ExtractionService/Extract",
    "tessera.v1.ExtractionService/ModelInfo",
    "tessera.v1.ExtractionService/WatchModelInfo",
];

/// The method behind an HTTP/2 path, where it is one of ours.
pub(super) fn method(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix('/')?;
    METHODS.into_iter().find(|method| *method == name)
}

/// Whether a method does the work that a server is for.
pub(super) fn is_extract(method: &str) -> bool {
    method.ends_with("/Extract")
}

/// The server span of a call, child of the caller's span where `traceparent` names one.
pub(super) fn rpc_span<B>(method: &'static str, request: &http::Request<B>) -> Span {
    let peer = request.extensions().get::<Peer>();
    let local = peer.map(|peer| peer.local);
    let remote = peer.map(|peer| peer.remote);
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
        "server.port" = local.map(|address| i64::from(address.port())),
        "network.peer.address" = remote.map(|address| address.ip().to_string()),
        "network.peer.port" = remote.map(|address| i64::from(address.port())),
    );
    let parent = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &Headers(request.headers()));
    // Fails where nothing is exported: then there is no trace to join.
    let _ = span.set_parent(parent);
    span
}

/// Where the call is in its trace, as W3C's Trace Context has it for responses; none: it is not recorded.
pub(super) fn response_header(span: &Span) -> Option<http::HeaderValue> {
    let context = span_context(span);
    let recorded = context.is_valid() && context.is_sampled();
    let text = format!("00-{}-{}-01", context.trace_id(), context.span_id());
    recorded.then(|| http::HeaderValue::from_str(&text).ok()).flatten()
}

/// Whether nothing of a call is traced, not even that it was made.
pub(super) fn is_untraced(headers: &http::HeaderMap, tracing: Option<&Tracing>) -> bool {
    let asked = headers.get(LEVEL_KEY).and_then(|text| text.to_str().ok()?.parse().ok());
    tracing.is_some_and(|tracing| asked.unwrap_or(tracing.options.level) == Level::Off)
}

/// What a request's trace shall hold: what its metadata asks for, within what the server allows.
pub(super) fn options(metadata: &MetadataMap, tracing: &Tracing) -> Result<TraceOptions, Status> {
    let level: Option<Level> = parsed(metadata, LEVEL_KEY)?;
    let steps: Option<StepCap> = parsed(metadata, STEPS_KEY)?;
    Ok(TraceOptions {
        level: level.map_or(tracing.options.level, |level| level.min(tracing.level_max)),
        steps: steps.unwrap_or(tracing.options.steps),
    })
}

fn parsed<T: FromStr<Err = ParseLevelError>>(
    metadata: &MetadataMap,
    key: &'static str,
) -> Result<Option<T>, Status> {
    let Some(value) = metadata.get(key) else { return Ok(None) };
    let text = value.to_str().unwrap_or("bytes");
    let wrong = |error: ParseLevelError| {
        let violation = FieldViolation::new(format!("metadata {key}"), error.to_string());
        Failure::fields(Reason::InvalidField, vec![violation]).into_status()
    };
    text.parse().map(Some).map_err(wrong)
}

/// The span of one document of a batch call.
pub(super) fn document_span(parent: &Span, request_id: &str) -> Span {
    span_below!(
        parent,
        "document",
        otel.kind = "internal",
        otel.status_code = Empty,
        "tessera.request.id" = request_id,
        "rpc.response.status_code" = Empty,
        "error.type" = Empty,
    )
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

/// The span of one file that is fetched: where from, and nothing of its path.
pub(super) fn fetch_span(parent: &Span, target: &Target) -> Span {
    span_below!(
        parent,
        "fetch",
        otel.kind = "client",
        otel.status_code = Empty,
        "http.request.method" = "GET",
        "url.scheme" = target.scheme(),
        "server.address" = target.host(),
        "server.port" = i64::from(target.port()),
        "http.response.status_code" = Empty,
        "http.response.body.size" = Empty,
        "error.type" = Empty,
    )
}

/// Writes what the origin of a file answered.
pub(super) fn answered(span: &Span, status: http::StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
}

/// Writes how many bytes came, or why none did.
pub(super) fn end_fetch_span(span: &Span, got: Result<usize, &'static str>) {
    match got {
        Ok(bytes) => span.record("http.response.body.size", bytes as i64),
        Err(error) => span.record("error.type", error).record("otel.status_code", "ERROR"),
    };
}

/// The span of the model's work, below the RPC span; the engine hangs phases and steps under it.
pub(super) fn generate_span(parent: &Span, model: &str, job: &Job, output_type: &str) -> Span {
    let sampled = (job.sampling.temperature > 0.0).then_some(job.sampling);
    span_below!(
        parent,
        "generate_content",
        otel.name = format!("generate_content {model}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        "gen_ai.operation.name" = "generate_content",
        "gen_ai.provider.name" = "tessera",
        "gen_ai.request.model" = model,
        "gen_ai.request.stream" = true,
        "gen_ai.request.max_tokens" = job.output_tokens_max as i64,
        "gen_ai.request.temperature" = job.sampling.temperature,
        "gen_ai.request.top_k" = sampled.and_then(|sampling| sampling.top_k).map(|k| k as f64),
        "gen_ai.request.top_p" = sampled.map(|sampling| sampling.top_p),
        "gen_ai.request.seed" = sampled.map(|sampling| sampling.seed as i64),
        "gen_ai.output.type" = output_type,
        "gen_ai.response.id" = job.id,
        "gen_ai.response.model" = model,
        "gen_ai.response.time_to_first_chunk" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.image.input_tokens" = Empty,
        "gen_ai.usage.cache_read.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "error.type" = Empty,
    )
}

/// The trace of the request whose span this is; none where it is not recorded.
pub(super) fn request_trace(
    span: &Span,
    tracing: &Tracing,
    options: TraceOptions,
) -> Option<RequestTrace> {
    let request = RequestTrace::begin(&tracing.tracer, span_context(span), options)?;
    span.set_attribute("tessera.trace_level", i64::from(options.level.number()));
    Some(request)
}

/// Says that spans of the request were lost.
pub(super) fn mark_dropped(span: &Span) {
    span.set_attribute("tessera.trace_dropped", true);
}

/// Writes the outcome of a whole answer.
pub(super) fn end_generate_span(span: &Span, done: &Done) {
    // Signed: of others the layer that makes spans would make texts.
    for (key, tokens) in [
        ("gen_ai.usage.input_tokens", done.usage.input_tokens),
        ("gen_ai.usage.image.input_tokens", done.usage.image_tokens),
        ("gen_ai.usage.cache_read.input_tokens", done.usage.cached_input_tokens),
        ("gen_ai.usage.output_tokens", done.usage.output_tokens),
    ] {
        span.record(key, tokens as i64);
    }
    let first_chunk = done.timings.time_to_first_token.as_secs_f64();
    span.record("gen_ai.response.time_to_first_chunk", first_chunk);
    // The conventions want an array, which a field of a tracing span cannot be.
    let reason = StringValue::from(finish_reason_name(done.finish_reason));
    let reasons = Value::Array(Array::String(vec![reason]));
    span.set_attribute("gen_ai.response.finish_reasons", reasons);
}

/// Writes the same as vLLM's traces have it, for dashboards that know those. Their times are in seconds.
pub(super) fn show_as_vllm(span: &Span, done: &Done) {
    let timings = &done.timings;
    span.set_attribute("gen_ai.usage.prompt_tokens", done.usage.input_tokens as i64);
    span.set_attribute("gen_ai.usage.completion_tokens", done.usage.output_tokens as i64);
    for (key, took) in [
        ("gen_ai.latency.time_in_queue", timings.queue),
        ("gen_ai.latency.time_to_first_token", timings.time_to_first_token),
        ("gen_ai.latency.time_in_model_prefill", timings.vision + timings.prefill),
        ("gen_ai.latency.time_in_model_decode", timings.decode),
        (
            "gen_ai.latency.time_in_model_inference",
            timings.vision + timings.prefill + timings.decode,
        ),
        ("gen_ai.latency.e2e", timings.total),
    ] {
        span.set_attribute(key, took.as_secs_f64());
    }
}

/// Writes what was asked, as far as `content` lets.
pub(super) fn show_question(span: &Span, content: Content, question: &str) {
    if let Some(text) = content.question(question) {
        let message =
            serde_json::json!([{"role": "user", "parts": [{"type": "text", "content": text}]}]);
        span.set_attribute("gen_ai.input.messages", message.to_string());
    }
}

/// Writes what was answered, as far as `content` lets.
pub(super) fn show_answer(span: &Span, content: Content, done: &Done) {
    if let Some(text) = content.answer(&done.text, is_field_name) {
        let message = serde_json::json!([{
            "role": "assistant",
            "parts": [{"type": "text", "content": text}],
            "finish_reason": finish_reason_name(done.finish_reason),
        }]);
        span.set_attribute("gen_ai.output.messages", message.to_string());
    }
}

/// Whether a word is a field of a built-in kind of document: others a caller, or the model, may have made up.
pub(super) fn is_field_name(name: &str) -> bool {
    DocumentKind::ALL.iter().any(|kind| kind.fields().any(|field| field == name))
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

/// Where a span is in its trace.
pub(super) fn span_context(span: &Span) -> SpanContext {
    span.context().span().span_context().clone()
}

/// The trace id as 32 hex digits, where the trace is really recorded.
pub(super) fn sampled_trace_id(span: &Span) -> Option<String> {
    let context = span_context(span);
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}

pub(super) fn is_server_error(code: Code) -> bool {
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
