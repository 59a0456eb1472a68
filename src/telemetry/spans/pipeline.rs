//! The thread that builds spans from records and hands all of them to the outputs, in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;

use super::encode::{Batch, Batches};
use super::{Item, Output, Shared, Spans};

/// How long a span waits at most for others to share its export.
const BATCH_DELAY: Duration = Duration::from_millis(500);

/// How often at most the log says that spans are lost.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

struct Pipeline {
    shared: Arc<Shared>,
    outputs: Vec<Output>,
    batches: Batches,
    /// When the first of them came.
    since: Option<Instant>,
    lost: usize,
    warned: Option<Instant>,
}

/// Runs until every sender is gone.
pub(super) fn start(
    shared: Arc<Shared>,
    receiver: Receiver<Item>,
    outputs: Vec<Output>,
    resource: &Resource,
) -> std::io::Result<()> {
    let batches = Batches::new(Output::formats(&outputs), resource);
    let pipeline = Pipeline { shared, outputs, batches, since: None, lost: 0, warned: None };
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
            if due || self.batches.has_full() {
                self.export();
            }
        }
        self.export();
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Span(span) => self.batches.push_made(*span),
            Item::Later(deferred) => {
                let shared = &self.shared;
                shared.records.fetch_sub(deferred.records(), Ordering::Relaxed);
                let before = self.batches.spans();
                let batches = &mut self.batches;
                deferred.build(&mut Spans { batches, metrics: &shared.metrics });
                shared.metrics.spans_processed(self.batches.spans() - before, None);
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
        for batch in self.batches.take() {
            self.send(&batch);
        }
    }

    fn send(&mut self, batch: &Batch) {
        let spans = batch.spans;
        let mut lost = None;
        for output in &mut self.outputs {
            let sent = output.send(batch);
            let refused = *sent.as_ref().unwrap_or(&0);
            let failed = sent.err();
            let reason = failed.as_ref().map(|failure| failure.reason);
            self.shared.metrics.spans_exported(spans.saturating_sub(refused), reason);
            if refused > 0 {
                self.shared.metrics.spans_exported(refused.min(spans), Some("rejected"));
            }
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
