//! Who owns which block of the KV cache. Pure: numbers only.

use crate::engine::invariant::{InvariantId, check_invariant};

/// The blocks of the KV cache, each free or owned by as many sequences as it has owners.
#[derive(Debug)]
pub(super) struct BlockPool {
    block_tokens: usize,
    /// Of each block.
    owners: Vec<u32>,
    /// Blocks with an owner.
    owned: usize,
    /// Blocks without one; taken from the end.
    free: Vec<u32>,
}

// === impl BlockPool ===

impl BlockPool {
    pub(super) fn new(blocks: usize, block_tokens: usize) -> Self {
        // The lowest first, so that few requests stay in little memory.
        let free = (0..blocks as u32).rev().collect();
        Self { block_tokens: block_tokens.max(1), owners: vec![0; blocks], owned: 0, free }
    }

    /// Blocks that hold `tokens`.
    pub(super) fn blocks_for(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.block_tokens)
    }

    pub(super) fn total(&self) -> usize {
        self.owners.len()
    }

    /// Blocks that can be taken.
    pub(super) fn available(&self) -> usize {
        self.free.len()
    }

    /// `count` blocks with one owner each, or none at all.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        let first = self.free.len().checked_sub(count)?;
        let taken: Vec<u32> = self.free.drain(first..).rev().collect();
        for block in &taken {
            let owners = &mut self.owners[*block as usize];
            check_invariant!(
                InvariantId::BlockOwnedOnce,
                *owners == 0,
                "KV block {block} is given away a second time"
            );
            *owners = 1;
        }
        self.owned += count;
        Some(taken)
    }

    /// Gives up one owner of each block.
    pub(super) fn release(&mut self, blocks: &[u32]) {
        // The last first: the lowest are taken first again.
        for &block in blocks.iter().rev() {
            let owners = &mut self.owners[block as usize];
            check_invariant!(
                InvariantId::BlockOwnedOnce,
                *owners > 0,
                "KV block {block} is given back a second time"
            );
            *owners = owners.saturating_sub(1);
            if *owners == 0 {
                self.owned -= 1;
                self.free.push(block);
            }
        }
    }

    /// Every block is either free or owned.
    pub(super) fn check(&self) {
        check_invariant!(
            InvariantId::BlocksConserved,
            self.owned + self.free.len() == self.total(),
            "{} owned and {} free KV blocks of {}",
            self.owned,
            self.free.len(),
            self.total()
        );
    }
}
