//! gRPC: every request checked and turned into a job, every event into a message, every failure into
//! a status. No rule about documents or models is made here.
//!
//! A call passes `server` (the layer list), `web` if a browser sent it, `envelope` (deadline, trace, log),
//! `gate` (who may), `extract` (the handler), `validate`, `fetched` where files are named by URI, `convert`, and then
//! the engine; its events come back through `stream`.

mod batch;
mod body;
mod call;
mod convert;
mod document;
mod envelope;
mod error;
mod extract;
mod fetched;
mod field_trace;
mod gate;
mod generation;
mod health;
mod kind;
mod leaving;
mod model_info;
mod orca;
mod outline;
mod pace;
mod playground;
mod reading;
mod received;
mod server;
mod stream;
mod trace;
mod validate;
mod watched;
mod web;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use gate::rule_names;
pub use server::{Ended, ServeError, Shutdown, serve};
pub use trace::code_name;

use crate::access;
use crate::engine::{Handle, Status};
use crate::fetch::Fetcher;
use crate::limits;
use crate::model::ModelSpec;
use crate::prompt::Questions;
use crate::telemetry::Telemetry;
use crate::transport;
use validate::Bounds;

/// What an operator can set about the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// The model's name, to answer to before it is loaded.
    pub model: String,
    /// Pages of one document.
    pub pages_max: usize,
    /// Tiles that a page may be cut into, without the overview, until the model is loaded and says so.
    pub tiles_per_page_max: u32,
    /// Most output tokens of one request, and what a request gets that does not say.
    pub output_tokens_max: usize,
    /// Requests that may wait, as the engine was told; only shown.
    pub queued_max: usize,
    /// Prompt tokens of all that wait, as the engine was told; only shown.
    pub queued_tokens_max: usize,
    /// Whether to serve reflection.
    pub reflection: bool,
    /// Origins whose pages may call by gRPC-Web: `https://app.example.com`; `*` is every one. Pages of
    /// this server always may.
    pub cors_origins: Vec<String>,
    /// Whether to serve the playground at `/`.
    pub playground: bool,
    /// Names by which browsers may call, beside addresses and `localhost`; `*` is every one. Unset: see
    /// [`transport::Hosts::of`].
    pub allowed_hosts: Option<Vec<String>>,
    /// Longest silence on a stream.
    pub heartbeat: Duration,
    /// How long a response may wait for its reader.
    pub unread: Duration,
    /// Longest silence in the middle of a message of a request.
    pub receive_timeout: Duration,
    /// How long one message of a request may take from its first byte to its last.
    pub message_time: Duration,
    /// How long running calls may take to end once the server shuts down.
    pub drain_timeout: Duration,
    /// Documents without an outcome in one batch call.
    pub batch_in_flight_max: usize,
    /// Where calls and requests are recorded.
    pub telemetry: Telemetry,
    /// Sockets, TLS, and how long connections live.
    pub transport: transport::Options,
    /// Who may call what.
    pub access: access::Config,
    /// Bytes of all requests that arrive, wait and run.
    pub request_memory_bytes: usize,
    /// Gets files that requests name by URI; none: such files are not taken.
    pub fetcher: Option<Arc<Fetcher>>,
    /// What documents are asked; none: the built-in questions.
    pub questions: Option<Arc<Questions>>,
    /// Adds services of whoever embeds the server to its own: calls of theirs pass all that ours do.
    pub beside: fn(Routes) -> Routes,
}

impl Config {
    /// The defaults for a model of this name.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            pages_max: limits::PAGES_MAX,
            tiles_per_page_max: 12,
            output_tokens_max: 2048,
            queued_max: 256,
            queued_tokens_max: limits::QUEUED_TOKENS_MAX,
            reflection: true,
            cors_origins: Vec::new(),
            playground: true,
            allowed_hosts: None,
            heartbeat: Duration::from_millis(limits::HEARTBEAT_MS),
            unread: Duration::from_millis(limits::UNREAD_MS_MAX),
            receive_timeout: Duration::from_millis(limits::RECEIVE_MS_DEFAULT),
            message_time: Duration::from_millis(limits::MESSAGE_MS_MAX),
            drain_timeout: Duration::from_secs(30),
            batch_in_flight_max: limits::BATCH_IN_FLIGHT_MAX,
            telemetry: Telemetry::default(),
            transport: transport::Options::default(),
            access: access::Config::default(),
            request_memory_bytes: limits::REQUEST_MEMORY_BYTES,
            fetcher: None,
            questions: None,
            beside: std::convert::identity,
        }
    }
}

/// What all handlers share.
#[derive(Debug)]
struct State {
    load: Arc<orca::LoadMeter>,
    engine: Handle,
    config: Config,
    questions: Arc<Questions>,
    shutdown: CancellationToken,
}

impl State {
    fn status(&self) -> Status {
        self.engine.status().borrow().clone()
    }

    /// The loaded model's name, or the one it will have.
    fn model_name<'a>(&'a self, status: &'a Status) -> &'a str {
        status.spec.as_ref().map_or(self.config.model.as_str(), |spec| spec.name.as_str())
    }

    /// What may be asked of a model; of none: of the one that is to be loaded.
    fn bounds(&self, spec: Option<&ModelSpec>, tiles_per_page_max: Option<u32>) -> Bounds {
        // A sequence needs a token of prompt beside its answer.
        let slot_tokens = spec.map_or(usize::MAX, |spec| spec.slot_tokens);
        let tiles_per_page_max = tiles_per_page_max.unwrap_or(self.config.tiles_per_page_max);
        Bounds {
            model: spec.map_or(&self.config.model, |spec| &spec.name).clone(),
            pages_max: self.config.pages_max.min(limits::PAGES_MAX),
            tiles_per_page_max: tiles_per_page_max.min(limits::TILES_PER_PAGE_MAX),
            output_tokens_max: self.config.output_tokens_max.min(slot_tokens.saturating_sub(1)),
            origins: self.config.fetcher.as_ref().map(|fetcher| Arc::clone(fetcher.origins())),
        }
    }
}
