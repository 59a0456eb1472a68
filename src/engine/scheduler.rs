//! Decides, once per step, which sequences run and how far. Pure: ids and integers, no clock, no
//! tensor, no channel.
//!
//! Every step takes each decoding sequence one choice further and, beside them, at most
//! `prefill_chunk_tokens` of the prompts that are being taken in: a long prompt is cut into chunks and never
//! holds up a running answer. Pages are encoded in chunks between steps, for the same reason.
//!
//! A request starts when there is a slot for it, and KV blocks for its prompt. Blocks of its answer are taken
//! as it grows. Where there are none left, the most junior sequence gives up its own: it keeps its slot and
//! its image features, and takes its tokens in again, those of its answer too, when there is room. The most
//! senior one thus always moves on. Who is senior: [`queue`](super::queue).
//!
//! Several steps may be under way at once, each on another stage of a model that is spread over GPUs. A step
//! that was planned is [`launched`](Scheduler::launched) and later [`stepped`](Scheduler::stepped) or
//! [`dropped`](Scheduler::dropped). Meanwhile its decoding sequences wait for their tokens, the chunks of a prompt
//! follow each other, and nobody in it gives its KV blocks up.

mod room;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use self::running::Running;
use crate::engine::Priority;
use crate::engine::blocks::BlockPool;
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::prefix::Prefix;
use crate::engine::queue::Queue;
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
    /// Tiles of all sequences that run, unless one alone has more.
    pub(super) tiles: usize,
    pub(super) prefill_chunk_tokens: usize,
    /// Rows that the model takes together; at least 1.
    pub(super) row_tile: usize,
    pub(super) vision_chunk_tiles: usize,
    /// Steps that may be under way at once: the decoding sequences are shared out among them.
    pub(super) steps_in_flight: usize,
}

/// The integers of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) id: SeqId,
    pub(super) priority: Priority,
    pub(super) prompt_tokens: usize,
    pub(super) tiles: usize,
    /// The prompt's whole blocks by content; empty: nothing of it is looked for or kept.
    pub(super) prefix: Prefix,
}

/// A request that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) id: SeqId,
    pub(super) slot: Slot,
    /// Tokens of its prompt that the KV cache had.
    pub(super) cached_tokens: usize,
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
    /// Of the prompt, or of an answer that is taken in again; otherwise they are the token chosen last and
    /// those that it forced.
    pub(super) prefill: bool,
    /// A token is chosen after this step.
    pub(super) chooses: bool,
}

/// Who waits, who runs, and who owns which slot and which KV blocks.
#[derive(Debug)]
pub(super) struct Scheduler {
    bounds: Bounds,
    queue: Queue,
    running: BTreeMap<SeqId, Running>,
    free: Vec<Slot>,
    pool: BlockPool,
    /// Since the last look.
    preempted: Vec<SeqId>,
    /// Blocks are to be taken from a sequence that is under way: nothing is planned until it is not.
    lands: bool,
}

// === impl Scheduler ===

impl Scheduler {
    pub(super) fn new(bounds: Bounds) -> Self {
        // Taken from the end: the lowest slot first, so that few requests stay in few slots.
        let free = (0..bounds.slots as u32).rev().map(Slot).collect();
        Self {
            bounds,
            queue: Queue::default(),
            running: BTreeMap::new(),
            free,
            pool: BlockPool::new(bounds.kv_blocks, bounds.block_tokens),
            preempted: Vec::new(),
            lands: false,
        }
    }

    /// Prompt tokens that one step takes in at most.
    pub(super) fn prefill_chunk_tokens(&self) -> usize {
        self.bounds.prefill_chunk_tokens
    }

    pub(super) fn enqueue(&mut self, demand: Demand) {
        self.queue.push(demand);
    }

