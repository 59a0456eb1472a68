//! Totals by which tests and benchmarks see what the step thread did: written by one thread, read by any.
//! Operators have `telemetry::metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the engine started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    steps: AtomicU64,
    prefix_queried_tokens: AtomicU64,
    prefix_hit_tokens: AtomicU64,
    encoder_queried_pages: AtomicU64,
    encoder_hit_pages: AtomicU64,
    preemptions: AtomicU64,
}

/// A look at the engine's counters, which only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Forward passes through the decoder.
    pub steps: u64,
    /// Prompt tokens of requests that started.
    pub prefix_queried_tokens: u64,
    /// Of those, how many the KV cache had.
    pub prefix_hit_tokens: u64,
    /// Pages of requests that started, as far as they are known again.
    pub encoder_queried_pages: u64,
    /// Of those, how many had their image features kept.
    pub encoder_hit_pages: u64,
    /// Times that a sequence gave its KV blocks to another.
    pub preemptions: u64,
}

impl Counters {
    pub(super) fn stepped(&self) {
        add(&self.steps, 1);
    }

    pub(super) fn started(&self, prompt_tokens: usize, cached_tokens: usize) {
        add(&self.prefix_queried_tokens, prompt_tokens);
        add(&self.prefix_hit_tokens, cached_tokens);
    }

    pub(super) fn page(&self, hit: bool) {
        add(&self.encoder_queried_pages, 1);
        add(&self.encoder_hit_pages, usize::from(hit));
    }

    pub(super) fn preempted(&self, sequences: usize) {
        add(&self.preemptions, sequences);
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            steps: read(&self.steps),
            prefix_queried_tokens: read(&self.prefix_queried_tokens),
            prefix_hit_tokens: read(&self.prefix_hit_tokens),
            encoder_queried_pages: read(&self.encoder_queried_pages),
            encoder_hit_pages: read(&self.encoder_hit_pages),
            preemptions: read(&self.preemptions),
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
