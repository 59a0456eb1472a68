//! A server without a model, for load tests of everything around it: real requests, pages, prompts and
//! streams, and an answer that is always the same, at the pace of a model that is not there.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::config::RequestConfig;
use crate::engine::LoadError;
use crate::model::fake::{Fake, Options, Pace, Script};
use crate::model::internvl;
use crate::model::{BLOCK_TOKENS, ModelSpec, pool_blocks};
use crate::prompt::Prompter;
use crate::schema::DocumentKind;

/// In the shape of `architecture`, as far as the engine sees it.
pub(super) fn runner(
    checkpoint: &Checkpoint,
    architecture: &internvl::Config,
    prompter: &Prompter,
    requests: &RequestConfig,
    pace: Pace,
) -> Result<Fake, LoadError> {
    let mut answer = prompter.encode(&document())?;
    answer.extend(prompter.stop_ids().first());
    let slot_tokens = requests.slot_tokens.min(architecture.text.positions_max);
    let spec = ModelSpec {
        name: checkpoint.name(),
        revision: "fake".to_owned(),
        vocab_size: architecture.text.vocab_size,
        tokens_per_tile: architecture.tokens_per_tile(),
        tile_size_px: architecture.vision.image_size as u32,
        image_token_id: prompter.image_token_id(),
        slots: requests.slots,
        slot_tokens,
        kv_blocks: pool_blocks(requests.slots, slot_tokens, requests.kv_tokens),
        block_tokens: BLOCK_TOKENS,
        ..Options::default().spec
    };
    tracing::warn!("there is no model: every answer is the same, at the pace of --weights");
    Ok(Fake::new(Options {
        spec,
        script: Script::Of(Arc::new(move |_| answer.clone())),
        step_delay: pace.step,
        token_delay: pace.token,
        tile_delay: pace.tile,
    }))
}

/// An answer as long as a short one.
fn document() -> String {
    let fields = DocumentKind::Receipt.fields();
    let fields: Vec<String> = fields.map(|name| format!("{name:?}: \"NOT_FOUND\"")).collect();
    format!("{{{}}}", fields.join(", "))
}