    /// Gives KV blocks back to sequences that gave theirs up, and slots and blocks to requests that wait: the
    /// most senior first, and nobody past one that finds no room. Returns the requests that start.
    pub(super) fn start_waiting(&mut self) -> Vec<Started> {
        let mut started = Vec::new();
        loop {
            let (parked, next) = (self.parked(), self.next_waiting());
            match (parked, next) {
                (Some((id, standing)), next) if next.is_none_or(|(_, next)| standing < next) => {
                    if !self.resume(id, standing) {
                        break;
                    }
                }
                (_, Some((id, standing))) => {
                    let Some(start) = self.start(id, standing) else { break };
                    started.push(start);
                }
                (_, None) => break,
            }
        }
        self.check_slots();
        started
    }

    /// Sequences that gave their blocks up since the last call.
    pub(super) fn take_preempted(&mut self) -> Vec<SeqId> {
        std::mem::take(&mut self.preempted)
    }

    /// Which tiles to encode before the next step.
    pub(super) fn plan_vision(&self) -> Vec<Encode> {
        let mut budget = self.bounds.vision_chunk_tiles;
        let mut plan = Vec::new();
        for running in self.by_standing(|running| !running.is_parked() && running.lacks_tiles()) {
            let mut from = running.first_needed;
            while let Some((first, tiles)) = running.missing_tiles(from, budget) {
                plan.push(Encode { id: running.demand.id, slot: running.slot, first, tiles });
                budget -= tiles;
                from = first + tiles;
            }
        }
        plan
    }

    /// The features of some tiles are in the sequence's slot.
    pub(super) fn has_tiles(&mut self, id: SeqId, first: usize, tiles: usize) {
        if let Some(running) = self.running.get_mut(&id) {
            running.tiles[first..first + tiles].fill(true);
        }
    }

    /// Tiles whose features the sequence waits for.
    pub(super) fn lacking_tiles(&self, id: SeqId) -> usize {
        let lacking = |running: &Running| {
            let needed = &running.tiles[running.first_needed..];
            needed.iter().filter(|present| !**present).count()
        };
        self.running.get(&id).map_or(0, lacking)
    }

    /// Whether the slot has the features of all tiles, so that none are ever needed again.
    pub(super) fn has_all_tiles(&self, id: SeqId) -> bool {
        self.running.get(&id).is_some_and(|running| running.tiles.iter().all(|present| *present))
    }

    /// Whether the slot has the features of these.
    pub(super) fn holds_tiles(&self, id: SeqId, tiles: Range<usize>) -> bool {
        let present = self.running.get(&id).and_then(|running| running.tiles.get(tiles));
        present.is_some_and(|present| present.iter().all(|present| *present))
    }

    /// Tiles whose features are in slots.
    pub(super) fn tiles_held(&self) -> usize {
        let tiles = self.running.values().flat_map(|running| &running.tiles);
        tiles.filter(|present| **present).count()
    }

    /// The prompt of a sequence made sense: others may find its blocks.
    pub(super) fn publish(&mut self, id: SeqId) {
        let Some(running) = self.running.get(&id) else { return };
        let held = running.held / self.bounds.block_tokens;
        for (id, block) in running.blocks.iter().zip(running.demand.prefix.iter()).take(held) {
            self.pool.publish(*id, block.key);
        }
    }

    /// Something went wrong with a sequence: nobody is to find its blocks any more.
    pub(super) fn distrust(&mut self, id: SeqId) {
        let Some(running) = self.running.get(&id) else { return };
        for block in &running.blocks {
            self.pool.unpublish(*block);
        }
    }

    /// What the next step takes in; empty where there is nothing to do before a step that is under way ends.
    pub(super) fn plan_step(&mut self) -> Vec<Planned> {
        if self.lands && self.is_flying() {
            return Vec::new();
        }
        self.lands = false;
        let answering = self.running.values().filter(|running| running.answers()).count();
        let decoding: Vec<SeqId> = self
            .by_standing(Running::decodes)
            .iter()
            .map(|running| running.demand.id)
            .take(answering.div_ceil(self.bounds.steps_in_flight.max(1)))
            .collect();
        let mut plan: Vec<Planned> =
            decoding.into_iter().filter_map(|id| self.plan_decode(id)).collect();
        let mut budget = self.prefill_budget(plan.iter().map(|planned| planned.tokens).sum());
        for running in self.by_standing(Running::prefills) {
            if let Some(planned) = running.prefill(budget) {
                budget -= planned.tokens;
                plan.push(planned);
            }
        }
        plan
    }

