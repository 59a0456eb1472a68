//! Logs to stderr, metrics and traces to whoever collects them: set up once, before anything is logged.
//!
//! A collector that is slow or gone never disturbs serving: spans go through a bounded queue to a
//! thread of their own and are dropped, and counted, when it is full.

mod export;
pub mod heap;
mod logs;
pub mod metrics;
pub mod spans;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

pub use export::{Metered, Otlp, Protocol, Signals};
pub use logs::{LogControl, LogFormat};
pub use metrics::Metrics;
use spans::{Content, Level, Output, TraceFiles, TraceOptions, Tracer};

/// Where this program's spans and events come from: the crate's module paths begin with it.
const OWN_TARGET: &str = "tessera";

/// What an operator can set about logs, metrics and traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub log_format: LogFormat,
    /// Directives as `tracing_subscriber::EnvFilter` has them: `info,tessera=debug`.
    pub log_filter: String,
    /// None: nothing is sent.
    pub otlp: Option<Otlp>,
    pub trace: TraceConfig,
    /// Show the metrics under the names that vLLM has for them as well.
    pub vllm_names: bool,
}

/// What is traced, wherever it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceConfig {
    /// Share of the traces that begin here which are recorded. A caller's decision, where there is
    /// one, is followed instead.
    pub sample_ratio: f64,
    /// Of requests that do not say.
    pub options: TraceOptions,
    /// What requests may ask for.
    pub level_max: Level,
    /// Of what was asked and answered.
    pub content: Content,
    /// Say what an answer took under the names that vLLM has for it as well.
    pub vllm_names: bool,
    /// Where to write spans as files, beside or instead of sending them.
    pub directory: Option<PathBuf>,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("the log filter {filter:?} is not valid: {source}")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("cannot export to {endpoint}: {message}")]
    Exporter { endpoint: String, message: String },
    #[error("the sample ratio {0} is not in [0, 1]")]
    SampleRatio(f64),
    #[error("cannot write traces to {}: {source}", directory.display())]
    Directory { directory: PathBuf, source: io::Error },
    #[error("cannot start the thread that exports spans: {0}")]
    Thread(io::Error),
    #[error("logging is set up already")]
    AlreadySet,
}

/// What the parts of a server record with. Clones are the same; the default one forgets everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telemetry {
    metrics: Metrics,
    log: Option<LogControl>,
    tracing: Option<Tracing>,
}

/// Where the spans of requests go, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    pub tracer: Tracer,
    /// Of requests that do not say.
    pub options: TraceOptions,
    /// What requests may ask for.
    pub level_max: Level,
    /// Of what was asked and answered.
    pub content: Content,
    /// Say what an answer took under the names that vLLM has for it as well.
    pub vllm_names: bool,
}

/// Keeps the exporters. Flush it before the process ends.
#[derive(Debug)]
#[must_use = "spans that were not flushed are lost"]
pub struct Guard {
    telemetry: Telemetry,
    provider: Option<SdkTracerProvider>,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            sample_ratio: 1.0,
            options: TraceOptions::default(),
            level_max: Level::Engine,
            content: Content::Off,
            vllm_names: false,
            directory: None,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
            otlp: None,
            trace: TraceConfig::default(),
            vllm_names: false,
        }
    }
}

/// Sets up logs, metrics and traces of the whole process. Within a tokio runtime, which carries the
/// exporters' connections, and which has to live until the guard is flushed.
pub fn init(config: &Config) -> Result<Guard, InitError> {
    let filter = EnvFilter::builder()
        .parse(&config.log_filter)
        .map_err(|source| InitError::Filter { filter: config.log_filter.clone(), source })?;
    let (filter, log) = LogControl::new(filter, &config.log_filter);
    let measured = config.otlp.as_ref().filter(|otlp| otlp.signals.metrics);
    let exporter = measured.map(export::metrics).transpose()?;
    let metrics = Metrics::kept(export::resource(), exporter, config.vllm_names);
    let tracing = start_tracing(config, &metrics)?;
    let ratio = config.trace.sample_ratio;
    let provider = tracing.as_ref().map(|tracing| export::provider(&tracing.tracer, ratio));
    let spans = provider.as_ref().map(export::layer);
    tracing_subscriber::registry()
        .with(spans)
        .with(logs::layer(config.log_format).with_filter(filter))
        .try_init()
        .map_err(|_| InitError::AlreadySet)?;
    if let Some(content) = tracing.as_ref().map(|t| t.content).filter(|c| *c != Content::Off) {
        tracing::warn!(?content, "traces show what is read in documents");
    }
    Ok(Guard { telemetry: Telemetry { metrics, log: Some(log), tracing }, provider })
}

