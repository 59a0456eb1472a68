//! Encoded spans on their way to a collector, over gRPC or HTTP.

mod grpc;
mod http;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use tokio::runtime::Handle;

use super::encode::Batch;
use super::output::Failure;
pub(in crate::telemetry) use grpc::Grpc;
pub(in crate::telemetry) use http::Http;

/// One collector, and the runtime that carries the connection to it.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(in crate::telemetry) link: Link,
    pub(in crate::telemetry) runtime: Handle,
}

/// How it is reached.
#[derive(Debug)]
pub(in crate::telemetry) enum Link {
    Grpc(Grpc),
    Http(Http),
}

impl Collector {
    /// Sends a batch, and waits for the answer: how many spans of it the collector refused.
    pub(super) fn send(&self, batch: &Batch) -> Result<usize, Failure> {
        match &self.link {
            Link::Grpc(grpc) => self.runtime.block_on(grpc.export(batch.protobuf.clone())),
            Link::Http(http) => self.runtime.block_on(http.export(batch.protobuf.concat().into())),
        }
    }
}

/// How many spans a collector refused of those that it took.
fn refused(response: ExportTraceServiceResponse) -> usize {
    let Some(partial) = response.partial_success else { return 0 };
    let (refused, reason) = (partial.rejected_spans, partial.error_message);
    if refused > 0 || !reason.is_empty() {
        tracing::warn!(refused, reason, "the collector did not take all spans");
    }
    usize::try_from(refused).unwrap_or_default()
}
