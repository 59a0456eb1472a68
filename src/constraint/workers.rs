//! Threads for what grammars need, beside those that compute the model: a pass that waits for a mask must not
//! hold the thread that would compute it.

use std::fmt;
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

/// So many masks are handed over together: waking a thread takes longer than a choice.
const TOGETHER: usize = 16;

/// Items for which another thread is woken: to wake it takes as long as a few of them.
const ITEMS_OF_A_THREAD: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

/// Masks that were begun and that no thread has yet. They are handed over as they become many, and when this is
/// dropped.
#[derive(Default)]
pub struct Begun(Vec<Work>);

// === impl Begun ===

impl Begun {
    pub(super) fn push(&mut self, work: impl FnOnce() + Send + 'static) {
        self.0.push(Box::new(work));
        if self.0.len() == TOGETHER {
            self.hand_over();
        }
    }

    /// Takes over what was begun elsewhere.
    pub fn append(&mut self, other: &mut Self) {
        for work in other.0.drain(..) {
            self.0.push(work);
            if self.0.len() == TOGETHER {
                self.hand_over();
            }
        }
    }

    fn hand_over(&mut self) {
        let mut all = std::mem::take(&mut self.0);
        let Some(last) = all.pop() else { return };
        spawn(move || {
            for work in all {
                // From a thread of the pool: the others help themselves.
                rayon::spawn(work);
            }
            last();
        });
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.hand_over();
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Begun").field(&self.0.len()).finish()
    }
}

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
