//! Requests of a batch beside such that somebody waits for, in the scheduler by itself.

use super::schedule::BLOCK_TOKENS;
use crate::engine::Priority;
use crate::engine::prefix::{self, Cut, Prefix};
use crate::engine::queue::OVERTAKEN_MAX;
use crate::engine::scheduler::{Bounds, Demand, Scheduler, SeqId};

fn demand(id: u64, priority: Priority, prompt_tokens: usize) -> Demand {
    Demand { id: SeqId(id), priority, prompt_tokens, tiles: 0, prefix: Prefix::default() }
}

fn bounds(slots: usize, kv_blocks: usize) -> Bounds {
    Bounds {
        slots,
        kv_blocks,
        block_tokens: BLOCK_TOKENS,
        tiles: 100,
        prefill_chunk_tokens: 1000,
        row_tile: 1,
        vision_chunk_tiles: 1,
        steps_in_flight: 1,
    }
}

fn started(scheduler: &mut Scheduler) -> Vec<u64> {
    scheduler.start_waiting().into_iter().map(|start| start.id.0).collect()
}

/// One step; every planned sequence moves on.
fn step(scheduler: &mut Scheduler) {
    for planned in scheduler.plan_step() {
        scheduler.launched(&planned);
        scheduler.stepped(&planned);
    }
}

/// What a prompt that is longer than a chunk gets of one, beside so many rows of another sequence that decodes.
fn chunk_beside(rows: usize, prefill_chunk_tokens: usize, row_tile: usize) -> usize {
    let bounds = Bounds { prefill_chunk_tokens, row_tile, ..bounds(2, 1000) };
    let mut scheduler = Scheduler::new(bounds);
    if rows > 0 {
        scheduler.enqueue(demand(0, Priority::Interactive, 1));
        started(&mut scheduler);
        step(&mut scheduler);
        scheduler.expect(SeqId(0), rows);
    }
    scheduler.enqueue(demand(1, Priority::Interactive, 2000));
    started(&mut scheduler);
    let plan = scheduler.plan_step();
    let decoding: usize = plan.iter().filter(|p| !p.prefill).map(|p| p.tokens).sum();
    assert_eq!(decoding, rows);
    plan.iter().filter(|p| p.prefill).map(|p| p.tokens).sum()
}

#[test]
fn a_step_has_whole_tiles_of_rows() {
    assert_eq!(chunk_beside(0, 1024, 128), 1024);
    // Tokens that a schema forced are rows, too.
    assert_eq!(chunk_beside(3, 1024, 128), 1021);
    assert_eq!(chunk_beside(3, 100, 8), 93);
    // Too much would be lost of a small chunk.
    assert_eq!(chunk_beside(60, 128, 128), 128);
    assert_eq!(chunk_beside(0, 200, 128), 200);
    assert_eq!(chunk_beside(20, 128, 128), 108);
    assert_eq!(chunk_beside(3, 100, 1), 100);
    assert_eq!(chunk_beside(2, 1, 128), 1);
}

#[test]
fn a_batch_request_is_passed_so_often_and_not_more() {
    let mut scheduler = Scheduler::new(bounds(1, 4));
    scheduler.enqueue(demand(0, Priority::Batch, 8));
    // Always one more that is in a hurry.
    for round in 1..=u64::from(OVERTAKEN_MAX) {
        scheduler.enqueue(demand(round, Priority::Interactive, 8));
        assert_eq!(started(&mut scheduler), [round]);
        scheduler.remove(SeqId(round));
    }
    scheduler.enqueue(demand(99, Priority::Interactive, 8));
    assert_eq!(started(&mut scheduler), [0]);
}

#[test]
fn a_request_in_a_hurry_takes_the_blocks_of_a_batch() {
    let mut scheduler = Scheduler::new(bounds(4, 5));
    scheduler.enqueue(demand(0, Priority::Batch, 2 * BLOCK_TOKENS));
    scheduler.enqueue(demand(1, Priority::Batch, BLOCK_TOKENS));
    assert_eq!(started(&mut scheduler), [0, 1]);
    step(&mut scheduler);
    // Two are left, and one is to stay for each that runs: the younger of the batch goes, then the other.
    scheduler.enqueue(demand(2, Priority::Interactive, 3 * BLOCK_TOKENS));
    assert_eq!(started(&mut scheduler), [2]);
    assert_eq!(scheduler.take_preempted(), [SeqId(1), SeqId(0)]);
    // Another one of the batch does not get past those that lost theirs.
    scheduler.enqueue(demand(3, Priority::Batch, 1));
    assert_eq!(started(&mut scheduler), [0u64; 0]);
    scheduler.remove(SeqId(2));
    assert_eq!(started(&mut scheduler), [0u64; 0]);
    assert_eq!(scheduler.blocks(SeqId(0)).len(), 3, "with room for the token that it chose");
}

#[test]
fn blocks_that_others_read_are_not_taken_from_a_batch() {
    let prompt_tokens = 4 * BLOCK_TOKENS + 1;
    let cut = Cut { block_tokens: BLOCK_TOKENS, image_token_id: u32::MAX, tokens_per_tile: 1 };
    let prefix = prefix::blocks(&vec![7; prompt_tokens], &[], cut);
    let alike = |id, priority| Demand {
        prefix: Prefix::clone(&prefix),
        ..demand(id, priority, prompt_tokens)
    };
    let mut scheduler = Scheduler::new(bounds(8, 9));
    scheduler.enqueue(alike(0, Priority::Interactive));
    assert_eq!(started(&mut scheduler), [0]);
    step(&mut scheduler);
    scheduler.publish(SeqId(0));
    for id in [1, 2] {
        scheduler.enqueue(alike(id, Priority::Batch));
        assert_eq!(started(&mut scheduler), [id]);
    }
    // Four blocks that all three read, one that each writes, and two are left. The batch has two more to give.
    scheduler.enqueue(demand(3, Priority::Interactive, 4 * BLOCK_TOKENS));
    assert_eq!(started(&mut scheduler), [0u64; 0], "one is to stay for the first");
    assert!(scheduler.take_preempted().is_empty(), "nobody gives blocks up for nothing");
    scheduler.remove(SeqId(3));
    scheduler.enqueue(demand(4, Priority::Interactive, 3 * BLOCK_TOKENS));
    assert_eq!(started(&mut scheduler), [4]);
    assert_eq!(scheduler.take_preempted(), [SeqId(2), SeqId(1)]);
    // Without the first, what the batch shares among itself would be free.
    scheduler.remove(SeqId(4));
    assert!(started(&mut scheduler).is_empty());
    assert_eq!(scheduler.blocks(SeqId(1)).len() + scheduler.blocks(SeqId(2)).len(), 10);
    scheduler.remove(SeqId(0));
    scheduler.enqueue(demand(5, Priority::Interactive, 8 * BLOCK_TOKENS));
    assert_eq!(started(&mut scheduler), [5]);
    assert_eq!(scheduler.take_preempted(), [SeqId(2), SeqId(1)]);
    scheduler.pool().check_deeply();
}

#[test]
fn of_eight_slots_one_is_not_for_batches() {
    let mut scheduler = Scheduler::new(bounds(8, 100));
    for id in 0..9 {
        scheduler.enqueue(demand(id, Priority::Batch, 1));
    }
    assert_eq!(started(&mut scheduler), [0, 1, 2, 3, 4, 5, 6]);
    scheduler.enqueue(demand(9, Priority::Interactive, 1));
    assert_eq!(started(&mut scheduler), [9]);
}
