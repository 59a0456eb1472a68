//! The life of one connection: handshake, calls, age, end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use super::listen::Options;
use super::peer::Peer;
use super::tls::Acceptor;
use super::wire::Wire;

/// The age of a connection varies by this share, so that clients that came together do not leave
/// together.
const AGE_JITTER: f64 = 0.1;

/// What all connections share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) options: Arc<Options>,
    pub(super) tls: Option<Arc<Acceptor>>,
    pub(super) shutdown: CancellationToken,
}

/// Serves one connection until it ends.
pub(super) async fn run<S>(stream: TcpStream, remote: SocketAddr, shared: Shared, service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    // Frames are small and each is waited for.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let peer = Peer::plain(local, remote);
    let Some((wire, peer)) = handshake(stream, peer, &shared).await else { return };
    converse(wire, peer, shared, service).await;
}

/// The connection as it can be spoken over; none where the peer failed to agree in time.
async fn handshake(stream: TcpStream, peer: Peer, shared: &Shared) -> Option<(Wire, Peer)> {
    let Some(tls) = &shared.tls else { return Some((Wire::plain(stream), peer)) };
    let accepted = TlsAcceptor::from(tls.config()).accept(stream);
    let bounded = tokio::time::timeout(shared.options.handshake_timeout, accepted);
    let stream = tokio::select! {
        accepted = bounded => match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(remote = %peer.remote, %error, "no TLS with this peer");
                return None;
            }
            Err(_) => return None,
        },
        // Nobody has a call on it yet.
        () = shared.shutdown.cancelled() => return None,
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = match leaf {
        Some(leaf) => peer.with_certificate(leaf),
        None => peer,
    };
    Some((Wire::tls(stream), peer))
}

async fn converse<S>(wire: Wire, peer: Peer, shared: Shared, service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let heard = wire.heard();
    let remote = peer.remote;
    let service = service.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request
    });
    let builder = builder(&shared.options);
    let connection =
        builder.serve_connection(TokioIo::new(wire), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let mut silence = pin!(tokio::time::sleep(shared.options.handshake_timeout));
    let mut listening = true;
    let mut age = pin!(after(shared.options.connection_age.map(jittered)));
    let mut aging = true;
    let mut grace = pin!(after(None));
    let mut leaving = false;
    loop {
        tokio::select! {
            // What has arrived is looked at before it is said that nothing has: a machine without time to
            // spare may come to both at once.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%remote, error, "a connection broke");
                }
                return;
            }
            () = silence.as_mut(), if listening => {
                listening = false;
                if !heard.anything() {
                    tracing::debug!(%remote, "a peer connected and said nothing");
                    return;
                }
            }
            () = age.as_mut(), if aging => {
                aging = false;
                connection.as_mut().graceful_shutdown();
                grace.set(after(Some(shared.options.connection_grace)));
            }
            // What is still open has had its time: a stream without an end, such as a watch.
            () = grace.as_mut() => return,
            () = shared.shutdown.cancelled(), if !leaving => {
                leaving = true;
                if !heard.anything() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

fn builder(options: &Options) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if !options.http1 {
        builder = builder.http2_only();
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_per_connection_max)
        // It counts over the whole life of a connection, and counts each refusal that leaves a body unread:
        // a proxy's connection would break after so many. Storms of resets have their own bound.
        .max_local_error_reset_streams(None)
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout);
    // Without it there is no bound on how long a request's head may take.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.handshake_timeout);
    builder
}

fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(1.0 - AGE_JITTER..=1.0 + AGE_JITTER))
}

/// Ready after `time`, or never.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
