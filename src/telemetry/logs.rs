//! Log lines on stderr: their form, and what is logged, which can change while the process runs.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, reload};

use super::InitError;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Changes what is logged. Clones are the same.
#[derive(Clone)]
pub struct LogControl(Arc<Control>);

struct Control {
    directives: Mutex<String>,
    set: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

// === impl LogControl ===

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogControl").field(&self.directives()).finish()
    }
}

impl PartialEq for LogControl {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LogControl {}

impl LogControl {
    /// The filter to put before the log layer, and its control.
    pub(super) fn new<S>(filter: EnvFilter, directives: &str) -> (reload::Layer<EnvFilter, S>, Self)
    where
        S: 'static,
    {
        let (filter, handle) = reload::Layer::new(filter);
        let directives = Mutex::new(directives.to_owned());
        let set = Box::new(move |filter| handle.reload(filter));
        (filter, Self(Arc::new(Control { directives, set })))
    }

    /// What is logged now: `info,tessera::engine=debug`.
    pub fn directives(&self) -> String {
        self.0.directives.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs what `directives` say from now on; nothing changes where they are wrong.
    pub fn set(&self, directives: &str) -> Result<(), InitError> {
        let filter = EnvFilter::builder()
            .parse(directives)
            .map_err(|source| InitError::Filter { filter: directives.to_owned(), source })?;
        let mut now = self.0.directives.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails where the subscriber is gone, and then nothing is logged anyway.
        if (self.0.set)(filter).is_ok() {
            directives.clone_into(&mut now);
        }
        Ok(())
    }
}

/// Spans of other layers are none of a log line's business: ids are fields of the line.
pub(super) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // Where stderr cannot be written to, saying so on stderr would be a panic.
    let layer =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    }
}
