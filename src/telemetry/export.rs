//! Export over OTLP: to which collector, how, and under which resource.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::resource::{
    EnvResourceDetector, ResourceDetector as _, SdkProvidedResourceDetector,
    TelemetryResourceDetector,
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::spans::{Collector, CollectorLink, Grpc, Http, Output, Processor, Tracer};
use super::{InitError, OWN_TARGET};

/// A collector to send traces and metrics to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// `http://host:4317`; for HTTP `http://host:4318`, to which the paths of OTLP are added.
    pub endpoint: String,
    pub protocol: Protocol,
    /// How long one export may take.
    pub timeout: Duration,
    pub signals: Signals,
}

impl Otlp {
    /// The endpoint of one signal.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.trim_end_matches('/'))
    }
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
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
            protocol: Protocol::Grpc,
            timeout: Duration::from_secs(10),
            signals: Signals::ALL,
        }
    }
}

/// Samples, and gives spans to `tracer`.
pub(super) fn provider(tracer: &Tracer, sample_ratio: f64) -> SdkTracerProvider {
    let root = Sampler::TraceIdRatioBased(sample_ratio);
    SdkTracerProvider::builder()
        .with_span_processor(Processor(tracer.clone()))
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_resource(resource())
        .build()
}

/// Sends spans.
pub(super) fn collector(otlp: &Otlp) -> Result<Output, InitError> {
    let runtime = runtime(otlp)?;
    let bad = |message| InitError::Exporter { endpoint: otlp.endpoint.clone(), message };
    let link = match otlp.protocol {
        Protocol::Grpc => {
            CollectorLink::Grpc(Grpc::new(&otlp.endpoint, otlp.timeout).map_err(bad)?)
        }
        Protocol::Http => CollectorLink::Http(
            Http::new(otlp.path("/v1/traces"), otlp.timeout)
                .map_err(|error| refused(otlp, &error))?,
        ),
    };
    Ok(Output::Collector(Box::new(Collector { link, runtime })))
}

/// Sends metrics.
pub(super) fn metrics(otlp: &Otlp) -> Result<Metered, InitError> {
    let runtime = runtime(otlp)?;
    let builder = MetricExporter::builder();
    let built = match otlp.protocol {
        Protocol::Grpc => {
            builder.with_tonic().with_endpoint(&otlp.endpoint).with_timeout(otlp.timeout).build()
        }
        Protocol::Http => builder
            .with_http()
            .with_endpoint(otlp.path("/v1/metrics"))
            .with_timeout(otlp.timeout)
            .build(),
    };
    let exporter = built.map_err(|error| refused(otlp, &error))?;
    Ok(Metered { exporter, runtime })
}

/// Sends metrics on the runtime that carries the connection: the reader's own thread has none.
#[derive(Debug)]
pub struct Metered {
    exporter: MetricExporter,
    runtime: Handle,
}

impl PushMetricExporter for Metered {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let sending = Box::pin(self.exporter.export(metrics));
        Within { runtime: self.runtime.clone(), inner: sending }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// A future that is polled inside a runtime, whoever polls it.
struct Within<F> {
    runtime: Handle,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        self.inner.as_mut().poll(cx)
    }
}

fn runtime(otlp: &Otlp) -> Result<Handle, InitError> {
    Handle::try_current().map_err(|error| InitError::Exporter {
        endpoint: otlp.endpoint.clone(),
        message: error.to_string(),
    })
}

fn refused(otlp: &Otlp, error: &ExporterBuildError) -> InitError {
    InitError::Exporter { endpoint: otlp.endpoint.clone(), message: error.to_string() }
}

/// What all spans and metrics of this process have in common. `OTEL_RESOURCE_ATTRIBUTES` and
/// `OTEL_SERVICE_NAME` add to it and go before it; the SDK reads them.
pub(super) fn resource() -> Resource {
    static RESOURCE: OnceLock<Resource> = OnceLock::new();
    RESOURCE.get_or_init(made_resource).clone()
}

fn made_resource() -> Resource {
    let version = concat!(env!("CARGO_PKG_VERSION"), "+", env!("TESSERA_COMMIT"));
    let mut own = vec![
        KeyValue::new("service.name", "tessera"),
        KeyValue::new("service.version", version),
        KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("os.type", std::env::consts::OS),
        KeyValue::new("host.arch", host_arch()),
    ];
    // Linux only; elsewhere a collector beside the server knows it.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    own.extend(host.map(|name| KeyValue::new("host.name", name.trim().to_owned())));
    let named = SdkProvidedResourceDetector.detect().get(&Key::new("service.name"));
    own.extend(named.filter(is_chosen).map(|name| KeyValue::new("service.name", name)));
    Resource::builder_empty()
        .with_attributes(own)
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ])
        .build()
}

/// Whether the SDK found a name, or made one up.
fn is_chosen(name: &Value) -> bool {
    !name.as_str().starts_with("unknown_service")
}

/// As the conventions spell it.
fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
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
