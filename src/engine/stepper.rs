//! The step thread's loop: takes requests in, ends those that are over, encodes, steps, chooses
//! tokens. It owns the model; nothing else touches it.

mod ahead;
mod features;
mod outcomes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::board::Board;
use crate::engine::clock::Clock;
use crate::engine::encoder_cache::EncoderCache;
use crate::engine::ending::Ending;
use crate::engine::inbox::{Arrived, Inbox, Wait};
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::poison::Poison;
use crate::engine::pulse::Pulse;
use crate::engine::scheduler::{Bounds, Encode, Planned, Scheduler, SeqId};
use crate::engine::sequence::Sequence;
use crate::engine::step::{self, Launched, Running, Stepped};
use crate::engine::trace::Pass;
use crate::engine::{Config, EngineError, FinishReason};
use crate::limits::DEVICE_FAILURES_MAX;
use crate::model::{RunError, Runner};
use crate::telemetry::metrics;

/// The model and its requests.
pub(super) struct Stepper {
    runner: Box<dyn Runner>,
    scheduler: Scheduler,
    sequences: BTreeMap<SeqId, Sequence>,
    next_id: u64,
    /// Passes under way, the oldest first.
    launched: VecDeque<Launched>,
    /// Sequences of the step that the runner has begun ahead.
    begun: BTreeSet<SeqId>,
    /// Passes that ended so far.
    steps: u64,
    stop_ids: Vec<u32>,
    /// Of pages that were seen before.
    features: EncoderCache,
    config: Config,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    pulse: Arc<Pulse>,
    clock: Arc<dyn Clock>,
    /// Steps in a row that the device failed for every sequence.
    device_failures: usize,
    poison: Poison,
}

/// How a request ends.
enum End {
    Whole(FinishReason),
    Failed(EngineError),
    /// The reader left.
    Cancelled,
}

// === impl Stepper ===

impl Stepper {
    pub(super) fn new(
        runner: Box<dyn Runner>,
        stop_ids: Vec<u32>,
        config: Config,
        (inbox, board): (Arc<Inbox>, Arc<Board>),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let bounds = Bounds {
            slots: runner.spec().slots,
            kv_blocks: runner.spec().kv_blocks,
            block_tokens: runner.spec().block_tokens,
            tiles: runner.spec().kv_tokens() / runner.spec().tokens_per_tile.max(1),
            prefill_chunk_tokens: config
                .prefill_chunk_tokens
                .unwrap_or(runner.spec().prefill_tokens)
                .max(1),
            row_tile: runner.spec().row_tile.max(1),
            vision_chunk_tiles: config.vision_chunk_tiles,
            steps_in_flight: runner.spec().passes.max(1),
        };
        Self {
            scheduler: Scheduler::new(bounds),
            runner,
            sequences: BTreeMap::new(),
            next_id: 0,
            launched: VecDeque::new(),
            begun: BTreeSet::new(),
            steps: 0,
            stop_ids,
            features: EncoderCache::default(),
            poison: Poison::new(config.guard.poison_limit),
            config,
            inbox,
            pulse: board.pulse(),
            board,
            clock,
            device_failures: 0,
        }
    }

    /// Steps until it is told to stop, has nothing more to do for ever, or the device fails for good.
    pub(super) fn run(&mut self) -> Ending {
        let mut wait = Wait::UntilWoken;
        loop {
            let Arrived { sequences, stop, finished } = self.inbox.take(wait);
            if stop {
                return Ending::Stopped;
            }
            for sequence in sequences {
                self.enqueue(sequence);
            }
            self.pulse.turn_begins();
            let turned = self.turn();
            self.pulse.turn_ended();
            wait = match turned {
                Ok(wait) => wait,
                Err(ending) => return ending,
            };
            if finished && self.sequences.is_empty() {
                return Ending::Stopped;
            }
        }
    }

    pub(super) fn enqueue(&mut self, sequence: Sequence) {
        let id = SeqId(self.next_id);
        self.next_id += 1;
        self.scheduler.enqueue(sequence.demand(id));
        self.sequences.insert(id, sequence);
    }

    /// Everything between two looks into the inbox: at most one step begins, and at most one ends. Tiles are
    /// encoded while a step is under way, so that uploading them holds up no device.
    pub(super) fn turn(&mut self) -> Result<Wait, Ending> {
        self.end_what_is_over();
        self.start_waiting();
        let mut launched = self.launch();
        let encoded = self.encode();
        if encoded && !launched {
            launched = self.launch();
        }
        let is_full = self.launched.len() >= self.runner.spec().passes.max(1);
        let landed = (is_full || !launched) && self.land()?;
        self.publish_kv();
        let idle = !launched && !encoded && !landed;
        Ok(if idle { self.wait() } else { Wait::Not })
    }

