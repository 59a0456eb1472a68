//! Spans on their way out: built and sent on a thread of their own, far from whoever measured them.
//!
//! What happens too often or in too hot a place to make spans there is written down as plain records
//! (see [`Deferred`]) and becomes spans on that thread. Its queue is bounded in items and in records:
//! what does not fit is dropped, and counted.

mod collector;
mod content;
mod encode;
mod file;
#[cfg(test)]
mod kept;
mod level;
mod meeting;
mod output;
mod pipeline;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    IdGenerator as _, RandomIdGenerator, Span, SpanData, SpanProcessor,
};

use super::{Metrics, OWN_TARGET};
pub(super) use collector::{Collector, Grpc, Http, Link as CollectorLink};
pub use content::Content;
use encode::{Batches, Plain};
pub use file::{FILE_NAME, TraceFiles};
#[cfg(test)]
pub(crate) use kept::Kept;
pub use level::{Level, ParseLevelError, StepCap, TraceOptions};
use meeting::Meeting;
pub use meeting::Stepwise;
pub(super) use output::Output;

/// A span below `parent`; none below a span that is none: `tracing` would begin a trace of its own there.
macro_rules! span_below {
    ($parent:expr, $($rest:tt)+) => {{
        let parent: &tracing::Span = $parent;
        if parent.is_disabled() {
            tracing::Span::none()
        } else {
            tracing::info_span!(parent: parent, $($rest)+)
        }
    }};
}
pub(crate) use span_below;

/// Spans and sets of records that wait to be built and sent.
const QUEUE_ITEMS_MAX: usize = 32_768;

/// Records in that queue: 80 bytes or so each.
const QUEUE_RECORDS_MAX: usize = 1 << 20;

/// Links of one span, as SDKs have it.
pub const LINKS_MAX: usize = 128;

/// Records that become spans later. Dropping it costs its spans, nothing else.
pub trait Deferred: Send {
    /// How much room it takes in the queue.
    fn records(&self) -> usize;

    /// Makes the spans.
    fn build(self: Box<Self>, spans: &mut Spans<'_>);
}

/// Takes spans and records. Clones are the same.
#[derive(Clone)]
pub struct Tracer {
    queue: SyncSender<Item>,
    shared: Arc<Shared>,
}

/// What both ends of the queue know.
struct Shared {
    /// In the queue.
    records: AtomicUsize,
    metrics: Metrics,
}

enum Item {
    Span(Box<SpanData>),
    Later(Box<dyn Deferred>),
    /// Send what there is, then answer.
    Flush(SyncSender<()>),
}

/// Where [`Deferred`] spans go.
pub struct Spans<'a> {
    batches: &'a mut Batches,
    metrics: &'a Metrics,
}

/// One span to be.
#[derive(Debug, Clone, Copy)]
pub struct NewSpan<'a> {
    pub name: &'a str,
    pub id: SpanId,
    pub start: SystemTime,
    pub end: SystemTime,
    pub attributes: &'a [KeyValue],
}

/// The part of one request's trace that is made from records: under its `generate_content` span.
#[derive(Debug, Clone)]
pub struct RequestTrace {
    pub tracer: Tracer,
    /// Of the `generate_content` span.
    pub parent: SpanContext,
    /// Of the `decode` span to be, so that others can hang spans under it.
    pub decode: SpanId,
    pub options: TraceOptions,
    anchor: Anchor,
    dropped: Arc<AtomicBool>,
    /// Where its steps wait for what was read of the answer.
    meeting: Option<Meeting>,
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    instant: Instant,
    time: SystemTime,
}

// === impl Tracer ===

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.shared.records.load(Ordering::Relaxed);
        f.debug_struct("Tracer").field("records", &records).finish_non_exhaustive()
    }
}

impl PartialEq for Tracer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Tracer {}

impl Tracer {
    /// Starts the thread that builds spans and hands them to `outputs`.
    pub(super) fn start(
        outputs: Vec<Output>,
        resource: &Resource,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (tracer, receiver) = Self::with_queue(QUEUE_ITEMS_MAX, metrics);
        pipeline::start(Arc::clone(&tracer.shared), receiver, outputs, resource)?;
        Ok(tracer)
    }

    fn with_queue(items_max: usize, metrics: Metrics) -> (Self, Receiver<Item>) {
        let (queue, receiver) = sync_channel(items_max);
        let shared = Arc::new(Shared { records: AtomicUsize::new(0), metrics });
        (Self { queue, shared }, receiver)
    }

    /// Queues records to become spans. False: there was no room, and they are gone.
    pub fn later(&self, deferred: Box<dyn Deferred>) -> bool {
        let records = deferred.records();
        let before = self.shared.records.fetch_add(records, Ordering::Relaxed);
        let fits = before + records <= QUEUE_RECORDS_MAX;
        let taken = fits && self.push(Item::Later(deferred));
        if !taken {
            self.shared.records.fetch_sub(records, Ordering::Relaxed);
            self.shared.metrics.spans_processed(records.max(1), Some("queue_full"));
        }
        taken
    }

