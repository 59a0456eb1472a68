//! What the step thread counts as it goes, for metrics: written by one thread, read by any.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the engine started, and what is in use now.
#[derive(Debug, Default)]
pub(super) struct Counters {
    steps: AtomicU64,
    step_sequences: AtomicU64,
    prefill_tokens: AtomicU64,
    decode_tokens: AtomicU64,
    encoded_tiles: AtomicU64,
    prefix_queried_tokens: AtomicU64,
    prefix_hit_tokens: AtomicU64,
    encoder_queried_pages: AtomicU64,
    encoder_hit_pages: AtomicU64,
    preemptions: AtomicU64,
    kv_blocks_used: AtomicU64,
    kv_blocks: AtomicU64,
}

/// A look at the engine's counters. All but the last two only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Forward passes through the decoder.
    pub steps: u64,
    /// Sequences of all of them: divided by `steps`, the mean batch.
    pub step_sequences: u64,
    /// Tokens taken in of prompts, and again after a preemption.
    pub prefill_tokens: u64,
    /// Tokens taken in one at a time.
    pub decode_tokens: u64,
    /// Tiles through the vision tower.
    pub encoded_tiles: u64,
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
    /// KV blocks that sequences own now.
    pub kv_blocks_used: u64,
    /// All KV blocks.
    pub kv_blocks: u64,
}

impl Counters {
    pub(super) fn step(&self, sequences: usize, prefill_tokens: usize, decode_tokens: usize) {
        add(&self.steps, 1);
        add(&self.step_sequences, sequences);
        add(&self.prefill_tokens, prefill_tokens);
        add(&self.decode_tokens, decode_tokens);
    }

    pub(super) fn encoded(&self, tiles: usize) {
        add(&self.encoded_tiles, tiles);
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

    pub(super) fn kv_blocks(&self, used: usize, all: usize) {
        self.kv_blocks_used.store(used as u64, Ordering::Relaxed);
        self.kv_blocks.store(all as u64, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            steps: read(&self.steps),
            step_sequences: read(&self.step_sequences),
            prefill_tokens: read(&self.prefill_tokens),
            decode_tokens: read(&self.decode_tokens),
            encoded_tiles: read(&self.encoded_tiles),
            prefix_queried_tokens: read(&self.prefix_queried_tokens),
            prefix_hit_tokens: read(&self.prefix_hit_tokens),
            encoder_queried_pages: read(&self.encoder_queried_pages),
            encoder_hit_pages: read(&self.encoder_hit_pages),
            preemptions: read(&self.preemptions),
            kv_blocks_used: read(&self.kv_blocks_used),
            kv_blocks: read(&self.kv_blocks),
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
