//! The spans of one request: children of the span that its job brought along. Counts and times only,
//! never content.

use tracing::Span;
use tracing::field::Empty;

/// The span of the phase that a request is in, which ends when the next one begins.
#[derive(Debug)]
pub(super) struct Trace {
    request: Span,
    phase: Span,
}

// === impl Trace ===

impl Trace {
    pub(super) fn queue(request: &Span) -> Self {
        let phase = tracing::info_span!(parent: request, "queue", position = Empty);
        Self { request: request.clone(), phase }
    }

    /// Requests ahead of this one as it came into the queue.
    pub(super) fn queued_at(&self, position: usize) {
        self.phase.record("position", position);
    }

    pub(super) fn vision(&mut self, tiles: usize) {
        self.phase = tracing::info_span!(parent: &self.request, "vision_encode", tiles);
    }

    pub(super) fn prefill(&mut self, tokens: usize) {
        self.phase = tracing::info_span!(parent: &self.request, "prefill", tokens);
    }

    pub(super) fn decode(&mut self) {
        self.phase = tracing::info_span!(
            parent: &self.request, "decode", steps = Empty, finish_reason = Empty
        );
    }

    /// The step that makes the output token number `step`, from 0. Dropping it ends it.
    pub(super) fn decode_step(&self, step: usize, batch_size: usize) -> Span {
        tracing::info_span!(parent: &self.phase, "decode_step", step, batch_size, step_ms = Empty)
    }

    pub(super) fn finished(&self, steps: usize, finish_reason: &'static str) {
        self.phase.record("steps", steps);
        self.phase.record("finish_reason", finish_reason);
    }
}