    /// Ends all requests, for the same reason.
    pub(super) fn end_all(&mut self, ending: &Ending) {
        while let Some((_, sequence)) = self.sequences.pop_first() {
            sequence.fail(ending.error());
        }
        for sequence in self.inbox.close() {
            sequence.fail(ending.error());
        }
    }

    /// Cancelled and late requests, slow readers; and readers that can be written to again.
    fn end_what_is_over(&mut self) {
        let now = self.clock.now();
        let mut over = Vec::new();
        for (&id, sequence) in &mut self.sequences {
            if let Some(end) = end_of(sequence, now, self.config.slow_client) {
                over.push((id, end));
                continue;
            }
            if sequence.outlet.blocked_since().is_some() {
                sequence.outlet.flush(now);
                self.scheduler.set_paused(id, sequence.outlet.must_pause());
            }
        }
        for (id, end) in over {
            self.end(id, end);
        }
    }

    fn start_waiting(&mut self) {
        let now = self.clock.now();
        for start in self.scheduler.start_waiting() {
            self.reuse_features(start);
            let Some(sequence) = self.sequences.get_mut(&start.id) else { continue };
            let queried = sequence.prompt_tokens();
            self.board.counters.started(queried, start.cached_tokens);
            self.config.telemetry.metrics().prefix_cache(queried, start.cached_tokens);
            sequence.start(start.cached_tokens, self.scheduler.lacking_tiles(start.id), now);
            if self.scheduler.has_all_tiles(start.id) {
                sequence.drop_pixels();
            }
        }
        let Some(queue) = self.scheduler.changed_queue() else { return };
        for (position, id) in queue.into_iter().enumerate() {
            if let Some(sequence) = self.sequences.get_mut(&id) {
                sequence.queued(position, now);
            }
        }
    }

    /// Encodes the next tiles. Says whether there were any.
    fn encode(&mut self) -> bool {
        let plan = self.scheduler.plan_vision();
        let tiles: usize = plan.iter().map(|encode| encode.tiles).sum();
        check_invariant!(
            InvariantId::VisionBudget,
            tiles <= self.config.vision_chunk_tiles,
            "{tiles} tiles between two steps"
        );
        if plan.is_empty() {
            return false;
        }
        let begin = self.clock.now();
        match self.encode_batch(&plan) {
            Ok(()) => self.count_encoded(&plan, begin),
            Err(error) if plan.len() > 1 => {
                tracing::warn!(sequences = plan.len(), %error, "tiles failed; one by one");
                for encode in &plan {
                    let one = std::slice::from_ref(encode);
                    let begin = self.clock.now();
                    match self.encode_batch(one) {
                        Ok(()) => self.count_encoded(one, begin),
                        Err(error) => self.end(encode.id, End::Failed(error.into())),
                    }
                }
            }
            Err(error) => self.end(plan[0].id, End::Failed(error.into())),
        }
        true
    }

    fn encode_batch(&mut self, plan: &[Encode]) -> Result<(), RunError> {
        let tiles: usize = plan.iter().map(|encode| encode.tiles).sum();
        self.shrink_features(tiles);
        let sequences = &self.sequences;
        let tiles = plan
            .iter()
            .filter_map(|encode| Some(sequences.get(&encode.id)?.slot_tiles(encode)))
            .collect::<Vec<_>>();
        self.runner.encode(&tiles)
    }

    fn count_encoded(&mut self, plan: &[Encode], begin: Instant) {
        let now = self.clock.now();
        for encode in plan {
            let Some(sequence) = self.sequences.get_mut(&encode.id) else { continue };
            self.scheduler.has_tiles(encode.id, encode.first, encode.tiles);
            sequence.trace.encoded(encode.tiles, begin, now);
            sequence.encoded(encode, self.scheduler.lacking_tiles(encode.id) == 0, now);
            if self.scheduler.has_all_tiles(encode.id) {
                sequence.drop_pixels();
            }
        }
    }

    /// Sequences whose KV blocks went to others.
    fn note_preempted(&mut self) {
        let preempted = self.scheduler.take_preempted();
        self.board.counters.preempted(preempted.len());
        let now = self.clock.now();
        for id in preempted {
            self.config.telemetry.metrics().preempted();
            if let Some(sequence) = self.sequences.get_mut(&id) {
                sequence.trace.preempted(sequence.tokens(), now);
                tracing::debug!(
                    tokens = sequence.tokens(),
                    "preempted: its KV blocks went to another request"
                );
            }
        }
    }

    /// Begins the next step. Says whether there was one.
    fn launch(&mut self) -> bool {
        let plan = self.plan();
        self.note_preempted();
        if plan.is_empty() {
            return false;
        }
        self.check_budget(&plan);
        for planned in &plan {
            self.scheduler.launched(planned);
        }
        let running = Running { sequences: &self.sequences, scheduler: &self.scheduler };
        let begin = self.clock.now();
        let launched = step::launch(self.runner.as_mut(), running, plan, begin);
        self.launched.push_back(launched);
        self.begin_ahead();
        true
    }

