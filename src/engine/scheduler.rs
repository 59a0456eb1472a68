//! Decides, once per step, which sequences run and how far. Pure: ids and integers, no clock, no
//! tensor, no channel.
//!
//! Requests start in the order they came. Every step takes each decoding sequence one choice further
//! and, beside them, at most `prefill_chunk_tokens` of the prompts that are being taken in, oldest
//! first: a long prompt is cut into chunks and never holds up a running answer. Pages are encoded
//! in chunks between steps, for the same reason.
//!
//! A request starts when there is a slot for it, and KV blocks for its prompt and its longest answer: once
//! started, it cannot run out of them.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::blocks::BlockPool;
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::model::Slot;

/// Names a request inside the engine; grows with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SeqId(pub(super) u64);

/// The bounds that the scheduler keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) slots: usize,
    pub(super) kv_blocks: usize,
    pub(super) block_tokens: usize,
    pub(super) prefill_chunk_tokens: usize,
    pub(super) vision_chunk_tiles: usize,
}

/// The integers of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) id: SeqId,
    pub(super) prompt_tokens: usize,
    /// Most tokens of the answer; at least 1.
    pub(super) output_tokens_max: usize,
    pub(super) tiles: usize,
}

/// Tiles to encode next for one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encode {
    pub(super) id: SeqId,
    pub(super) slot: Slot,
    pub(super) first: usize,
    pub(super) tiles: usize,
}

/// Tokens of one sequence in the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) id: SeqId,
    pub(super) slot: Slot,
    /// Position of the first token in the sequence.
    pub(super) start: usize,
    pub(super) tokens: usize,
    /// Of the prompt; otherwise they are the token chosen last and those that it forced.
    pub(super) prefill: bool,
    /// A token is chosen after this step.
    pub(super) wants_logits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Vision { encoded: usize },
    Prefill,
    Decode { paused: bool },
}

#[derive(Debug)]
struct Running {
    demand: Demand,
    slot: Slot,
    /// KV blocks in order.
    blocks: Vec<u32>,
    stage: Stage,
    /// Tokens that the blocks hold.
    held: usize,
    /// Tokens of the answer that the blocks do not hold yet.
    pending: usize,
}

/// Who waits, who runs, and who owns which slot.
#[derive(Debug)]
pub(super) struct Scheduler {
    bounds: Bounds,
    waiting: VecDeque<Demand>,
    /// In the order of their arrival, which is that of their start.
    running: BTreeMap<SeqId, Running>,
    free: Vec<Slot>,
    pool: BlockPool,
    queue_changed: bool,
}

// === impl Scheduler ===

impl Scheduler {
    pub(super) fn new(bounds: Bounds) -> Self {
        // Taken from the end: the lowest slot first, so that few requests stay in few slots.
        let free = (0..bounds.slots as u32).rev().map(Slot).collect();
        Self {
            bounds,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            free,
            pool: BlockPool::new(bounds.kv_blocks, bounds.block_tokens),
            queue_changed: false,
        }
    }

    pub(super) fn enqueue(&mut self, demand: Demand) {
        self.waiting.push_back(demand);
        self.queue_changed = true;
    }

    /// Gives free slots and KV blocks to the requests that wait longest. One that has no room yet is not
    /// overtaken.
    pub(super) fn start_waiting(&mut self) -> Vec<(SeqId, Slot)> {
        let mut started = Vec::new();
        while let Some(demand) = self.waiting.front().copied()
            && !self.free.is_empty()
            && let Some(blocks) = self.pool.take(self.pool.blocks_for(demand.tokens_max()))
            && let Some(slot) = self.free.pop()
        {
            self.waiting.pop_front();
            self.check_unowned(slot);
            let stage =
                if demand.tiles > 0 { Stage::Vision { encoded: 0 } } else { Stage::Prefill };
            let running = Running { demand, slot, blocks, stage, held: 0, pending: 1 };
            self.running.insert(demand.id, running);
            self.queue_changed = true;
            started.push((demand.id, slot));
        }
        self.check_slots();
        started
    }

    /// Which tiles to encode before the next step.
    pub(super) fn plan_vision(&self) -> Vec<Encode> {
        let mut budget = self.bounds.vision_chunk_tiles;
        let mut plan = Vec::new();
        for running in self.running.values() {
            let Stage::Vision { encoded } = running.stage else { continue };
            let tiles = budget.min(running.demand.tiles - encoded);
            if tiles > 0 {
                let Running { demand, slot, .. } = running;
                plan.push(Encode { id: demand.id, slot: *slot, first: encoded, tiles });
                budget -= tiles;
            }
        }
        plan
    }

    /// The tiles of `encode` are encoded.
    pub(super) fn encoded(&mut self, encode: &Encode) {
        let Some(running) = self.find(encode.id) else { return };
        let encoded = encode.first + encode.tiles;
        running.stage =
            if encoded < running.demand.tiles { Stage::Vision { encoded } } else { Stage::Prefill };
    }

