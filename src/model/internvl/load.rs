//! From a checkpoint to a runner: configuration, device, dtype, weights, KV cache.

use super::config::{Config, ConfigError};
use super::language::Decoder;
use super::projector::Projector;
use super::runner::InternVl;
use super::vision::VisionTower;
use crate::checkpoint::Checkpoint;
use crate::device::{self, DeviceError, DeviceHandle, DeviceRequest, Dtype, DtypeDecision};
use crate::model::runner::{DeviceUse, ModelSpec, Placement};
use crate::weights::{WeightSource, Weights, WeightsError};

/// Tokens a slot holds unless asked otherwise: a page of 13 tiles, its prompt and a long answer.
const SLOT_TOKENS_DEFAULT: usize = 8192;

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    pub device: DeviceRequest,
    /// None: what suits the device.
    pub dtype: Option<Dtype>,
    pub weights: WeightSource,
    /// Sequences that run at once; at least 1.
    pub slots: usize,
    /// Tokens of one sequence, prompt and output; none: 8,192 or the model's own context.
    pub slot_tokens: Option<usize>,
    /// The tokenizer's id of the image placeholder; needed where `config.json` does not say it.
    pub image_token_id: Option<u32>,
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{0}: neither config.json nor the tokenizer names the image token")]
    NoImageToken(Checkpoint),
}

/// Loads the model that `checkpoint` describes. `progress` is told what is done, for people.
pub fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<InternVl, LoadError> {
    let config = Config::load(checkpoint)?;
    let image_token_id = config
        .image_token_id
        .or(options.image_token_id)
        .ok_or_else(|| LoadError::NoImageToken(checkpoint.clone()))?;
    let handle = device::open(options.device)?;
    let decision = device::decide_dtype(options.dtype, handle.capability);
    if !decision.reason.is_empty() {
        tracing::warn!(device = handle.id, dtype = %decision.dtype, "{}", decision.reason);
    }
    let weights = Weights::open(checkpoint, options.weights, &handle, decision.dtype)?;
    let mut placements = Vec::new();
    let mut loaded = |module: &str| {
        progress(module);
        placements.push(placement(module, &handle, &decision, weights.take_placed_bytes()));
    };
    let vision = VisionTower::load(&config.vision, &weights)?;
    loaded("vision_model");
    let projector = Projector::load(&config, &weights)?;
    loaded("mlp1");
    let slots = options.slots.max(1);
    let slot_tokens = slot_tokens(&config, options.slot_tokens);
    let decoder = Decoder::load(&config.text, &weights, slots, slot_tokens, loaded)?;
    warn_of_unused(&weights);
    let text = &config.text;
    let kv_bytes_per_token = (2 * text.layers * text.kv_heads * text.head_dim) as u64
        * decision.dtype.size_bytes() as u64;
    let spec = ModelSpec {
        name: checkpoint.name(),
        revision: weights.revision(),
        vocab_size: text.vocab_size,
        tokens_per_tile: config.tokens_per_tile(),
        tile_size_px: config.vision.image_size as u32,
        image_token_id,
        slots,
        slot_tokens,
        kv_bytes_per_token,
        kv_dtype: decision.dtype,
        devices: vec![device_use(
            &handle,
            &placements,
            kv_bytes_per_token * (slots * slot_tokens) as u64,
        )],
        placements,
    };
    Ok(InternVl {
        // A tile at a time keeps the CPU's caches warm; a GPU wants more work in flight.
        vision_batch_tiles: if handle.capability.is_some() { 8 } else { 1 },
        features: vec![None; slots],
        spec,
        config,
        vision,
        projector,
        decoder,
    })
}

/// The context of a slot: what was asked for, but beyond the trained context only where the
/// configuration says how positions are scaled there.
fn slot_tokens(config: &Config, requested: Option<usize>) -> usize {
    let trained = config.text.positions_max;
    match requested {
        Some(tokens) if config.text.rope_dynamic_factor.is_some() => tokens.max(1),
        Some(tokens) => tokens.clamp(1, trained),
        None => SLOT_TOKENS_DEFAULT.min(trained),
    }
}

fn placement(
    module: &str,
    handle: &DeviceHandle,
    decision: &DtypeDecision,
    weight_bytes: u64,
) -> Placement {
    Placement {
        module: module.to_owned(),
        device_id: handle.id.clone(),
        requested_dtype: decision.requested,
        weight_dtype: decision.dtype,
        compute_dtype: decision.dtype,
        dtype_reason: decision.reason.clone(),
        weight_bytes,
    }
}

fn device_use(handle: &DeviceHandle, placements: &[Placement], kv_cache_bytes: u64) -> DeviceUse {
    let memory = handle.memory();
    DeviceUse {
        id: handle.id.clone(),
        name: handle.name.clone(),
        compute_capability: handle.capability.map(|c| c.to_string()).unwrap_or_default(),
        total_bytes: memory.total_bytes,
        free_bytes: memory.free_bytes,
        weight_bytes: placements.iter().map(|p| p.weight_bytes).sum(),
        kv_cache_bytes,
    }
}

/// Stored tensors that the configuration does not account for mean that it is another model's.
fn warn_of_unused(weights: &Weights) {
    let unused: Vec<String> = weights
        .unused()
        .into_iter()
        // Recomputed from the configuration.
        .filter(|name| !name.ends_with("rotary_emb.inv_freq"))
        .collect();
    if let Some(first) = unused.first() {
        tracing::warn!(
            count = unused.len(),
            first,
            "stored tensors that config.json has no use for"
        );
    }
}
