//! Whether the step thread moves: when its present turn began, for a watchdog. A hung driver raises no
//! error; all that can be seen is that a turn does not end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two turns there is nothing to wait for.
const IDLE: u64 = u64::MAX;

/// Written by the step thread at each turn, read by whoever watches.
#[derive(Debug)]
pub(super) struct Pulse {
    epoch: Instant,
    turn_began_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { epoch: Instant::now(), turn_began_ms: AtomicU64::new(IDLE) }
    }
}

impl Pulse {
    pub(super) fn turn_begins(&self) {
        self.turn_began_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    pub(super) fn turn_ended(&self) {
        self.turn_began_ms.store(IDLE, Ordering::Relaxed);
    }

    /// How long the present turn has run.
    pub(super) fn busy_for(&self) -> Duration {
        match self.turn_began_ms.load(Ordering::Relaxed) {
            IDLE => Duration::ZERO,
            began => Duration::from_millis(self.now_ms().saturating_sub(began)),
        }
    }

    fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }
}
