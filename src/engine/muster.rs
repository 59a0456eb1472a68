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
    /// One of them cannot serve, so none does.
    failed: bool,
    /// All of them were warm, and requests were turned to them.
    serving: bool,
    /// Replicas whose thread has not ended.
    alive: usize,
}

/// What it means that one of them cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// None of them will serve.
    OfTheModel,
    /// None of them would have served anyway.
    Known,
    /// Requests are being served by them.
    OfTheServer,
}

// === impl Muster ===

impl Muster {
    pub(super) fn new(replicas: usize) -> Self {
        let state = State {
            arrived: (0..replicas).map(|_| None).collect(),
            failed: false,
            serving: false,
            alive: replicas,
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn replicas(&self) -> usize {
        self.lock().arrived.len()
    }

    /// Replica number `replica` is warm. The last one of them turns requests to all by `turn`, which says whether
    /// there is still somebody to serve. Says whether this one has something to wait for.
    pub(super) fn arrives(
        &self,
        replica: usize,
        served: Served,
        bell: Bell,
        turn: impl FnOnce(Served, Generation) -> bool,
    ) -> bool {
        let mut state = self.lock();
        if state.failed {
            return false;
        }
        if let Some(place) = state.arrived.get_mut(replica) {
            *place = Some((served, bell));
        }
        if state.arrived.iter().any(Option::is_none) {
            return true;
        }
        let all: Vec<(Served, Bell)> = state.arrived.iter_mut().filter_map(Option::take).collect();
        // Under the lock: one that dies meanwhile finds them serving, or not, and nothing between.
        state.serving = together(all).is_some_and(|(served, all)| turn(served, all));
        state.serving
    }

    /// One of them cannot serve: not loaded, or dead. Where none serves yet the others end.
    pub(super) fn loses(&self) -> Loss {
        let mut state = self.lock();
        if state.serving {
            return Loss::OfTheServer;
        }
        if std::mem::replace(&mut state.failed, true) {
            return Loss::Known;
        }
        for (_, bell) in state.arrived.iter_mut().filter_map(Option::take) {
            bell.retire();
        }
        Loss::OfTheModel
    }

    /// The thread of one of them ends, or never began. Says whether it was the last of a model that served.
    pub(super) fn leaves(&self) -> bool {
        let mut state = self.lock();
        state.alive = state.alive.saturating_sub(1);
        state.alive == 0 && state.serving
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be half done: a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them as one model.
fn together(all: Vec<(Served, Bell)>) -> Option<(Served, Generation)> {
    let specs: Vec<Arc<ModelSpec>> =
        all.iter().map(|(served, _)| Arc::clone(&served.spec)).collect();
    let (served, bells): (Vec<Served>, Vec<Bell>) = all.into_iter().unzip();
    let first = served.into_iter().next()?;
    let together = if let [one] = &specs[..] {
        Arc::clone(one)
    } else {
        Arc::new(ModelSpec::of_replicas(&specs))
    };
    let served = Served { spec: together, ..first };
    Some((served.clone(), Generation::new(served, bells)))
}
