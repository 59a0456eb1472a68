//! The threads that prepare requests for the model, and the queue before them.
//!
//! Pixels of prepared requests are large, so preparing waits while too many of them wait for the
//! vision encoder. The queue is bounded by the tickets of [`Board`](super::board::Board).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::engine::board::Ticket;
use crate::engine::channel::Outlet;
use crate::engine::clock::Clock;
use crate::engine::ending::Ending;
use crate::engine::inbox::Inbox;
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::prefix::{self, Cut, PageTiles, Prefix};
use crate::engine::prepare::{Prepare, Prepared};
use crate::engine::queue::OVERTAKEN_MAX;
use crate::engine::sequence::{Contents, Pixels, Sequence};
use crate::engine::{Accepted, EngineError, GuardConfig, Job, Priority};
use crate::model::ModelSpec;
use crate::telemetry::Metrics;

/// Of so much memory for pixels one part is kept for requests that are not of a batch.
const PIXELS_PER_KEPT: usize = 8;

/// A request that nothing was done for yet.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) outlet: Outlet,
    pub(super) ticket: Ticket,
    pub(super) submitted: Instant,
}

/// The queue before the intake threads, and the account of pixels behind them.
#[derive(Debug)]
pub(super) struct Intake {
    state: Mutex<State>,
    changed: Condvar,
    pixel_bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Waiting>,
    pixel_bytes: usize,
    /// Nobody puts anything in any more.
    retired: bool,
    closed: Option<Ending>,
}

/// A request, and how many younger ones were taken before it.
#[derive(Debug)]
struct Waiting {
    request: Request,
    overtaken: u32,
}

/// Pixels in memory; given back when dropped.
#[derive(Debug)]
pub(super) struct PixelLease {
    intake: Arc<Intake>,
    bytes: usize,
}

/// One intake thread's tools.
pub(super) struct Worker {
    pub(super) intake: Arc<Intake>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) prepare: Arc<dyn Prepare>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) spec: Arc<ModelSpec>,
    pub(super) guard: GuardConfig,
    pub(super) metrics: Metrics,
    pub(super) prefix_cache: bool,
}

// === impl Intake ===

