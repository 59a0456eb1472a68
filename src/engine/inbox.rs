//! What reaches the step thread: prepared requests, and the call to look at its requests again.
//!
//! Bounded by the tickets of [`Board`](super::board::Board): each sequence in here holds one.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::sequence::Sequence;

/// How long the step thread may wait for something to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// There is work.
    Not,
    /// Something is due then: a deadline, a slow reader.
    AtMost(Duration),
    UntilWoken,
}

/// What happened meanwhile.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) sequences: VecDeque<Sequence>,
    /// The thread is to end.
    pub(super) stop: bool,
    /// Nothing will arrive after this.
    pub(super) finished: bool,
}

/// The step thread's letter box.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sequences: VecDeque<Sequence>,
    /// A reader took or left something.
    woken: bool,
    stop: bool,
    feed: Feed,
    /// Nobody empties the box any more.
    closed: bool,
}

/// Whether more will come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Feed {
    #[default]
    Open,
    /// Another model takes the requests that come; some may be on their way here.
    Retired,
    /// Nothing comes any more.
    Finished,
}

// === impl Inbox ===

impl Inbox {
    /// Gives the sequence back where nobody would take it out.
    pub(super) fn push(&self, sequence: Sequence) -> Result<(), Box<Sequence>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(sequence));
        }
        state.sequences.push_back(sequence);
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    /// Another model takes the requests that come from now on.
    pub(super) fn retire(&self) {
        let mut state = self.lock();
        state.feed = state.feed.max(Feed::Retired);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().feed >= Feed::Retired
    }

    /// What is in here is all there will be.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.feed = Feed::Finished;
        state.woken = true;
        self.changed.notify_one();
    }

    pub(super) fn take(&self, wait: Wait) -> Arrived {
        let quiet = |state: &mut State| state.sequences.is_empty() && !state.woken && !state.stop;
        let state = self.lock();
        let mut state = match wait {
            Wait::Not => state,
            Wait::AtMost(time) => {
                self.changed
                    .wait_timeout_while(state, time, quiet)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            Wait::UntilWoken => {
                self.changed.wait_while(state, quiet).unwrap_or_else(PoisonError::into_inner)
            }
        };
        state.woken = false;
        let sequences = std::mem::take(&mut state.sequences);
        Arrived { sequences, stop: state.stop, finished: state.feed == Feed::Finished }
    }

    /// Takes nothing in from now on; returns what is still in here.
    pub(super) fn close(&self) -> VecDeque<Sequence> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.sequences)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be half done: a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
