//! One prepared request: its tokens, its answer so far, and all it has to say to its reader.

use std::time::Instant;

use crate::constraint::ConstraintError;
use crate::engine::answer::{Answer, Detokenize, Verdict};
use crate::engine::board::Ticket;
use crate::engine::channel::Outlet;
use crate::engine::constrained::Constrained;
use crate::engine::guard::{Guard, Trip};
use crate::engine::intake::{PixelLease, Request};
use crate::engine::sampler::{Chance, NotFinite, Sampler};
use crate::engine::scheduler::{Demand, Encode, Planned, SeqId};
use crate::engine::timeline::Timeline;
use crate::engine::trace::Trace;
use crate::engine::{Done, EngineError, FinishReason, Phase, Progress, Usage};
use crate::model::{ModelSpec, Output, PixelTiles, Segment, Want};
use crate::telemetry::spans::Level;

/// Pixels that wait for the vision encoder.
#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) data: Vec<f32>,
    pub(super) _lease: PixelLease,
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
    prompt: Vec<u32>,
    image_tokens: usize,
    image_token_id: u32,
    tiles: usize,
    /// None once all are encoded.
    pixels: Option<Pixels>,
    chance: Chance,
    /// None where the answer is free.
    constrained: Option<Constrained>,
    answer: Answer,
    guard: Option<Guard>,
    /// Whether to say how probable each token was.
    scores: bool,
    /// The token chosen last, and those that it forced: the model has not seen them yet.
    next_tokens: Vec<u32>,
    output_tokens_max: usize,
}

/// Why an answer cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spoilt {
    /// Before a token was chosen.
    NotFinite,
    /// By the token that was chosen last.
    Tripped(Trip),
    /// What holds it to its grammar failed.
    Unheld(ConstraintError),
}

// === impl Spoilt ===

