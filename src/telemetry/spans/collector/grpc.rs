//! OTLP over gRPC, of bytes: the exporter of `opentelemetry-otlp` takes spans only. Retries are as the
//! protocol has them, and as that exporter does it.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use percent_encoding::percent_decode_str;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, TimeoutExpired};
use tonic_prost::ProstDecoder;
use tonic_types::StatusExt as _;

use super::refused;
use crate::telemetry::spans::output::Failure;

const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The first that is there says what to send along: tokens, tenants.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// After the first attempt.
const RETRIES_MAX: usize = 3;
const RETRY_DELAY: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_millis(1_600);
const RETRY_JITTER_MAX_MS: u64 = 100;

/// A connection, made when it is first needed and again when it is lost.
#[derive(Debug)]
pub(in crate::telemetry) struct Grpc {
    channel: Channel,
    headers: MetadataMap,
    timeout: Duration,
}

/// The parts of one message, encoded.
type Parts = [Bytes; 2];

impl Grpc {
    /// Does not connect yet. The error says what is wrong with `endpoint`.
    pub(in crate::telemetry) fn new(endpoint: &str, timeout: Duration) -> Result<Self, String> {
        let told = |error: tonic::transport::Error| told(&error);
        let agent = concat!("tessera/", env!("CARGO_PKG_VERSION"));
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(told)?;
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some(other) => return Err(format!("a collector is reached over http, not {other}")),
            None => return Err("the scheme is missing: http://HOST:PORT".to_owned()),
        }
        let endpoint = endpoint.user_agent(agent).map_err(told)?.timeout(timeout);
        let headers = headers(&headers_given());
        Ok(Self { channel: endpoint.connect_lazy(), headers, timeout })
    }

    /// How many spans the collector refused of those that it took.
    pub(in crate::telemetry::spans) async fn export(&self, parts: Parts) -> Result<usize, Failure> {
        let begin = Instant::now();
        let mut delay = RETRY_DELAY;
        let mut retries = 0;
        loop {
            let status = match self.attempt(parts.clone()).await {
                Ok(response) => return Ok(refused(response)),
                Err(status) => status,
            };
            let asked = retry_after(&status).filter(|_| retries < RETRIES_MAX);
            let Some(asked) = asked else { return Err(failure(&status)) };
            let jitter = Duration::from_millis(rand::random_range(0..=RETRY_JITTER_MAX_MS));
            let pause = delay.max(asked) + jitter;
            if begin.elapsed() + pause >= self.timeout {
                return Err(failure(&status));
            }
            tokio::time::sleep(pause).await;
            delay = (delay.max(asked) * 2).min(RETRY_DELAY_MAX.max(asked));
            retries += 1;
        }
    }

    async fn attempt(&self, parts: Parts) -> Result<ExportTraceServiceResponse, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(parts);
        *request.metadata_mut() = self.headers.clone();
        let path = PathAndQuery::from_static(METHOD);
        client.unary(request, path, Encoded).await.map(tonic::Response::into_inner)
    }
}

/// Takes messages that are bytes already.
#[derive(Debug, Clone, Copy)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Parts;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = ProstDecoder<ExportTraceServiceResponse>;

    fn encoder(&mut self) -> Self::Encoder {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::default())
    }
}

impl Encoder for Encoded {
    type Item = Parts;
    type Error = Status;

    fn encode(&mut self, parts: Parts, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(parts.iter().map(Bytes::len).sum());
        for part in parts {
            buffer.put(part);
        }
        Ok(())
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "no option of ours: the libraries that send metrics and speak HTTP read it there too"
)]
fn headers_given() -> String {
    HEADERS.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default()
}

/// `name=value,…`, as W3C's baggage has it; what is no header is left out.
fn headers(text: &str) -> MetadataMap {
    let mut headers = MetadataMap::new();
    for pair in text.split(',') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let name = AsciiMetadataKey::from_bytes(name.trim().to_ascii_lowercase().as_bytes());
        let value = percent_decode_str(value.trim()).decode_utf8().ok();
        if let (Ok(name), Some(Ok(value))) = (name, value.map(|value| value.parse())) {
            headers.append(name, value);
        }
    }
    headers
}

/// None: it would fail again. Otherwise how long the collector wants to be left alone.
fn retry_after(status: &Status) -> Option<Duration> {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::ResourceExhausted => asked,
        Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => Some(asked.unwrap_or_default()),
        _ => None,
    }
}

/// Without the collector's message: some repeat the token in it.
fn failure(status: &Status) -> Failure {
    let code = status.code();
    let cause = status.source().map(|source| format!(": {}", told(source))).unwrap_or_default();
    Failure { reason: reason(status), message: format!("the export failed with {code:?}{cause}") }
}

/// What a collector says itself has no cause; what comes of the way to it has.
fn reason(status: &Status) -> &'static str {
    let mut causes = std::iter::successors(status.source(), |&cause| cause.source());
    if status.code() == Code::DeadlineExceeded
        || causes.any(<dyn std::error::Error>::is::<TimeoutExpired>)
    {
        return "timeout";
    }
    if status.source().is_some() { "unreachable" } else { "rejected" }
}

/// An error and its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
