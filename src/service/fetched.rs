//! The files of a request that it names by URI, got before the engine hears of it. What they weigh counts as if
//! they had come with the message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;
use tonic::Status;
use tracing::Span;

use super::State;
use super::call::Call;
use super::received::Lease;
use super::validate::Checked;
use super::{error, trace};
use crate::fetch::{FetchError, Fetcher, Target};
use crate::limits;
use crate::telemetry::Metrics;

/// One file on its way. Whatever ends it, it is measured once.
struct Fetching {
    span: Span,
    metrics: Metrics,
    begun: Instant,
    /// How it ended; until it has, it is cancelled.
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Whole { bytes: usize },
    Failed(&'static str),
}

/// Where the bytes of one file count.
struct Room {
    /// None where a handler is driven without the envelope.
    lease: Option<Lease>,
    /// Bytes of all files of the request.
    together: Arc<AtomicUsize>,
    /// Why there is none.
    refused: Option<Status>,
}

/// Gets what is not there of the files of `checked`, all at once. Dropping this ends every one.
pub(super) async fn fetch(
    state: &State,
    call: &Arc<Call>,
    checked: &mut Checked,
) -> Result<(), Status> {
    let Some(fetcher) = state.config.fetcher.as_ref().filter(|_| !checked.named.is_empty()) else {
        return Ok(());
    };
    call.note(|record| record.phase = Some("fetch"));
    let together = Arc::new(AtomicUsize::new(0));
    let until = Instant::now() + fetcher.timeout();
    let until = call.deadline.map_or(until, |deadline| deadline.min(until));
    let mut files = JoinSet::new();
    for (file, target) in &checked.named {
        let (file, target, fetcher) = (*file, target.clone(), Arc::clone(fetcher));
        let fetching = Fetching::begin(call, &target);
        let lease = call.lease();
        let room = Room { lease, together: Arc::clone(&together), refused: None };
        files.spawn(async move {
            let got = one(&fetcher, &target, until, room, fetching).await;
            (file, got.map_err(|failed| failed.into_status(file, &target)))
        });
    }
    while let Some(got) = files.join_next().await {
        let Ok((file, got)) = got else { return Err(error::panicked()) };
        let passed = call.deadline.is_some_and(|deadline| deadline <= Instant::now());
        // What was ended by the deadline is nobody's failure but its own.
        let content =
            got.map_err(|status| if passed { error::deadline("fetch") } else { status })?;
        if let Some(file) = checked.files.get_mut(file) {
            file.content = content;
        }
    }
    Ok(())
}

/// Why a file did not come, and what it would have taken had no room.
struct Failed {
    error: FetchError,
    refused: Option<Status>,
}

impl Failed {
    fn into_status(self, file: usize, target: &Target) -> Status {
        if let Some(refused) = self.refused {
            return refused;
        }
        if let FetchError::Unreachable(why) = &self.error {
            // Callers could make a map of it; operators have to know.
            tracing::info!(host = target.host(), port = target.port(), %why, "an origin is not reachable");
        }
        error::not_fetched(file, &self.error)
    }
}

async fn one(
    fetcher: &Fetcher,
    target: &Target,
    until: Instant,
    mut room: Room,
    mut fetching: Fetching,
) -> Result<Bytes, Failed> {
    let take = |bytes| room.take(bytes);
    let got = fetcher.get(target, until.into(), limits::FILE_BYTES_MAX, take).await;
    match got {
        Ok(content) => {
            fetching.outcome = Outcome::Whole { bytes: content.len() };
            trace::answered(&fetching.span, http::StatusCode::OK);
            Ok(match room.lease {
                Some(lease) => lease.with(content),
                None => content,
            })
        }
        Err(error) => {
            fetching.outcome = Outcome::Failed(error.name());
            if let Some(status) = error.status() {
                trace::answered(&fetching.span, status);
            }
            Err(Failed { error, refused: room.refused })
        }
    }
}

// === impl Room ===

impl Room {
    /// Takes room for so many bytes, before they are there.
    fn take(&mut self, bytes: usize) -> bool {
        let together = self.together.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let taken = if together > limits::FETCHED_BYTES_MAX {
            Err(error::too_much_fetched())
        } else {
            self.lease.as_mut().map_or(Ok(()), |lease| lease.grow(bytes))
        };
        self.refused = taken.err();
        self.refused.is_none()
    }
}

// === impl Fetching ===

impl Fetching {
    fn begin(call: &Call, target: &Target) -> Self {
        Self {
            span: trace::fetch_span(&call.span, target),
            metrics: call.metrics.clone(),
            begun: Instant::now(),
            outcome: Outcome::Failed("cancelled"),
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let duration = self.begun.elapsed();
        match self.outcome {
            Outcome::Whole { bytes } => {
                trace::end_fetch_span(&self.span, Ok(bytes));
                self.metrics.fetched(bytes, duration);
            }
            Outcome::Failed(error) => {
                trace::end_fetch_span(&self.span, Err(error));
                self.metrics.not_fetched(error);
            }
        }
    }
}
