//! Keeps the published [`Status`] and counts requests into it: the one place that knows how many
//! there are, and so the one that refuses the next.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::counters::Counters;
use crate::engine::generation::Served;
use crate::engine::pulse::Pulse;
use crate::engine::{Config, Load, ModelState, Reject, Reload, ReloadRefused, ReloadState, Status};

/// When to try a loading server again.
const RETRY_LOADING: Duration = Duration::from_secs(5);
/// When to try again while this server drains: at once, another one answers.
const RETRY_DRAINING: Duration = Duration::from_secs(1);
const RETRY_QUEUE_MIN: Duration = Duration::from_secs(1);
const RETRY_QUEUE_MAX: Duration = Duration::from_mins(1);
/// One of this many parts of the mean is the newest request.
const HELD_MEAN_PARTS: u64 = 8;

/// What the engine says of itself.
#[derive(Debug)]
pub(super) struct Board {
    status: watch::Sender<Status>,
    queued_max: usize,
    queued_tokens_max: usize,
    pub(super) counters: Counters,
    /// Moving mean of how long requests keep their slot.
    held_mean_ms: AtomicU64,
    /// Of the step threads that live.
    pulses: Mutex<Vec<Weak<Pulse>>>,
}

/// One request that was taken; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    board: Arc<Board>,
    stage: Stage,
    /// Another request of its call was before it.
    follows: bool,
    /// Open requests of the replica that has it.
    replica: Option<Arc<AtomicUsize>>,
    /// Of its prompt, once that is known.
    tokens: usize,
}

/// How far a request is, as the load counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The one before it is not over yet.
    Following,
    Queued,
    Running,
}

// === impl Board ===

impl Board {
    pub(super) fn new(config: &Config) -> Self {
        let status = Status {
            state: ModelState::Loading,
            message: String::new(),
            spec: None,
            tiles_per_page_max: None,
            calibration: None,
            load: Load::default(),
            reload: None,
        };
        Self {
            status: watch::Sender::new(status),
            queued_max: config.queued_max,
            queued_tokens_max: config.queued_tokens_max,
            counters: Counters::default(),
            held_mean_ms: AtomicU64::new(0),
            pulses: Mutex::default(),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The pulse of one more step thread.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse::default());
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.retain(|pulse| pulse.strong_count() > 0);
        pulses.push(Arc::downgrade(&pulse));
        pulse
    }

    /// The longest turn that runs now.
    pub(super) fn busy_for(&self) -> Duration {
        let pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = pulses.iter().filter_map(|pulse| Some(pulse.upgrade()?.busy_for()));
        busy.max().unwrap_or_default()
    }

    /// Counts one more request, or says why not.
    pub(super) fn take(self: &Arc<Self>) -> Result<Ticket, Reject> {
        let mut refused = None;
        self.status.send_if_modified(|status| {
            refused = self.refusal(status);
            let taken = refused.is_none();
            status.load.queued += usize::from(taken);
            taken
        });
        match refused {
            Some(reject) => Err(reject),
            None => Ok(self.ticket(Stage::Queued)),
        }
    }

    /// Counts a request that is to follow one that was taken just now. It is refused no more, so that what was
    /// begun can end: while the server drains too, and however many wait by then.
    pub(super) fn follow(self: &Arc<Self>) -> Ticket {
        self.status.send_modify(|status| status.load.following += 1);
        self.ticket(Stage::Following)
    }

    fn ticket(self: &Arc<Self>, stage: Stage) -> Ticket {
        let follows = stage == Stage::Following;
        Ticket { board: Arc::clone(self), stage, follows, replica: None, tokens: 0 }
    }

    /// Whether a request waits that has no slot yet, wherever it is: it may be among those of the next step.
    pub(super) fn has_waiting(&self) -> bool {
        self.status.borrow().load.queued > 0
    }

    /// Why a request would not be taken now.
    pub(super) fn refuses(&self) -> Option<Reject> {
        self.refusal(&self.status.borrow())
    }

    fn refusal(&self, status: &Status) -> Option<Reject> {
        let message = || status.message.clone();
        match status.state {
            ModelState::Loading => {
                Some(Reject::Loading { message: message(), retry_after: RETRY_LOADING })
            }
            ModelState::Draining => Some(Reject::Draining { retry_after: RETRY_DRAINING }),
            ModelState::Poisoned => Some(Reject::Poisoned { message: message() }),
            ModelState::Failed => Some(Reject::Failed { message: message() }),
            ModelState::Ready | ModelState::Leaving => {
                let Load { running, queued, .. } = status.load;
                let slots = slots(status);
                // Free slots count: a request on its way to one does not wait.
                if running + queued >= slots + self.queued_max {
                    let retry_after = self.retry_after(queued, slots);
                    return Some(Reject::QueueFull { queued, retry_after });
                }
                // How many tokens the next one has is not known yet, but it has some.
                self.too_many_tokens(status, 1, running + queued >= slots)
            }
        }
    }

