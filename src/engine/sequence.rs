//! One prepared request: its tokens, its answer so far, and all it has to say to its reader.

mod choice;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

pub(super) use self::choice::{Chosen, NoChoice, unheld};
use crate::engine::answer::{Answer, Detokenize};
use crate::engine::board::Ticket;
use crate::engine::chance::Chance;
use crate::engine::channel::Outlet;
use crate::engine::constrained::Constrained;
use crate::engine::guard::Guard;
use crate::engine::intake::{PixelLease, Request};
use crate::engine::prefix::{PageTiles, Prefix};
use crate::engine::scheduler::{Demand, Encode, Planned, SeqId};
use crate::engine::timeline::Timeline;
use crate::engine::trace::Trace;
use crate::engine::{Done, EngineError, FinishReason, Phase, Priority, Progress, Usage};
use crate::model::{ModelSpec, PixelData, PixelTiles, Segment, SlotTiles, Want};
use crate::preprocess::SampleValues;

/// Pixels that wait for the vision encoder.
#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) samples: Vec<u8>,
    pub(super) values: Arc<SampleValues>,
    pub(super) _lease: PixelLease,
}

/// A prompt and its pages by content.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) prefix: Prefix,
    /// Empty where nobody asks.
    pub(super) pages: Vec<PageTiles>,
}

/// A prepared request, until it ends.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) outlet: Outlet,
    pub(super) deadline: Option<Instant>,
    pub(super) trace: Trace,
    ticket: Ticket,
    timeline: Timeline,
    progress: Progress,
    /// The prompt, then the answer; the last one may be unknown to the model.
    tokens: Vec<u32>,
    prompt_tokens: usize,
    priority: Priority,
    image_tokens: usize,
    image_token_id: u32,
    contents: Contents,
    tiles: usize,
    /// Tokens of the prompt that the KV cache had.
    cached_tokens: usize,
    /// None once none can be needed.
    pixels: Option<Pixels>,
    chance: Chance,
    /// None where the answer is free.
    constrained: Option<Constrained>,
    answer: Answer,
    guard: Option<Guard>,
    /// Whether to say how probable each token was.
    scores: bool,
    /// Where the pages are among the tokens; empty where nobody asks which of them a token is from.
    pages: Vec<Range<usize>>,
    /// Tokens that the last choice brought: the one chosen, and those that it forced.
    fresh: usize,
    output_tokens_max: usize,
}

// === impl Sequence ===

impl Sequence {
    pub(super) fn new(
        request: Request,
        (prompt, image_tokens, contents): (Vec<u32>, usize, Contents),
        constrained: Option<Constrained>,
        (pixels, tiles): (Pixels, usize),
        (detokenizer, guard): (Box<dyn Detokenize>, Option<Guard>),
        (preparing, prepared): (Instant, Instant),
        spec: &ModelSpec,
    ) -> Self {
        let Request { job, outlet, ticket, submitted } = request;
        let room = spec.slot_tokens - prompt.len();
        let pages = if job.scores { pages_of(&prompt, spec.image_token_id) } else { Vec::new() };
        Self {
            trace: Trace::begin(
                job.trace,
                (submitted, preparing, prepared),
                job.output_tokens_max.clamp(1, room),
                spec,
            ),
            timeline: Timeline {
                received: job.received,
                submitted,
                preparing,
                prepared,
                started: None,
                encoded: None,
                first_token: None,
            },
            progress: Progress {
                phase: Phase::Queued,
                queue_position: None,
                encoded_tiles: 0,
                prefilled_tokens: 0,
                output_tokens: 0,
            },
            outlet,
            deadline: job.deadline,
            ticket,
            prompt_tokens: prompt.len(),
            chance: Chance::new(job.sampling, &prompt),
            tokens: prompt,
            priority: job.priority,
            image_tokens,
            image_token_id: spec.image_token_id,
            contents,
            tiles,
            cached_tokens: 0,
            pixels: Some(pixels),
            constrained,
            answer: Answer::new(detokenizer, job.stop),
            guard,
            scores: job.scores,
            pages,
            fresh: 0,
            output_tokens_max: job.output_tokens_max.clamp(1, room),
        }
    }

