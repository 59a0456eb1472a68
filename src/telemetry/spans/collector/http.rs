//! OTLP over HTTP, of bytes: the exporter of `opentelemetry-otlp` does everything (headers, retries,
//! what the answer means) for an export without spans, whose body is exchanged on its way out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SpanExporter as _;
use prost::Message as _;

use super::refused;
use crate::telemetry::spans::output::Failure;

/// One endpoint.
#[derive(Debug)]
pub(in crate::telemetry) struct Http {
    exporter: SpanExporter,
    exchange: Exchange,
}

/// What both ends of the exporter know of one export.
#[derive(Debug, Clone, Default)]
struct Exchange(Arc<Mutex<Exchanged>>);

#[derive(Debug, Default)]
struct Exchanged {
    /// What its requests are to carry.
    body: Bytes,
    /// The last of them was answered.
    answered: bool,
    /// Spans that the collector refused in a request that it took.
    refused: usize,
}

/// Sends that instead of what it is given, and reads the answers.
#[derive(Debug)]
struct Exchanging {
    client: HyperClient,
    exchange: Exchange,
}

impl Http {
    /// `endpoint` with its path. Within a runtime, which carries the connection.
    pub(in crate::telemetry) fn new(
        endpoint: String,
        timeout: Duration,
    ) -> Result<Self, ExporterBuildError> {
        let exchange = Exchange::default();
        let client = HyperClient::with_default_connector(timeout, None);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Exchanging { client, exchange: exchange.clone() })
            .with_endpoint(endpoint)
            .with_timeout(timeout)
            .build()?;
        Ok(Self { exporter, exchange })
    }

    /// How many spans the collector refused of those that it took; the exporter writes a line of it in the log.
    pub(in crate::telemetry::spans) async fn export(&self, body: Bytes) -> Result<usize, Failure> {
        *self.exchange.lock() = Exchanged { body, ..Exchanged::default() };
        let sent = self.exporter.export(Vec::new()).await;
        let Exchanged { answered, refused, .. } = std::mem::take(&mut *self.exchange.lock());
        sent.map(|()| refused).map_err(|error| Failure {
            reason: match error {
                OTelSdkError::Timeout(_) => "timeout",
                OTelSdkError::AlreadyShutdown => "shutdown",
                OTelSdkError::InternalFailure(_) if answered => "rejected",
                OTelSdkError::InternalFailure(_) => "unreachable",
            },
            message: error.to_string(),
        })
    }
}

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, Exchanged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl HttpClient for Exchanging {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, _) = request.into_parts();
        let body = {
            let mut exchange = self.exchange.lock();
            exchange.answered = false;
            exchange.body.clone()
        };
        let response = self.client.send_bytes(Request::from_parts(parts, body)).await?;
        let mut exchange = self.exchange.lock();
        exchange.answered = true;
        if response.status().is_success() {
            // An answer that is none says nothing of single spans.
            let read = ExportTraceServiceResponse::decode(response.body().clone());
            exchange.refused = read.map(refused).unwrap_or_default();
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;

    use axum::body::to_bytes;
    use axum::extract::Request;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_body_is_ours_and_the_answer_is_read() {
        let requests = Arc::<Mutex<Vec<(String, Bytes)>>>::default();
        let kept = Arc::clone(&requests);
        let answer = async move |request: Request| {
            let (parts, body) = request.into_parts();
            let form = parts.headers["content-type"].to_str().unwrap().to_owned();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let mut kept = kept.lock().unwrap();
            kept.push((format!("{} {form}", parts.uri.path()), body));
            let refused = ExportTracePartialSuccess { rejected_spans: 2, ..Default::default() };
            let response = ExportTraceServiceResponse { partial_success: Some(refused) };
            match kept.len() {
                1 => (http::StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
                2 => (http::StatusCode::OK, response.encode_to_vec()),
                _ => (http::StatusCode::UNAUTHORIZED, Vec::new()),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(axum::serve(listener, router).into_future());
        let http = Http::new(endpoint, Duration::from_secs(30)).unwrap();
        let body = Bytes::from_static(b"spans");
        assert_eq!(http.export(body.clone()).await.unwrap(), 2, "spans that it refused");
        let expected = ("/v1/traces application/x-protobuf".to_owned(), body.clone());
        assert_eq!(*requests.lock().unwrap(), vec![expected; 2]);
        assert_eq!(http.export(body).await.unwrap_err().reason, "rejected");
    }

    #[tokio::test]
    async fn a_collector_that_is_not_there_rejects_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        drop(listener);
        let http = Http::new(endpoint, Duration::from_secs(5)).unwrap();
        let failure = http.export(Bytes::from_static(b"spans")).await.unwrap_err();
        assert_eq!(failure.reason, "unreachable", "{failure:?}");
    }
}