    /// Waits for the oldest step under way. Says whether there was one.
    fn land(&mut self) -> Result<bool, Ending> {
        let Some(launched) = self.launched.pop_front() else { return Ok(false) };
        let begin = launched.begin;
        let running = Running { sequences: &self.sequences, scheduler: &self.scheduler };
        let stepped = step::land(self.runner.as_mut(), running, launched, &mut self.launched);
        let now = self.clock.now();
        self.count_step(&stepped, now.saturating_duration_since(begin));
        self.count_device_failures(&stepped)?;
        let planned = stepped.outcomes.iter().map(|(planned, _)| *planned);
        let pass = Pass::new(self.steps, (begin, now), planned, stepped.times.clone());
        self.steps += 1;
        self.take_outcomes(stepped, pass, now);
        Ok(true)
    }

    fn count_step(&self, stepped: &Stepped, duration: Duration) {
        let tokens = |prefill: bool| {
            let planned = stepped.outcomes.iter().map(|(planned, _)| planned);
            planned.filter(|planned| planned.prefill == prefill).map(|planned| planned.tokens).sum()
        };
        let (batch_size, prefill_tokens, decode_tokens) =
            (stepped.outcomes.len(), tokens(true), tokens(false));
        self.board.counters.stepped();
        self.config.telemetry.metrics().stepped(&metrics::Stepped {
            duration,
            batch_size,
            prefill_tokens,
            decode_tokens,
        });
    }

    fn count_device_failures(&mut self, stepped: &Stepped) -> Result<(), Ending> {
        let Some(message) = stepped.device_failure() else {
            self.device_failures = 0;
            return Ok(());
        };
        self.device_failures += 1;
        if self.device_failures < DEVICE_FAILURES_MAX {
            return Ok(());
        }
        Err(Ending::DeviceFailed { message })
    }

    /// Frees what a request owns, then tells its reader.
    fn end(&mut self, id: SeqId, end: End) {
        if matches!(&end, End::Failed(error) if error.is_spoilt()) {
            self.distrust(id);
        }
        if let Some(slot) = self.scheduler.remove(id) {
            self.runner.release(slot);
        }
        let Some(sequence) = self.sequences.remove(&id) else { return };
        let now = self.clock.now();
        if let Some(started) = sequence.started() {
            self.board.slot_was_held(now.saturating_duration_since(started));
        }
        match end {
            End::Whole(reason) => {
                self.poison.well();
                sequence.finish(reason, now);
            }
            End::Failed(error) => {
                // First, so that whoever hears of it finds health changed.
                if let Some(message) = self.poison.failed(&error) {
                    tracing::error!(message, "the model takes no more requests");
                    // One that is retired takes none anyway.
                    if !self.inbox.is_retired() {
                        self.board.poisoned(message);
                    }
                }
                sequence.fail(error);
            }
            End::Cancelled => {
                if let Some(left_for) = sequence.outlet.left_for() {
                    self.config.telemetry.metrics().freed_after_cancel(left_for);
                }
                drop(sequence);
            }
        }
    }

    /// How long there is nothing to do if nothing arrives.
    fn wait(&self) -> Wait {
        let due = self.sequences.values().filter_map(|sequence| {
            let patience = self.config.slow_client;
            let slow = sequence.outlet.blocked_since().map(|since| since + patience);
            sequence.deadline.into_iter().chain(slow).min()
        });
        due.min().map_or(Wait::UntilWoken, |due| {
            Wait::AtMost(due.saturating_duration_since(self.clock.now()))
        })
    }

    fn publish_kv(&self) {
        // A model that another one replaced is not what is asked for.
        let retired = self.inbox.is_retired();
        let (used, all) = if retired { (0, 0) } else { self.scheduler.kv_blocks() };
        if self.pulse.holds(used, all) {
            self.board.kv_changed();
        }
    }

    fn check_budget(&self, plan: &[Planned]) {
        let prefill: usize =
            plan.iter().filter(|planned| planned.prefill).map(|planned| planned.tokens).sum();
        check_invariant!(
            InvariantId::PrefillBudget,
            prefill <= self.scheduler.prefill_chunk_tokens(),
            "{prefill} prompt tokens in one step"
        );
    }
}

/// Why `sequence` ends now, if it does.
fn end_of(sequence: &Sequence, now: Instant, slow_client: Duration) -> Option<End> {
    if sequence.outlet.is_closed() {
        return Some(End::Cancelled);
    }
    if sequence.deadline.is_some_and(|deadline| deadline <= now) {
        return Some(End::Failed(EngineError::Deadline { phase: sequence.phase() }));
    }
    let waited = now.saturating_duration_since(sequence.outlet.blocked_since()?);
    (waited >= slow_client)
        .then_some(End::Failed(EngineError::SlowClient { waited_ms: waited.as_millis() as u64 }))
}
