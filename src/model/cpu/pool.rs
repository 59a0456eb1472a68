//! The pool's threads, kept awake while a pass runs: to wake one takes as long as many of a pass's parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread looks for work before it sleeps all the same.
const PATIENCE: Duration = Duration::from_micros(300);

/// Threads that are kept awake: small parts are cut for few.
const AWAKE_MAX: usize = 3;

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
        if let Some(own) = rayon::current_thread_index() {
            for _ in 1..rayon::current_num_threads().min(AWAKE_MAX + 1) {
                let is_over = Arc::clone(&is_over);
                rayon::spawn(move || {
                    // The pass's own thread comes here where it waits for a part, and must go on.
                    if rayon::current_thread_index() != Some(own) {
                        look_for_work(&is_over);
                    }
                });
            }
        }
        work()
    })
}

fn look_for_work(is_over: &AtomicBool) {
    let mut since = Instant::now();
    while !is_over.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(Yield::Executed) {
            since = Instant::now();
        } else if since.elapsed() > PATIENCE {
            return;
        } else {
            std::thread::yield_now();
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
