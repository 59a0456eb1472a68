//! What a fake model is to be: its specification, its answers, and the time that it takes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{DeviceMemory, Dtype, MemoryGauge};
use crate::model::{DeviceUse, ModelSpec, Placement};
use crate::placement::WeightFormat;

/// The answer to a prompt.
pub type Answerer = Arc<dyn Fn(&[u32]) -> Vec<u32> + Send + Sync>;

/// What the fake answers.
#[derive(Clone, Default)]
pub enum Script {
    /// Whatever the hash of the sequence says.
    #[default]
    Hash,
    /// These tokens after every prompt, then the last of them again and again. End them with a stop
    /// id to end the answer.
    Answer(Vec<u32>),
    /// What the last so many tokens alone say, as of small random weights: greedy answers go in circles.
    Circles(Circles),
    /// The tokens that this returns for a prompt, as [`Answer`](Self::Answer).
    Of(Answerer),
}

/// A model without a mind of its own.
#[derive(Debug, Clone, Copy)]
pub struct Circles {
    pub seed: u64,
    /// Tokens that it remembers.
    pub memory: usize,
    /// Its logits lie between 0 and this: the more, the surer it is.
    pub sureness: f32,
}

/// A fake model to be.
#[derive(Debug, Clone)]
pub struct Options {
    pub spec: ModelSpec,
    pub script: Script,
    /// Time that each forward pass takes.
    pub step_delay: Duration,
    /// Time that each token of a prompt takes beside that.
    pub token_delay: Duration,
    /// Time that each encoded tile takes.
    pub tile_delay: Duration,
    /// The page that all tokens look at most, where somebody asks; none: it does not tell.
    pub looks_at: Option<usize>,
    /// Whether it begins passes ahead, as a GPU does. It gains nothing by it.
    pub begins_ahead: bool,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            spec: ModelSpec {
                name: "fake".to_owned(),
                revision: "fake".to_owned(),
                vocab_size: 256,
                tokens_per_tile: 4,
                tile_size_px: 2,
                image_token_id: 255,
                slots: 4,
                slot_tokens: 128,
                prefill_tokens: 512,
                block_tokens: 16,
                kv_bytes_per_token: 64,
                shares_kv: true,
                kv_dtype: Dtype::F32,
                placements: vec![placement()],
                devices: vec![device()],
                ..ModelSpec::default()
            },
            script: Script::Hash,
            step_delay: Duration::ZERO,
            token_delay: Duration::ZERO,
            tile_delay: Duration::ZERO,
            looks_at: None,
            begins_ahead: true,
        }
    }
}

fn placement() -> Placement {
    Placement {
        replica: 0,
        module: "fake".to_owned(),
        device_id: "cpu".to_owned(),
        requested_dtype: Dtype::F32,
        weights: WeightFormat::Dense(Dtype::F32),
        compute_dtype: Dtype::F32,
        residual_dtype: Dtype::F32,
        dtype_reason: String::new(),
        weight_bytes: 0,
        tensors: 0,
        is_shared: false,
    }
}

fn device() -> DeviceUse {
    DeviceUse {
        id: "cpu".to_owned(),
        name: "fake".to_owned(),
        compute_capability: String::new(),
        total_bytes: 0,
        memory: MemoryGauge::fixed(DeviceMemory::default()),
        weight_bytes: 0,
        kv_cache_bytes: 0,
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash => f.write_str("Hash"),
            Self::Answer(tokens) => f.debug_tuple("Answer").field(tokens).finish(),
            Self::Circles(circles) => f.debug_tuple("Circles").field(circles).finish(),
            Self::Of(_) => f.write_str("Of(..)"),
        }
    }
}

// === impl Script ===

impl Script {
    /// The answer to a prompt; empty where the hash says it.
    pub(super) fn answer(&self, prompt: &[u32]) -> Vec<u32> {
        match self {
            Self::Hash | Self::Circles(_) => Vec::new(),
            Self::Answer(answer) => answer.clone(),
            Self::Of(answer) => answer(prompt),
        }
    }
}