    /// The step that follows that of `plan`, which is under way, if nothing but that is left to do: one more token of each of its
    /// sequences that `goes_on`, with blocks for it. Empty where there is more to do, or blocks would have to be taken
    /// from somebody. Nothing is launched by it.
    pub(super) fn plan_ahead(
        &mut self,
        plan: &[Planned],
        goes_on: impl Fn(SeqId) -> bool,
    ) -> Vec<Planned> {
        let is_one = |planned: &Planned| !planned.prefill && planned.tokens == 1;
        let waits = |running: &Running| running.flying == 0 && !running.paused;
        if !plan.iter().all(is_one)
            || self.running.values().any(waits)
            || self.next_waiting().is_some()
        {
            return Vec::new();
        }
        let mut ahead = Vec::new();
        for planned in plan.iter().filter(|planned| goes_on(planned.id)) {
            let Some(running) = self.running.get_mut(&planned.id) else { continue };
            let next = Planned { start: planned.start + 1, ..*planned };
            if next.start >= running.blocks.len() * self.bounds.block_tokens {
                let Some(block) = self.pool.take(1) else { return Vec::new() };
                running.blocks.extend(block);
            }
            ahead.push(next);
        }
        ahead
    }

    /// Of a step that was begun ahead what can still be done: the sequences that go on as was thought. Others wait for the next.
    pub(super) fn plan_begun(&self, begun: &BTreeSet<SeqId>) -> Vec<Planned> {
        let goes_on = |running: &Running| {
            let has_room = running.held < running.blocks.len() * self.bounds.block_tokens;
            running.decodes()
                && running.fresh == 1
                && has_room
                && begun.contains(&running.demand.id)
        };
        self.by_standing(goes_on).into_iter().map(Running::decode).collect()
    }

    /// Prompt tokens of a step beside so many rows that decode: a whole chunk, less the rows by which both exceed whole tiles
    /// of rows, unless that were more than a quarter of it.
    fn prefill_budget(&self, decoding_rows: usize) -> usize {
        let Bounds { prefill_chunk_tokens: chunk, row_tile, .. } = self.bounds;
        let beyond = (chunk + decoding_rows) % row_tile.max(1);
        if beyond <= chunk / 4 { chunk - beyond } else { chunk }
    }

    /// The next tokens of a sequence, with blocks for them. None where it had to give up its own.
    fn plan_decode(&mut self, id: SeqId) -> Option<Planned> {
        while let Some(running) = self.running.get_mut(&id).filter(|running| running.decodes()) {
            if running.held + running.fresh <= running.blocks.len() * self.bounds.block_tokens {
                return Some(running.decode());
            }
            if let Some(block) = self.pool.take(1) {
                running.blocks.extend(block);
            } else {
                if self.is_flying() {
                    self.lands = true;
                    return None;
                }
                let (junior, _) = self.most_junior()?;
                self.preempt(junior);
            }
        }
        None
    }

    /// The sequences for which `takes_part` holds, the most senior first.
    fn by_standing(&self, takes_part: impl Fn(&Running) -> bool) -> Vec<&Running> {
        let mut found: Vec<&Running> =
            self.running.values().filter(|running| takes_part(running)).collect();
        found.sort_unstable_by_key(|running| running.standing());
        found
    }

    /// The KV blocks of a sequence that runs, in order.
    pub(super) fn blocks(&self, id: SeqId) -> &[u32] {
        self.running.get(&id).map_or(&[], |running| &running.blocks)
    }

    /// The step of `planned` is under way.
    pub(super) fn launched(&mut self, planned: &Planned) {
        if let Some(running) = self.running.get_mut(&planned.id) {
            check_invariant!(
                InvariantId::PositionsGapless,
                running.held + running.flying == planned.start,
                "{:?} holds {} tokens, {} are under way, and the next is at {}",
                planned.id,
                running.held,
                running.flying,
                planned.start
            );
            running.flying += planned.tokens;
        }
    }