impl From<NotFinite> for Spoilt {
    fn from(_: NotFinite) -> Self {
        Self::NotFinite
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
        (prompt, image_tokens, constrained): (Vec<u32>, usize, Option<Constrained>),
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
            prompt,
            image_tokens,
            image_token_id: spec.image_token_id,
            tiles,
            pixels: Some(pixels),
            chance: Chance::new(job.sampling),
            constrained,
            answer: Answer::new(detokenizer, job.stop),
            guard,
            scores: job.scores,
            next_tokens: Vec::new(),
            output_tokens_max: job.output_tokens_max.clamp(1, room),
        }
    }

    pub(super) fn demand(&self, id: SeqId) -> Demand {
        Demand {
            id,
            prompt_tokens: self.prompt.len(),
            output_tokens_max: self.output_tokens_max,
            tiles: self.tiles,
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

    /// The request has a slot.
    pub(super) fn start(&mut self, now: Instant) {
        self.ticket.start();
        self.timeline.started = Some(now);
        self.trace.started(now);
        self.progress.queue_position = None;
        if self.tiles > 0 {
            self.progress.phase = Phase::Vision;
        } else {
            self.pixels = None;
            self.start_prefill(now);
        }
        self.outlet.progress(self.progress, now);
    }

    /// The pixels of the tiles in `encode`.
    pub(super) fn pixels(&self, encode: &Encode) -> PixelTiles<'_> {
        let data = self.pixels.as_ref().map_or(&[][..], |pixels| &pixels.data);
        let tile_len = data.len() / self.tiles.max(1);
        let first = encode.first * tile_len;
        PixelTiles { tiles: encode.tiles, data: &data[first..first + encode.tiles * tile_len] }
    }

    pub(super) fn encoded(&mut self, encode: &Encode, now: Instant) {
        self.progress.encoded_tiles = encode.first + encode.tiles;
        if self.progress.encoded_tiles == self.tiles {
            self.pixels = None;
            self.start_prefill(now);
        }
        self.outlet.progress(self.progress, now);
    }

    /// The tokens of `planned`, which go into `blocks`.
    pub(super) fn segment<'a>(&'a self, planned: &Planned, blocks: &'a [u32]) -> Segment<'a> {
        let tokens = if planned.prefill {
            &self.prompt[planned.start..planned.start + planned.tokens]
        } else {
            &self.next_tokens[..]
        };
        Segment {
            slot: planned.slot,
            blocks,
            start: planned.start,
            tokens,
            image_tokens_before: self.image_tokens_before(planned.start),
            want: if planned.wants_logits { self.want() } else { Want::Nothing },
        }
    }

    /// What the next token is chosen from.
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
        if planned.prefill {
            self.progress.prefilled_tokens += planned.tokens;
            if !planned.wants_logits {
                self.outlet.progress(self.progress, now);
            }
        }
    }

    /// Waits until it is known what may be chosen next.
    pub(super) fn ready(&mut self) -> Result<(), ConstraintError> {
        self.constrained.as_mut().map_or(Ok(()), Constrained::ready)
    }

    /// Tokens that the model has not seen yet.
    pub(super) fn next_tokens(&self) -> usize {
        self.next_tokens.len()
    }

    /// Chooses the next token, adds those that it forces, sends the text that they complete, and says
    /// whether the answer is whole. The text of a token that spoils the answer is not sent.
    pub(super) fn choose(
        &mut self,
        output: &Output,
        sampler: &mut Sampler,
        stop_ids: &[u32],
        now: Instant,
    ) -> Result<Option<FinishReason>, Spoilt> {
        let allowed = self.constrained.as_ref().and_then(Constrained::allowed);
        let token = match output {
            Output::Logits(row) => sampler.pick(row, &mut self.chance, allowed)?,
            Output::Choice(choice) if choice.is_finite => choice.token,
            Output::Choice(_) => return Err(Spoilt::NotFinite),
        };
        if self.progress.phase != Phase::Decode {
            self.start_decode(now);
        }
        let opening = self.constrained.as_mut().and_then(Constrained::opening);
        let is_chosen = opening.is_none()
            && !self.constrained.as_ref().is_some_and(Constrained::leaves_no_choice);
        if is_chosen && self.trace.has(Level::Numbers) {
            self.trace.scored(logprob(token, output));
        }
        if self.scores && is_chosen && !stop_ids.contains(&token) {
            self.answer.score(logprob(token, output));
        }
        let finish = match opening {
            Some(opening) => self.take_all(opening, false, stop_ids)?,
            None => self.take_chosen(token, stop_ids)?,
        };
        if let Some(piece) = self.answer.piece() {
            self.outlet.piece(&piece, now);
        }
        Ok(finish)
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
            input_tokens: self.prompt.len(),
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

    /// The answer goes on with `token` and what that forces.
    fn take_chosen(
        &mut self,
        token: u32,
        stop_ids: &[u32],
    ) -> Result<Option<FinishReason>, Spoilt> {
        let mut tokens = vec![token];
        let mut is_whole = false;
        if let Some(constrained) = &mut self.constrained
            && !stop_ids.contains(&token)
        {
            let next = constrained.take(token)?;
            tokens.extend(next.forced);
            is_whole = next.is_whole;
        }
        self.take_all(tokens, is_whole, stop_ids)
    }

    /// The answer goes on with these tokens, as far as it may.
    fn take_all(
        &mut self,
        tokens: Vec<u32>,
        is_whole: bool,
        stop_ids: &[u32],
    ) -> Result<Option<FinishReason>, Spoilt> {
        self.next_tokens.clear();
        let last = tokens.len() - 1;
        for (index, token) in tokens.into_iter().enumerate() {
            self.progress.output_tokens += 1;
            self.next_tokens.push(token);
            let finish = self.take(token, is_whole && index == last, stop_ids)?;
            if finish.is_some() {
                return Ok(finish);
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        token: u32,
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
            guard.see(token, self.answer.newest())?;
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
        let before = self.prompt.get(..start);
        before.map_or(self.image_tokens, |before| before.iter().filter(is_image).count())
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

/// Of the token that was chosen from `output`.
fn logprob(token: u32, output: &Output) -> f32 {
    match output {
        Output::Logits(row) => Sampler::logprob(token, row),
        Output::Choice(choice) => choice.logprob(),
    }
}
