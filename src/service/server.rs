//! The gRPC server: what stands between a socket and the handlers, and how both end.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use tower::ServiceBuilder;

use super::batch::{BatchAnswer, batch};
use super::call::Call;
use super::envelope::{Envelope, EnvelopeLayer};
use super::extract::extract;
use super::gate::{GateLayer, Gated, rule_names};
use super::health::HealthService;
use super::orca::{LoadMeter, OrcaService};
use super::pace::Pace;
use super::received::Memory;
use super::stream::Answer;
use super::web::{Web, WebLayer};
use super::{Config, State, model_info, validate};
use crate::access::{AccessError, Gate};
use crate::engine::{Events, Handle};
use crate::limits;
use crate::pb::health::health_server::HealthServer;
use crate::pb::v1;
use crate::pb::v1::extraction_service_server::{ExtractionService, ExtractionServiceServer};
use crate::pb::xds::service::orca::v3::open_rca_service_server::OpenRcaServiceServer;
use crate::prompt::{QuestionError, Questions};
use crate::transport::{self, Hosts, TlsError};

/// How long cut calls may take to tell their clients.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why the server ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot describe the services for reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Questions(#[from] QuestionError),
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every call ran to its own end.
    Idle,
    /// The drain limit passed: calls that still ran got UNAVAILABLE with reason `DRAIN_TIMEOUT`.
    Cut,
}

/// How a server is told to end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Takes no more connections, tells the open ones to go, and waits for their calls.
    pub gently: CancellationToken,
    /// Waits for nobody.
    pub now: CancellationToken,
}

/// Serves until `shutdown` says so; then returns when all calls have ended, or `config.drain_timeout`
/// later.
///
/// Draining the engine, so that new calls are refused and health says so, is the caller's step
/// before.
pub async fn serve(
    listener: TcpListener,
    engine: Handle,
    config: Config,
    shutdown: Shutdown,
) -> Result<Ended, ServeError> {
    let Shutdown { gently, now } = shutdown;
    let drain_timeout = config.drain_timeout;
    let transport = config.transport.clone();
    let cut = CancellationToken::new();
    let gate = Arc::new(Gate::open(config.access.clone(), &rule_names())?);
    let watching = watch_file(Arc::clone(&gate), transport.reload_interval);
    let questions = match &config.questions {
        Some(questions) => Arc::clone(questions),
        None => Arc::new(Questions::load(None)?),
    };
    let load = Arc::new(LoadMeter::new(engine.clone()));
    let state = Arc::new(State { load, engine, config, questions, shutdown: gently.clone() });
    let hosts = hosts(&listener, &state.config);
    let service = layered(&state, gate, &cut, hosts)?;
    let serving = transport::serve(listener, transport, service, gently.clone());
    let serving = async {
        tokio::select! {
            served = serving => served,
            never = watching => never,
        }
    };
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return Ok(served.map(|()| Ended::Idle)?),
        () = async { gently.cancelled().await; tokio::time::sleep(drain_timeout).await } => {}
        () = now.cancelled() => gently.cancel(),
    }
    // A peer that reads nothing would be waited for for ever.
    cut.cancel();
    if let Ok(served) = tokio::time::timeout(GOODBYE, serving).await {
        served?;
    } else {
        tracing::warn!("connections are still open after the drain, and end now");
    }
    Ok(Ended::Cut)
}

/// Keeps the access file in force that is there now.
async fn watch_file<T>(gate: Arc<Gate>, interval: Duration) -> T {
    if !gate.has_file() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(interval).await;
        let gate = Arc::clone(&gate);
        // Reading may block; a failure of the task would only mean to look again.
        let _ = tokio::task::spawn_blocking(move || gate.reload()).await;
    }
}

/// The names by which browsers may call. A certificate says them already.
fn hosts(listener: &TcpListener, config: &Config) -> Hosts {
    match (&config.allowed_hosts, listener.local_addr()) {
        (None, _) if config.transport.tls.is_some() => Hosts::Any,
        (named, Ok(address)) => Hosts::of(address, named.as_deref()),
        (_, Err(_)) => Hosts::Only(Vec::new()),
    }
}

/// The one list of what a call passes through, outermost first.
fn layered(
    state: &Arc<State>,
    gate: Arc<Gate>,
    cut: &CancellationToken,
    hosts: Hosts,
) -> Result<Web<Envelope<Gated<Routes>>>, ServeError> {
    let config = &state.config;
    let layers = ServiceBuilder::new()
        .layer(WebLayer::new(&config.cors_origins, config.playground, hosts))
        // Deadline, trace, log line and panic guard: outside of decoding, so that a message which is
        // too large or malformed is seen as well.
        .layer(EnvelopeLayer {
            cut: cut.clone(),
            leaving: state.shutdown.clone(),
            unread_max: config.unread,
            telemetry: config.telemetry.clone(),
            load: Arc::clone(&state.load),
        })
        // Who may call: before a byte of the message is read.
        .layer(GateLayer {
            gate,
            memory: Memory::new(config.request_memory_bytes),
            pace: Pace { silence_max: config.receive_timeout, message_max: config.message_time },
        });
    Ok(layers.service(routes(state)?))
}

/// What is served.
fn routes(state: &Arc<State>) -> Result<Routes, ServeError> {
    let mut routes = Routes::new(extraction_service(state))
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
        routes =
            routes.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    }
    Ok((state.config.beside)(routes).prepare())
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