    pub(super) fn demand(&self, id: SeqId) -> Demand {
        Demand {
            id,
            priority: self.priority,
            prompt_tokens: self.prompt_tokens,
            tiles: self.tiles,
            prefix: Prefix::clone(&self.contents.prefix),
        }
    }

    /// The phase as error messages name it.
    pub(super) fn phase(&self) -> &'static str {
        match self.progress.phase {
            Phase::Queued => "queue",
            Phase::Vision => "vision",
            Phase::Prefill => "prefill",
            Phase::Decode => "decode",
        }
    }

    /// Requests ahead of this one in the queue.
    pub(super) fn queued(&mut self, position: usize, now: Instant) {
        if self.progress.queue_position.is_none() {
            self.trace.queued_at(position);
        }
        if self.progress.queue_position != Some(position) {
            self.progress.queue_position = Some(position);
            self.outlet.progress(self.progress, now);
        }
    }

    /// The request has a slot. Of its prompt so many tokens need not be taken in; `tiles` are to be encoded.
    pub(super) fn start(&mut self, cached_tokens: usize, tiles: usize, now: Instant) {
        self.ticket.start();
        self.timeline.started = Some(now);
        self.trace.started(now);
        self.cached_tokens = cached_tokens;
        self.progress.queue_position = None;
        self.progress.prefilled_tokens = cached_tokens;
        self.progress.encoded_tiles = self.tiles - tiles;
        if tiles > 0 {
            self.progress.phase = Phase::Vision;
        } else {
            self.start_prefill(now);
        }
        self.outlet.progress(self.progress, now);
    }

    /// Its pages by content, each with its first tile.
    pub(super) fn pages(&self) -> impl Iterator<Item = (usize, PageTiles)> {
        let mut first = 0;
        self.contents.pages.iter().map(move |page| {
            first += page.tiles;
            (first - page.tiles, *page)
        })
    }

    /// No tile needs to be encoded any more, whatever happens.
    pub(super) fn drop_pixels(&mut self) {
        self.pixels = None;
    }

    /// The tiles of `encode` with their pixels.
    pub(super) fn slot_tiles(&self, encode: &Encode) -> SlotTiles<'_> {
        let pixels = self.pixels_of(encode);
        SlotTiles { slot: encode.slot, first_tile: encode.first, pixels }
    }

    fn pixels_of(&self, encode: &Encode) -> PixelTiles<'_> {
        let tiles = encode.tiles;
        let Some(Pixels { samples, values, .. }) = &self.pixels else {
            return PixelTiles { tiles, data: PixelData::Values(&[]) };
        };
        let tile_len = samples.len() / self.tiles.max(1);
        let first = encode.first * tile_len;
        let samples = &samples[first..first + tiles * tile_len];
        PixelTiles { tiles, data: PixelData::Samples(samples, values) }
    }

    /// The tiles of `encode` are encoded; `all` that are needed are, too. What is encoded again is not told.
    pub(super) fn encoded(&mut self, encode: &Encode, all: bool, now: Instant) {
        if self.progress.phase != Phase::Vision {
            return;
        }
        self.progress.encoded_tiles = (self.progress.encoded_tiles + encode.tiles).min(self.tiles);
        if all {
            self.progress.encoded_tiles = self.tiles;
            self.start_prefill(now);
        }
        self.outlet.progress(self.progress, now);
    }

    /// The tokens of `planned`, which go into `blocks`.
    pub(super) fn segment<'a>(&'a self, planned: &Planned, blocks: &'a [u32]) -> Segment<'a> {
        Segment {
            slot: planned.slot,
            blocks,
            start: planned.start,
            tokens: &self.tokens[planned.start..planned.start + planned.tokens],
            image_tokens_before: self.image_tokens_before(planned.start),
            want: if planned.chooses { self.want() } else { Want::Nothing },
            pages: if planned.chooses { &self.pages } else { &[] },
        }
    }

    /// The token behind the one that a step under way chooses, which goes into `blocks`.
    pub(super) fn segment_ahead<'a>(&'a self, planned: &Planned, blocks: &'a [u32]) -> Segment<'a> {
        Segment {
            slot: planned.slot,
            blocks,
            start: planned.start,
            tokens: &[],
            image_tokens_before: self.image_tokens_before(planned.start),
            want: self.chance.want(None),
            pages: &self.pages,
        }
    }

    /// Whether any token may be its next one, whatever comes before it.
    pub(super) fn is_free(&self) -> bool {
        self.constrained.is_none()
    }

    /// Whether the next token cannot be its last one for the answer's length.
    pub(super) fn has_length_left(&self) -> bool {
        self.progress.output_tokens + 1 < self.output_tokens_max
    }

    /// What the next token is chosen from. The pass can begin before it is known what may be chosen.
    fn want(&self) -> Want<'_> {
        self.chance.want(self.constrained.as_ref().and_then(Constrained::allowed))
    }

    /// The KV cache holds the tokens of `planned` now.
    pub(super) fn stepped(&mut self, planned: &Planned, now: Instant) {
        // What is taken in again was told before.
        if planned.prefill && self.progress.phase == Phase::Prefill {
            let taken_in = planned.start + planned.tokens;
            let is_more = taken_in > self.progress.prefilled_tokens;
            self.progress.prefilled_tokens = self.progress.prefilled_tokens.max(taken_in);
            if is_more && !planned.chooses {
                self.outlet.progress(self.progress, now);
            }
        }
    }

    /// Tokens that the last choice brought, which the model has not seen yet.
    pub(super) fn fresh(&self) -> usize {
        self.fresh
    }

    /// Tokens of the prompt and of the answer so far.
    pub(super) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Output tokens so far.
    pub(super) fn output_tokens(&self) -> usize {
        self.progress.output_tokens
    }

    /// When the request got its slot, if it did.
    pub(super) fn started(&self) -> Option<Instant> {
        self.timeline.started
    }

    /// Ends with the whole answer.
    pub(super) fn finish(mut self, finish_reason: FinishReason, now: Instant) {
        let usage = Usage {
            input_tokens: self.prompt_tokens,
            cached_input_tokens: self.cached_tokens,
            image_tokens: self.image_tokens,
            output_tokens: self.progress.output_tokens,
        };
        let reason = match finish_reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        };
        self.trace.finished(reason, now);
        let timings = self.timeline.timings(now);
        let Self { answer, ticket, trace, mut outlet, .. } = self;
        drop((ticket, trace));
        outlet.finish(Ok(Done { finish_reason, text: answer.into_text(), usage, timings }));
    }

    /// Ends without the whole answer. The request is not counted any more when its reader hears it.
    pub(super) fn fail(self, error: EngineError) {
        let Self { ticket, trace, pixels, mut outlet, .. } = self;
        drop((ticket, trace, pixels));
        outlet.finish(Err(error));
    }

    /// Image tokens of the prompt before position `start`.
    fn image_tokens_before(&self, start: usize) -> usize {
        let is_image = |token: &&u32| **token == self.image_token_id;
        // An answer has none: behind the prompt there is nothing to count.
        if start >= self.prompt_tokens {
            return self.image_tokens;
        }
        self.tokens[..start].iter().filter(is_image).count()
    }

    fn start_prefill(&mut self, now: Instant) {
        self.timeline.encoded = Some(now);
        self.progress.phase = Phase::Prefill;
        self.trace.prefilling(now);
    }

    fn start_decode(&mut self, now: Instant) {
        self.timeline.first_token = Some(now);
        self.progress.phase = Phase::Decode;
        self.outlet.progress(self.progress, now);
    }
}

/// Where each page is in a prompt: its image tokens, which no two pages have side by side. None of a single page, which
/// every token is from.
fn pages_of(prompt: &[u32], image_token_id: u32) -> Vec<Range<usize>> {
    let mut pages = Vec::new();
    let mut at = 0;
    for run in prompt.chunk_by(|one, next| (*one == image_token_id) == (*next == image_token_id)) {
        if run[0] == image_token_id {
            pages.push(at..at + run.len());
        }
        at += run.len();
    }
    if pages.len() < 2 { Vec::new() } else { pages }
}

#[cfg(test)]
mod tests {
    use super::pages_of;

    #[test]
    fn pages_are_runs_of_image_tokens() {
        assert_eq!(pages_of(&[1, 9, 9, 2, 9, 3], 9), [1..3, 4..5]);
        assert_eq!(pages_of(&[9, 1, 9], 9), [0..1, 2..3]);
        for single in [&[1, 9, 9, 2][..], &[1, 2], &[]] {
            assert!(pages_of(single, 9).is_empty(), "{single:?}");
        }
    }
}
