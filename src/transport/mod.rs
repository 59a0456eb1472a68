//! Sockets: listening, TLS, HTTP/2 connections and how long they live. Knows no gRPC method.
//!
//! Not tonic's own server loop, for what that cannot do: an age with jitter whose GOAWAY has a bound,
//! peers that never speak, a bound on connections, certificates that change under a running server,
//! and an end that waits for nobody for ever.

mod connection;
mod hosts;
mod listen;
mod peer;
mod tls;
mod wire;

pub use hosts::Hosts;
pub use listen::{Options, serve};
pub use peer::Peer;
pub use tls::{ClientTrust, TlsError, TlsFiles};
