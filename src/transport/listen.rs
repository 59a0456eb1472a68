//! Taking connections, and the end of all of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use super::connection::{self, Shared};
use super::tls::{Acceptor, TlsError, TlsFiles};
use crate::limits;

/// After an error of accepting, which comes at once again where the process is out of files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What an operator can set about connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// None: plaintext.
    pub tls: Option<TlsFiles>,
    /// Whether HTTP/1.1 is spoken too: browsers speak HTTP/2 only over TLS.
    pub http1: bool,
    /// Connections at once; the next one is closed as soon as it is there.
    pub connections_max: usize,
    /// Calls that one connection may have open.
    pub streams_per_connection_max: u32,
    /// After it, give or take a tenth, a connection is told to go; its calls end as they would. None:
    /// connections live as long as their peers want.
    pub connection_age: Option<Duration>,
    /// What the calls of a connection may take after that.
    pub connection_grace: Duration,
    /// After so much silence a peer is asked whether it is still there: one that is gone without a word
    /// would keep its slots.
    pub keepalive_interval: Duration,
    /// What it may take to answer.
    pub keepalive_timeout: Duration,
    /// What a peer may take to agree on TLS, and to say its first word.
    pub handshake_timeout: Duration,
    /// How often certificate files are looked at.
    pub reload_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            http1: true,
            connections_max: limits::CONNECTIONS_MAX,
            streams_per_connection_max: limits::STREAMS_PER_CONNECTION_MAX,
            connection_age: None,
            connection_grace: Duration::from_millis(limits::CONNECTION_GRACE_MS),
            keepalive_interval: Duration::from_millis(limits::KEEPALIVE_INTERVAL_MS),
            keepalive_timeout: Duration::from_millis(limits::KEEPALIVE_TIMEOUT_MS),
            handshake_timeout: Duration::from_millis(limits::HANDSHAKE_MS_MAX),
            reload_interval: Duration::from_millis(limits::RELOAD_INTERVAL_MS),
        }
    }
}

/// Serves connections until `shutdown` is cancelled, then tells them to go and waits until they have.
/// That may be never: whoever drops this ends them all at once.
pub async fn serve<S>(
    listener: TcpListener,
    options: Options,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), TlsError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let tls = options.tls.clone().map(|files| Acceptor::load(files, options.http1)).transpose()?;
    let shared = Shared { options: Arc::new(options), tls: tls.map(Arc::new), shutdown };
    // Dropped with this future, and all connections with it.
    let mut connections = JoinSet::new();
    let mut look = tokio::time::interval(shared.options.reload_interval);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut full = false;
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => break,
            // A set that is empty has nothing to say: the other branches go on.
            Some(_) = connections.join_next() => {}
            _ = look.tick(), if shared.tls.is_some() => reload(shared.tls.as_ref()),
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) if connections.len() < shared.options.connections_max => {
                    full = false;
                    connections.spawn(connection::run(
                        stream, remote, shared.clone(), service.clone(),
                    ));
                }
                Ok(_) => {
                    // Once each time it happens: a flood shall not flood the log too.
                    if !std::mem::replace(&mut full, true) {
                        let open = connections.len();
                        tracing::warn!(open, "no more connections are taken");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    // The port is free from here on.
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Reads files where that holds up nobody.
fn reload(tls: Option<&Arc<Acceptor>>) {
    if let Some(tls) = tls.cloned() {
        tokio::task::spawn_blocking(move || tls.reload());
    }
}
