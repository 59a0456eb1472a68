//! Export of spans and metrics over OTLP/gRPC: which, how many, and at what cost.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::{InitError, OWN_TARGET};

/// Spans that wait for export. A request has a span per output token, so the default of 2048 would
/// drop spans of a few requests at once.
const QUEUE_SPANS_MAX: usize = 32_768;

/// Spans of one export.
const BATCH_SPANS_MAX: usize = 2_048;

/// How long a span waits at most for others to share its export.
const BATCH_DELAY: Duration = Duration::from_millis(500);

/// A collector to send traces to.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// `http://host:4317`
    pub endpoint: String,
    /// Share of the traces that begin here which are recorded. A caller's decision, where there is
    /// one, is followed instead.
    pub sample_ratio: f64,
    /// How long one export may take.
    pub timeout: Duration,
    pub signals: Signals,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    pub traces: bool,
    pub metrics: bool,
}

impl Signals {
    pub const ALL: Self = Self { traces: true, metrics: true };
}

impl Otlp {
    /// Everything to `endpoint`.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            sample_ratio: 1.0,
            timeout: Duration::from_secs(10),
            signals: Signals::ALL,
        }
    }
}

/// Samples, batches and sends.
pub(super) fn provider(otlp: &Otlp) -> Result<SdkTracerProvider, InitError> {
    if !(0.0..=1.0).contains(&otlp.sample_ratio) {
        return Err(InitError::SampleRatio(otlp.sample_ratio));
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&otlp.endpoint)
        .with_timeout(otlp.timeout)
        .build()
        .map_err(|error| refused(otlp, &error))?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_SPANS_MAX)
        .with_max_export_batch_size(BATCH_SPANS_MAX)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    let root = Sampler::TraceIdRatioBased(otlp.sample_ratio);
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_resource(resource())
        .build())
}

/// Sends metrics.
pub(super) fn metrics(otlp: &Otlp) -> Result<MetricExporter, InitError> {
    MetricExporter::builder()
        .with_tonic()
        .with_endpoint(&otlp.endpoint)
        .with_timeout(otlp.timeout)
        .build()
        .map_err(|error| refused(otlp, &error))
}

fn refused(otlp: &Otlp, error: &ExporterBuildError) -> InitError {
    InitError::Exporter { endpoint: otlp.endpoint.clone(), message: error.to_string() }
}

/// What all spans and metrics of this process have in common.
pub(super) fn resource() -> Resource {
    let version = concat!(env!("CARGO_PKG_VERSION"), "+", env!("TESSERA_COMMIT"));
    Resource::builder()
        .with_service_name("tessera")
        .with_attribute(KeyValue::new("service.version", version))
        .build()
}

/// Makes spans of this program's spans, and of nothing else: libraries trace their own frames and
/// polls, and log lines would be copies.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(OWN_TARGET))
        // Each would be several attributes on every one of many spans.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // The service decides what is an error; a logged one need not be.
        .with_error_events_to_status(false)
        .with_filter(filter_fn(is_exported))
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let own = target == OWN_TARGET
        || target.strip_prefix(OWN_TARGET).is_some_and(|rest| rest.starts_with("::"));
    own && metadata.is_span() && *metadata.level() <= Level::INFO
}
