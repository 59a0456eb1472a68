//! A proxy that balances each call.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service as _;

use crate::replica::endpoint;

/// An HTTP/2 proxy of tonic's own parts: whatever connection a call comes by, it goes to the replica that has the
/// least to do, as in a mesh. What it cannot send anywhere is UNAVAILABLE.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(replicas: [SocketAddr; 2]) -> Self {
        let channel = Channel::balance_list(replicas.map(endpoint).into_iter());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let channel = channel.clone();
                let forward = hyper::service::service_fn(move |request| {
                    Self::forward(channel.clone(), request)
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), forward);
                tokio::spawn(serving);
            }
        });
        Self { address, accepting }
    }

    async fn forward(
        mut channel: Channel,
        request: http::Request<hyper::body::Incoming>,
    ) -> Result<http::Response<Body>, Infallible> {
        let unavailable = |error: &dyn std::error::Error| {
            Ok(Status::unavailable(format!("the proxy: {error}")).into_http())
        };
        if let Err(error) = std::future::poll_fn(|cx| channel.poll_ready(cx)).await {
            return unavailable(&error);
        }
        match channel.call(request.map(Body::new)).await {
            Ok(response) => Ok(response),
            Err(error) => unavailable(&error),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
