//! gRPC: every request checked and turned into a job, every event into a message, every failure into
//! a status. No rule about documents or models is made here.
//!
//! A call passes `server` (the layer list), `web` if a browser sent it, `envelope` (deadline, trace, log), `extract` (the handler),
//! `validate`, `convert`, and then the engine; its events come back through `stream`.

mod batch;
mod call;
mod convert;
mod document;
mod envelope;
mod error;
mod extract;
mod field_trace;
mod generation;
mod health;
mod kind;
mod model_info;
mod orca;
mod playground;
mod reading;
mod server;
mod stream;
mod trace;
mod validate;
mod web;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use server::{Ended, ServeError, serve};
pub use trace::code_name;

use crate::engine::{Handle, Status};
use crate::fields::Calibration;
use crate::limits;
use crate::prompt::Questions;
use crate::telemetry::Telemetry;
use validate::Bounds;

/// What an operator can set about the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// The model's name, to answer to before it is loaded.
    pub model: String,
    /// Pages of one document.
    pub pages_max: usize,
    /// Tiles that a page may be cut into, without the overview.
    pub tiles_per_page_max: u32,
    /// Most output tokens of one request, and what a request gets that does not say.
    pub output_tokens_max: usize,
    /// Requests that may wait, as the engine was told; only shown.
    pub queued_max: usize,
    /// Whether to serve reflection.
    pub reflection: bool,
    /// Origins whose pages may call by gRPC-Web: `https://app.example.com`; `*` is every one. Pages of
    /// this server always may.
    pub cors_origins: Vec<String>,
    /// Whether to serve the playground at `/`.
    pub playground: bool,
    /// Longest silence on a stream.
    pub heartbeat: Duration,
    /// How long running calls may take to end once the server shuts down.
    pub drain_timeout: Duration,
    /// Calls that one connection may have open.
    pub streams_per_connection_max: u32,
    /// Documents without an outcome in one batch call.
    pub batch_in_flight_max: usize,
    /// Where calls and requests are recorded.
    pub telemetry: Telemetry,
    /// What the model's confidence is worth; none: not known.
    pub calibration: Option<Arc<Calibration>>,
    /// What documents are asked; none: the built-in questions.
    pub questions: Option<Arc<Questions>>,
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
            reflection: true,
            cors_origins: Vec::new(),
            playground: true,
            heartbeat: Duration::from_millis(limits::HEARTBEAT_MS),
            drain_timeout: Duration::from_secs(30),
            streams_per_connection_max: limits::STREAMS_PER_CONNECTION_MAX,
            batch_in_flight_max: limits::BATCH_IN_FLIGHT_MAX,
            telemetry: Telemetry::default(),
            calibration: None,
            questions: None,
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

    fn bounds(&self, status: &Status) -> Bounds {
        // A sequence needs a token of prompt beside its answer.
        let slot_tokens = status.spec.as_ref().map_or(usize::MAX, |spec| spec.slot_tokens);
        Bounds {
            model: self.model_name(status).to_owned(),
            pages_max: self.config.pages_max.min(limits::PAGES_MAX),
            tiles_per_page_max: self.config.tiles_per_page_max.min(limits::TILES_PER_PAGE_MAX),
            output_tokens_max: self.config.output_tokens_max.min(slot_tokens.saturating_sub(1)),
        }
    }
}