    /// What the next step takes in; empty where there is nothing to do.
    pub(super) fn plan_step(&self) -> Vec<Planned> {
        let mut plan: Vec<Planned> = self.running.values().filter_map(Running::decode).collect();
        let mut budget = self.bounds.prefill_chunk_tokens;
        for running in self.running.values() {
            if let Some(planned) = running.prefill(budget) {
                budget -= planned.tokens;
                plan.push(planned);
            }
        }
        plan
    }

    /// The KV blocks of a sequence that runs, in order.
    pub(super) fn blocks(&self, id: SeqId) -> &[u32] {
        self.running.get(&id).map_or(&[], |running| &running.blocks)
    }

    /// The tokens of `planned` are in the KV cache.
    pub(super) fn stepped(&mut self, planned: &Planned) {
        let block_tokens = self.bounds.block_tokens;
        let Some(running) = self.find(planned.id) else { return };
        check_invariant!(
            InvariantId::PositionsGapless,
            running.held == planned.start,
            "{:?} holds {} tokens and got one at {}",
            planned.id,
            running.held,
            planned.start
        );
        running.held = planned.start + planned.tokens;
        check_invariant!(
            InvariantId::BlocksForTokens,
            running.held <= running.blocks.len() * block_tokens,
            "{:?} holds {} tokens in {} KV blocks",
            planned.id,
            running.held,
            running.blocks.len()
        );
        if planned.prefill && running.held == running.demand.prompt_tokens {
            running.stage = Stage::Decode { paused: false };
        }
    }

    /// So many tokens of the answer are to be taken in next.
    pub(super) fn expect(&mut self, id: SeqId, tokens: usize) {
        if let Some(running) = self.find(id) {
            running.pending = tokens;
        }
    }

    /// Keeps a decoding sequence out of the next steps, or lets it in again.
    pub(super) fn set_paused(&mut self, id: SeqId, pause: bool) {
        if let Some(Running { stage: Stage::Decode { paused }, .. }) = self.find(id) {
            *paused = pause;
        }
    }

    /// Forgets a request that ended, at whatever stage. Returns the slot that it gave up.
    pub(super) fn remove(&mut self, id: SeqId) -> Option<Slot> {
        if let Some(Running { slot, blocks, .. }) = self.running.remove(&id) {
            self.free.push(slot);
            self.pool.release(&blocks);
            self.check_slots();
            return Some(slot);
        }
        if let Some(at) = self.waiting.iter().position(|demand| demand.id == id) {
            self.waiting.remove(at);
            self.queue_changed = true;
        }
        None
    }

    /// The waiting requests, next one first, if they changed since the last call.
    pub(super) fn changed_queue(&mut self) -> Option<impl Iterator<Item = SeqId>> {
        std::mem::take(&mut self.queue_changed).then(|| self.waiting.iter().map(|demand| demand.id))
    }

    /// Tokens that the KV cache holds for sequences.
    #[cfg(test)]
    pub(super) fn tokens_held(&self) -> usize {
        self.running.values().map(|running| running.held).sum()
    }

    /// KV blocks that sequences own, and all.
    pub(super) fn kv_blocks(&self) -> (usize, usize) {
        let total = self.pool.total();
        (total - self.pool.available(), total)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    fn find(&mut self, id: SeqId) -> Option<&mut Running> {
        self.running.get_mut(&id)
    }

    fn check_unowned(&self, slot: Slot) {
        check_invariant!(
            InvariantId::SlotOwnedOnce,
            self.running.values().all(|running| running.slot != slot),
            "{slot:?} is given away a second time"
        );
    }

    fn check_slots(&self) {
        let (owned, free) = (self.running.len(), self.free.len());
        check_invariant!(
            InvariantId::SlotsConserved,
            owned + free == self.bounds.slots,
            "{owned} owned and {free} free of {}",
            self.bounds.slots
        );
        self.pool.check();
    }
}

// === impl Demand ===

impl Demand {
    /// The last token of an answer is never taken in.
    fn tokens_max(&self) -> usize {
        self.prompt_tokens + self.output_tokens_max - 1
    }
}

// === impl Planned ===

impl Planned {
    /// The same tokens in two passes, one after the other.
    pub(super) fn halves(self) -> (Self, Self) {
        let tokens = self.tokens / 2;
        let first = Self { tokens, wants_logits: false, ..self };
        let second = Self { start: self.start + tokens, tokens: self.tokens - tokens, ..self };
        (first, second)
    }
}

// === impl Running ===

impl Running {
    fn decode(&self) -> Option<Planned> {
        (self.stage == Stage::Decode { paused: false }).then_some(Planned {
            id: self.demand.id,
            slot: self.slot,
            start: self.held,
            tokens: self.pending,
            prefill: false,
            wants_logits: true,
        })
    }

    /// As much of the prompt as `budget` allows.
    fn prefill(&self, budget: usize) -> Option<Planned> {
        if self.stage != Stage::Prefill {
            return None;
        }
        let left = self.demand.prompt_tokens - self.held;
        let tokens = left.min(budget);
        (tokens > 0).then_some(Planned {
            id: self.demand.id,
            slot: self.slot,
            start: self.held,
            tokens,
            prefill: true,
            wants_logits: tokens == left,
        })
    }
}
