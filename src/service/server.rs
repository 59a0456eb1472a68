//! The gRPC server: what stands between a socket and the handlers, and how both end.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};
use tonic_health::pb::health_server::HealthServer;
use tower::layer::util::{Identity, Stack};

use super::batch::{BatchAnswer, batch};
use super::call::Call;
use super::envelope::EnvelopeLayer;
use super::extract::extract;
use super::health::HealthService;
use super::orca::{LoadMeter, OrcaService};
use super::stream::Answer;
use super::web::WebLayer;
use super::{Config, State, model_info, validate};
use crate::engine::{Events, Handle};
use crate::limits;
use crate::pb::v1;
use crate::pb::v1::extraction_service_server::{ExtractionService, ExtractionServiceServer};
use crate::pb::xds::service::orca::v3::open_rca_service_server::OpenRcaServiceServer;
use crate::prompt::{QuestionError, Questions};

/// Pings find peers that are gone without a word while nothing is sent to them.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long cut calls may take to tell their clients.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why the server ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot describe the services for reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error(transparent)]
    Questions(#[from] QuestionError),
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every call ran to its own end.
    Idle,
    /// The drain limit passed: calls that still ran got UNAVAILABLE with reason `DRAIN_TIMEOUT`.
    Cut,
}

/// Serves until `shutdown` is cancelled; then takes no connections, tells the open ones to go, and
/// returns when they have, or `config.drain_timeout` later.
///
/// Draining the engine, so that new calls are refused and health says so, is the caller's step
/// before.
pub async fn serve(
    listener: TcpListener,
    engine: Handle,
    config: Config,
    shutdown: CancellationToken,
) -> Result<Ended, ServeError> {
    let drain_timeout = config.drain_timeout;
    let cut = CancellationToken::new();
    let questions = match &config.questions {
        Some(questions) => Arc::clone(questions),
        None => Arc::new(Questions::load(None)?),
    };
    let state = Arc::new(State {
        load: Arc::new(LoadMeter::new(engine.clone())),
        engine,
        config,
        questions,
        shutdown: shutdown.clone(),
    });
    let router = router(&state, &cut)?;
    // The server's own `tcp_nodelay` does not reach sockets that are handed to it.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stop = shutdown.clone();
    let serving =
        router.serve_with_incoming_shutdown(incoming, async move { stop.cancelled().await });
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return Ok(served.map(|()| Ended::Idle)?),
        () = async { shutdown.cancelled().await; tokio::time::sleep(drain_timeout).await } => {}
    }
    // Tonic alone would wait for ever: for a peer that reads nothing, or that never spoke.
    cut.cancel();
    if let Ok(served) = tokio::time::timeout(GOODBYE, serving).await {
        served?;
    } else {
        tracing::warn!("connections are still open after the drain");
    }
    Ok(Ended::Cut)
}

/// What every call passes before its service, innermost first.
type Layers = Stack<EnvelopeLayer, Stack<WebLayer, Identity>>;

/// The one list of what a call passes through, outermost first.
fn router(state: &Arc<State>, cut: &CancellationToken) -> Result<Router<Layers>, ServeError> {
    let mut router = Server::builder()
        // Browsers speak HTTP/2 only over TLS.
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        // One connection may carry all the requests of a proxy, but not without end.
        .max_concurrent_streams(state.config.streams_per_connection_max)
        // No connection age: tonic's grace period cuts live streams, and without one it has no jitter.
        .layer(WebLayer::new(&state.config.cors_origins, state.config.playground))
        // Deadline, trace, log line and panic guard: outside of decoding, so that a message which is
        // too large or malformed is seen as well.
        .layer(EnvelopeLayer {
            cut: cut.clone(),
            telemetry: state.config.telemetry.clone(),
            load: Arc::clone(&state.load),
        })
        .add_service(extraction_service(state))
        .add_service(OpenRcaServiceServer::new(OrcaService {
            meter: Arc::clone(&state.load),
            shutdown: state.shutdown.clone(),
        }))
        .add_service(HealthServer::new(HealthService {
            status: state.engine.status(),
            shutdown: state.shutdown.clone(),
        }));
    if state.config.reflection {
        // Two versions: older tools know v1alpha only.
        router =
            router.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    }
    Ok(router)
}

fn extraction_service(state: &Arc<State>) -> ExtractionServiceServer<Extraction> {
    ExtractionServiceServer::new(Extraction { state: Arc::clone(state) })
        // Tonic's 4 MiB would refuse most documents.
        .max_decoding_message_size(limits::REQUEST_BYTES_MAX)
        .max_encoding_message_size(limits::RESPONSE_BYTES_MAX)
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(crate::pb::DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// The handlers.
#[derive(Debug)]
struct Extraction {
    state: Arc<State>,
}

#[tonic::async_trait]
impl ExtractionService for Extraction {
    type BatchExtractStream = BatchAnswer;
    type ExtractStream = Answer<Events>;
    type WatchModelInfoStream = model_info::WatchStream;

    async fn extract(
        &self,
        request: Request<v1::ExtractRequest>,
    ) -> Result<Response<Self::ExtractStream>, Status> {
        extract(&self.state, request).await
    }

    async fn batch_extract(
        &self,
        request: Request<Streaming<v1::BatchExtractRequest>>,
    ) -> Result<Response<Self::BatchExtractStream>, Status> {
        batch(Arc::clone(&self.state), request)
    }

    async fn model_info(
        &self,
        request: Request<v1::ModelInfoRequest>,
    ) -> Result<Response<v1::ModelInfoResponse>, Status> {
        Call::of(&request).note(|record| record.phase = Some("answer"));
        let status = self.state.status();
        validate::check_model(&request.get_ref().model, self.state.model_name(&status))?;
        let status = model_info::model_status(&self.state, &status);
        Ok(Response::new(v1::ModelInfoResponse { status: Some(status) }))
    }

    async fn watch_model_info(
        &self,
        request: Request<v1::WatchModelInfoRequest>,
    ) -> Result<Response<Self::WatchModelInfoStream>, Status> {
        Call::of(&request).note(|record| record.phase = Some("watch"));
        let status = self.state.status();
        validate::check_model(&request.get_ref().model, self.state.model_name(&status))?;
        Ok(Response::new(model_info::watch(Arc::clone(&self.state))))
    }
}
