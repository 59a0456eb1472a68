//! What InternVL3 needs, module by module: the planner's table, from `config.json` alone.
//!
//! Weights are counted to the value; a test holds them against what is loaded. Intermediate results
//! are sums of the tensors that live at once in this module's forward pass: by fused kernels, whose buffers are
//! counted one by one, and made of the library's operations, which are estimates, rounded up rather than down.

use super::config::{Config, TextConfig, VisionConfig, VisionNorm};
use crate::model::layers::QUERY_BLOCK_ROWS;
use crate::placement::{ModelCost, ModuleCost, ModuleKind, Part, Unit, Work};

/// Rows up to which products read 8-bit weights as they are, as in `cuda/q8.rs`: with tensor cores, and without.
const QUANTIZED_ROWS: (usize, usize) = (64, 8);

/// Head dimensions of the fused attention kernels, the widest row of the norm kernels, and the elements that they
/// load at once, as in `cuda`.
const FUSED_HEAD_DIMS: [usize; 2] = [64, 128];
const FUSED_WIDTH_MAX: usize = 32_768;
const FUSED_VECTOR: usize = 8;
/// Query heads of one key/value head.
const FUSED_GROUP_MAX: usize = 8;

/// Tiles that go through the vision tower together on a GPU.
pub(super) const VISION_BATCH_TILES_GPU: usize = 8;

/// The costs of every module of the model that `config` describes.
///
/// Whether the checkpoint stores an output matrix of its own is not in the configuration for sure: set
/// [`ModelCost::tied_head`] where it is known better.
pub fn cost(config: &Config) -> ModelCost {
    let text = &config.text;
    let mut modules = vec![vision(&config.vision), projector(config), embedding(text)];
    modules.extend((0..text.layers).map(|index| layer(text, index)));
    modules.push(norm(text));
    modules.push(head(text));
    ModelCost {
        modules,
        tied_head: text.tied_embeddings,
        host_embedding: false,
        tokens_per_tile: config.tokens_per_tile(),
        context_max: text.rope_dynamic_factor.is_none().then_some(text.positions_max),
        query_block_rows: QUERY_BLOCK_ROWS,
        quantized_rows: QUANTIZED_ROWS,
    }
}

fn module(kind: ModuleKind, name: impl Into<String>, parts: Vec<Part>) -> ModuleCost {
    ModuleCost {
        kind,
        name: name.into(),
        parts,
        kv_values: 0,
        held_values: 0,
        standing: Vec::new(),
        phases: Vec::new(),
        fused: None,
    }
}

fn work(per: Unit, values: usize, floats: usize) -> Work {
    Work { per, values: values as u64, residuals: 0, floats: floats as u64, scores: false }
}

/// Of fused kernels: values in the compute dtype and in the residual's.
fn fused_work(per: Unit, values: usize, residuals: usize) -> Work {
    Work { residuals: residuals as u64, ..work(per, values, 0) }
}

/// Whether the kernels take heads and rows of these sizes.
fn fits_kernels(head_dim: usize, widths: &[usize]) -> bool {
    let fits = |width: &usize| width.is_multiple_of(FUSED_VECTOR) && *width <= FUSED_WIDTH_MAX;
    FUSED_HEAD_DIMS.contains(&head_dim) && widths.iter().all(fits)
}

fn vision(config: &VisionConfig) -> ModuleCost {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let tokens = 1 + (config.image_size / config.patch_size).pow(2);
    let patch_pixels = config.channels * config.patch_size.pow(2);
    let norm = Part::vectors(match config.norm {
        VisionNorm::Layer => 2 * hidden,
        VisionNorm::Rms => hidden,
    });
    let mut parts =
        vec![Part::matrix(hidden, patch_pixels, hidden), Part::vectors(hidden + tokens * hidden)];
    for _ in 0..config.layers {
        parts.extend([
            Part::matrix(3 * hidden, hidden, if config.qkv_bias { 3 * hidden } else { 0 }),
            Part::matrix(hidden, hidden, hidden),
            Part::matrix(inner, hidden, inner),
            Part::matrix(hidden, inner, hidden),
            norm,
            norm,
            // Two layer scales.
            Part::vectors(2 * hidden),
        ]);
        if config.qk_norm {
            parts.extend([Part::vectors(hidden); 2]);
        }
    }
    let values = tokens * hidden;
    let block = config.heads * QUERY_BLOCK_ROWS.min(tokens) * tokens;
    // Residual in and out; normed rows and their projection, values by head, the result twice;
    // queries scaled and by head, keys by head, all in f32.
    let attention = work(Unit::Tile, 7 * values, 7 * values);
    // Scores, softmax, and the softmax in the compute dtype.
    let scores = Work { scores: true, ..work(Unit::Tile, block, 2 * block) };
    // Normed rows and the inner ones, before and after GELU.
    let mlp = work(Unit::Tile, values + 2 * tokens * inner, 2 * values);
    // Pixels, as bytes and in f32.
    let samples = config.channels * config.image_size.pow(2);
    let pixels = work(Unit::Tile, 0, samples + samples.div_ceil(4));
    let has_kernels = !config.qk_norm
        && config.norm == VisionNorm::Layer
        && fits_kernels(hidden / config.heads, &[hidden, inner]);
    // Patches and what they are embedded to; the residual and what is to be added to it; normed rows, queries,
    // keys and values, what is attended, and the inner rows.
    let buffers = fused_work(
        Unit::Tile,
        (tokens - 1) * patch_pixels + 5 * values + tokens * inner,
        3 * values,
    );
    ModuleCost {
        phases: vec![vec![attention, scores, pixels], vec![mlp, pixels]],
        fused: has_kernels.then(|| vec![vec![buffers, pixels]]),
        ..module(ModuleKind::Vision, "vision_model", parts)
    }
}

