//! What the traces of requests are made of: plain records, written by the engine's thread into room
//! that was set aside before the request came to it. They become spans elsewhere, once the request is
//! over. Counts and times only, never content.

mod spans;

use std::ops::Range;
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanContext;

use crate::engine::clock::Clock;
use crate::engine::scheduler::Planned;
use crate::limits::TRACED_STEPS_MAX;
use crate::model::{ModelSpec, PassTimes};
use crate::telemetry::spans::{LINKS_MAX, Level, RequestTrace};

/// The trace of one request. Dropping it, however the request ended, sends it off.
#[derive(Debug)]
pub(super) struct Trace(Option<Box<Recording>>);

/// One forward pass: what the requests in it have in common.
#[derive(Debug)]
pub(super) struct Pass {
    /// From 0, over all requests.
    pub(super) number: u64,
    pub(super) begin: Instant,
    pub(super) end: Instant,
    /// Requests in it.
    pub(super) batch_size: usize,
    pub(super) prefill_tokens: usize,
    pub(super) stages: Option<PassTimes>,
    /// The requests whose traces go as far as the engine's steps, each with the number of its
    /// output token.
    links: Vec<(SpanContext, usize)>,
    /// Of one of them.
    request: Option<RequestTrace>,
}

/// Everything that is known of one request.
#[derive(Debug)]
struct Recording {
    request: RequestTrace,
    model: ModelFacts,
    submitted: Instant,
    preparing: Instant,
    prepared: Instant,
    position: Option<usize>,
    started: Option<Instant>,
    encodes: Vec<Encoded>,
    chunks: Vec<Chunk>,
    preemptions: Vec<Preemption>,
    /// When the prompt began to be taken in.
    encoded: Option<Instant>,
    steps: Vec<Step>,
    /// Output tokens that wrote the values of fields.
    values: Vec<Range<usize>>,
    /// Steps for which there was no room.
    unrecorded: usize,
    /// Tokens that were chosen: what a schema forces is said without a step.
    choices: usize,
    /// Those that were forced.
    forced: usize,
    /// Of the token that is being chosen.
    score: Option<Score>,
    /// Spent on the grammar since the last token.
    grammar: Duration,
    /// When the token that is being chosen began to be, and what the grammar had taken by then.
    choosing: Option<(Instant, Duration)>,
    /// What choosing it took before others had their turn.
    chosen: Duration,
    finish_reason: Option<&'static str>,
    ended: Option<Instant>,
}

/// The logit of a chosen token among all of its row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    pub(super) logit: f32,
    /// Natural logarithm of its probability at temperature 1 and without a cut.
    pub(super) logprob: f32,
}

/// What a span says of the model.
#[derive(Debug, Clone, Default)]
struct ModelFacts {
    vision_device: String,
    vision_dtype: String,
    kv_bytes_per_token: u64,
    block_tokens: usize,
}

/// KV memory that went to another request.
#[derive(Debug, Clone, Copy)]
struct Preemption {
    at: Instant,
    /// Of the prompt and of the answer so far.
    tokens: u32,
    /// The answer had begun.
    answering: bool,
    /// When the tokens were taken in again; none: the request ended, or lost them once more before.
    resumed: Option<Instant>,
}

/// Tiles that went through the vision tower together.
#[derive(Debug, Clone, Copy)]
struct Encoded {
    begin: Instant,
    end: Instant,
    tiles: usize,
}

/// A piece of the prompt that one pass took in.
#[derive(Debug, Clone)]
struct Chunk {
    pass: u64,
    begin: Instant,
    end: Instant,
    batch_size: u32,
    start: u32,
    tokens: u32,
    /// How often the request had lost its KV memory before.
    preemptions: u32,
    /// The answer had begun.
    answering: bool,
    stages: Option<PassTimes>,
}

/// The making of one output token.
#[derive(Debug, Clone)]
struct Step {
    pass: u64,
    /// Of the forward pass.
    begin: Instant,
    forward_end: Instant,
    /// The token is chosen.
    end: Instant,
    sample_nanos: u32,
    /// What of the step's thread's time went into what the grammar allows.
    grammar_nanos: u32,
    /// The pass took in tokens that have spans of their own, as the prompt's last piece does.
    took_in: bool,
    /// The chosen token and those that it forced.
    tokens: u32,
    batch_size: u32,
    kv_tokens: u32,
    /// Of the chosen token; none where nobody asked, or where the model had no choice.
    score: Option<Score>,
    stages: Option<PassTimes>,
}

