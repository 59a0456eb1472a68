//! Where spans go: a collector, or files.

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::runtime::Handle;

use super::file::TraceFiles;

/// One destination.
#[derive(Debug)]
pub(crate) enum Output {
    /// Sends over OTLP, on the runtime that carries the connection.
    Collector {
        exporter: Box<SpanExporter>,
        runtime: Handle,
    },
    Files(TraceFiles),
}

/// Why a batch did not arrive.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the metric: one of a few.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Output {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Collector { .. } => "collector",
            Self::Files(_) => "files",
        }
    }

    pub(super) fn send(&mut self, batch: Vec<SpanData>) -> Result<(), Failure> {
        match self {
            Self::Collector { exporter, runtime } => {
                runtime.block_on(exporter.export(batch)).map_err(|error| Failure {
                    reason: match error {
                        OTelSdkError::Timeout(_) => "timeout",
                        OTelSdkError::AlreadyShutdown => "shutdown",
                        OTelSdkError::InternalFailure(_) => "rejected",
                    },
                    message: error.to_string(),
                })
            }
            Self::Files(files) => files
                .write(batch)
                .map_err(|error| Failure { reason: "io", message: error.to_string() }),
        }
    }
}