fn projector(config: &Config) -> ModuleCost {
    let hidden = config.text.hidden_size;
    let wide = config.vision.hidden_size * config.shuffle_side().pow(2);
    let parts = vec![
        Part::vectors(2 * wide),
        Part::matrix(hidden, wide, hidden),
        Part::matrix(hidden, hidden, hidden),
    ];
    // Patches shuffled and normed, and three rows of the language model's width.
    let rows = config.tokens_per_tile() * (2 * wide + 3 * hidden);
    ModuleCost {
        phases: vec![vec![work(Unit::Tile, rows, 0)]],
        ..module(ModuleKind::Projector, "mlp1", parts)
    }
}

fn embedding(config: &TextConfig) -> ModuleCost {
    let parts = vec![Part::matrix(config.vocab_size, config.hidden_size, 0)];
    ModuleCost {
        // Image features wait here until their tokens are taken in; a slot may be all image.
        held_values: config.hidden_size as u64,
        phases: vec![vec![work(Unit::Row, config.hidden_size, config.hidden_size)]],
        ..module(ModuleKind::Embedding, "language_model.model.embed_tokens", parts)
    }
}

fn layer(config: &TextConfig, index: usize) -> ModuleCost {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let queries = config.heads * config.head_dim;
    let kv = config.kv_heads * config.head_dim;
    let parts = vec![
        // Stacked where they read the same rows.
        Part::matrix(queries + 2 * kv, hidden, queries + 2 * kv),
        Part::matrix(hidden, queries, 0),
        Part::matrix(2 * inner, hidden, 0),
        Part::matrix(hidden, inner, 0),
        Part::vectors(hidden),
        Part::vectors(hidden),
    ];
    let attention = vec![
        // Residual in and out, queries rotated, scaled and by head; normed rows, their projection,
        // and the result three times.
        work(Unit::Row, hidden + queries + 2 * kv + 3 * queries, 2 * hidden + 4 * queries),
        // Keys in f32, also by head; values by head.
        work(Unit::Key, kv, 2 * kv),
        // Scores, masked, softmax, and the softmax in the compute dtype.
        Work { scores: true, ..work(Unit::Score, config.heads, 3 * config.heads) },
    ];
    // Normed rows, gate and up, and their product with what SwiGLU makes on the way.
    let mlp = vec![work(Unit::Row, hidden + 4 * inner, 2 * hidden)];
    // Normed rows, queries, keys and values, queries rotated, what is attended, gate and up, and their product; the
    // residual, what is to be added to it, and their sum.
    let buffers = fused_work(Unit::Row, hidden + 3 * queries + 2 * kv + 3 * inner, 3 * hidden);
    let has_kernels = fits_kernels(config.head_dim, &[hidden, inner])
        && config.heads / config.kv_heads <= FUSED_GROUP_MAX;
    ModuleCost {
        kv_values: 2 * kv as u64,
        phases: vec![attention, mlp],
        fused: has_kernels.then(|| vec![vec![buffers]]),
        ..module(ModuleKind::Layer, format!("language_model.model.layers.{index}"), parts)
    }
}

fn norm(config: &TextConfig) -> ModuleCost {
    let hidden = config.hidden_size;
    ModuleCost {
        phases: vec![vec![work(Unit::Sequence, hidden, hidden)]],
        ..module(ModuleKind::Norm, "language_model.model.norm", vec![Part::vectors(hidden)])
    }
}

fn head(config: &TextConfig) -> ModuleCost {
    let (hidden, vocab) = (config.hidden_size, config.vocab_size);
    ModuleCost {
        // Logits of the largest decoding step.
        standing: vec![work(Unit::Sequence, 0, vocab)],
        // Logits, and once more in f32.
        phases: vec![vec![work(Unit::Sequence, hidden + vocab, vocab)]],
        ..module(ModuleKind::Head, "language_model.lm_head", vec![Part::matrix(vocab, hidden, 0)])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::device::Dtype;
    use crate::model::Runner as _;
    use crate::model::internvl::{LoadOptions, load};
    use crate::placement::{DtypePolicy, WeightFormat};

    /// Every module costs what loading it puts on the device.
    #[track_caller]
    fn check(checkpoint: &Checkpoint) {
        let config = Config::load(checkpoint).unwrap();
        let options = LoadOptions {
            devices: "cpu".parse().unwrap(),
            slots: 1,
            slot_tokens: Some(64),
            image_token_id: Some(1),
            ..LoadOptions::default()
        };
        let loaded = load(checkpoint, &options, &mut |_| {}).unwrap();
        let policy = DtypePolicy { requested: Some(Dtype::F32), ..DtypePolicy::default() };
        let costs: Vec<(String, u64)> = cost(&config)
            .modules
            .iter()
            .map(|module| {
                let decision = policy.decide(&module.name, None).unwrap();
                assert_eq!(decision.weights, WeightFormat::Dense(Dtype::F32));
                let tied = config.text.tied_embeddings && module.kind == ModuleKind::Head;
                (module.name.clone(), if tied { 0 } else { module.bytes(&decision) })
            })
            .collect();
        let placed: Vec<(String, u64)> = loaded
            .spec()
            .placements
            .iter()
            .map(|placement| (placement.module.clone(), placement.weight_bytes))
            .collect();
        assert_eq!(costs, placed, "{checkpoint}");
    }

    #[test]
    fn weights_cost_what_they_take() {
        check(&Checkpoint::Embedded);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for name in ["micro-a", "micro-b", "micro-c", "micro-d", "micro-d-hf"] {
            check(&Checkpoint::Dir(golden.join(name)));
        }
    }
}