    /// The step of `planned` ended without its tokens: they are still to be taken in.
    pub(super) fn dropped(&mut self, planned: &Planned) {
        if let Some(running) = self.running.get_mut(&planned.id) {
            running.flying -= planned.tokens;
        }
    }

    fn is_flying(&self) -> bool {
        self.running.values().any(|running| running.flying > 0)
    }

    /// The tokens of `planned`, which was launched, are in the KV cache.
    pub(super) fn stepped(&mut self, planned: &Planned) {
        let block_tokens = self.bounds.block_tokens;
        let Some(running) = self.running.get_mut(&planned.id) else { return };
        check_invariant!(
            InvariantId::PositionsGapless,
            running.held == planned.start,
            "{:?} holds {} tokens and got one at {}",
            planned.id,
            running.held,
            planned.start
        );
        check_invariant!(
            InvariantId::PositionsGapless,
            running.flying >= planned.tokens,
            "{planned:?} ended without having been launched"
        );
        running.flying = running.flying.saturating_sub(planned.tokens);
        running.held = planned.start + planned.tokens;
        let written = planned.start / block_tokens..running.held.div_ceil(block_tokens);
        check_invariant!(
            InvariantId::SharedReadOnly,
            running
                .blocks
                .get(written)
                .is_some_and(|blocks| { blocks.iter().all(|block| self.pool.is_writable(*block)) }),
            "{planned:?} wrote KV blocks that are not its own"
        );
        check_invariant!(
            InvariantId::BlocksForTokens,
            running.held <= running.blocks.len() * block_tokens,
            "{:?} holds {} tokens in {} KV blocks",
            planned.id,
            running.held,
            running.blocks.len()
        );
        if planned.chooses {
            running.tokens += 1;
            running.fresh = 1;
        }
    }

    /// The last choice brought so many tokens.
    pub(super) fn expect(&mut self, id: SeqId, tokens: usize) {
        if let Some(running) = self.running.get_mut(&id) {
            running.tokens += tokens.saturating_sub(1);
            running.fresh = tokens.max(1);
        }
    }

    /// Keeps an answering sequence out of the next steps, or lets it in again.
    pub(super) fn set_paused(&mut self, id: SeqId, pause: bool) {
        if let Some(running) = self.running.get_mut(&id) {
            running.paused = pause && running.has_output();
        }
    }

    /// Forgets a request that ended, at whatever stage. Returns the slot that it gave up.
    pub(super) fn remove(&mut self, id: SeqId) -> Option<Slot> {
        let Some(Running { slot, blocks, .. }) = self.running.remove(&id) else {
            self.queue.remove(id);
            return None;
        };
        self.free.push(slot);
        self.pool.release(&blocks);
        self.check_slots();
        Some(slot)
    }

    /// The waiting requests, next one first, if they changed since the last call.
    pub(super) fn changed_queue(&mut self) -> Option<Vec<SeqId>> {
        self.queue.changed()
    }

    /// KV blocks that sequences own, and all. Those that only keep what may be asked again are not in use.
    pub(super) fn kv_blocks(&self) -> (usize, usize) {
        let total = self.pool.total();
        (total - self.pool.available(), total)
    }

    /// Tokens that the KV cache holds for sequences.
    #[cfg(test)]
    pub(super) fn tokens_held(&self) -> usize {
        self.running.values().map(|running| running.held).sum()
    }

    /// Tokens that the KV cache holds for one sequence.
    #[cfg(test)]
    pub(super) fn held(&self, id: SeqId) -> usize {
        self.running.get(&id).map_or(0, |running| running.held)
    }

    #[cfg(test)]
    pub(super) fn pool(&self) -> &BlockPool {
        &self.pool
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.running.is_empty()
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

// === impl Planned ===

impl Planned {
    /// The same tokens in two passes, one after the other.
    pub(super) fn halves(self) -> (Self, Self) {
        let tokens = self.tokens / 2;
        let first = Self { tokens, chooses: false, ..self };
        let second = Self { start: self.start + tokens, tokens: self.tokens - tokens, ..self };
        (first, second)
    }
}
