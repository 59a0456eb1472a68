//! Wiring and life of a server: listen at once, load behind it, serve, drain, stop.
//!
//! [`run`] is a whole life, from configuration to the last signal. [`Server`] is the same without
//! signals, for whoever has its own reasons to stop.

mod fake;
pub mod load;
mod observe;
pub mod preflight;
mod probe;
mod reload;
mod signals;
mod watchdog;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::admin;
use crate::config::Config;
use crate::engine::{self, ModelState, ReloadRefused};
use crate::fetch::{Fetcher, RootsError};
use crate::model::ModelSpec;
use crate::prompt::Questions;
use crate::service::{self, Ended, ServeError, Shutdown};
use crate::telemetry::Telemetry;
use crate::transport::Hosts;
use reload::Reloader;
use signals::{Asked, Signals};

/// How long calls that were on their way when connections were told to go may still arrive: above a
/// round trip, far below what anybody waits for.
const GOAWAY_HEARD: Duration = Duration::from_millis(500);

/// Where a server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Listening; the model is not there yet, which calls are told.
    Loading,
    /// Taking requests.
    Serving,
    /// Others learn that it will stop; requests are still taken.
    Leaving,
    /// Taking no more requests; running ones may end.
    Draining,
    /// All is over.
    Stopped,
}

/// Why a server could not start, or stopped on its own.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot serve operators on {address}")]
    Admin { address: SocketAddr, source: std::io::Error },
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    #[error("cannot use the model {model}: {message}")]
    Model { model: String, message: String },
    #[error("cannot fetch from the origins in --fetch-from")]
    Fetch(#[from] RootsError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// What is to know of a server that takes requests.
#[derive(Debug, Clone)]
pub struct Ready {
    pub address: SocketAddr,
    pub spec: Arc<ModelSpec>,
    /// From the start to here.
    pub took: Duration,
}

/// How a life ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// Every request that was taken came to its own end.
    Finished,
    /// The drain limit cut requests off.
    Cut,
    /// A second signal: at once.
    Interrupted,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    engine: engine::Handle,
    reloader: Reloader,
    config: Config,
    started: Instant,
    stop: Shutdown,
    /// Cancelled last: operators see the drain.
    admin: Option<(SocketAddr, DropGuard)>,
    watchdog: Option<AbortOnDropHandle<()>>,
    serving: JoinHandle<Result<Ended, ServeError>>,
}

/// Serves until a signal comes, then drains. `on_ready` is called once requests are taken.
pub async fn run(
    config: Config,
    telemetry: Telemetry,
    on_ready: impl FnOnce(&Ready),
) -> Result<Goodbye, AppError> {
    let mut signals = Signals::install().map_err(AppError::Signals)?;
    let mut server = Server::start(config, telemetry).await?;
    tokio::select! {
        ready = server.ready() => on_ready(&ready?),
        signal = signals.stop() => return server.leave(signal, signals).await,
    }
    let signal = loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop(signal) => break signal,
                // Refused or not, it is logged.
                Asked::Reload => _ = server.reload("SIGHUP"),
            },
            error = server.failed() => {
                server.abandon().await;
                return Err(error);
            }
        }
    };
    server.leave(signal, signals).await
}

// === impl Phase ===

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loading => "loading",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        })
    }
}

fn enter(phase: Phase) {
    tracing::info!(%phase, "server");
}

// === impl Server ===

