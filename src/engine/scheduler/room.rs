//! Room for a sequence: which one is next, the KV blocks that it gets, and who gives them up.

use super::running::Running;
use super::{Scheduler, SeqId, Started};
use crate::engine::prefix::Prefix;
use crate::engine::queue::Standing;

/// Of so many slots one is kept for requests that are not of a batch.
const SLOTS_PER_KEPT: usize = 8;

/// Blocks for a sequence.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) blocks: Vec<u32>,
    /// Tokens, from the first on, that the blocks hold already.
    pub(super) cached_tokens: usize,
    /// Tiles whose tokens are all among those.
    pub(super) cached_tiles: usize,
}

impl Scheduler {
    /// The most senior sequence that gave its blocks up.
    pub(super) fn parked(&self) -> Option<(SeqId, Standing)> {
        let parked = self.running.iter().filter(|(_, running)| running.is_parked());
        parked.map(|(id, running)| (*id, running.standing())).min_by_key(|(_, standing)| *standing)
    }

    /// The most senior request for which there is a slot.
    pub(super) fn next_waiting(&self) -> Option<(SeqId, Standing)> {
        let kept = self.bounds.slots / SLOTS_PER_KEPT;
        let free = self.free.len();
        let (demand, standing) = if free == 0 { None } else { self.queue.next(free > kept) }?;
        let tiles: usize = self.running.values().map(|running| running.demand.tiles).sum();
        let has_room = self.running.is_empty() || tiles + demand.tiles <= self.bounds.tiles;
        has_room.then_some((demand.id, standing))
    }

    pub(super) fn resume(&mut self, id: SeqId, standing: Standing) -> bool {
        let Some(running) = self.running.get(&id) else { return false };
        let (tokens, prefix) = (running.tokens, Prefix::clone(&running.demand.prefix));
        let Some(room) = self.make_room(tokens, &prefix, standing) else { return false };
        if let Some(running) = self.running.get_mut(&id) {
            running.take_room(room);
        }
        true
    }

    pub(super) fn start(&mut self, id: SeqId, standing: Standing) -> Option<Started> {
        let demand = self.queue.get(id)?;
        let (tokens, prefix) = (demand.prompt_tokens, Prefix::clone(&demand.prefix));
        let room = self.make_room(tokens, &prefix, standing)?;
        let cached_tokens = room.cached_tokens;
        let slot = self.free.pop()?;
        self.check_unowned(slot);
        let (demand, seniority) = self.queue.start(id)?;
        // Whoever came earlier and does not answer yet is overtaken as if it still waited.
        for running in self.running.values_mut().filter(|running| !running.is_answering()) {
            running.seniority.is_passed_by(id);
        }
        self.running.insert(id, Running::new(demand, seniority, slot, room));
        Some(Started { id, slot, cached_tokens })
    }

    /// Blocks for so many tokens, those with the content of `prefix` first, and as many left as there are
    /// sequences that may soon need one: a request that starts is not to stop others. One that is not of a
    /// batch takes from those that are.
    fn make_room(&mut self, tokens: usize, prefix: &Prefix, standing: Standing) -> Option<Room> {
        // The last token is always taken in: what follows it is asked for.
        let whole = (tokens - 1) / self.bounds.block_tokens;
        let mut blocks = self.pool.share(&prefix[..whole.min(prefix.len())]);
        let cached = blocks.len();
        let Some(more) = self.take_blocks(self.pool.blocks_for(tokens) - cached, standing) else {
            self.pool.release(&blocks);
            return None;
        };
        blocks.extend(more);
        let cached_tiles = cached.checked_sub(1).map_or(0, |last| prefix[last].tiles);
        let cached_tokens = cached * self.bounds.block_tokens;
        Some(Room { blocks, cached_tokens, cached_tiles })
    }

    fn take_blocks(&mut self, needed: usize, standing: Standing) -> Option<Vec<u32>> {
        if self.pool.available() < needed + self.holders().count() {
            self.take_from_batch(needed, standing)?;
        }
        self.pool.take(needed)
    }

    /// Takes blocks from sequences of a batch, the most junior first, until there are `needed` and one for each that
    /// still has some; from none where that is not to be had.
    fn take_from_batch(&mut self, needed: usize, standing: Standing) -> Option<()> {
        let is_batch = |running: &&Running| running.standing().is_batch();
        let others = self.holders().filter(|running| !is_batch(running)).count();
        if standing.is_batch() || self.pool.available() + self.held_by_batch() < needed + others {
            return None;
        }
        if self.is_flying() {
            self.lands = true;
            return None;
        }
        while self.pool.available() < needed + self.holders().count() {
            let (id, _) = self.most_junior().filter(|(_, junior)| junior.is_batch())?;
            self.preempt(id);
        }
        Some(())
    }

    /// Blocks that nobody would have any more if no sequence of a batch had blocks: those that others read stay.
    fn held_by_batch(&self) -> usize {
        let batch = self.holders().filter(|running| running.standing().is_batch());
        let (own, mut shared): (Vec<u32>, Vec<u32>) = batch
            .flat_map(|running| &running.blocks)
            .partition(|block| self.pool.owners(**block) == 1);
        shared.sort_unstable();
        let owners = |same: &&[u32]| self.pool.owners(same[0]) as usize == same.len();
        own.len() + shared.chunk_by(|a, b| a == b).filter(owners).count()
    }

    /// The sequences that have blocks.
    fn holders(&self) -> impl Iterator<Item = &Running> {
        self.running.values().filter(|running| !running.is_parked())
    }

    /// The most junior sequence that has blocks.
    pub(super) fn most_junior(&self) -> Option<(SeqId, Standing)> {
        let holders = self.running.iter().filter(|(_, running)| !running.is_parked());
        holders.map(|(id, running)| (*id, running.standing())).max_by_key(|(_, standing)| *standing)
    }

    /// Takes a sequence's blocks away.
    pub(super) fn preempt(&mut self, id: SeqId) {
        let Some(running) = self.running.get_mut(&id) else { return };
        let blocks = std::mem::take(&mut running.blocks);
        running.held = 0;
        self.pool.release(&blocks);
        self.preempted.push(id);
    }
}
