//! One small request through the whole model before the first real one: the device's first pass
//! compiles kernels and allocates, and a model that cannot do it must not call itself ready.

use crate::model::{
    ModelSpec, Output, PixelData, PixelTiles, RunError, Runner, Segment, Slot, SlotTiles,
    StepBatch, Want,
};
use crate::preprocess::SampleValues;

/// Why a model that was loaded cannot serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum WarmUpError {
    #[error("the model has no slots")]
    NoSlots,
    #[error("{kv_blocks} KV blocks have no room for one sequence of {slot_tokens} tokens")]
    NoRoom { kv_blocks: usize, slot_tokens: usize },
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the logits of the warm-up are not finite")]
    NotFinite,
}

/// Encodes a grey tile, takes it in and decodes one token, in slot 0.
pub(super) fn warm_up(runner: &mut dyn Runner) -> Result<(), WarmUpError> {
    let slot = Slot(0);
    if runner.spec().slots == 0 {
        return Err(WarmUpError::NoSlots);
    }
    // A request of that length could never start.
    let ModelSpec { kv_blocks, slot_tokens, .. } = *runner.spec();
    if runner.spec().blocks_for(slot_tokens) > kv_blocks {
        return Err(WarmUpError::NoRoom { kv_blocks, slot_tokens });
    }
    let outcome = pass(runner, slot);
    runner.release(slot);
    outcome
}

fn pass(runner: &mut dyn Runner, slot: Slot) -> Result<(), WarmUpError> {
    let spec = runner.spec().clone();
    let mut prompt = vec![0];
    if prompt.len() + spec.tokens_per_tile < spec.slot_tokens {
        // As pages come, so that all that they go through is ready.
        let (tile, values) =
            (vec![0; 3 * (spec.tile_size_px as usize).pow(2)], SampleValues::default());
        let pixels = PixelTiles { tiles: 1, data: PixelData::Samples(&tile, &values) };
        runner.encode(&[SlotTiles { slot, first_tile: 0, pixels }])?;
        prompt.extend(std::iter::repeat_n(spec.image_token_id, spec.tokens_per_tile));
    }
    let blocks = spec.blocks_of_one(prompt.len() + 1);
    let steps = [(0, &prompt[..], 0), (prompt.len(), &[0][..], prompt.len() - 1)];
    for (start, tokens, image_tokens_before) in steps {
        if start + tokens.len() > spec.slot_tokens {
            continue;
        }
        let segment = Segment {
            slot,
            blocks: &blocks,
            start,
            tokens,
            image_tokens_before,
            want: Want::Greedy,
            pages: &[],
        };
        let outputs = runner.step(&StepBatch { segments: vec![segment] })?;
        let is_finite = |output: &Output| match output {
            Output::Choice(choice) => choice.is_finite,
            Output::Logits(row) => row.iter().all(|logit| logit.is_finite()),
        };
        if !outputs.iter().all(is_finite) {
            return Err(WarmUpError::NotFinite);
        }
    }
    Ok(())
}