impl Server {
    /// Listens, and starts to load the model. Calls are answered from here on.
    pub async fn start(config: Config, telemetry: Telemetry) -> Result<Self, AppError> {
        let started = Instant::now();
        let address = config.server.listen;
        let listening = |source| AppError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let operators = match config.server.admin_listen {
            Some(address) => Some(listen_to_operators(address).await?),
            None => None,
        };
        enter(Phase::Loading);
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let mut service_config = service_config(&config, &telemetry);
        // Before anything slow begins.
        load::calibration(&config.model).map_err(|error| unusable(&config, &error))?;
        service_config.questions = questions(&config)?.map(Arc::new);
        let fetcher = config.server.fetch.as_ref().map(Fetcher::new).transpose()?;
        service_config.fetcher = fetcher.map(Arc::new);
        let loader = load::Loader::new(&config);
        let engine_config = engine_config(&config, &telemetry);
        let engine = engine::Handle::start_replicas(engine_config, loader.replicas());
        let reloader = Reloader::new(engine.clone(), loader);
        let model = config.model.checkpoint.name();
        telemetry.metrics().observe(observe::source(model, engine.status()));
        let admin = operators.map(|(listener, address)| {
            let reloader = reloader.clone();
            let begin = Arc::new(move || reloader.reload("an operator"));
            let routes = admin::routes(&telemetry)
                .merge(admin::probes(engine.status()))
                .merge(admin::reload(engine.status(), begin));
            let hosts = Hosts::of(address, config.server.allowed_hosts.as_deref());
            (address, serve_operators(listener, address, routes, hosts))
        });
        let watchdog = config.server.watchdog.map(|limit| {
            AbortOnDropHandle::new(tokio::spawn(watchdog::watch(engine.clone(), limit)))
        });
        let stop = Shutdown::default();
        let serving =
            tokio::spawn(service::serve(listener, engine.clone(), service_config, stop.clone()));
        Ok(Self { address, engine, reloader, config, started, stop, admin, watchdog, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators are served, if they are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(address, _)| *address)
    }

    /// Waits until requests are taken.
    pub async fn ready(&mut self) -> Result<Ready, AppError> {
        let mut status = self.engine.status();
        let loaded = async {
            match status.wait_for(|status| status.state != ModelState::Loading).await {
                Ok(status) if status.state == ModelState::Ready => status.spec.clone(),
                _ => None,
            }
        };
        let spec = tokio::select! {
            biased;
            // It serves while the model loads, and may fail long before.
            served = &mut self.serving => return Err(self.serve_error(served)),
            spec = loaded => spec,
        };
        let Some(spec) = spec else { return Err(self.model_error()) };
        enter(Phase::Serving);
        Ok(Ready { address: self.address, spec, took: self.started.elapsed() })
    }

    /// Waits until the server cannot go on.
    pub async fn failed(&mut self) -> AppError {
        tokio::select! {
            () = failed(self.engine.status()) => self.model_error(),
            served = &mut self.serving => self.serve_error(served),
        }
    }

    /// Why serving ended that nobody told to.
    fn serve_error(&self, served: Result<Result<Ended, ServeError>, JoinError>) -> AppError {
        match served {
            Ok(Err(error)) => error.into(),
            // Its task died.
            _ => self.model_error(),
        }
    }

    fn model_error(&self) -> AppError {
        AppError::Model {
            model: self.config.model.checkpoint.to_string(),
            message: self.engine.current().message,
        }
    }

    /// Loads what the model's path leads to now, and changes to it without a call that fails. Returns the
    /// number of the exchange; [`status`](Self::status) says how it goes.
    pub fn reload(&self, asked_by: &str) -> Result<u32, ReloadRefused> {
        self.reloader.reload(asked_by)
    }

    /// Leaves after a signal; the next one ends the wait.
    async fn leave(self, signal: &str, mut signals: Signals) -> Result<Goodbye, AppError> {
        tracing::info!(signal, "stopping; a second signal stops at once");
        tokio::select! {
            goodbye = self.stop() => goodbye,
            signal = signals.stop() => {
                tracing::warn!(signal, "stopping at once");
                Ok(Goodbye::Interrupted)
            }
        }
    }

    /// Ends at once what an engine that failed would never end.
    async fn abandon(&mut self) {
        self.stop.now.cancel();
        // Bounded by itself; whatever it says comes after the failure that counts, unless it is that failure.
        if !self.serving.is_finished() {
            let _ = (&mut self.serving).await;
        }
        enter(Phase::Stopped);
    }

    /// Says that it leaves, takes no more requests, lets running ones end, and ends the rest. An engine that fails
    /// meanwhile would end none of them: it is the failure that it is at any other time.
    pub async fn stop(mut self) -> Result<Goodbye, AppError> {
        enter(Phase::Leaving);
        // Whoever balances load learns of it from health; until then refusing would fail requests.
        self.engine.leave();
        let status = self.engine.status();
        let ended = tokio::select! {
            biased;
            () = failed(status) => {
                let error = self.model_error();
                self.abandon().await;
                return Err(error);
            }
            ended = self.drain() => ended?,
        };
        drop(self.watchdog);
        self.engine.stop();
        enter(Phase::Stopped);
        Ok(match ended {
            Ended::Idle => Goodbye::Finished,
            Ended::Cut => Goodbye::Cut,
        })
    }

    /// From the first word of it to the last call.
    async fn drain(&mut self) -> Result<Ended, ServeError> {
        let mut served = None;
        if self.engine.current().state == ModelState::Leaving {
            tokio::time::sleep(self.config.server.drain_propagation).await;
            // No new connections, and the open ones are told to go. A call that is on its way meanwhile
            // did nothing wrong: it is taken.
            self.stop.gently.cancel();
            served = tokio::time::timeout(GOAWAY_HEARD, &mut self.serving).await.ok();
        }
        enter(Phase::Draining);
        self.engine.drain();
        self.stop.gently.cancel();
        let served = match served {
            Some(served) => served,
            None => (&mut self.serving).await,
        };
        // Where its task died there is nothing left to wait for.
        served.unwrap_or(Ok(Ended::Cut))
    }

    /// What the engine says of itself.
    pub fn status(&self) -> watch::Receiver<engine::Status> {
        self.engine.status()
    }
}

/// Ready when the engine has failed.
async fn failed(mut status: watch::Receiver<engine::Status>) {
    // What it returns locks the status: it must be gone before anybody looks at that again.
    let _ = status.wait_for(|status| status.state == ModelState::Failed).await;
}

async fn listen_to_operators(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let failed = |source| AppError::Admin { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Metrics, probes and the log level, over HTTP; ends when the guard is dropped.
fn serve_operators(
    listener: TcpListener,
    address: SocketAddr,
    routes: Router,
    hosts: Hosts,
) -> DropGuard {
    let stop = CancellationToken::new();
    tracing::info!(%address, "serving operators");
    tokio::spawn(admin::serve(listener, routes, hosts, stop.clone()));
    stop.drop_guard()
}

/// The operator's own; none where the built-in ones are to be used.
fn questions(config: &Config) -> Result<Option<Questions>, AppError> {
    let Some(dir) = &config.model.prompts else { return Ok(None) };
    Questions::load(Some(dir)).map(Some).map_err(|error| unusable(config, &error))
}

fn unusable(config: &Config, error: &dyn fmt::Display) -> AppError {
    AppError::Model { model: config.model.checkpoint.to_string(), message: error.to_string() }
}

fn engine_config(config: &Config, telemetry: &Telemetry) -> engine::Config {
    engine::Config {
        queued_max: config.requests.queue,
        queued_tokens_max: config.requests.queue_tokens,
        prefix_cache: config.requests.prefix_cache,
        prefill_chunk_tokens: config.requests.prefill_chunk,
        intake_threads: config.requests.intake_threads,
        guard: config.guard,
        pdf: config.pdf.clone(),
        telemetry: telemetry.clone(),
        ..engine::Config::default()
    }
}

fn service_config(config: &Config, telemetry: &Telemetry) -> service::Config {
    let mut service = service::Config::new(config.model.checkpoint.name());
    service.output_tokens_max = config.requests.max_output_tokens;
    service.queued_max = config.requests.queue;
    service.queued_tokens_max = config.requests.queue_tokens;
    service.telemetry = telemetry.clone();
    service.reflection = config.server.reflection;
    service.cors_origins.clone_from(&config.server.cors_origins);
    service.playground = config.server.playground;
    service.allowed_hosts.clone_from(&config.server.allowed_hosts);
    service.drain_timeout = config.server.drain_timeout;
    service.transport = config.server.transport.clone();
    service.access = config.server.access.clone();
    service.receive_timeout = config.server.receive_timeout;
    service.request_memory_bytes = config.server.request_memory;
    service.tiles_per_page_max = load::tiles_max(config);
    service
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{self, Flags, Key, Low};

    #[tokio::test]
    async fn a_server_that_cannot_serve_does_not_wait_for_its_model() {
        let values = [(Key::Listen, "127.0.0.1:0".to_owned())];
        let flags = Flags { values: values.into(), ..Flags::default() };
        let mut config = config::check(&Low::gather(&flags, &BTreeMap::new())).unwrap();
        // As if it were gone since the check.
        let gone = tempfile::tempdir().unwrap().path().join("access.toml");
        config.server.access.file = Some(gone);
        let mut server = Server::start(config, Telemetry::default()).await.unwrap();
        let error = server.ready().await.unwrap_err();
        assert!(matches!(error, AppError::Serve(ServeError::Access(_))), "{error}");
        assert_eq!(server.engine.current().state, ModelState::Loading, "it did not wait");
        server.abandon().await;
    }
}
