//! The time, as an argument: the loop asks a clock, so that tests can turn it.

use std::fmt;
use std::time::Instant;

/// Says what time it is.
pub(super) trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Instant;
}

/// The time of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until a test turns it.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct ManualClock(std::sync::Mutex<Instant>);

#[cfg(test)]
impl ManualClock {
    pub(super) fn new() -> Self {
        Self(std::sync::Mutex::new(Instant::now()))
    }

    pub(super) fn advance(&self, by: std::time::Duration) {
        *self.0.lock().unwrap() += by;
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}
