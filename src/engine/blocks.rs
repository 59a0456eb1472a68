//! Who owns which block of the KV cache, and what is in those that nobody owns. Pure: numbers only.
//!
//! A block is free, or owned by one sequence that writes it, or, once it is full of a prompt's tokens and
//! published under its content's key, by any number that read it. A published block without an owner keeps
//! its content until its memory is needed: the one that was used least recently goes first.

use std::collections::{BTreeMap, HashMap};

use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::prefix::{BlockKey, PrefixBlock};

/// The blocks of the KV cache.
#[derive(Debug)]
pub(super) struct BlockPool {
    block_tokens: usize,
    blocks: Vec<Block>,
    /// Blocks with an owner.
    owned: usize,
    /// Blocks without an owner and without a key; taken from the end.
    free: Vec<u32>,
    /// Blocks without an owner and with a key, by their last use.
    idle: BTreeMap<u64, u32>,
    by_key: HashMap<BlockKey, u32>,
    /// Counts releases: the pool's clock.
    releases: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    owners: u32,
    key: Option<BlockKey>,
    /// Its place among the idle ones.
    released: u64,
}

// === impl BlockPool ===

impl BlockPool {
    pub(super) fn new(blocks: usize, block_tokens: usize) -> Self {
        Self {
            block_tokens: block_tokens.max(1),
            blocks: vec![Block::default(); blocks],
            owned: 0,
            // The lowest first, so that few requests stay in little memory.
            free: (0..blocks as u32).rev().collect(),
            idle: BTreeMap::new(),
            by_key: HashMap::new(),
            releases: 0,
        }
    }

