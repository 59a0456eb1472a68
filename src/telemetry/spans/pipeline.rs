//! The thread that builds spans from records and hands all of them to the outputs, in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::SpanData;

use super::{Item, Output, Shared, Spans, scope};

/// Spans of one export.
const BATCH_SPANS_MAX: usize = 2_048;

/// How long a span waits at most for others to share its export.
const BATCH_DELAY: Duration = Duration::from_millis(500);

/// How often at most the log says that spans are lost.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

struct Pipeline {
    shared: Arc<Shared>,
    outputs: Vec<Output>,
    scope: InstrumentationScope,
    batch: Vec<SpanData>,
    /// When the first of `batch` came.
    since: Option<Instant>,
    lost: usize,
    warned: Option<Instant>,
}

/// Runs until every sender is gone.
pub(super) fn start(
    shared: Arc<Shared>,
    receiver: Receiver<Item>,
    outputs: Vec<Output>,
) -> std::io::Result<()> {
    let pipeline = Pipeline {
        shared,
        outputs,
        scope: scope(),
        batch: Vec::with_capacity(BATCH_SPANS_MAX),
        since: None,
        lost: 0,
        warned: None,
    };
    let thread = std::thread::Builder::new().name("spans".to_owned());
    thread.spawn(move || pipeline.run(&receiver)).map(drop)
}

impl Pipeline {
    fn run(mut self, receiver: &Receiver<Item>) {
        loop {
            let wait =
                self.since.map_or(BATCH_DELAY, |since| BATCH_DELAY.saturating_sub(since.elapsed()));
            match receiver.recv_timeout(wait) {
                Ok(item) => self.take(item),
                Err(RecvTimeoutError::Timeout) => self.export(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let due = self.since.is_some_and(|since| since.elapsed() >= BATCH_DELAY);
            if due || self.batch.len() >= BATCH_SPANS_MAX {
                self.export();
            }
        }
        self.export();
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Span(span) => self.batch.push(*span),
            Item::Later(deferred) => {
                let shared = &self.shared;
                shared.records.fetch_sub(deferred.records(), Ordering::Relaxed);
                let before = self.batch.len();
                let (made, scope) = (&mut self.batch, &self.scope);
                deferred.build(&mut Spans { made, metrics: &shared.metrics, scope });
                shared.metrics.spans_processed(self.batch.len() - before, None);
            }
            Item::Flush(done) => {
                self.export();
                // Whoever asked may have stopped waiting.
                let _ = done.try_send(());
                return;
            }
        }
        self.since.get_or_insert_with(Instant::now);
    }

    fn export(&mut self) {
        self.since = None;
        while !self.batch.is_empty() {
            let rest = self.batch.split_off(self.batch.len().min(BATCH_SPANS_MAX));
            let batch = std::mem::replace(&mut self.batch, rest);
            self.send(batch);
        }
    }

    fn send(&mut self, mut batch: Vec<SpanData>) {
        let (spans, outputs) = (batch.len(), self.outputs.len());
        let mut lost = None;
        for (index, output) in self.outputs.iter_mut().enumerate() {
            // Mostly there is one, and nothing is copied.
            let own = if index + 1 == outputs { std::mem::take(&mut batch) } else { batch.clone() };
            let failed = output.send(own).err();
            let reason = failed.as_ref().map(|failure| failure.reason);
            self.shared.metrics.spans_exported(spans, reason);
            lost = lost.or(failed.map(|failure| (output.name(), failure)));
        }
        let Some((output, failure)) = lost else { return };
        self.lost += spans;
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            let lost = std::mem::take(&mut self.lost);
            let (reason, error) = (failure.reason, failure.message);
            tracing::warn!(lost, output, reason, error, "spans are lost");
        }
    }
}
