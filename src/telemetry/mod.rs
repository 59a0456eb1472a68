//! Logs to stderr, traces to an OTLP collector: set up once, before anything is logged.
//!
//! A collector that is slow or gone never disturbs serving: spans go through a bounded queue to a
//! thread of their own and are dropped when it is full.

mod export;

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

pub use export::Otlp;

/// Where this program's spans and events come from: the crate's module paths begin with it.
const OWN_TARGET: &str = "tessera";

/// What an operator can set about logs and traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub log_format: LogFormat,
    /// Directives as `tracing_subscriber::EnvFilter` has them: `info,tessera=debug`.
    pub log_filter: String,
    /// None: nothing is traced.
    pub otlp: Option<Otlp>,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("the log filter {filter:?} is not valid: {source}")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("cannot export traces to {endpoint}: {message}")]
    Exporter { endpoint: String, message: String },
    #[error("the sample ratio {0} is not in [0, 1]")]
    SampleRatio(f64),
    #[error("logging is set up already")]
    AlreadySet,
}

/// Keeps the exporter. Flush it before the process ends.
#[derive(Debug)]
#[must_use = "spans that were not flushed are lost"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Default for Config {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_filter: "info".to_owned(), otlp: None }
    }
}

/// Sets up logs and traces of the whole process. Within a tokio runtime, which carries the
/// exporter's connection, and which has to live until the guard is flushed.
pub fn init(config: &Config) -> Result<Guard, InitError> {
    let filter = EnvFilter::builder()
        .parse(&config.log_filter)
        .map_err(|source| InitError::Filter { filter: config.log_filter.clone(), source })?;
    let provider = config.otlp.as_ref().map(export::provider).transpose()?;
    let spans = provider.as_ref().map(export::layer);
    tracing_subscriber::registry()
        .with(spans)
        .with(log_layer(config.log_format).with_filter(filter))
        .try_init()
        .map_err(|_| InitError::AlreadySet)?;
    Ok(Guard { provider })
}

/// Spans of other layers are none of a log line's business: ids are fields of the line.
fn log_layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    }
}

impl Guard {
    /// Sends what is left to the collector, and gives up after `limit`.
    pub async fn flush(self, limit: Duration) {
        let Some(provider) = self.provider else { return };
        // Shutting down blocks its thread until the exporter's own one is through.
        let flushing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(limit));
        match tokio::time::timeout(limit, flushing).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces are not exported"),
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
            let otlp = Otlp { sample_ratio, ..Otlp::new(endpoint) };
            init(&Config { otlp: Some(otlp), ..Config::default() }).unwrap_err().to_string()
        };
        assert!(bad("not a uri", 1.0).contains("not a uri"));
        assert!(bad("http://localhost:4317", 1.5).contains("1.5"));
    }
}
