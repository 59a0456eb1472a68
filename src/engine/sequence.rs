//! One prepared request: its tokens, its answer so far, and all it has to say to its reader.

use std::sync::Arc;
use std::time::Instant;

use crate::constraint::{ConstraintError, Mask};
use crate::engine::answer::{Answer, Detokenize, Verdict};
use crate::engine::board::Ticket;
use crate::engine::channel::Outlet;
use crate::engine::clock::Clock;
use crate::engine::constrained::{Advance, Constrained};
use crate::engine::guard::{Guard, Trip};
use crate::engine::intake::{PixelLease, Request};
use crate::engine::prefix::{PageTiles, Prefix};
use crate::engine::sampler::{Chance, NotFinite, Sampler};
use crate::engine::scheduler::{Demand, Encode, Planned, SeqId};
use crate::engine::timeline::Timeline;
use crate::engine::trace::Trace;
use crate::engine::{Done, EngineError, FinishReason, Phase, Priority, Progress, Usage};
use crate::model::{ModelSpec, Output, PixelData, PixelTiles, Segment, SlotTiles, Want};
use crate::preprocess::SampleValues;
use crate::telemetry::spans::Level;

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
    /// Tokens that the last choice brought: the one chosen, and those that it forced.
    fresh: usize,
    output_tokens_max: usize,
}

/// A token that was chosen, before it is known what follows from it.
#[derive(Debug)]
pub(super) struct Chosen {
    token: u32,
    /// That the model gave it; none where the model had no choice, or where nobody asked.
    logprob: Option<f32>,
    /// Tokens that the answer begins with, instead of it.
    opening: Option<Vec<u32>>,
}

/// Why no token can be chosen.
#[derive(Debug)]
pub(super) enum NoChoice {
    NotFinite,
    /// What holds the answer to its grammar failed.
    Unheld(ConstraintError),
}

/// Why an answer cannot go on.
#[derive(Debug)]
pub(super) enum Spoilt {
    /// By the token that was chosen last.
    Tripped(Trip),
    /// What holds it to its grammar failed.
    Unheld(ConstraintError),
}

// === impl NoChoice ===

impl From<NotFinite> for NoChoice {
    fn from(_: NotFinite) -> Self {
        Self::NotFinite
    }
}

impl From<ConstraintError> for NoChoice {
    fn from(error: ConstraintError) -> Self {
        Self::Unheld(error)
    }
}

// === impl Spoilt ===

impl Spoilt {
    /// Of an answer with so many tokens.
    pub(super) fn into_error(self, output_tokens: usize) -> EngineError {
        match self {
            Self::Tripped(trip) => EngineError::tripped(output_tokens.saturating_sub(1), trip),
            Self::Unheld(error) => unheld(error),
        }
    }
}

impl From<ConstraintError> for Spoilt {
    fn from(error: ConstraintError) -> Self {
        Self::Unheld(error)
    }
}