/// None where spans go nowhere.
fn start_tracing(config: &Config, metrics: &Metrics) -> Result<Option<Tracing>, InitError> {
    let TraceConfig { sample_ratio, options, level_max, content, vllm_names, directory } =
        &config.trace;
    if !(0.0..=1.0).contains(sample_ratio) {
        return Err(InitError::SampleRatio(*sample_ratio));
    }
    let mut outputs = Vec::new();
    if let Some(otlp) = config.otlp.as_ref().filter(|otlp| otlp.signals.traces) {
        outputs.push(export::collector(otlp)?);
    }
    if let Some(directory) = directory {
        let files = TraceFiles::open(directory)
            .map_err(|source| InitError::Directory { directory: directory.clone(), source })?;
        outputs.push(Output::Files(files));
    }
    if outputs.is_empty() || (*level_max).max(options.level) == Level::Off {
        return Ok(None);
    }
    let tracer =
        Tracer::start(outputs, &export::resource(), metrics.clone()).map_err(InitError::Thread)?;
    let (options, level_max) = (*options, *level_max);
    let (content, vllm_names) = (*content, *vllm_names);
    Ok(Some(Tracing { tracer, options, level_max, content, vllm_names }))
}

// === impl Telemetry ===

impl Telemetry {
    /// Keeps metrics, for a server inside another program: nothing is logged or sent.
    pub fn keeping_metrics() -> Self {
        Self { metrics: Metrics::kept(export::resource(), None, false), log: None, tracing: None }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// None: nothing is traced.
    pub fn tracing(&self) -> Option<&Tracing> {
        self.tracing.as_ref()
    }

    /// Changes what is logged; none where logging is somebody else's.
    pub fn log(&self) -> Option<&LogControl> {
        self.log.as_ref()
    }
}

// === impl Guard ===

impl Guard {
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// Sends what is left to the collector, and gives up after `limit`.
    pub async fn flush(self, limit: Duration) {
        let Self { telemetry, provider } = self;
        // Shutting down blocks its thread until the exporters' own ones are through.
        let flushing = tokio::task::spawn_blocking(move || {
            let traces = provider.map_or(Ok(()), |provider| provider.shutdown_with_timeout(limit));
            let metrics = telemetry.metrics.shutdown(limit);
            (traces, metrics)
        });
        match tokio::time::timeout(limit, flushing).await {
            Ok(Ok((traces, metrics))) => {
                for (what, ended) in [("traces", traces), ("metrics", metrics)] {
                    if let Err(error) = ended {
                        tracing::warn!(%error, what, "the last of them are not exported");
                    }
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the last traces are not exported"),
            Err(_) => tracing::warn!("the last traces are not exported in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named() {
        let config = Config { log_filter: "tessera=loud".to_owned(), ..Config::default() };
        let error = init(&config).unwrap_err().to_string();
        assert!(error.contains("tessera=loud"), "{error}");
    }

    #[tokio::test]
    async fn bad_exporters_are_named() {
        let bad = |endpoint: &str, sample_ratio: f64| {
            let otlp = Some(Otlp::new(endpoint));
            let trace = TraceConfig { sample_ratio, ..TraceConfig::default() };
            init(&Config { otlp, trace, ..Config::default() }).unwrap_err().to_string()
        };
        assert!(bad("not a uri", 1.0).contains("not a uri"));
        assert!(bad("http://localhost:4317", 1.5).contains("1.5"));
    }
}
