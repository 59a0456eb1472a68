//! Threads for what grammars need, beside those that compute the model: a pass that waits for a mask must not
//! hold the thread that would compute it.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::vec;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::limits;

/// None where threads cannot be started: work is then done at once.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let pool = ThreadPoolBuilder::new()
        // One core is left to the thread that waits for them.
        .num_threads(cores.saturating_sub(1).clamp(1, limits::MASK_THREADS_MAX))
        .thread_name(|index| format!("masks-{index}"))
        // What was lost says so by itself; without a handler the process would end.
        .panic_handler(|_| tracing::error!("a thread that computes masks panicked"))
        .build();
    pool.inspect_err(|error| tracing::error!(%error, "no threads for masks")).ok()
});

/// Items for which another thread is woken: to wake it takes as long as a few of them.
const ITEMS_OF_A_THREAD: usize = 4;

/// Items that several threads help themselves to.
struct Shared<T> {
    waiting: Mutex<vec::IntoIter<T>>,
    work: fn(&mut T),
}

/// Does `work` for each of `items`, on this thread and on others beside it, and gives them back in some order. An
/// item whose work panics comes back as the panic left it.
pub fn each<T: Send + 'static>(items: Vec<T>, work: fn(&mut T)) -> Vec<T> {
    let helpers = items.len() / ITEMS_OF_A_THREAD;
    let threads = POOL.as_ref().map_or(0, ThreadPool::current_num_threads).min(helpers);
    let count = items.len();
    let mut done = Vec::with_capacity(count);
    let shared = Arc::new(Shared { waiting: Mutex::new(items.into_iter()), work });
    if threads == 0 {
        done.extend(std::iter::from_fn(|| shared.next()));
        return done;
    }
    let (sender, receiver) = channel();
    let others = Arc::clone(&shared);
    spawn(move || {
        // From a thread of the pool: the others are woken without the step waiting for it.
        for _ in 1..threads {
            let (shared, sender) = (Arc::clone(&others), sender.clone());
            rayon::spawn(move || shared.send_all(&sender));
        }
        others.send_all(&sender);
    });
    // Those who come late find nothing: only what somebody has begun is waited for.
    done.extend(std::iter::from_fn(|| shared.next()));
    let outstanding = count - done.len();
    done.extend(receiver.iter().take(outstanding));
    done
}

// === impl Shared ===

impl<T> Shared<T> {
    /// The next item that nobody has, done.
    fn next(&self) -> Option<T> {
        let mut item = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        if catch_unwind(AssertUnwindSafe(|| (self.work)(&mut item))).is_err() {
            tracing::error!("a thread that holds answers to grammars panicked");
        }
        Some(item)
    }

    fn send_all(&self, sender: &Sender<T>) {
        while let Some(item) = self.next() {
            // Whoever called waits for it.
            if sender.send(item).is_err() {
                return;
            }
        }
    }
}

/// Does `work` for each of `items`, all on other threads: one of them is woken, and wakes the others. An item whose work
/// panics is dropped there.
pub(super) fn give<T: Send + 'static>(items: Vec<T>, work: fn(T)) {
    if items.is_empty() {
        return;
    }
    spawn(move || {
        let threads = POOL.as_ref().map_or(1, ThreadPool::current_num_threads).min(items.len());
        let waiting = Arc::new(Mutex::new(items.into_iter()));
        for _ in 1..threads {
            let waiting = Arc::clone(&waiting);
            rayon::spawn(move || do_all(&waiting, work));
        }
        do_all(&waiting, work);
    });
}

fn do_all<T>(waiting: &Mutex<vec::IntoIter<T>>, work: fn(T)) {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    for item in std::iter::from_fn(next) {
        if catch_unwind(AssertUnwindSafe(|| work(item))).is_err() {
            tracing::error!("a thread that computes masks panicked");
        }
    }
}

/// Does `work` on another thread.
pub(super) fn spawn(work: impl FnOnce() + Send + 'static) {
    match &*POOL {
        Some(pool) => pool.spawn(work),
        None => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once_and_comes_back() {
        for count in [0, 1, 3, 4, 64, 1000] {
            let items: Vec<(usize, usize)> = (0..count).map(|index| (index, 0)).collect();
            let mut done = each(items, |(index, times)| *times += 1 + *index);
            done.sort_unstable();
            let expected: Vec<(usize, usize)> =
                (0..count).map(|index| (index, 1 + index)).collect();
            assert_eq!(done, expected);
        }
    }

    #[test]
    fn each_that_is_given_away_is_done_once() {
        let (sender, receiver) = std::sync::mpsc::channel();
        for count in [0, 1, 3, 200] {
            let items = (0..count).map(|index| (index, sender.clone())).collect();
            give(items, |(index, sender)| {
                assert_ne!(index, 100);
                sender.send(index).unwrap();
            });
            let expected: Vec<usize> = (0..count).filter(|index| *index != 100).collect();
            let mut done: Vec<usize> = receiver.iter().take(expected.len()).collect();
            done.sort_unstable();
            assert_eq!(done, expected);
        }
    }

    #[test]
    fn one_that_panics_comes_back_too() {
        let mut done = each((0..100).collect(), |item: &mut usize| {
            assert_ne!(*item, 42);
            *item += 1000;
        });
        done.sort_unstable();
        let expected: Vec<usize> =
            std::iter::once(42).chain((1000..1100).filter(|item| *item != 1042)).collect();
        assert_eq!(done, expected);
    }
}
