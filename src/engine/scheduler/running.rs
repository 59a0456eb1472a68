//! One sequence that runs: what it holds, what it lacks, and what it would take in next.

use super::room::Room;
use super::{Demand, Planned};
use crate::engine::queue::{Seniority, Standing};
use crate::model::Slot;

/// A request that runs, in integers.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) demand: Demand,
    pub(super) seniority: Seniority,
    pub(super) slot: Slot,
    /// KV blocks in order; none where it gave them up.
    pub(super) blocks: Vec<u32>,
    /// Of each tile, whether its features are in the slot.
    pub(super) tiles: Vec<bool>,
    /// The first tile whose features are needed: the KV cache has what came of those before.
    pub(super) first_needed: usize,
    /// Tokens that the blocks hold.
    pub(super) held: usize,
    /// Tokens behind those that steps under way take in.
    pub(super) flying: usize,
    /// Tokens of the prompt and of the answer so far, the last of which are not held yet.
    pub(super) tokens: usize,
    /// Tokens that the last choice brought: the one chosen, and those that it forced.
    pub(super) fresh: usize,
    /// Its reader is behind.
    pub(super) paused: bool,
}

// === impl Running ===

impl Running {
    pub(super) fn new(demand: Demand, seniority: Seniority, slot: Slot, room: Room) -> Self {
        let Room { blocks, cached_tokens, cached_tiles } = room;
        Self {
            seniority,
            slot,
            blocks,
            tiles: vec![false; demand.tiles],
            first_needed: cached_tiles,
            held: cached_tokens,
            flying: 0,
            tokens: demand.prompt_tokens,
            fresh: 1,
            paused: false,
            demand,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.seniority.standing()
    }

    pub(super) fn take_room(&mut self, room: Room) {
        self.blocks = room.blocks;
        self.held = room.cached_tokens;
        self.first_needed = room.cached_tiles;
    }

    pub(super) fn lacks_tiles(&self) -> bool {
        self.tiles[self.first_needed..].iter().any(|present| !present)
    }

    /// The first tiles from `from` on that are not in the slot, at most `most` of them.
    pub(super) fn missing_tiles(&self, from: usize, most: usize) -> Option<(usize, usize)> {
        let first = from + self.tiles[from..].iter().position(|present| !present)?;
        let run = self.tiles[first..].iter().take(most).take_while(|present| !**present).count();
        (run > 0).then_some((first, run))
    }

    /// Whether it gave its blocks up and has none yet.
    pub(super) fn is_parked(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether an answer has begun.
    pub(super) fn has_output(&self) -> bool {
        self.tokens > self.demand.prompt_tokens
    }

    /// Whether all tokens of an answer are held but those that the last choice brought.
    pub(super) fn is_answering(&self) -> bool {
        self.has_output() && self.held + self.fresh == self.tokens
    }

    /// Whether it takes part in decoding steps, now or when the one that is under way has ended.
    pub(super) fn answers(&self) -> bool {
        self.is_answering() && !self.paused && !self.is_parked()
    }

    pub(super) fn decodes(&self) -> bool {
        self.answers() && self.flying == 0
    }

    pub(super) fn prefills(&self) -> bool {
        !self.lacks_tiles() && !self.is_answering() && !self.paused && !self.is_parked()
    }

    pub(super) fn decode(&self) -> Planned {
        Planned {
            id: self.demand.id,
            slot: self.slot,
            start: self.held,
            tokens: self.fresh,
            prefill: false,
            chooses: true,
        }
    }

    /// As many of its tokens as `budget` allows.
    pub(super) fn prefill(&self, budget: usize) -> Option<Planned> {
        let start = self.held + self.flying;
        let left = self.tokens - start;
        let tokens = left.min(budget);
        (tokens > 0).then_some(Planned {
            id: self.demand.id,
            slot: self.slot,
            start,
            tokens,
            prefill: true,
            chooses: tokens == left,
        })
    }
}