// === impl Trace ===

impl Trace {
    /// The trace of a request that is prepared; nothing where it is not to be traced.
    pub(super) fn begin(
        request: Option<RequestTrace>,
        (submitted, preparing, prepared): (Instant, Instant, Instant),
        output_tokens_max: usize,
        spec: &ModelSpec,
    ) -> Self {
        Self(request.map(|request| {
            let steps = if request.has(Level::Steps) { output_tokens_max } else { 0 };
            Box::new(Recording {
                request,
                model: ModelFacts::of(spec),
                submitted,
                preparing,
                prepared,
                position: None,
                started: None,
                encodes: Vec::new(),
                chunks: Vec::new(),
                preemptions: Vec::new(),
                encoded: None,
                steps: Vec::with_capacity(steps.min(TRACED_STEPS_MAX)),
                values: Vec::new(),
                unrecorded: 0,
                choices: 0,
                forced: 0,
                score: None,
                grammar: Duration::ZERO,
                choosing: None,
                chosen: Duration::ZERO,
                finish_reason: None,
                ended: None,
            })
        }))
    }

    /// Requests ahead of this one as it came into the queue.
    pub(super) fn queued_at(&mut self, position: usize) {
        if let Some(recording) = &mut self.0 {
            recording.position.get_or_insert(position);
        }
    }

    /// The request has a slot.
    pub(super) fn started(&mut self, now: Instant) {
        if let Some(recording) = &mut self.0 {
            recording.started.get_or_insert(now);
        }
    }

    pub(super) fn encoded(&mut self, tiles: usize, begin: Instant, end: Instant) {
        if let Some(recording) = &mut self.0 {
            recording.encodes.push(Encoded { begin, end, tiles });
        }
    }

    /// The prompt begins to be taken in.
    pub(super) fn prefilling(&mut self, now: Instant) {
        if let Some(recording) = &mut self.0 {
            recording.encoded.get_or_insert(now);
        }
    }

    /// `pass` took in a piece of the prompt.
    pub(super) fn prefilled(&mut self, planned: &Planned, pass: &Pass) {
        if let Some(recording) = &mut self.0 {
            recording.chunks.push(Chunk {
                pass: pass.number,
                begin: pass.begin,
                end: pass.end,
                batch_size: pass.batch_size as u32,
                start: planned.start as u32,
                tokens: planned.tokens as u32,
                preemptions: recording.preemptions.len() as u32,
                answering: recording.choices > 0,
                stages: pass.stages.clone(),
            });
            if planned.chooses
                && let Some(last) = recording.preemptions.last_mut()
            {
                last.resumed.get_or_insert(pass.end);
            }
        }
    }

    /// The KV memory of the request, with these tokens, went to another one.
    pub(super) fn preempted(&mut self, tokens: usize, now: Instant) {
        if let Some(recording) = &mut self.0 {
            let (tokens, answering) = (tokens as u32, recording.choices > 0);
            recording.preemptions.push(Preemption { at: now, tokens, answering, resumed: None });
        }
    }

    /// Does what the grammar needs, on the engine's thread, and notes how long that takes.
    pub(super) fn holding<T>(&mut self, clock: &dyn Clock, run: impl FnOnce() -> T) -> T {
        let Some(recording) = &mut self.0 else { return run() };
        let begin = clock.now();
        let done = run();
        recording.grammar += clock.now().saturating_duration_since(begin);
        done
    }

    /// The grammar took so long, on some thread.
    pub(super) fn held(&mut self, spent: Duration) {
        if let Some(recording) = &mut self.0 {
            recording.grammar += spent;
        }
    }

    /// How the model gave the token that was chosen last.
    pub(super) fn scored(&mut self, score: Score) {
        if let Some(recording) = &mut self.0
            && recording.request.has(Level::Numbers)
        {
            recording.score = Some(score);
        }
    }

    /// A token was chosen; others have their turn before the answer goes on.
    pub(super) fn waits(&mut self, clock: &dyn Clock) {
        if let Some(recording) = &mut self.0 {
            recording.chosen = recording.spent_choosing(clock.now());
        }
    }