    /// Why a request with `tokens` in its prompt cannot wait with the others, where it `waits` at all.
    fn too_many_tokens(&self, status: &Status, tokens: usize, waits: bool) -> Option<Reject> {
        let Load { queued, queued_tokens, .. } = status.load;
        // The first one may be of any size, or it could never be taken.
        let is_refused = waits
            && queued_tokens > 0
            && queued_tokens.saturating_add(tokens) > self.queued_tokens_max;
        is_refused.then(|| Reject::QueueTokens {
            queued_tokens,
            queued_tokens_max: self.queued_tokens_max,
            retry_after: self.retry_after(queued, slots(status)),
        })
    }

    /// Why there is no model to submit to: all stops, or the first one has become ready just now.
    pub(super) fn no_model(&self) -> Reject {
        let loading =
            Reject::Loading { message: "ready in a moment".to_owned(), retry_after: RETRY_LOADING };
        self.refusal(&self.status.borrow()).unwrap_or(loading)
    }

    /// Roughly when the queue will have moved on by one request.
    fn retry_after(&self, queued: usize, slots: usize) -> Duration {
        let held_ms = self.held_mean_ms.load(Ordering::Relaxed);
        let wait_ms = held_ms * (queued as u64 + 1) / slots.max(1) as u64;
        Duration::from_millis(wait_ms).clamp(RETRY_QUEUE_MIN, RETRY_QUEUE_MAX)
    }

    /// A request kept its slot this long.
    pub(super) fn slot_was_held(&self, time: Duration) {
        let new = time.as_millis() as u64;
        let mean = self.held_mean_ms.load(Ordering::Relaxed);
        let mean =
            if mean == 0 { new } else { mean - mean / HELD_MEAN_PARTS + new / HELD_MEAN_PARTS };
        self.held_mean_ms.store(mean, Ordering::Relaxed);
    }

    pub(super) fn loading(&self, message: String) {
        self.status.send_if_modified(|status| {
            let changed = status.state == ModelState::Loading && status.message != message;
            if changed {
                status.message = message;
            }
            changed
        });
    }

    /// The model is known, but not warm yet.
    pub(super) fn loaded(&self, served: &Served) {
        self.status.send_modify(|status| status.shows(served));
    }

    /// Requests are taken from now on, unless the server drains already.
    pub(super) fn ready(&self, served: &Served) {
        self.status.send_modify(|status| {
            status.shows(served);
            status.message.clear();
            if status.state == ModelState::Loading {
                status.state = ModelState::Ready;
            }
        });
    }

    /// Counts one more exchange of the model, and says its number or why there is none now.
    pub(super) fn reload(&self) -> Result<u32, ReloadRefused> {
        let mut answer = Err(ReloadRefused::Stopping);
        self.status.send_if_modified(|status| {
            answer = may_reload(status);
            if let Ok(number) = answer {
                let (state, message) = (ReloadState::Loading, String::new());
                status.reload = Some(Reload { number, state, message });
            }
            answer.is_ok()
        });
        answer
    }

    /// How far exchange `number` is, for people; nothing where it is over, though some of its replicas still load.
    pub(super) fn reloading(&self, number: u32, message: String) {
        self.status.send_if_modified(|status| {
            let reload = status.reload.as_mut();
            let loads = |reload: &&mut Reload| {
                (reload.number, reload.state) == (number, ReloadState::Loading)
            };
            reload.filter(loads).is_some_and(|reload| {
                let changes = reload.message != message;
                reload.message = message;
                changes
            })
        });
    }

    /// The new model takes requests; the one before has some to finish.
    pub(super) fn switched(&self, number: u32, served: &Served) {
        self.status.send_modify(|status| status.shows(served));
        self.reload_is(number, ReloadState::Draining, String::new());
    }

    /// The model before the present one is gone.
    pub(super) fn drained(&self) {
        self.status.send_if_modified(|status| {
            let reload = status.reload.as_mut();
            let reload = reload.filter(|reload| reload.state == ReloadState::Draining);
            reload.map(|reload| reload.state = ReloadState::Done).is_some()
        });
    }

    /// The model stays as it was.
    pub(super) fn not_reloaded(&self, number: u32, why: String) {
        self.reload_is(number, ReloadState::Failed, why);
    }

    fn reload_is(&self, number: u32, state: ReloadState, message: String) {
        let now = Reload { number, state, message };
        self.status.send_if_modified(|status| status.reload.replace(now.clone()) != Some(now));
    }

