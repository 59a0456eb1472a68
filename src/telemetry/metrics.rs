//! What is counted and measured, recorded once and read twice: as Prometheus text, and over OTLP.
//!
//! Whoever records calls a method with plain values: which metrics come of it is decided here. No
//! value of a document, no file name and no request id is a label.

mod alias;
mod exemplars;
mod instruments;
pub mod names;
mod prometheus;
mod snapshot;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, PeriodicReader, Pipeline, SdkMeterProvider, Temporality,
};

use super::export::Metered;
use exemplars::{Exemplars, Seen};
use instruments::Instruments;
use names::Spec;
pub use prometheus::Format;
pub use snapshot::{DeviceMemory, Fallback, LinkUse, Snapshot, Source};

/// How often metrics are sent over OTLP.
const EXPORT_INTERVAL: Duration = Duration::from_secs(15);

const PROVIDER: &str = "tessera";
const OPERATION: &str = "generate_content";

/// Records, and shows what was recorded. Clones are the same; the default one forgets everything.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    instruments: Instruments,
    meter: Meter,
    /// None: nothing is kept.
    kept: Option<Kept>,
    source: OnceLock<Source>,
    exemplars: Exemplars,
}

/// Where recorded values can be read.
struct Kept {
    provider: SdkMeterProvider,
    reader: Arc<ManualReader>,
    vllm_names: bool,
}

/// A call that ended.
#[derive(Debug, Clone, Copy)]
pub struct CallEnded<'a> {
    /// `package.Service/Method`, of a closed list.
    pub method: &'a str,
    /// As gRPC spells it: `OK`.
    pub code: &'a str,
    pub duration: Duration,
    /// Of the call; none: it is not recorded.
    pub span: Option<&'a SpanContext>,
}

/// A request that ended, however it did.
#[derive(Debug, Clone, Copy)]
pub struct RequestEnded<'a> {
    pub model: &'a str,
    pub duration: Duration,
    pub outcome: Outcome<'a>,
    /// Of the request; none: it is not recorded.
    pub span: Option<&'a SpanContext>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    Answered(Answered<'a>),
    /// With the reason, or the status code where there is none.
    Failed(&'a str),
}

/// A whole answer.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    pub finish_reason: &'a str,
    pub input_tokens: usize,
    pub image_tokens: usize,
    pub output_tokens: usize,
    pub time_to_first_token: Duration,
    /// Each phase with its name.
    pub phases: &'a [(&'static str, Duration)],
}

/// A forward pass.
#[derive(Debug, Clone, Copy)]
pub struct Stepped {
    pub duration: Duration,
    /// Requests that it moved on.
    pub batch_size: usize,
    pub prefill_tokens: usize,
    pub decode_tokens: usize,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let meter = NoopMeterProvider::new().meter(PROVIDER);
        Self::on(meter, None)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("kept", &self.0.kept.is_some()).finish_non_exhaustive()
    }
}

impl PartialEq for Metrics {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Metrics {}

impl Metrics {
    /// Keeps what is recorded; sends it now and then where there is an `exporter`.
    pub fn kept(resource: Resource, exporter: Option<Metered>, vllm_names: bool) -> Self {
        let reader = Arc::new(ManualReader::builder().build());
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(Shared(Arc::clone(&reader)));
        if let Some(exporter) = exporter {
            let periodic = PeriodicReader::builder(exporter).with_interval(EXPORT_INTERVAL).build();
            provider = provider.with_reader(periodic);
        }
        let provider = provider.build();
        let meter = provider.meter(PROVIDER);
        Self::on(meter, Some(Kept { provider, reader, vllm_names }))
    }

    fn on(meter: Meter, kept: Option<Kept>) -> Self {
        let instruments = Instruments::new(&meter);
        if kept.is_some() {
            instruments.begin_at_zero();
        }
        let (source, exemplars) = (OnceLock::new(), Exemplars::default());
        Self(Arc::new(Inner { instruments, meter, kept, source, exemplars }))
    }

    /// From now on shows what `source` says of the engine and the model. The first one stays.
    pub fn observe(&self, source: Source) {
        if self.0.source.set(Arc::clone(&source)).is_ok() {
            snapshot::register(&self.0.meter, &source);
        }
    }

    /// Everything as Prometheus text; empty where nothing is kept.
    pub fn prometheus(&self) -> String {
        self.exposition(Format::Text)
    }

    /// Everything in this format; empty where nothing is kept.
    pub fn exposition(&self, format: Format) -> String {
        let Some(kept) = &self.0.kept else { return String::new() };
        let mut read = ResourceMetrics::default();
        if let Err(error) = kept.reader.collect(&mut read) {
            tracing::warn!(%error, "metrics cannot be read");
        }
        let model = self.0.source.get().filter(|_| kept.vllm_names).map(|source| source().model);
        let exemplars = &self.0.exemplars;
        prometheus::render(&read, model.as_deref(), (format, exemplars))
    }

    /// Sends what was not sent yet. Blocks for at most `limit`.
    pub(super) fn shutdown(&self, limit: Duration) -> OTelSdkResult {
        self.0.kept.as_ref().map_or(Ok(()), |kept| kept.provider.shutdown_with_timeout(limit))
    }

    pub fn call_ended(&self, call: &CallEnded<'_>) {
        let mut labels = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", call.method.to_owned()),
            KeyValue::new("rpc.response.status_code", call.code.to_owned()),
        ];
        if call.code != "OK" {
            labels.push(KeyValue::new("error.type", call.code.to_owned()));
        }
        let seconds = call.duration.as_secs_f64();
        self.0.instruments.call_duration.record(seconds, &labels);
        self.seen(call.span).note(&names::CALL_DURATION, &labels, seconds);
    }

