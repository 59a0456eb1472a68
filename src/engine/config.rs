//! What an operator can set about queueing, batching and slow readers.

use std::time::Duration;

use crate::engine::GuardConfig;
use crate::limits;
use crate::preprocess::PdfRenderer;
use crate::telemetry::Telemetry;

/// Settings of the engine. How many requests run at once, and how long they may be, is the model's
/// business: see [`ModelSpec::slots`](crate::model::ModelSpec::slots).
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Requests that may wait for a slot; the next one is refused.
    pub queued_max: usize,
    /// Prompt tokens of all requests that wait, unless one alone has more; whatever would make them more is
    /// refused.
    pub queued_tokens_max: usize,
    /// Prompt tokens that one step takes in at most beside the decoding sequences; none: as the
    /// [model](crate::model::ModelSpec::prefill_tokens) says.
    pub prefill_chunk_tokens: Option<usize>,
    /// Tiles that the vision encoder takes in between two steps.
    pub vision_chunk_tiles: usize,
    /// Threads that decode, tile and tokenise.
    pub intake_threads: usize,
    /// Pixels of prepared requests in memory, beyond which preparing waits.
    pub pixel_bytes_max: usize,
    /// Events that wait for one slow reader.
    pub events_buffered: usize,
    /// How long a full buffer may stay untouched before its request is ended.
    pub slow_client: Duration,
    /// Pages of one document.
    pub pages_max: usize,
    /// Where PDF files are rendered.
    pub pdf: PdfRenderer,
    /// Whether what prompts and pages became is kept for requests that begin alike.
    pub prefix_cache: bool,
    /// When an answer is none, and when the model is not to be trusted any more.
    pub guard: GuardConfig,
    /// Where steps and requests are recorded.
    pub telemetry: Telemetry,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queued_max: 256,
            queued_tokens_max: usize::MAX,
            prefill_chunk_tokens: None,
            vision_chunk_tiles: limits::VISION_CHUNK_TILES,
            intake_threads: 2,
            pixel_bytes_max: limits::PIXEL_BYTES_WAITING_MAX,
            events_buffered: limits::EVENTS_BUFFERED_MAX,
            slow_client: Duration::from_millis(limits::SLOW_CLIENT_MS_MAX),
            pages_max: limits::PAGES_MAX,
            pdf: PdfRenderer::default(),
            prefix_cache: true,
            guard: GuardConfig::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Config {
    /// Every value within the program's limits, whoever filled it in.
    pub(super) fn within_limits(self) -> Self {
        Self {
            queued_max: self.queued_max.min(limits::QUEUED_REQUESTS_MAX),
            queued_tokens_max: self.queued_tokens_max.min(limits::QUEUED_TOKENS_MAX),
            prefill_chunk_tokens: self
                .prefill_chunk_tokens
                .map(|tokens| tokens.clamp(1, limits::PREFILL_CHUNK_TOKENS_MAX)),
            vision_chunk_tiles: self.vision_chunk_tiles.max(1),
            intake_threads: self.intake_threads.clamp(1, limits::INTAKE_THREADS_MAX),
            pixel_bytes_max: self.pixel_bytes_max.max(1),
            events_buffered: self.events_buffered.clamp(1, limits::EVENTS_BUFFERED_MAX),
            slow_client: self.slow_client,
            pages_max: self.pages_max.min(limits::PAGES_MAX),
            pdf: self.pdf,
            prefix_cache: self.prefix_cache,
            guard: self.guard,
            telemetry: self.telemetry,
        }
    }
}
