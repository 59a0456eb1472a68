//! A small model on the host, without an engine: how it is loaded, and what an engine would give its sequences.

use std::collections::HashMap;

use tessera::checkpoint::Checkpoint;
use tessera::model::internvl::LoadOptions;

/// `checkpoint` on `devices`, for three sequences of 256 tokens: four KV blocks each.
pub(crate) fn options(checkpoint: &Checkpoint, devices: &str) -> LoadOptions {
    LoadOptions {
        devices: devices.parse().unwrap(),
        slots: 3,
        slot_tokens: Some(256),
        image_token_id: Some(image_token_id(checkpoint)),
        ..LoadOptions::default()
    }
}

/// The id of `<IMG_CONTEXT>`, from whichever tokenizer file the model has.
pub(crate) fn image_token_id(checkpoint: &Checkpoint) -> u32 {
    let added: Option<HashMap<String, u32>> = checkpoint.json("added_tokens.json").unwrap();
    if let Some(id) = added.and_then(|added| added.get("<IMG_CONTEXT>").copied()) {
        return id;
    }
    let tokenizer: serde_json::Value = checkpoint.require_json("tokenizer.json").unwrap();
    let tokens = tokenizer["added_tokens"].as_array().unwrap();
    let token = tokens.iter().find(|token| token["content"] == "<IMG_CONTEXT>").unwrap();
    token["id"].as_u64().unwrap() as u32
}

/// KV blocks of the sequence in `slot`, where `each` has so many: one sequence after the other.
pub(crate) fn blocks_of(slot: u32, each: usize) -> &'static [u32] {
    static BLOCKS: [u32; 64] = {
        let mut blocks = [0; 64];
        let mut index = 0;
        while index < blocks.len() {
            blocks[index] = index as u32;
            index += 1;
        }
        blocks
    };
    &BLOCKS[slot as usize * each..][..each]
}

/// The likeliest token, the first of equal ones.
pub(crate) fn argmax(row: &[f32]) -> u32 {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]).then(b.cmp(a))).unwrap() as u32
}