    /// A token is going to be chosen, or the answer goes on with it.
    pub(super) fn choosing(&mut self, clock: &dyn Clock) {
        if let Some(recording) = &mut self.0 {
            recording.choosing = Some((clock.now(), recording.grammar));
        }
    }

    /// A token was chosen after `pass`; with those that it forced the answer grew by so many.
    pub(super) fn chose(
        &mut self,
        planned: &Planned,
        pass: &mut Pass,
        tokens: usize,
        clock: &dyn Clock,
    ) {
        let Some(recording) = &mut self.0 else { return };
        let end = clock.now();
        recording.choices += 1;
        recording.forced += tokens.saturating_sub(1);
        let score = recording.score.take();
        let sample = std::mem::take(&mut recording.chosen) + recording.spent_choosing(end);
        let grammar = std::mem::take(&mut recording.grammar);
        if let Some(last) = recording.preemptions.last_mut() {
            last.resumed.get_or_insert(pass.begin);
        }
        if !recording.request.has(Level::Steps) {
            return;
        }
        if recording.request.has(Level::Engine) {
            pass.link(&recording.request, recording.choices - 1);
        }
        if recording.steps.len() >= TRACED_STEPS_MAX {
            recording.unrecorded += 1;
            return;
        }
        recording.steps.push(Step {
            pass: pass.number,
            begin: pass.begin,
            forward_end: pass.end,
            end,
            sample_nanos: sample.as_nanos() as u32,
            grammar_nanos: grammar.as_nanos() as u32,
            took_in: planned.prefill,
            tokens: tokens as u32,
            batch_size: pass.batch_size as u32,
            kv_tokens: (planned.start + planned.tokens) as u32,
            score,
            stages: pass.stages.clone(),
        });
    }

    pub(super) fn finished(&mut self, finish_reason: &'static str, now: Instant) {
        if let Some(recording) = &mut self.0 {
            recording.finish_reason = Some(finish_reason);
            recording.ended = Some(now);
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Some(mut recording) = self.0.take() {
            // Its steps may wait for a reader before spans are made of them.
            recording.ended.get_or_insert_with(Instant::now);
            let request = recording.request.take_out();
            request.stepped(recording);
        }
    }
}

// === impl Recording ===

impl Recording {
    /// What choosing has taken since it began, without the grammar's part.
    fn spent_choosing(&mut self, now: Instant) -> Duration {
        let Some((begin, before)) = self.choosing.take() else { return Duration::ZERO };
        let grammar = self.grammar.saturating_sub(before);
        now.saturating_duration_since(begin).saturating_sub(grammar)
    }
}

// === impl Pass ===

impl Pass {
    pub(super) fn new(
        number: u64,
        (begin, end): (Instant, Instant),
        plan: impl Iterator<Item = Planned>,
        stages: Option<PassTimes>,
    ) -> Self {
        let (mut batch_size, mut prefill_tokens) = (0, 0);
        for planned in plan {
            batch_size += 1;
            prefill_tokens += if planned.prefill { planned.tokens } else { 0 };
        }
        let (links, request) = (Vec::new(), None);
        Self { number, begin, end, batch_size, prefill_tokens, stages, links, request }
    }

    /// Points to a request, and to the number of its output token.
    fn link(&mut self, request: &RequestTrace, step: usize) {
        if self.links.len() < LINKS_MAX {
            self.links.push((request.parent.clone(), step));
            self.request.get_or_insert_with(|| request.clone());
        }
    }

    /// Sends its own span off, where a request's trace asked for it.
    pub(super) fn finished(mut self) {
        if let Some(request) = self.request.take() {
            // It is nobody's trace alone: a lost one is counted, and marks no request.
            request.tracer.clone().later(Box::new(spans::EnginePass { pass: self, request }));
        }
    }
}

// === impl ModelFacts ===

impl ModelFacts {
    fn of(spec: &ModelSpec) -> Self {
        let vision = spec.placements.iter().find(|placed| placed.module.starts_with("vision"));
        Self {
            vision_device: vision.map(|placed| placed.device_id.clone()).unwrap_or_default(),
            vision_dtype: vision.map(|placed| placed.compute_dtype.to_string()).unwrap_or_default(),
            kv_bytes_per_token: spec.kv_bytes_per_token,
            block_tokens: spec.block_tokens,
        }
    }
}
