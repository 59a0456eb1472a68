//! One file by one GET: from the look-up of its host to its last byte, each step with a bound.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::Config;
use super::network::Networks;
use super::origin::Origins;
use super::resolve::{Resolve, System};
use super::tls::{self, RootsError};
use super::uri::{Host, Target};
use crate::limits;

/// Gets files. Knows what may be asked for, and does no more at once than it may.
#[derive(Clone)]
pub struct Fetcher {
    origins: Arc<Origins>,
    networks: Arc<Networks>,
    resolver: Arc<dyn Resolve>,
    tls: Arc<rustls::ClientConfig>,
    turns: Arc<Semaphore>,
    timeout: Duration,
    at_once: usize,
}

/// Why a file did not come. What it says is for callers: nothing of addresses, ports and certificates, of which
/// they could make a map.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{at_once} files are fetched at once, and none of them came to its end in time")]
    NoTurn { at_once: usize },
    #[error("the origin is not reachable from here")]
    Unreachable(#[source] Unreachable),
    #[error("the file did not come whole in time")]
    Late,
    #[error("the file broke off before its end")]
    Broken(#[source] hyper::Error),
    #[error("the origin answers with HTTP status {0}")]
    Status(StatusCode),
    #[error(
        "the origin answers with HTTP status {0}, and redirects are not followed: give the URI that it leads to"
    )]
    Redirect(StatusCode),
    #[error(
        "the origin sends the file compressed, which is not undone: let it send the file as it is"
    )]
    Encoded,
    #[error("the file has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("there is no room for the file")]
    NoRoom,
}

/// What is between here and an origin; for the operator's log alone.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("its name cannot be looked up: {0}")]
    Name(io::Error),
    #[error("its name has no address")]
    NoAddress,
    #[error("{0} is not public and of no network in --fetch-networks")]
    Hidden(IpAddr),
    #[error("no connection to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("no TLS with it: {0}")]
    Tls(io::Error),
    #[error("it speaks no HTTP: {0}")]
    Http(hyper::Error),
    #[error("it did not answer in time")]
    Silent,
}

/// An answer whose head is right.
struct Opened {
    body: Incoming,
    /// As the head says.
    bytes: Option<usize>,
    /// Dropped with the body, and the connection with it.
    _connection: AbortOnDropHandle<()>,
    _turn: OwnedSemaphorePermit,
}

// === impl FetchError ===

impl FetchError {
    /// For metrics and traces, of a closed list.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoTurn { .. } => "no_turn",
            Self::Unreachable(_) => "unreachable",
            Self::Late => "late",
            Self::Broken(_) => "broken",
            Self::Status(_) => "status",
            Self::Redirect(_) => "redirect",
            Self::Encoded => "encoded",
            Self::TooLarge { .. } => "too_large",
            Self::NoRoom => "no_room",
        }
    }

    /// What the origin answered, where that is why.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(status) | Self::Redirect(status) => Some(*status),
            _ => None,
        }
    }

    /// Whether the same may go well a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoTurn { .. } | Self::Unreachable(_) | Self::Late | Self::Broken(_) => true,
            Self::Status(status) => {
                // Request Timeout, Too Early, Too Many Requests.
                status.is_server_error() || [408, 425, 429].contains(&status.as_u16())
            }
            Self::Redirect(_) | Self::Encoded | Self::TooLarge { .. } | Self::NoRoom => false,
        }
    }
}

