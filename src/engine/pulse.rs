//! Whether the step thread moves: when its present turn began, for a watchdog. A hung driver raises no
//! error; all that can be seen is that a turn does not end.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Between two turns there is nothing to wait for.
const IDLE: u64 = u64::MAX;

/// Written by the step thread at each turn, read by whoever watches.
#[derive(Debug)]
pub(super) struct Pulse {
    epoch: Instant,
    turn_began_ms: AtomicU64,
    kv_blocks_used: AtomicUsize,
    kv_blocks: AtomicUsize,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            turn_began_ms: AtomicU64::new(IDLE),
            kv_blocks_used: AtomicUsize::new(0),
            kv_blocks: AtomicUsize::new(0),
        }
    }
}

impl Pulse {
    pub(super) fn turn_begins(&self) {
        self.turn_began_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    pub(super) fn turn_ended(&self) {
        self.turn_began_ms.store(IDLE, Ordering::Relaxed);
    }

    /// What the thread's requests use of its KV cache. Says whether that is a change.
    pub(super) fn holds(&self, used: usize, all: usize) -> bool {
        let before = self.kv_blocks_used.swap(used, Ordering::Relaxed);
        (before, self.kv_blocks.swap(all, Ordering::Relaxed)) != (used, all)
    }

    /// Used, and all there are.
    pub(super) fn kv_blocks(&self) -> (usize, usize) {
        (self.kv_blocks_used.load(Ordering::Relaxed), self.kv_blocks.load(Ordering::Relaxed))
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
