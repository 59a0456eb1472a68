//! The seam between the engine and the forward pass: plain values in, logits or tokens out.

use std::ops::Range;

use super::output::{Outputs, Want};
use super::pending::Pending;
use crate::device::{Dtype, Link, MemoryGauge};
use crate::placement::{DtypePolicy, WeightFormat};
use crate::preprocess::SampleValues;

/// A sequence's place while it runs, where its image features are: `0..ModelSpec::slots`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// What the engine and `ModelInfo` know of a loaded model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelSpec {
    /// Name shown to clients and accepted in requests.
    pub name: String,
    /// Names the weights; see `ModelStatus.revision`.
    pub revision: String,
    pub vocab_size: usize,
    /// Image tokens that one tile becomes.
    pub tokens_per_tile: usize,
    /// Side of one square tile.
    pub tile_size_px: u32,
    /// Id that stands for one image feature row in a prompt.
    pub image_token_id: u32,
    /// Equal models that requests are spread over, each with slots and blocks of its own; 0 and 1: one.
    pub replicas: usize,
    /// Sequences that run at once.
    pub slots: usize,
    /// Tokens, prompt and output together, of one sequence; at most the model's own context.
    pub slot_tokens: usize,
    /// Prompt tokens of one step that there is memory for, and that suit the devices.
    pub prefill_tokens: usize,
    /// Rows of a pass that products take together: one row more than a multiple of these costs as much as all that
    /// would follow it. 0 and 1: each costs the same.
    pub row_tile: usize,
    /// Blocks of the KV cache, numbered from 0: enough for one sequence of `slot_tokens` at least.
    pub kv_blocks: usize,
    /// Tokens whose keys and values one block holds.
    pub block_tokens: usize,
    pub kv_bytes_per_token: u64,
    /// Passes that are worth having under way at once: as many as there are GPUs that the layers are spread
    /// over, each of which works on another pass. 0 and 1: one.
    pub passes: usize,
    /// Whether a token's keys and values depend on nothing but the tokens and images up to it, so that other
    /// sequences that begin alike can use them.
    pub shares_kv: bool,
    pub kv_dtype: Dtype,
    /// What the operator asked for.
    pub policy: DtypePolicy,
    /// What was found after loading, not what was planned.
    pub placements: Vec<Placement>,
    pub devices: Vec<DeviceUse>,
    /// Copies between devices that a token or a page makes.
    pub links: Vec<Link>,
    pub verification: Verification,
}

/// Where one module was put, in which dtype.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Of the model that is served several times; 0: the first or only one.
    pub replica: usize,
    /// Weight-name prefix in the original layout's names: `language_model.model.layers.0`.
    pub module: String,
    /// `cpu`, `cuda:0`.
    pub device_id: String,
    pub requested_dtype: Dtype,
    pub weights: WeightFormat,
    /// Of matrix products' inputs; their sums, softmax, norms and `RoPE` are f32.
    pub compute_dtype: Dtype,
    /// Of the sum that runs through the layers.
    pub residual_dtype: Dtype,
    /// Why a dtype differs from the one asked for; empty where none does.
    pub dtype_reason: String,
    pub weight_bytes: u64,
    /// Stored tensors, each of which was found on the device and in a dtype that this entry names.
    pub tensors: usize,
    /// Its weights are read by all replicas that have it there in this dtype.
    pub is_shared: bool,
}

/// What start-up checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verification {
    /// Tensors that were read back from their device and equal the file; 0: this was not asked for.
    pub tensors_compared: usize,
    /// Magnitudes of a known prompt, by place; empty: no prompt was run.
    pub probe: Vec<SiteRange>,
}

/// How large numbers get in one place of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteRange {
    /// As [`Placement::module`].
    pub module: String,
    /// `scores`, `mlp_product`, `residual`, ...
    pub site: &'static str,
    /// In which the numbers are held there.
    pub dtype: Dtype,
    pub max_abs: f32,
    pub is_finite: bool,
}

/// Where a forward pass first has a value that is no finite number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonFinite {
    /// As [`Placement::module`].
    pub module: String,
    /// As [`SiteRange::site`].
    pub site: &'static str,
    /// `cpu`, `cuda:0`.
    pub device_id: String,
    /// In which the number was held.
    pub dtype: Dtype,
}

/// Memory of one device, as far as this model uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceUse {
    pub id: String,
    pub name: String,
    /// `9.0`; empty for the CPU.
    pub compute_capability: String,
    pub total_bytes: u64,
    /// What is free changes all the time, by others too.
    pub memory: MemoryGauge,
    pub weight_bytes: u64,
    pub kv_cache_bytes: u64,
}

impl DeviceUse {
    /// Bytes that are free for any process now: the device is asked.
    pub fn free_bytes(&self) -> u64 {
        self.memory.now().free_bytes
    }
}

/// Pixels of some tiles of one sequence.
#[derive(Debug, Clone, Copy)]
pub struct PixelTiles<'a> {
    pub tiles: usize,
    pub data: PixelData<'a>,
}

/// `[tiles, 3, side, side]` in row-major order.
#[derive(Debug, Clone, Copy)]
pub enum PixelData<'a> {
    /// As pages have them, and what they stand for.
    Samples(&'a [u8], &'a SampleValues),
    /// Normalised.
    Values(&'a [f32]),
}

