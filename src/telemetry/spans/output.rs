//! Where spans go: a collector, or files.

use super::collector::Collector;
use super::encode::{Batch, Formats};
use super::file::TraceFiles;

/// One destination.
#[derive(Debug)]
pub(crate) enum Output {
    Collector(Box<Collector>),
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
            Self::Collector(_) => "collector",
            Self::Files(_) => "files",
        }
    }

    /// What all of them together want to have.
    pub(super) fn formats(outputs: &[Self]) -> Formats {
        Formats {
            protobuf: outputs.iter().any(|output| matches!(output, Self::Collector(_))),
            json: outputs.iter().any(|output| matches!(output, Self::Files(_))),
        }
    }

    /// Takes its form of the batch, and says how many of the spans were refused.
    pub(super) fn send(&mut self, batch: &Batch) -> Result<usize, Failure> {
        match self {
            Self::Collector(collector) => collector.send(batch),
            Self::Files(files) => {
                let written = files.write(&batch.json).map(|()| 0);
                written.map_err(|error| Failure { reason: "io", message: error.to_string() })
            }
        }
    }
}
