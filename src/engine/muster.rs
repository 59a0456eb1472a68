//! The replicas of one model while they load: none serves before all of them can.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::channel::Bell;
use crate::engine::generation::{Generation, Served};
use crate::model::ModelSpec;

/// Where the threads of a model's replicas meet.
#[derive(Debug)]
pub(super) struct Muster {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Those that are warm, by number.
    arrived: Vec<Option<(Served, Bell)>>,
    /// One of them cannot be loaded.
    failed: bool,
    /// Replicas whose thread has not ended.
    alive: usize,
}

/// What a replica that is warm finds.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Others still load.
    Early,
    /// It was the last one: this is all of them.
    Last(Served, Generation),
    /// Another one could not be loaded.
    InVain,
}

// === impl Muster ===

impl Muster {
    pub(super) fn new(replicas: usize) -> Self {
        let state = State {
            arrived: (0..replicas).map(|_| None).collect(),
            failed: false,
            alive: replicas,
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn replicas(&self) -> usize {
        self.lock().arrived.len()
    }

    /// Replica number `replica` is ready to serve.
    pub(super) fn arrives(&self, replica: usize, served: Served, bell: Bell) -> Arrival {
        let mut state = self.lock();
        if state.failed {
            return Arrival::InVain;
        }
        if let Some(place) = state.arrived.get_mut(replica) {
            *place = Some((served, bell));
        }
        if state.arrived.iter().any(Option::is_none) {
            return Arrival::Early;
        }
        let all: Vec<(Served, Bell)> = state.arrived.iter_mut().filter_map(Option::take).collect();
        let specs: Vec<Arc<ModelSpec>> =
            all.iter().map(|(served, _)| Arc::clone(&served.spec)).collect();
        let (served, bells): (Vec<Served>, Vec<Bell>) = all.into_iter().unzip();
        let Some(first) = served.into_iter().next() else { return Arrival::InVain };
        let together = if let [one] = &specs[..] {
            Arc::clone(one)
        } else {
            Arc::new(ModelSpec::of_replicas(&specs))
        };
        let served = Served { spec: together, ..first };
        Arrival::Last(served.clone(), Generation::new(served, bells))
    }

    /// One of them cannot be loaded, so none of them serves. Says whether that is news.
    pub(super) fn fails(&self) -> bool {
        let mut state = self.lock();
        let news = !state.failed;
        state.failed = true;
        for (_, bell) in state.arrived.iter_mut().filter_map(Option::take) {
            bell.retire();
        }
        news
    }

    /// The thread of one of them ends. Says whether it was the last.
    pub(super) fn leaves(&self) -> bool {
        let mut state = self.lock();
        state.alive = state.alive.saturating_sub(1);
        state.alive == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be half done: a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
