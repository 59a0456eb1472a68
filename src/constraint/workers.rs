//! Threads for what grammars need, beside those that compute the model: a pass that waits for a mask must not
//! hold the thread that would compute it.

use std::fmt;
use std::num::NonZero;
use std::sync::LazyLock;

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

/// Does `work` on another thread.
pub(super) fn spawn(work: impl FnOnce() + Send + 'static) {
    match &*POOL {
        Some(pool) => pool.spawn(work),
        None => work(),
    }
}
