//! Who goes first: requests that wait, and the standing that decides among those that wait and those that
//! run.
//!
//! Interactive requests go before those of a batch, and of each kind the one that came first. Nobody waits
//! for ever: a request that [`OVERTAKEN_MAX`] younger ones were started before stands with the interactive
//! ones from then on, and was there before most of them. There is no clock in this.

use std::collections::BTreeMap;

use crate::engine::Priority;
use crate::engine::scheduler::{Demand, SeqId};

/// Younger requests that may start before one of a batch.
pub(super) const OVERTAKEN_MAX: u32 = 16;

/// One request's place in the order; the least is the most senior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    rank: Rank,
    id: SeqId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    First,
    /// Of a batch, and overtaken so many times.
    Batch,
}

/// A standing, and how it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seniority {
    id: SeqId,
    priority: Priority,
    overtaken: u32,
}

/// Requests that did not start yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<SeqId, Waiting>,
    changed: bool,
}

#[derive(Debug)]
struct Waiting {
    demand: Demand,
    seniority: Seniority,
}

// === impl Standing ===

impl Standing {
    /// Whether it is one of a batch that was not overtaken often enough.
    pub(super) fn is_batch(self) -> bool {
        self.rank == Rank::Batch
    }
}

// === impl Seniority ===

impl Seniority {
    fn new(demand: &Demand) -> Self {
        Self { id: demand.id, priority: demand.priority, overtaken: 0 }
    }

    pub(super) fn standing(self) -> Standing {
        let first = self.priority == Priority::Interactive || self.overtaken >= OVERTAKEN_MAX;
        Standing { rank: if first { Rank::First } else { Rank::Batch }, id: self.id }
    }

    /// `other` starts while this one waits.
    pub(super) fn is_passed_by(&mut self, other: SeqId) {
        if self.id < other {
            self.overtaken = self.overtaken.saturating_add(1);
        }
    }
}

// === impl Queue ===

impl Queue {
    pub(super) fn push(&mut self, demand: Demand) {
        let (id, seniority) = (demand.id, Seniority::new(&demand));
        self.waiting.insert(id, Waiting { demand, seniority });
        self.changed = true;
    }

    /// The most senior request; where `batch` is false, of those that are not of a batch.
    pub(super) fn next(&self, batch: bool) -> Option<(&Demand, Standing)> {
        let standings =
            self.waiting.values().map(|waiting| (&waiting.demand, waiting.seniority.standing()));
        standings
            .filter(|(_, standing)| batch || !standing.is_batch())
            .min_by_key(|(_, standing)| *standing)
    }

    pub(super) fn get(&self, id: SeqId) -> Option<&Demand> {
        self.waiting.get(&id).map(|waiting| &waiting.demand)
    }

    /// Takes out a request that starts. The others notice.
    pub(super) fn start(&mut self, id: SeqId) -> Option<(Demand, Seniority)> {
        let started = self.waiting.remove(&id)?;
        self.changed = true;
        for waiting in self.waiting.values_mut() {
            waiting.seniority.is_passed_by(id);
        }
        Some((started.demand, started.seniority))
    }

    /// Takes out a request that ended.
    pub(super) fn remove(&mut self, id: SeqId) {
        self.changed |= self.waiting.remove(&id).is_some();
    }

    /// The waiting requests, next one first, if they changed since the last call.
    pub(super) fn changed(&mut self) -> Option<Vec<SeqId>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut order: Vec<Standing> =
            self.waiting.values().map(|waiting| waiting.seniority.standing()).collect();
        order.sort_unstable();
        Some(order.into_iter().map(|standing| standing.id).collect())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