    /// Blocks that hold `tokens`.
    pub(super) fn blocks_for(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.block_tokens)
    }

    pub(super) fn total(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks that can be taken.
    pub(super) fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// `count` blocks with one owner each and nothing in them, or none at all.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        if count > self.available() {
            return None;
        }
        (0..count).map(|_| self.take_one()).collect()
    }

    fn take_one(&mut self) -> Option<u32> {
        let id = if let Some(id) = self.free.pop() {
            id
        } else {
            let (_, id) = self.idle.pop_first()?;
            self.unpublish(id);
            id
        };
        let block = &mut self.blocks[id as usize];
        check_invariant!(
            InvariantId::BlockOwnedOnce,
            block.owners == 0 && block.key.is_none(),
            "KV block {id} is given away a second time"
        );
        block.owners = 1;
        self.owned += 1;
        Some(id)
    }

    /// One more owner for each block that has the content of `prefix`, from its beginning as far as there are
    /// any.
    pub(super) fn share(&mut self, prefix: &[PrefixBlock]) -> Vec<u32> {
        let found = |block: &PrefixBlock| self.by_key.get(&block.key).copied();
        let shared: Vec<u32> = prefix.iter().map_while(found).collect();
        for id in &shared {
            let block = &mut self.blocks[*id as usize];
            if block.owners == 0 {
                self.idle.remove(&block.released);
                self.owned += 1;
            }
            block.owners += 1;
        }
        shared
    }

    /// Lets others find a block that is full of these tokens. It is only read from now on.
    pub(super) fn publish(&mut self, id: u32, key: BlockKey) {
        let block = &mut self.blocks[id as usize];
        // Two that took in the same at the same time: one is enough.
        if block.key.is_none() && !self.by_key.contains_key(&key) {
            block.key = Some(key);
            self.by_key.insert(key, id);
        }
    }

    /// Nobody is to find this block again.
    pub(super) fn unpublish(&mut self, id: u32) {
        let block = &mut self.blocks[id as usize];
        let Some(key) = block.key.take() else { return };
        self.by_key.remove(&key);
        if self.idle.remove(&block.released).is_some() {
            self.free.push(id);
        }
    }

    /// Whether the block is one sequence's own, to be written.
    pub(super) fn is_writable(&self, id: u32) -> bool {
        let block = &self.blocks[id as usize];
        block.owners == 1 && block.key.is_none()
    }

    /// Gives up one owner of each block.
    pub(super) fn release(&mut self, ids: &[u32]) {
        // The last first: the end of a prefix is of no use without its beginning, and of free blocks the
        // lowest are taken first again.
        for &id in ids.iter().rev() {
            self.releases += 1;
            let block = &mut self.blocks[id as usize];
            check_invariant!(
                InvariantId::BlockOwnedOnce,
                block.owners > 0,
                "KV block {id} is given back a second time"
            );
            block.owners = block.owners.saturating_sub(1);
            if block.owners > 0 {
                continue;
            }
            self.owned -= 1;
            if block.key.is_some() {
                block.released = self.releases;
                self.idle.insert(self.releases, id);
            } else {
                self.free.push(id);
            }
        }
    }

    /// Every block is owned, idle or free.
    pub(super) fn check(&self) {
        check_invariant!(
            InvariantId::BlocksConserved,
            self.owned + self.available() == self.total(),
            "{} owned, {} idle and {} free KV blocks of {}",
            self.owned,
            self.idle.len(),
            self.free.len(),
            self.total()
        );
    }

    /// Counts everything anew.
    #[cfg(test)]
    pub(super) fn check_deeply(&self) {
        let owned = self.blocks.iter().filter(|block| block.owners > 0).count();
        assert_eq!(owned, self.owned);
        self.check();
        let keyed = self.blocks.iter().filter(|block| block.key.is_some()).count();
        assert_eq!(keyed, self.by_key.len());
        for (key, id) in &self.by_key {
            assert_eq!(self.blocks[*id as usize].key, Some(*key));
        }
        for (released, id) in &self.idle {
            let block = &self.blocks[*id as usize];
            assert!(block.owners == 0 && block.released == *released && block.key.is_some());
        }
        assert!(self.free.iter().all(|id| self.blocks[*id as usize].owners == 0));
    }

    /// Sequences that have the block.
    pub(super) fn owners(&self, id: u32) -> u32 {
        self.blocks[id as usize].owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::prefix::{Cut, blocks};

    fn prefix(tokens: &[u32]) -> crate::engine::prefix::Prefix {
        blocks(tokens, &[], Cut { block_tokens: 1, image_token_id: u32::MAX, tokens_per_tile: 1 })
    }

    fn publish(pool: &mut BlockPool, ids: &[u32], tokens: &[u32]) {
        for (id, block) in ids.iter().zip(prefix(tokens).iter()) {
            pool.publish(*id, block.key);
        }
    }

    #[test]
    fn content_is_found_until_its_memory_is_needed() {
        let mut pool = BlockPool::new(4, 1);
        let ids = pool.take(3).unwrap();
        publish(&mut pool, &ids, &[1, 2, 3]);
        assert_eq!(pool.share(&prefix(&[1, 2, 9])), ids[..2], "while it is owned");
        pool.release(&ids);
        assert_eq!(pool.available(), 2);
        pool.release(&ids[..2]);
        assert_eq!(pool.available(), 4);
        // One was free; the next is the end of the prefix.
        let taken = pool.take(2).unwrap();
        assert!(taken.contains(&ids[2]), "{taken:?} {ids:?}");
        assert_eq!(pool.share(&prefix(&[1, 2, 3])), ids[..2]);
        pool.check_deeply();
        assert_eq!(pool.take(1), None, "what is owned is not taken");
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut pool = BlockPool::new(2, 1);
        let (a, b) = (pool.take(1).unwrap(), pool.take(1).unwrap());
        publish(&mut pool, &a, &[1]);
        publish(&mut pool, &b, &[2]);
        pool.release(&a);
        pool.release(&b);
        let again = pool.share(&prefix(&[1]));
        pool.release(&again);
        assert_eq!(pool.take(1).unwrap(), b);
        assert_eq!(pool.share(&prefix(&[1])), a);
        assert!(pool.share(&prefix(&[2])).is_empty());
        pool.check_deeply();
    }

    #[test]
    fn what_is_published_is_read_only() {
        let mut pool = BlockPool::new(2, 1);
        let ids = pool.take(1).unwrap();
        assert!(pool.is_writable(ids[0]));
        publish(&mut pool, &ids, &[1]);
        assert!(!pool.is_writable(ids[0]));
        // The same content a second time stays its owner's.
        let other = pool.take(1).unwrap();
        publish(&mut pool, &other, &[1]);
        assert!(pool.is_writable(other[0]));
        pool.unpublish(ids[0]);
        assert!(pool.share(&prefix(&[1])).is_empty());
        pool.release(&ids);
        pool.release(&other);
        assert_eq!(pool.available(), 2);
        pool.check_deeply();
    }
}
