//! What a device can do at best, measured here and now: how fast it copies memory, how fast it multiplies
//! large matrices, by the library's product or this program's own; and what a model needs of both.

use std::fmt;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use crate::device::{DeviceHandle, Dtype};
use crate::model::{ModelSpec, Placement, large_product};
use crate::placement::{Quantization, WeightFormat};

/// Larger than any cache of a device of its kind.
const COPY_BYTES_CPU: usize = 256 << 20;
const COPY_BYTES_GPU: usize = 1 << 30;
/// Side of the matrices: large enough that a device is busy.
const SIDE_CPU: usize = 1536;
const SIDE_GPU: usize = 8192;
/// The best of so many is what the device can do.
const TRIES: usize = 5;
/// Vision tokens that become one image token, beside one for the whole tile.
const VISION_TOKENS_PER_IMAGE_TOKEN: usize = 4;

/// Rates of the first device, in the dtype in which the decoder computes there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    /// Read and written together.
    bytes_per_second: f64,
    flops: f64,
    dtype: Dtype,
}

impl Bounds {
    pub(super) fn measure(
        devices: &[DeviceHandle],
        spec: &ModelSpec,
    ) -> Result<Self, candle_core::Error> {
        let device = devices.first().map_or(&Device::Cpu, |handle| &handle.device);
        let decoder = spec.placements.iter().find(|placement| is_decoder(placement));
        let dtype = decoder.map_or(Dtype::F32, |placement| placement.compute_dtype);
        Ok(Self { bytes_per_second: copy(device)?, flops: multiply(device, dtype)?, dtype })
    }

    /// Weights read once, and the KV entries of all sequences.
    pub(super) fn decode(&self, spec: &ModelSpec, batch: usize, context: usize) -> f64 {
        let weights: u64 = read_by_decoding(spec).map(|placement| placement.weight_bytes).sum();
        let kv = spec.kv_bytes_per_token * (batch * context) as u64;
        let by_memory = (weights + kv) as f64 / self.bytes_per_second;
        by_memory.max(self.products(decoder_weights(spec), batch))
    }

    pub(super) fn prefill(&self, spec: &ModelSpec, tokens: usize) -> f64 {
        self.products(prompt_weights(spec), tokens)
    }

    /// All products of so many requests, or reading the weights once for each output token and the KV entries once
    /// for each step, if one could wholly hide behind the other.
    pub(super) fn language(
        &self,
        spec: &ModelSpec,
        requests: usize,
        prompt: usize,
        answer: usize,
    ) -> f64 {
        let weights: u64 = read_by_decoding(spec).map(|placement| placement.weight_bytes).sum();
        let context = prompt + answer / 2;
        let kv = spec.kv_bytes_per_token * (requests * context) as u64;
        let by_memory = ((weights + kv) * answer as u64) as f64 / self.bytes_per_second;
        let prompts = self.products(prompt_weights(spec), requests * prompt);
        by_memory.max(prompts + self.products(decoder_weights(spec), requests * answer))
    }

    pub(super) fn vision(&self, spec: &ModelSpec, tiles: usize) -> f64 {
        let per_tile = spec.tokens_per_tile * VISION_TOKENS_PER_IMAGE_TOKEN + 1;
        let vision =
            spec.placements.iter().filter(|placement| placement.module.starts_with("vision"));
        self.products(vision.map(weights).sum(), per_tile * tiles)
    }

    /// A multiplication and an addition for each weight and token.
    fn products(&self, weights: f64, tokens: usize) -> f64 {
        2.0 * weights * tokens as f64 / self.flops
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "measured here: copies at {:.1} GB/s (read and written), products in {} at {:.2} TFLOP/s",
            self.bytes_per_second / 1e9,
            self.dtype,
            self.flops / 1e12
        )
    }
}

fn is_decoder(placement: &Placement) -> bool {
    placement.module.starts_with("language_model")
}

/// All of the decoder but the table of embeddings, of which a step reads one row a token, unless it is
/// also what makes logits.
fn read_by_decoding(spec: &ModelSpec) -> impl Iterator<Item = &Placement> {
    let has_head = spec.placements.iter().any(|placement| placement.module.contains("lm_head"));
    spec.placements.iter().filter(move |placement| {
        is_decoder(placement) && !(has_head && placement.module.contains("embed_tokens"))
    })
}

/// Weights of the decoder's layers, without the head.
fn decoder_weights(spec: &ModelSpec) -> f64 {
    layers(spec).map(work).sum()
}

/// Weights that every token of a prompt needs. The last layer, of which it needs keys and values, is left out whole, as the
/// head is: only the last token's rows are read.
fn prompt_weights(spec: &ModelSpec) -> f64 {
    decoder_weights(spec) - layers(spec).last().map_or(0.0, work)
}

fn layers(spec: &ModelSpec) -> impl Iterator<Item = &Placement> {
    let layers = spec.placements.iter().filter(|placement| placement.module.contains(".layers."));
    layers.filter(|placement| is_decoder(placement))
}

/// Weights as products with them count: tensor cores take 8-bit floats at twice the rate that is measured here.
fn work(placement: &Placement) -> f64 {
    let is_fp8 = placement.weights == WeightFormat::Quantized(Quantization::Fp8);
    weights(placement) / if is_fp8 { 2.0 } else { 1.0 }
}

fn weights(placement: &Placement) -> f64 {
    let bytes = match placement.weights {
        WeightFormat::Dense(dtype) => dtype.size_bytes() as f64,
        // Scales of rows are few beside their integers.
        WeightFormat::Quantized(_) => 1.0,
    };
    placement.weight_bytes as f64 / bytes
}

fn copy(device: &Device) -> Result<f64, candle_core::Error> {
    let bytes = if device.is_cpu() { COPY_BYTES_CPU } else { COPY_BYTES_GPU };
    let from = Tensor::ones(bytes / 4, DType::F32, device)?;
    let seconds = best(device, || from.copy().map(drop))?;
    Ok(2.0 * bytes as f64 / seconds)
}

fn multiply(device: &Device, dtype: Dtype) -> Result<f64, candle_core::Error> {
    let side = if device.is_cpu() { SIDE_CPU } else { SIDE_GPU };
    let dtype = dtype.to_candle();
    // Of ones a GPU at its limit of power would multiply more than of any weights.
    let random = || Tensor::randn(0f32, 1.0, (side, side), device)?.to_dtype(dtype);
    let (a, b) = (random()?, random()?);
    let mut seconds = best(device, || a.matmul(&b).map(drop))?;
    if device.is_cpu() {
        // Of values as weights mostly have them.
        let weight = b.to_dtype(DType::BF16)?.to_dtype(dtype)?;
        let product = large_product(weight);
        seconds = seconds.min(best(device, || product(&a).map(drop))?);
    }
    Ok(2.0 * (side as f64).powi(3) / seconds)
}

/// The shortest time of a few tries, after one that does not count.
fn best(
    device: &Device,
    mut work: impl FnMut() -> Result<(), candle_core::Error>,
) -> Result<f64, candle_core::Error> {
    let mut least = f64::INFINITY;
    for turn in 0..=TRIES {
        device.synchronize()?;
        let began = Instant::now();
        work()?;
        device.synchronize()?;
        if turn > 0 {
            least = least.min(began.elapsed().as_secs_f64());
        }
    }
    Ok(least)
}
