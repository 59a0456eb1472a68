//! The pool's threads, kept awake while a pass runs: to wake one takes as long as many of a pass's parts.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long threads look for work in vain before they sleep all the same.
const PATIENCE: Duration = Duration::from_micros(300);

/// How long a thread looks for work before it goes back to what it was at: it may wait for a part of another pass, and come here
/// meanwhile.
const TURN: Duration = Duration::from_micros(20);

/// Threads that are kept awake: small parts are cut for few.
const AWAKE_MAX: usize = 3;

thread_local! {
    /// Turns in which this thread found no work.
    static IDLE_TURNS: Cell<u64> = const { Cell::new(0) };
}

/// Ends the others' wait, however the pass ends.
struct Pass(Arc<AtomicBool>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `work` on a thread of the pool, where no part of it is handed over from outside, while others look for its parts.
pub(in crate::model) fn on_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| {
        let is_over = Arc::new(AtomicBool::new(false));
        let _pass = Pass(Arc::clone(&is_over));
        for _ in 1..rayon::current_num_threads().min(AWAKE_MAX + 1) {
            let companion = Companion { is_over: Arc::clone(&is_over), since: Instant::now() };
            rayon::spawn(move || companion.turn());
        }
        work()
    })
}

/// Keeps one thread awake, whichever has it at the moment.
struct Companion {
    is_over: Arc<AtomicBool>,
    /// When there was work for it last.
    since: Instant,
}

impl Companion {
    /// Does a part of a pass, or finds none for a while; then it waits among the pool's work for its next turn. It never stays,
    /// as the thread may be one that has come here while it waits.
    fn turn(mut self) {
        let begun = Instant::now();
        let mut is_idle = true;
        while !self.is_over.load(Ordering::Acquire) {
            let before = IDLE_TURNS.get();
            let has_done = rayon::yield_now() == Some(Yield::Executed);
            // Another companion's idle turn is no work.
            if has_done && IDLE_TURNS.get() == before {
                self.since = Instant::now();
                is_idle = false;
                break;
            }
            if has_done || begun.elapsed() > TURN {
                break;
            }
            std::thread::yield_now();
        }
        IDLE_TURNS.set(IDLE_TURNS.get() + u64::from(is_idle));
        if !self.is_over.load(Ordering::Acquire) && self.since.elapsed() < PATIENCE {
            rayon::spawn(move || self.turn());
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn passes_end_whatever_is_under_way() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..50_u64 {
                        let sum = on_pool(|| {
                            let parts = (0..20).map(|_| (0..1000_u64).into_par_iter().sum::<u64>());
                            parts.sum::<u64>() + turn
                        });
                        assert_eq!(sum, 20 * 499_500 + turn);
                    }
                });
            }
        });
    }

    #[test]
    fn a_pass_that_panics_is_over() {
        let panicked = std::panic::catch_unwind(|| on_pool(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(on_pool(|| 7), 7);
    }
}