impl<'a> PixelData<'a> {
    /// None where they are normalised already.
    pub fn samples(self) -> Option<(&'a [u8], &'a SampleValues)> {
        match self {
            Self::Samples(samples, values) => Some((samples, values)),
            Self::Values(_) => None,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Samples(samples, _) => samples.len(),
            Self::Values(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names the feature rows of a page by what they were made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureKey(pub u128);

/// Tiles of one sequence that are encoded together with those of others.
#[derive(Debug, Clone, Copy)]
pub struct SlotTiles<'a> {
    pub slot: Slot,
    /// Which of the sequence's tiles the first one is.
    pub first_tile: usize,
    pub pixels: PixelTiles<'a>,
}

/// New tokens of one sequence: a piece of its prompt, or the one token chosen last.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub slot: Slot,
    /// KV blocks of the sequence in order, enough for these tokens. Blocks before `start` may belong to
    /// other sequences too; those that are written belong to this one alone.
    pub blocks: &'a [u32],
    /// Position of `tokens[0]` in the sequence; the blocks hold KV entries of all positions before it.
    pub start: usize,
    pub tokens: &'a [u32],
    /// Image tokens of the sequence before `start`: where its next image feature row is.
    pub image_tokens_before: usize,
    /// What follows the last token.
    pub want: Want<'a>,
    /// Where the sequence's pages are among its tokens: how much of the last token's attention falls on each is told
    /// with what it wants. Empty: nobody asks.
    pub pages: &'a [Range<usize>],
}

/// One forward pass over several sequences.
#[derive(Debug, Clone, Default)]
pub struct StepBatch<'a> {
    pub segments: Vec<Segment<'a>>,
}

impl ModelSpec {
    /// Blocks that hold `tokens`.
    pub fn blocks_for(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.block_tokens.max(1))
    }

    /// Tokens that the whole KV cache holds.
    pub fn kv_tokens(&self) -> usize {
        self.kv_blocks * self.block_tokens
    }

    /// The first blocks, for a sequence of `tokens` that runs alone.
    pub(crate) fn blocks_of_one(&self, tokens: usize) -> Vec<u32> {
        (0..self.blocks_for(tokens) as u32).collect()
    }
}

/// Why a forward pass failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The device has no room for this pass; other requests may go on.
    #[error("out of memory on {device_id}: {message}")]
    OutOfMemory { device_id: String, message: String },
    #[error("forward pass failed in {site}: {message}")]
    Device { site: &'static str, message: String },
}

/// A loaded model. One thread owns it: the engine's.
pub trait Runner: Send {
    fn spec(&self) -> &ModelSpec;

    /// Runs the vision tower and the projector over the tiles of all segments, together, and keeps the feature
    /// rows for their slots.
    ///
    /// After an error no slot has any of these rows, and the same segments can be given again.
    fn encode(&mut self, segments: &[SlotTiles<'_>]) -> Result<(), RunError>;

    /// Keeps feature rows of `slot`, which it has, under `key` until [`forget`](Self::forget).
    fn keep(&mut self, slot: Slot, rows: Range<usize>, key: FeatureKey) -> Result<(), RunError>;

    /// Gives `slot` the rows that were kept under `key`, from `first_row` on.
    fn reuse(&mut self, slot: Slot, first_row: usize, key: FeatureKey);

    /// Gives up what was kept under `key`. Slots that reuse it have it as long as they need.
    fn forget(&mut self, key: FeatureKey);

    /// Takes in the tokens of all segments: one pass over the weights. Where a token is
    /// `image_token_id` the slot's next image feature row takes its place. Returns one output for each
    /// segment that wants something, in their order.
    ///
    /// After an error the same segments can be given again, all or some of them: no sequence counts as
    /// further than before.
    fn step(&mut self, batch: &StepBatch<'_>) -> Result<Outputs, RunError>;

    /// Begins what [`step`](Self::step) does, and returns before it is done where devices work by themselves.
    /// Whatever is called next comes after it: a pass may take in what follows tokens of one under way.
    ///
    /// Where waiting gives an error, passes begun later are no good for its sequences either.
    fn submit(&mut self, batch: &StepBatch<'_>) -> Result<Pending, RunError> {
        self.step(batch).map(Pending::there)
    }

    /// Begins the pass that follows the one submitted last, before it is known what that one chooses: the one token of each
    /// segment, which has none yet, is what the sequence in its slot chooses there. They want the likeliest
    /// token, or one that is drawn among all, whatever by: that is told when the pass is asked for. One that was to be the
    /// likeliest and is drawn then is another pass. Says whether it did.
    ///
    /// If the pass that is submitted next has these segments, or some of them, with the tokens that were chosen, it is under
    /// way already. Any other begins as always, and what was begun here is dropped: it has written KV entries behind those that
    /// its sequences hold, and nothing else.
    fn begin_ahead(&mut self, _batch: &StepBatch<'_>) -> bool {
        false
    }

    /// Where the logits of `batch` went wrong: called after steps that gave logits which are not all
    /// finite, with the segments that had those, as they were given, before anything else is done with
    /// their slots. Changes nothing for other slots; these are released next.
    ///
    /// None: not known.
    fn locate_non_finite(&mut self, _batch: &StepBatch<'_>) -> Option<NonFinite> {
        None
    }

    /// Forgets the feature rows of `slot`, if it has any. KV blocks need no release: whoever is given one
    /// next writes it before reading it.
    fn release(&mut self, slot: Slot);
}