impl Intake {
    pub(super) fn new(pixel_bytes_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), pixel_bytes_max }
    }

    pub(super) fn push(&self, mut request: Request) {
        let mut state = self.lock();
        if let Some(ending) = &state.closed {
            let error = ending.error();
            drop(state);
            request.outlet.finish(Err(error));
            return;
        }
        state.requests.push_back(Waiting { request, overtaken: 0 });
        self.changed.notify_all();
    }

    /// Some request's reader left: what nobody reads must not wait until a thread is free to forget it. It counts as
    /// one that waits, and others are refused for it.
    pub(super) fn forget_unread(&self) {
        let mut state = self.lock();
        let (unread, read): (VecDeque<Waiting>, VecDeque<Waiting>) =
            std::mem::take(&mut state.requests)
                .into_iter()
                .partition(|waiting| waiting.request.outlet.is_closed());
        state.requests = read;
        drop(state);
        // Outside of the lock: their tickets change the board.
        drop(unread);
        self.changed.notify_all();
    }

    /// Ends the threads, and all requests that none of them began.
    pub(super) fn close(&self, ending: &Ending) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(|| ending.clone());
        let requests = std::mem::take(&mut state.requests);
        self.changed.notify_all();
        drop(state);
        for Waiting { mut request, .. } in requests {
            drop(request.ticket);
            request.outlet.finish(Err(ending.error()));
        }
    }

    /// Lets the threads end once they have prepared what is in here.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
        self.changed.notify_all();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().retired
    }

    /// The next request to prepare, when there is one and memory for its pixels; none to end.
    fn next(&self, clock: &dyn Clock) -> Option<Request> {
        let mut state = self.lock();
        loop {
            if state.closed.is_some() {
                return None;
            }
            let now = clock.now();
            state.forget_ended(now);
            if state.retired && state.requests.is_empty() {
                return None;
            }
            if let Some(request) = state.take(self.pixel_bytes_max) {
                return Some(request);
            }
            let deadlines =
                state.requests.iter().filter_map(|waiting| waiting.request.job.deadline);
            state = match deadlines.min() {
                Some(deadline) => {
                    self.changed
                        .wait_timeout(state, deadline.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lease(self: &Arc<Self>, bytes: usize) -> PixelLease {
        self.lock().pixel_bytes += bytes;
        PixelLease { intake: Arc::clone(self), bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be half done: a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next request for whose pixels there is memory, in the order in which the scheduler starts them: a batch
    /// that fills the memory must not keep those in a hurry from being prepared.
    fn take(&mut self, pixel_bytes_max: usize) -> Option<Request> {
        let hurried = self.requests.iter().position(Waiting::is_in_a_hurry);
        let kept = if hurried.is_some() { 0 } else { pixel_bytes_max / PIXELS_PER_KEPT };
        if self.pixel_bytes >= pixel_bytes_max - kept {
            return None;
        }
        let place = hurried.unwrap_or(0);
        for passed in self.requests.iter_mut().take(place) {
            passed.overtaken += 1;
        }
        self.requests.remove(place).map(|waiting| waiting.request)
    }

    fn forget_ended(&mut self, now: Instant) {
        self.requests.retain_mut(|Waiting { request, .. }| {
            let late = request.job.deadline.is_some_and(|deadline| deadline <= now);
            if late {
                request.outlet.finish(Err(EngineError::Deadline { phase: "queue" }));
            }
            !late && !request.outlet.is_closed()
        });
    }
}

impl Waiting {
    fn is_in_a_hurry(&self) -> bool {
        self.request.job.priority == Priority::Interactive || self.overtaken >= OVERTAKEN_MAX
    }
}

impl Drop for PixelLease {
    fn drop(&mut self) {
        self.intake.lock().pixel_bytes -= self.bytes;
        self.intake.changed.notify_all();
    }
}

// === impl Worker ===

impl Worker {
    /// Prepares requests until the intake is closed, or retired and empty.
    pub(super) fn run(&self) {
        while let Some(request) = self.intake.next(self.clock.as_ref()) {
            self.take_in(request);
        }
    }

    /// Prepares one request and hands it to the step thread, or ends it.
    pub(super) fn take_in(&self, mut request: Request) {
        let preparing = self.clock.now();
        // A document that makes a decoder panic is that document's problem alone.
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(&request)))
            .unwrap_or_else(|panic| Err(Ending::panicked(panic.as_ref()).error()));
        let prepared = prepared.and_then(|prepared| {
            request.ticket.weigh(prepared.prompt.len())?;
            Ok(prepared)
        });
        match prepared {
            Ok(prepared) => self.hand_over(request, prepared, preparing),
            Err(error) => {
                drop(request.ticket);
                request.outlet.finish(Err(error));
            }
        }
    }

    fn prepare(&self, request: &Request) -> Result<Prepared, EngineError> {
        let Request { job, outlet, .. } = request;
        let go_on = || {
            if outlet.is_closed() {
                // Nobody hears it.
                return Err(EngineError::Stopped);
            }
            match job.deadline {
                Some(deadline) if deadline <= self.clock.now() => {
                    Err(EngineError::Deadline { phase: "preprocess" })
                }
                _ => Ok(()),
            }
        };
        let prepared = self.prepare.prepare(job, &go_on)?;
        go_on()?;
        self.check(&prepared)?;
        Ok(prepared)
    }

    fn check(&self, prepared: &Prepared) -> Result<(), EngineError> {
        let input_tokens = prepared.prompt.len();
        let input_tokens_max = self.spec.slot_tokens.saturating_sub(1);
        if input_tokens > input_tokens_max {
            return Err(EngineError::TooManyTokens { input_tokens, input_tokens_max });
        }
        let tiles: usize = prepared.tiles_per_page.iter().map(|&tiles| tiles as usize).sum();
        let found = prepared.prompt.iter().filter(|&&id| id == self.spec.image_token_id).count();
        let expected = tiles * self.spec.tokens_per_tile;
        if (found, prepared.image_tokens) == (expected, expected) && input_tokens > 0 {
            return Ok(());
        }
        // Only this request is hurt, in a release too.
        let message = format!("{tiles} tiles became {found} image tokens, not {expected}");
        check_invariant!(InvariantId::ImageTokensPerTile, false, "{message}");
        Err(EngineError::Panicked { message })
    }

    /// What the prompt and its pages are by content, as far as others can make use of it.
    fn contents(&self, prepared: &Prepared) -> Contents {
        let counted = prepared.tiles_per_page.iter().map(|&tiles| tiles as usize);
        let pages: Vec<PageTiles> = prepared
            .page_keys
            .iter()
            .zip(counted)
            .map(|(key, tiles)| PageTiles { key: *key, tiles })
            .collect();
        // Image tokens without a known page would make different prompts look alike.
        if !self.prefix_cache || pages.len() != prepared.tiles_per_page.len() {
            return Contents { prefix: Prefix::default(), pages: Vec::new() };
        }
        if !self.spec.shares_kv {
            return Contents { prefix: Prefix::default(), pages };
        }
        let cut = Cut {
            block_tokens: self.spec.block_tokens,
            image_token_id: self.spec.image_token_id,
            tokens_per_tile: self.spec.tokens_per_tile,
        };
        Contents { prefix: prefix::blocks(&prepared.prompt, &pages, cut), pages }
    }

    fn hand_over(&self, mut request: Request, prepared: Prepared, preparing: Instant) {
        let contents = self.contents(&prepared);
        let lease = self.intake.lease(prepared.samples.len());
        let (samples, values) = (prepared.samples, prepared.values);
        let pixels = Pixels { samples, values, _lease: lease };
        let now = self.clock.now();
        let accepted = Accepted {
            tiles_per_page: prepared.tiles_per_page.clone(),
            pages: prepared.pages,
            input_tokens: prepared.prompt.len(),
        };
        request.outlet.accepted(accepted, now);
        let tiles = prepared.tiles_per_page.iter().map(|&tiles| tiles as usize).sum();
        let took = now.saturating_duration_since(preparing);
        self.metrics.preprocessed(prepared.tiles_per_page.len(), tiles, took);
        let sequence = Sequence::new(
            request,
            (prepared.prompt, prepared.image_tokens, contents),
            prepared.constrained,
            (pixels, tiles),
            (self.prepare.detokenizer(), self.guard.watch(prepared.tiles_per_page.len())),
            (preparing, now),
            &self.spec,
        );
        if let Err(sequence) = self.inbox.push(sequence) {
            let ending = self.intake.lock().closed.clone().unwrap_or(Ending::Stopped);
            sequence.fail(ending.error());
        }
    }
}
