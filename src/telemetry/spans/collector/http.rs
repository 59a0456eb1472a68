//! OTLP over HTTP, of bytes: the exporter of `opentelemetry-otlp` does everything (headers, retries,
//! what the answer means) for an export without spans, whose body is exchanged on its way out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SpanExporter as _;

use crate::telemetry::spans::output::Failure;

/// One endpoint.
#[derive(Debug)]
pub(in crate::telemetry) struct Http {
    exporter: SpanExporter,
    body: Body,
}

/// What the next requests are to carry.
#[derive(Debug, Clone, Default)]
struct Body(Arc<Mutex<Bytes>>);

/// Sends that instead of what it is given.
#[derive(Debug)]
struct Exchanging {
    client: HyperClient,
    body: Body,
}

impl Http {
    /// `endpoint` with its path. Within a runtime, which carries the connection.
    pub(in crate::telemetry) fn new(
        endpoint: String,
        timeout: Duration,
    ) -> Result<Self, ExporterBuildError> {
        let body = Body::default();
        let client = HyperClient::with_default_connector(timeout, None);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Exchanging { client, body: body.clone() })
            .with_endpoint(endpoint)
            .with_timeout(timeout)
            .build()?;
        Ok(Self { exporter, body })
    }

    /// Of what a collector refused in a request that it took, the exporter writes a line in the log.
    pub(in crate::telemetry::spans) async fn export(&self, body: Bytes) -> Result<usize, Failure> {
        self.body.set(body);
        let sent = self.exporter.export(Vec::new()).await;
        self.body.set(Bytes::new());
        sent.map(|()| 0).map_err(|error| Failure {
            reason: match error {
                OTelSdkError::Timeout(_) => "timeout",
                OTelSdkError::AlreadyShutdown => "shutdown",
                OTelSdkError::InternalFailure(_) => "rejected",
            },
            message: error.to_string(),
        })
    }
}

impl Body {
    fn set(&self, bytes: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    fn get(&self) -> Bytes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tonic::async_trait]
impl HttpClient for Exchanging {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, _) = request.into_parts();
        self.client.send_bytes(Request::from_parts(parts, self.body.get())).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;

    use axum::body::to_bytes;
    use axum::extract::Request;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_body_is_ours_and_a_busy_collector_gets_it_twice() {
        let requests = Arc::<Mutex<Vec<(String, Bytes)>>>::default();
        let kept = Arc::clone(&requests);
        let answer = async move |request: Request| {
            let (parts, body) = request.into_parts();
            let form = parts.headers["content-type"].to_str().unwrap().to_owned();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let mut kept = kept.lock().unwrap();
            kept.push((format!("{} {form}", parts.uri.path()), body));
            if kept.len() == 1 {
                http::StatusCode::SERVICE_UNAVAILABLE
            } else {
                http::StatusCode::OK
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(axum::serve(listener, router).into_future());
        let http = Http::new(endpoint, Duration::from_secs(30)).unwrap();
        let body = Bytes::from_static(b"spans");
        assert_eq!(http.export(body.clone()).await.unwrap(), 0);
        let expected = ("/v1/traces application/x-protobuf".to_owned(), body);
        assert_eq!(*requests.lock().unwrap(), vec![expected; 2]);
    }
}