    /// Requests are still taken, but not for long.
    pub(super) fn leaving(&self) {
        self.status.send_if_modified(|status| {
            let changes = status.state == ModelState::Ready;
            if changes {
                status.state = ModelState::Leaving;
            }
            changes
        });
    }

    pub(super) fn draining(&self) {
        self.status.send_if_modified(|status| {
            let changes = !matches!(status.state, ModelState::Draining | ModelState::Failed);
            if changes {
                status.state = ModelState::Draining;
            }
            changes
        });
    }

    /// No more requests are taken, and none will be: a model that was wrong several times in a row is
    /// not asked again to see whether it is better now. A drain has said so already.
    pub(super) fn poisoned(&self, message: String) {
        self.status.send_if_modified(|status| {
            let changes = matches!(status.state, ModelState::Ready | ModelState::Leaving);
            if changes {
                status.state = ModelState::Poisoned;
                status.message = message;
            }
            changes
        });
    }

    pub(super) fn failed(&self, message: String) {
        self.status.send_modify(|status| {
            status.state = ModelState::Failed;
            status.message = message;
        });
    }

    /// Some replica uses more or less of its KV cache. In percent, so that not every step is a change.
    pub(super) fn kv_changed(&self) {
        let pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, all) = pulses
            .iter()
            .filter_map(Weak::upgrade)
            .map(|pulse| pulse.kv_blocks())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        drop(pulses);
        let share = (used as f64 / all.max(1) as f64 * 100.0).round() / 100.0;
        self.status.send_if_modified(|status| {
            let changed = (status.load.kv_utilization - share).abs() > f64::EPSILON;
            status.load.kv_utilization = share;
            changed
        });
    }
}

fn slots(status: &Status) -> usize {
    status.spec.as_ref().map_or(0, |spec| spec.slots)
}

fn may_reload(status: &Status) -> Result<u32, ReloadRefused> {
    let message = || status.message.clone();
    match status.state {
        ModelState::Ready => {}
        ModelState::Loading => return Err(ReloadRefused::Loading),
        ModelState::Leaving | ModelState::Draining => return Err(ReloadRefused::Stopping),
        ModelState::Poisoned | ModelState::Failed => {
            return Err(ReloadRefused::Failed { message: message() });
        }
    }
    match &status.reload {
        None => Ok(1),
        Some(Reload { number, state: ReloadState::Done | ReloadState::Failed, .. }) => {
            Ok(number.saturating_add(1))
        }
        Some(Reload { number, .. }) => Err(ReloadRefused::Busy { number: *number }),
    }
}

// === impl Ticket ===

impl Ticket {
    /// It counts among the `open` requests of one replica from now on.
    pub(super) fn is_for(&mut self, open: Arc<AtomicUsize>) {
        open.fetch_add(1, Ordering::Relaxed);
        self.replica = Some(open);
    }

    /// The request that it is to follow is over: it waits like any other from now on.
    pub(super) fn enqueue(&mut self) {
        if self.stage == Stage::Following {
            self.stage = Stage::Queued;
            self.board.status.send_modify(|status| {
                status.load.following -= 1;
                status.load.queued += 1;
            });
        }
    }

    /// The request's prompt has so many tokens: counts them while it waits, or says why they are too many.
    pub(super) fn weigh(&mut self, tokens: usize) -> Result<(), Reject> {
        let board = Arc::clone(&self.board);
        let mut refused = None;
        board.status.send_if_modified(|status| {
            let Load { running, queued, .. } = status.load;
            // It is one of those that are queued.
            let waits = running + queued > slots(status) && !self.follows;
            refused = board.too_many_tokens(status, tokens, waits);
            let counts = refused.is_none() && self.stage == Stage::Queued;
            if counts {
                self.tokens = tokens;
                status.load.queued_tokens += tokens;
            }
            counts
        });
        refused.map_or(Ok(()), Err)
    }

    /// The request has a slot now.
    pub(super) fn start(&mut self) {
        if self.stage == Stage::Queued {
            self.stage = Stage::Running;
            self.board.status.send_modify(|status| {
                status.load.queued -= 1;
                status.load.queued_tokens -= self.tokens;
                status.load.running += 1;
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(open) = &self.replica {
            open.fetch_sub(1, Ordering::Relaxed);
        }
        self.board.status.send_modify(|status| {
            let Load { running, queued, queued_tokens, following, .. } = &mut status.load;
            match self.stage {
                Stage::Following => *following = following.saturating_sub(1),
                Stage::Queued => {
                    *queued = queued.saturating_sub(1);
                    *queued_tokens = queued_tokens.saturating_sub(self.tokens);
                }
                Stage::Running => *running = running.saturating_sub(1),
            }
        });
    }
}