    fn span(&self, span: SpanData) {
        if self.push(Item::Span(Box::new(span))) {
            self.shared.metrics.spans_processed(1, None);
        } else {
            self.shared.metrics.spans_processed(1, Some("queue_full"));
        }
    }

    fn push(&self, item: Item) -> bool {
        match self.queue.try_send(item) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Sends what is queued; waits for at most `limit`.
    fn flush(&self, limit: Duration) -> OTelSdkResult {
        let (done, flushed) = sync_channel(1);
        let until = Instant::now() + limit;
        // A full queue is full for as long as one export takes at most.
        while !self.push(Item::Flush(done.clone())) {
            if Instant::now() >= until {
                return Err(OTelSdkError::Timeout(limit));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = until.saturating_duration_since(Instant::now());
        flushed.recv_timeout(left).map_err(|_| OTelSdkError::Timeout(limit))
    }
}

/// Spans that others made and ended, from the SDK.
#[derive(Debug)]
pub(super) struct Processor(pub(super) Tracer);

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.span(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.flush(Duration::from_secs(5))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.flush(timeout)
    }
}

// === impl Spans ===

impl fmt::Debug for Spans<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("made", &self.batches.spans()).finish_non_exhaustive()
    }
}

impl Spans<'_> {
    /// Adds a span below `parent_id`, in the trace of `context`.
    pub fn child(&mut self, context: &SpanContext, parent_id: SpanId, span: NewSpan<'_>) {
        self.batches.push(&Plain { context, parent: parent_id, span, links: &[] });
    }

    /// Adds a span that begins a trace of its own and points to `links`. Its context is for spans below it.
    pub fn root(&mut self, span: NewSpan<'_>, links: &[Link]) -> SpanContext {
        let trace = RandomIdGenerator::default().new_trace_id();
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::default());
        let context = SpanContext::new(trace, span.id, flags, false, state);
        self.batches.push(&Plain { context: &context, parent: SpanId::INVALID, span, links });
        context
    }

    /// Counts steps that get no span.
    pub fn elided(&self, steps: usize) {
        self.metrics.steps_elided(steps);
    }
}

/// A fresh span id.
pub fn span_id() -> SpanId {
    RandomIdGenerator::default().new_span_id()
}

// === impl RequestTrace ===

impl RequestTrace {
    /// Of a request whose `generate_content` span is `parent`; none where that is not recorded.
    pub fn begin(tracer: &Tracer, parent: SpanContext, options: TraceOptions) -> Option<Self> {
        let wanted = parent.is_valid() && parent.is_sampled() && options.level > Level::Off;
        wanted.then(|| Self {
            tracer: tracer.clone(),
            parent,
            decode: span_id(),
            options,
            anchor: Anchor { instant: Instant::now(), time: SystemTime::now() },
            dropped: Arc::default(),
            meeting: None,
        })
    }

    /// Somebody reads fields of the answer, and [says](Self::read) in any case which tokens wrote them: where a cap
    /// leaves steps out, those that open or close a field stay.
    pub fn expect_fields(&mut self) {
        let is_capped = self.has(Level::Steps) && self.options.steps != StepCap::All;
        self.meeting = is_capped.then(Meeting::default);
    }

    /// Takes the request out of a record of it, which can wait for its fields then without holding itself.
    #[must_use]
    pub fn take_out(&mut self) -> Self {
        let whole = self.clone();
        self.meeting = None;
        whole
    }

    /// The trace of another pass over the model for the same request, under the same span.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { decode: span_id(), meeting: None, ..self.clone() }
    }

    pub fn has(&self, level: Level) -> bool {
        self.options.level >= level
    }

    pub fn trace_id(&self) -> TraceId {
        self.parent.trace_id()
    }

    /// Queues records of this request.
    pub fn later(&self, deferred: Box<dyn Deferred>) {
        if !self.tracer.later(deferred) {
            self.dropped.store(true, Ordering::Relaxed);
        }
    }

    /// Queues the steps of this request; first they wait to be told which of them wrote fields, if they are to be.
    pub fn stepped(&self, steps: Box<dyn Stepwise>) {
        let ready = match &self.meeting {
            Some(meeting) => meeting.steps(steps),
            None => Some(steps),
        };
        if let Some(steps) = ready {
            self.later(steps);
        }
    }

    /// The values of the answer's fields were written by these output tokens; none more will come.
    pub fn read(&self, values: Vec<Range<usize>>) {
        let ready = self.meeting.as_ref().and_then(|meeting| meeting.values(values));
        if let Some(steps) = ready {
            self.later(steps);
        }
    }

    /// Whether spans of this request were lost before they were built.
    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// `instant` by the wall clock.
    pub fn time(&self, instant: Instant) -> SystemTime {
        let Anchor { instant: anchor, time } = self.anchor;
        match instant.checked_duration_since(anchor) {
            Some(after) => time + after,
            None => time - anchor.saturating_duration_since(instant),
        }
    }
}

#[cfg(test)]
mod tests;
