//! Blocks of the KV cache that another sequence wrote: the same answer, to the bit, as if they had been
//! written anew.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use tessera::checkpoint::Checkpoint;
use tessera::model::internvl::{InternVl, LoadOptions, load};
use tessera::model::{
    FeatureKey, PixelData, PixelTiles, Runner as _, Segment, Slot, SlotTiles, StepBatch, Want,
};

const IMAGE_TOKEN: u32 = 15;
const BLOCK_TOKENS: usize = 64;
/// Blocks of a sequence.
const EACH: u32 = 8;

fn tiny() -> InternVl {
    let options = LoadOptions {
        devices: "cpu".parse().unwrap(),
        slots: 3,
        slot_tokens: Some(EACH as usize * BLOCK_TOKENS),
        image_token_id: Some(IMAGE_TOKEN),
        ..LoadOptions::default()
    };
    load(&Checkpoint::Embedded, &options, &mut |_| ()).unwrap()
}

/// A page in the middle of some text, 64 tokens a block.
fn prompt() -> Vec<u32> {
    let mut prompt: Vec<u32> = (0..70).map(|i| 40 + i % 90).collect();
    prompt.extend(std::iter::repeat_n(IMAGE_TOKEN, 256));
    prompt.extend((0..75).map(|i| 200 + i % 70));
    prompt
}

fn pixels(model: &InternVl) -> Vec<f32> {
    let side = model.spec().tile_size_px as usize;
    (0..3 * side * side).map(|i| ((i * 7919) % 251) as f32 / 125.0 - 1.0).collect()
}

fn blocks(slot: u32) -> Vec<u32> {
    (slot * EACH..(slot + 1) * EACH).collect()
}

/// Takes `tokens` in from `start` on, then answers: all logits on the way.
fn answer(model: &mut InternVl, slot: u32, blocks: &[u32], start: usize) -> Vec<u32> {
    let mut tokens = prompt();
    let mut start = start;
    let mut bits = Vec::new();
    for _ in 0..8 {
        let segment = Segment {
            slot: Slot(slot),
            blocks,
            start,
            tokens: &tokens[start..],
            image_tokens_before: tokens[..start].iter().filter(|id| **id == IMAGE_TOKEN).count(),
            want: Want::Logits,
            pages: &[],
        };
        let outputs = model.step(&StepBatch { segments: vec![segment] }).unwrap();
        let row = outputs.rows().next().unwrap();
        bits.extend(row.iter().map(|logit| logit.to_bits()));
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        start = tokens.len();
        tokens.push(best as u32);
    }
    bits
}

#[test]
fn shared_blocks_and_kept_features_change_no_bit() {
    let mut model = tiny();
    assert!(model.spec().shares_kv);
    let data = pixels(&model);
    let tiles = PixelTiles { tiles: 1, data: PixelData::Values(&data) };
    model.encode(&[SlotTiles { slot: Slot(0), first_tile: 0, pixels: tiles }]).unwrap();
    let expected = answer(&mut model, 0, &blocks(0), 0);
    let key = FeatureKey(7);
    model.keep(Slot(0), 0..256, key).unwrap();
    model.release(Slot(0));

    // The features alone; then with more and more of the blocks, within the page and behind it.
    model.reuse(Slot(1), 0, key);
    model.forget(key);
    for shared in [0, 1, 3, 5] {
        let mut table = blocks(1);
        table[..shared].copy_from_slice(&blocks(0)[..shared]);
        let bits = answer(&mut model, 1, &table, shared * BLOCK_TOKENS);
        assert!(bits == expected, "{shared} shared blocks");
    }

    // All of the page is in shared blocks: no features are needed.
    let mut table = blocks(2);
    table[..6].copy_from_slice(&blocks(0)[..6]);
    assert!(answer(&mut model, 2, &table, 6 * BLOCK_TOKENS) == expected);
}
