//! Where one request's time went.

use std::time::Instant;

use crate::engine::Timings;

/// When a request reached each station.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    pub(super) received: Instant,
    pub(super) submitted: Instant,
    pub(super) preparing: Instant,
    pub(super) prepared: Instant,
    /// It got a slot.
    pub(super) started: Option<Instant>,
    /// All its tiles are encoded.
    pub(super) encoded: Option<Instant>,
    pub(super) first_token: Option<Instant>,
}

impl Timeline {
    /// The times of a request that ends `now`. The phases do not overlap; `queue` is all waiting, for
    /// a thread that prepares and for a slot.
    pub(super) fn timings(&self, now: Instant) -> Timings {
        let started = self.started.unwrap_or(now);
        let encoded = self.encoded.unwrap_or(now);
        let first_token = self.first_token.unwrap_or(now);
        let waited = self.preparing.saturating_duration_since(self.submitted);
        Timings {
            queue: waited + started.saturating_duration_since(self.prepared),
            preprocess: self.prepared.saturating_duration_since(self.preparing),
            vision: encoded.saturating_duration_since(started),
            prefill: first_token.saturating_duration_since(encoded),
            decode: now.saturating_duration_since(first_token),
            time_to_first_token: first_token.saturating_duration_since(self.received),
            total: now.saturating_duration_since(self.received),
        }
    }
}
