//! The gRPC client behind the commands that read documents: one connection, one document a call.

use std::error::Error;
use std::time::Duration;

use rustls::CertificateError;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::connection::{Connection, Credentials};
use super::failure::{Exit, Failure};
use super::refusal;
use crate::limits;
use crate::pb::v1::extract_response::Event;
use crate::pb::v1::extraction_service_client::ExtractionServiceClient;
use crate::pb::v1::{Accepted, Completed, ExtractRequest, ModelInfoRequest, ModelStatus};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A model that loads is asked again this often, where the server does not say.
const LOADING_RETRY: Duration = Duration::from_secs(1);
/// What one answer may be: its text comes twice more in `completed`.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// A connection to one server. A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    grpc: ExtractionServiceClient<Channel>,
    server: String,
    credentials: Option<Credentials>,
    /// Asked for with every document.
    trace_level: Option<u8>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub accepted: Accepted,
    pub completed: Completed,
}

/// What a caller is shown while an answer comes.
pub(super) trait Watcher: Send {
    fn loading(&mut self, message: &str);
    fn event(&mut self, event: &Event);
}

impl Client {
    pub(super) async fn connect(connection: &Connection) -> Result<Self, Failure> {
        let url = &connection.url;
        let mut endpoint = Endpoint::from_shared(url.clone()).map_err(|error| {
            Failure::new(Exit::Usage, format!("--server {url:?} is not an address"))
                .because(&error)
                .remedy("give HOST:PORT, for example 127.0.0.1:50051")
        })?;
        if let Some(tls) = &connection.tls {
            endpoint = endpoint.tls_config(tls.clone()).map_err(|error| {
                Failure::new(Exit::Usage, "the certificates cannot be used")
                    .because(&error)
                    .remedy("--ca, --client-cert and --client-key with PEM files that fit together")
            })?;
        }
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| unreachable(url, &error))?;
        let grpc = ExtractionServiceClient::new(channel)
            .max_decoding_message_size(RESPONSE_BYTES_MAX)
            .max_encoding_message_size(limits::REQUEST_BYTES_MAX);
        let credentials = connection.credentials.clone();
        Ok(Self { grpc, server: url.clone(), credentials, trace_level: None })
    }

    /// Asks for a trace of this level with every document.
    pub(super) fn traced(self, trace_level: Option<u8>) -> Self {
        Self { trace_level, ..self }
    }

    /// A call with a deadline and the caller's credentials.
    fn call<T>(&self, message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        if let Some(Credentials { name, value }) = &self.credentials {
            request.metadata_mut().insert(*name, value.clone());
        }
        request
    }

    pub(super) async fn model(&mut self) -> Result<ModelStatus, Failure> {
        let request = self.call(ModelInfoRequest::default(), CONNECT_TIMEOUT);
        let info =
            self.grpc.model_info(request).await.map_err(|status| named(status, &self.server));
        let info = info.map_err(|status| refusal::failure(&self.server, &status))?;
        Ok(info.into_inner().status.unwrap_or_default())
    }

    /// Reads one document, within `timeout`; waits for a model that is still loading.
    pub(super) async fn extract(
        &mut self,
        request: &ExtractRequest,
        timeout: Duration,
        watcher: &mut dyn Watcher,
    ) -> Result<Answer, Status> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            match self.try_extract(request, left, watcher).await {
                Err(status) => {
                    let Some(wait) = loading_for(&status).filter(|wait| *wait < left) else {
                        return Err(status);
                    };
                    watcher.loading(status.message());
                    tokio::time::sleep(wait).await;
                }
                answer => return answer,
            }
        }
    }

    async fn try_extract(
        &mut self,
        request: &ExtractRequest,
        timeout: Duration,
        watcher: &mut dyn Watcher,
    ) -> Result<Answer, Status> {
        let mut request = self.call(request.clone(), timeout);
        if let Some(level) = self.trace_level {
            request.metadata_mut().insert("x-trace-level", MetadataValue::from(u32::from(level)));
        }
        let mut stream = self
            .grpc
            .extract(request)
            .await
            .map_err(|status| named(status, &self.server))?
            .into_inner();
        let (mut accepted, mut completed) = (None, None);
        while let Some(response) =
            stream.message().await.map_err(|status| named(status, &self.server))?
        {
            let Some(event) = response.event else { continue };
            watcher.event(&event);
            match event {
                Event::Accepted(event) => accepted = Some(event),
                Event::Completed(event) => completed = Some(event),
                Event::Progress(_)
                | Event::TokenDelta(_)
                | Event::FieldDelta(_)
                | Event::DocumentType(_)
                | Event::FieldCompleted(_) => {}
            }
        }
        // Only an answer that ends with `completed` and OK is one.
        match (accepted, completed) {
            (Some(accepted), Some(completed)) => Ok(Answer { accepted, completed }),
            _ => Err(Status::data_loss("the stream ended without `completed`")),
        }
    }
}

/// Why there is no connection: nobody listens, or one side does not trust the other.
fn unreachable(url: &str, error: &tonic::transport::Error) -> Failure {
    let Some(tls) = tls_error(error) else {
        return Failure::new(Exit::Unreachable, format!("no server at {url}"))
            .because(error)
            .remedy("start one with `tessera serve`, or name another with --server HOST:PORT");
    };
    let remedy = match tls {
        // A bad signature: an authority of the same name, with another key.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "--ca with the authority that signed the server's certificate",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "--server-name with a name that the server's certificate has",
        // What `openssl req -x509` makes unless it is told otherwise.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            "a certificate for the server that is no authority's: openssl's -addext basicConstraints=critical,CA:FALSE"
        }
        rustls::Error::InvalidMessage(_) => "http:// instead of https://: this is no TLS",
        _ => "the server's certificate and --client-cert: one side does not trust the other",
    };
    Failure::new(Exit::Unreachable, format!("no trust in the server at {url}"))
        .because(tls)
        .remedy(remedy)
}

/// A connection that broke under a call, which tonic calls UNKNOWN without a word; what a server said stays as
/// it is. With TLS 1.3 a client learns only here that the server does not trust it.
fn named(status: Status, url: &str) -> Status {
    let Some(cause) = status.source() else { return status };
    let mut root = cause;
    while let Some(deeper) = root.source() {
        root = deeper;
    }
    // By its text: HTTP/2 keeps no more of the failure of TLS.
    let message = if root.to_string().contains("fatal alert") {
        format!(
            "the server does not trust this client ({root}): --client-cert with a certificate of its authorities"
        )
    } else {
        // Where the alert was lost, a connection that is closed is all that there is of it.
        let remedy = if url.starts_with("https://") {
            "a server that wants to know its clients needs --client-cert"
        } else {
            "a server with TLS needs https://"
        };
        format!("the connection broke: {root}; {remedy}")
    };
    Status::unavailable(message)
}

/// The failure of TLS inside of `error`, if that is what it is.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls.or_else(|| error.downcast_ref()) {
            return Some(tls);
        }
        next = error.source();
    }
    None
}

/// How long to wait before asking again, where the model is only loading.
fn loading_for(status: &Status) -> Option<Duration> {
    let details = status.get_error_details();
    let loading = details.error_info().is_some_and(|info| info.reason == "MODEL_LOADING");
    (status.code() == Code::Unavailable && loading)
        .then(|| details.retry_info().and_then(|retry| retry.retry_delay).unwrap_or(LOADING_RETRY))
}
