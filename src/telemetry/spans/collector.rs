//! Encoded spans on their way to a collector, over gRPC or HTTP.

mod grpc;
mod http;

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