// === impl Fetcher ===

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("origins", &self.origins)
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    pub fn new(config: &Config) -> Result<Self, RootsError> {
        Self::with_resolver(config, Arc::new(System::new(config.at_once)))
    }

    /// As [`new`](Self::new), with somebody else to ask for addresses.
    pub fn with_resolver(config: &Config, resolver: Arc<dyn Resolve>) -> Result<Self, RootsError> {
        let needs_tls = config.origins.iter().any(super::Allowed::is_tls);
        Ok(Self {
            origins: Arc::new(Origins::new(config.origins.clone())),
            networks: Arc::new(Networks::new(config.networks.clone())),
            resolver,
            tls: tls::client(config.authorities.as_deref(), needs_tls)?,
            turns: Arc::new(Semaphore::new(config.at_once)),
            timeout: config.timeout,
            at_once: config.at_once,
        })
    }

    pub fn origins(&self) -> &Arc<Origins> {
        &self.origins
    }

    /// What the files of one request may take together.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The bytes of the file, which are there at `until` or not at all. `room` is asked before bytes are taken
    /// into memory.
    pub async fn get(
        &self,
        target: &Target,
        until: Instant,
        bytes_max: usize,
        mut room: impl FnMut(usize) -> bool + Send,
    ) -> Result<Bytes, FetchError> {
        let Self { at_once, .. } = *self;
        let turn = timeout_at(until, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(FetchError::NoTurn { at_once }) };
        let opened = timeout_at(until, self.open(target, turn))
            .await
            .unwrap_or(Err(FetchError::Unreachable(Unreachable::Silent)))?;
        timeout_at(until, opened.read(bytes_max, &mut room)).await.unwrap_or(Err(FetchError::Late))
    }

    /// Connects and asks.
    async fn open(
        &self,
        target: &Target,
        turn: OwnedSemaphorePermit,
    ) -> Result<Opened, FetchError> {
        let stream = self.connect(target).await.map_err(FetchError::Unreachable)?;
        let asked = if target.origin.tls {
            let name = match &target.origin.host {
                Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
                Host::Address(address) => Ok(ServerName::from(*address)),
            };
            let tls =
                async { TlsConnector::from(Arc::clone(&self.tls)).connect(name?, stream).await };
            let stream =
                tls.await.map_err(|error| FetchError::Unreachable(Unreachable::Tls(error)))?;
            ask(stream, target).await
        } else {
            ask(stream, target).await
        };
        let (response, connection) =
            asked.map_err(|error| FetchError::Unreachable(Unreachable::Http(error)))?;
        let body = checked(response)?;
        let bytes =
            body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(Opened { body, bytes, _connection: connection, _turn: turn })
    }

    /// A connection to an address that was looked at: nobody is asked for it again.
    async fn connect(&self, target: &Target) -> Result<TcpStream, Unreachable> {
        let addresses = match &target.origin.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.resolve(name).await.map_err(Unreachable::Name)?,
        };
        // One that is wrong among others that are right is no mistake that happens.
        if let Some(hidden) = addresses.iter().find(|address| !self.networks.allow(**address)) {
            return Err(Unreachable::Hidden(*hidden));
        }
        let mut failed = Unreachable::NoAddress;
        for address in addresses.into_iter().take(limits::FETCH_ADDRESSES_MAX) {
            let address = SocketAddr::new(address, target.origin.port);
            let limit = Duration::from_millis(limits::FETCH_CONNECT_MS_MAX);
            failed = match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => Unreachable::Connect(address, error),
                Err(_) => Unreachable::Connect(address, io::ErrorKind::TimedOut.into()),
            };
        }
        Err(failed)
    }
}

/// Sends the request and waits for the head of its answer.
async fn ask<S>(
    stream: S,
    target: &Target,
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(limits::FETCH_BUFFER_BYTES);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // How it ended is what the request or its body says.
        let _ = connection.await;
    }));
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = target.path.clone().into();
    let headers = request.headers_mut();
    // A host that was read is one that a header can have.
    if let Ok(host) = header::HeaderValue::try_from(target.origin.authority()) {
        headers.insert(header::HOST, host);
    }
    for (name, value) in [
        (header::ACCEPT, "*/*"),
        (header::ACCEPT_ENCODING, "identity"),
        (header::USER_AGENT, "tessera"),
        (header::CONNECTION, "close"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok((sender.send_request(request).await?, connection))
}

/// The body of an answer that is a file as it is.
fn checked(response: Response<Incoming>) -> Result<Incoming, FetchError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(FetchError::Redirect(status));
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status(status));
    }
    let only = |name: header::HeaderName, plain: &str| {
        let values = response.headers().get_all(name);
        values
            .iter()
            .all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(plain.as_bytes()))
    };
    let plain =
        only(header::CONTENT_ENCODING, "identity") && only(header::TRANSFER_ENCODING, "chunked");
    if plain { Ok(response.into_body()) } else { Err(FetchError::Encoded) }
}

// === impl Opened ===

impl Opened {
    async fn read(
        mut self,
        bytes_max: usize,
        room: &mut (impl FnMut(usize) -> bool + Send),
    ) -> Result<Bytes, FetchError> {
        let mut take = |bytes: usize, before: usize| {
            if bytes_max.checked_sub(before).is_none_or(|left| left < bytes) {
                return Err(FetchError::TooLarge { bytes_max });
            }
            if room(bytes) { Ok(()) } else { Err(FetchError::NoRoom) }
        };
        // The length that is said is kept: hyper reads no further.
        if let Some(bytes) = self.bytes {
            take(bytes, 0)?;
        }
        let mut content = Vec::with_capacity(self.bytes.unwrap_or(0));
        while let Some(frame) = self.body.frame().await {
            // Trailers say nothing about a file.
            let Ok(data) = frame.map_err(FetchError::Broken)?.into_data() else { continue };
            if self.bytes.is_none() {
                take(data.len(), content.len())?;
            }
            content.extend_from_slice(&data);
        }
        Ok(content.into())
    }
}