impl From<Trip> for Spoilt {
    fn from(trip: Trip) -> Self {
        Self::Tripped(trip)
    }
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
            want: if planned.wants_logits { self.want() } else { Want::Nothing },
        }
    }

    /// What the next token is chosen from. The pass can begin before it is known what may be chosen.
    fn want(&self) -> Want<'_> {
        let allowed = self.constrained.as_ref().and_then(Constrained::allowed);
        match allowed {
            _ if !self.chance.is_greedy() => Want::Logits,
            Some(allowed) => Want::GreedyAmong(allowed),
            None => Want::Greedy,
        }
    }

    /// The KV cache holds the tokens of `planned` now.
    pub(super) fn stepped(&mut self, planned: &Planned, now: Instant) {
        // What is taken in again was told before.
        if planned.prefill && self.progress.phase == Phase::Prefill {
            let taken_in = planned.start + planned.tokens;
            let is_more = taken_in > self.progress.prefilled_tokens;
            self.progress.prefilled_tokens = self.progress.prefilled_tokens.max(taken_in);
            if is_more && !planned.wants_logits {
                self.outlet.progress(self.progress, now);
            }
        }
    }

    /// Tokens that the last choice brought, which the model has not seen yet.
    pub(super) fn fresh(&self) -> usize {
        self.fresh
    }

    /// Chooses the next token. Where the answer is held to a grammar, it must be known what follows from the choice
    /// before the answer [goes on](Self::go_on).
    pub(super) fn choose(
        &mut self,
        output: &Output,
        sampler: &mut Sampler,
        stop_ids: &[u32],
        clock: &dyn Clock,
    ) -> Result<(Chosen, Option<Advance>), NoChoice> {
        self.trace.choosing(clock);
        if let Some(constrained) = &self.constrained {
            self.trace.holding(clock, || constrained.ready())?;
        }
        let allowed = self.constrained.as_ref().and_then(Constrained::allowed).map(Mask::words);
        let token = match output {
            Output::Logits(row) => sampler.pick(row, &mut self.chance, allowed)?,
            Output::Choice(choice) if choice.is_finite => choice.token,
            Output::Choice(_) => return Err(NoChoice::NotFinite),
        };
        let opening = self.constrained.as_mut().and_then(Constrained::opening);
        let is_chosen = opening.is_none()
            && !self.constrained.as_ref().is_some_and(Constrained::leaves_no_choice);
        let is_asked = self.scores || self.trace.has(Level::Numbers);
        let logprob = is_chosen.then(|| logprob(token, output, is_asked)).flatten();
        let goes_on = opening.is_none() && !stop_ids.contains(&token);
        let constrained = if goes_on { self.constrained.take() } else { None };
        let advance = constrained.map(|constrained| Advance::new(constrained, token));
        self.trace.waits(clock);
        Ok((Chosen { token, logprob, opening }, advance))
    }

    /// Adds the token and those that it forces, sends the text that they complete, and says whether the answer is
    /// whole. The text of a token that spoils the answer is not sent.
    pub(super) fn go_on(
        &mut self,
        chosen: Chosen,
        advance: Option<Advance>,
        stop_ids: &[u32],
        (now, clock): (Instant, &dyn Clock),
    ) -> Result<Option<FinishReason>, Spoilt> {
        let Chosen { token, logprob, opening } = chosen;
        let mut next = None;
        if let Some(advance) = advance {
            let (constrained, done, spent) = advance.done();
            self.constrained = Some(constrained);
            self.trace.held(spent);
            next = Some(done?);
        }
        self.trace.choosing(clock);
        if let Some(logprob) = logprob {
            self.trace.scored(logprob);
            if self.scores && !stop_ids.contains(&token) {
                self.answer.score(logprob);
            }
        }
        let mut tokens = opening.unwrap_or_else(|| vec![token]);
        let mut is_whole = false;
        if let Some(next) = next {
            tokens.extend(next.forced);
            is_whole = next.is_whole;
        }
        let finish = self.take_all(tokens, logprob, (is_whole, stop_ids), now)?;
        if let Some(piece) = self.answer.piece() {
            self.outlet.piece(&piece, now);
        }
        Ok(finish)
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

    /// The answer goes on with these tokens, as far as it may. The first has this log-probability; the others were
    /// forced.
    fn take_all(
        &mut self,
        tokens: Vec<u32>,
        mut logprob: Option<f32>,
        (is_whole, stop_ids): (bool, &[u32]),
        now: Instant,
    ) -> Result<Option<FinishReason>, Spoilt> {
        self.fresh = 0;
        let last = tokens.len() - 1;
        for (index, token) in tokens.into_iter().enumerate() {
            self.progress.output_tokens += 1;
            if self.progress.phase != Phase::Decode {
                self.start_decode(now);
            }
            self.fresh += 1;
            self.tokens.push(token);
            self.chance.saw(token);
            let is_last = is_whole && index == last;
            let finish = self.take(token, logprob.take(), is_last, stop_ids)?;
            if finish.is_some() {
                return Ok(finish);
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        token: u32,
        logprob: Option<f32>,
        is_last: bool,
        stop_ids: &[u32],
    ) -> Result<Option<FinishReason>, Trip> {
        if stop_ids.contains(&token) {
            self.answer.finish();
            return Ok(Some(FinishReason::Stop));
        }
        if self.answer.push(token) == Verdict::Stopped {
            return Ok(Some(FinishReason::Stop));
        }
        if let Some(guard) = &mut self.guard {
            guard.see(token, self.answer.newest(), logprob)?;
        }
        if is_last {
            self.answer.finish();
            return Ok(Some(FinishReason::Stop));
        }
        if self.progress.output_tokens < self.output_tokens_max {
            return Ok(None);
        }
        if self.answer.finish() == Verdict::Stopped {
            return Ok(Some(FinishReason::Stop));
        }
        self.guard.as_ref().map_or(Ok(()), Guard::cut)?;
        Ok(Some(FinishReason::Length))
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

/// What ends the request of an answer that cannot be held any more.
pub(super) fn unheld(error: ConstraintError) -> EngineError {
    tracing::error!(%error, "an answer cannot be held to its grammar");
    error.into()
}

/// Of the token that was chosen from `output`. A row of logits is gone through only if it `is_asked` for.
fn logprob(token: u32, output: &Output, is_asked: bool) -> Option<f32> {
    match output {
        Output::Logits(row) => is_asked.then(|| Sampler::logprob(token, row)),
        Output::Choice(choice) => Some(choice.logprob()),
    }
}