    /// Counts a request that was not taken.
    pub fn rejected(&self, reason: &str) {
        self.0.instruments.rejections.add(1, &[KeyValue::new("error.type", reason.to_owned())]);
    }

    pub fn request_ended(&self, request: &RequestEnded<'_>) {
        let instruments = &self.0.instruments;
        let mut labels = vec![
            KeyValue::new("gen_ai.operation.name", OPERATION),
            KeyValue::new("gen_ai.provider.name", PROVIDER),
            KeyValue::new("gen_ai.request.model", request.model.to_owned()),
        ];
        match &request.outcome {
            Outcome::Answered(answered) => {
                instruments.answered(answered, request, &labels, self.seen(request.span));
            }
            Outcome::Failed(error) => labels.push(KeyValue::new("error.type", (*error).to_owned())),
        }
        let seconds = request.duration.as_secs_f64();
        instruments.request_duration.record(seconds, &labels);
        self.seen(request.span).note(&names::REQUEST_DURATION, &labels, seconds);
    }

    fn seen<'a>(&'a self, span: Option<&'a SpanContext>) -> Seen<'a> {
        Seen { exemplars: &self.0.exemplars, span: span.filter(|_| self.0.kept.is_some()) }
    }

    /// A file came from where its request had it.
    pub fn fetched(&self, bytes: usize, duration: Duration) {
        let instruments = &self.0.instruments;
        instruments.fetches.add(1, &[]);
        instruments.fetched_bytes.add(bytes as u64, &[]);
        instruments.fetch_duration.record(duration.as_secs_f64(), &[]);
    }

    /// A file did not come, for one of [`names::FETCH_ERRORS`].
    pub fn not_fetched(&self, error: &'static str) {
        debug_assert!(names::FETCH_ERRORS.contains(&error), "{error}");
        self.0.instruments.fetches.add(1, &[KeyValue::new("error.type", error)]);
    }

    /// One document became tiles and tokens.
    pub fn preprocessed(&self, pages: usize, tiles: usize, duration: Duration) {
        let instruments = &self.0.instruments;
        instruments.pages.add(pages as u64, &[]);
        instruments.tiles.add(tiles as u64, &[]);
        instruments.preprocess_duration.record(duration.as_secs_f64(), &[]);
    }

    /// Called by the engine's thread after each step: a few additions.
    pub fn stepped(&self, step: &Stepped) {
        let instruments = &self.0.instruments;
        instruments.steps.add(1, &[]);
        instruments.step_duration.record(step.duration.as_secs_f64(), &[]);
        instruments.batch_size.record(step.batch_size as u64, &[]);
        if step.prefill_tokens > 0 {
            instruments.step_tokens.add(step.prefill_tokens as u64, &instruments.prefill);
        }
        if step.decode_tokens > 0 {
            instruments.step_tokens.add(step.decode_tokens as u64, &instruments.decode);
        }
    }

    /// A reader left before its answer was whole.
    pub fn cancelled(&self) {
        self.0.instruments.cancellations.add(1, &[]);
    }

    /// A slot is free this long after its reader left.
    pub fn freed_after_cancel(&self, after: Duration) {
        self.0.instruments.cancel_to_free.record(after.as_secs_f64(), &[]);
    }

    /// A running request lost its KV memory.
    pub fn preempted(&self) {
        self.0.instruments.preemptions.add(1, &[]);
    }

    /// Of `queried` prompt tokens `hits` were in the prefix cache.
    pub fn prefix_cache(&self, queried: usize, hits: usize) {
        self.0.instruments.prefix_queries.add(queried as u64, &[]);
        self.0.instruments.prefix_hits.add(hits as u64, &[]);
    }

    /// Of `queried` tiles `hits` were in the encoder cache.
    pub fn encoder_cache(&self, queried: usize, hits: usize) {
        self.0.instruments.encoder_queries.add(queried as u64, &[]);
        self.0.instruments.encoder_hits.add(hits as u64, &[]);
    }

    /// A guard ended an answer.
    pub fn spoilt(&self, reason: &str) {
        self.0.instruments.spoilt_answers.add(1, &[KeyValue::new("error.type", reason.to_owned())]);
    }

    /// Spans were queued for export, or lost for this reason.
    pub fn spans_processed(&self, spans: usize, lost: Option<&'static str>) {
        add_spans(&self.0.instruments.spans_processed, spans, lost);
    }

    /// Spans were sent, or not for this reason.
    pub fn spans_exported(&self, spans: usize, lost: Option<&'static str>) {
        add_spans(&self.0.instruments.spans_exported, spans, lost);
    }

    /// Steps of a traced request that have no span.
    pub fn steps_elided(&self, steps: usize) {
        self.0.instruments.steps_elided.add(steps as u64, &[]);
    }
}

fn add_spans(counter: &Counter<u64>, spans: usize, lost: Option<&'static str>) {
    match lost {
        Some(reason) => counter.add(spans as u64, &[KeyValue::new("error.type", reason)]),
        None => counter.add(spans as u64, &[]),
    }
}

/// The name under which Prometheus has a metric; of a histogram what comes before `_bucket`.
pub fn family(spec: &Spec) -> String {
    let kind = match spec.kind {
        names::Kind::Counter => "counter",
        names::Kind::Gauge => "gauge",
        names::Kind::Histogram => "histogram",
    };
    prometheus::family(spec.name, spec.unit, kind)
}

/// A reader that the provider has and we keep.
#[derive(Debug)]
struct Shared(Arc<ManualReader>);

impl MetricReader for Shared {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests;
