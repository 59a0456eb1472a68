//! InternViT: pixels of tiles to patch features.

use candle_core::{DType, Device, IndexOp as _, Result, Tensor};

use super::config::{VisionConfig, VisionNorm};
use crate::model::layers::{Causal, Linear, Norm, attention, gelu, scaled_add};
use crate::weights::{Loaded, Weights, WeightsError};

/// The tower. One sequence a tile: a class token and the patches, row by row.
pub(super) struct VisionTower {
    config: VisionConfig,
    dtype: DType,
    device: Device,
    /// `[patch pixels, hidden]` with bias: the patch convolution as a matrix product.
    patch_embedding: Linear,
    /// `[1, hidden]`
    class_embedding: Tensor,
    /// `[1 + patches, hidden]`
    position_embedding: Tensor,
    layers: Vec<Layer>,
}

struct Layer {
    norm1: Norm,
    qkv: Linear,
    qk_norms: Option<(Norm, Norm)>,
    proj: Linear,
    ls1: Tensor,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    ls2: Tensor,
}

impl VisionTower {
    pub(super) fn load(config: &VisionConfig, weights: &Weights) -> Loaded<Self> {
        let hidden = config.hidden_size;
        let patches = (config.image_size / config.patch_size).pow(2);
        let prefix = "vision_model.embeddings";
        let kernel = [hidden, config.channels, config.patch_size, config.patch_size];
        let flatten = |tensor: Tensor, shape: (usize, usize)| {
            tensor.reshape(shape).map_err(|error| WeightsError::Place {
                name: prefix.to_owned(),
                device: weights.device().id.clone(),
                message: error.to_string(),
            })
        };
        let patch_pixels = kernel[1..].iter().product();
        let patch_weight = weights.tensor(&format!("{prefix}.patch_embedding.weight"), &kernel)?;
        let patch_bias = weights.tensor(&format!("{prefix}.patch_embedding.bias"), &[hidden])?;
        let class = weights.tensor(&format!("{prefix}.class_embedding"), &[1, 1, hidden])?;
        let position =
            weights.tensor(&format!("{prefix}.position_embedding"), &[1, 1 + patches, hidden])?;
        Ok(Self {
            config: config.clone(),
            dtype: weights.dtype().to_candle(),
            device: weights.device().device.clone(),
            patch_embedding: Linear::new(
                flatten(patch_weight, (hidden, patch_pixels))?,
                Some(patch_bias),
            ),
            class_embedding: flatten(class, (1, hidden))?,
            position_embedding: flatten(position, (1 + patches, hidden))?,
            layers: (0..config.layers)
                .map(|index| Layer::load(config, weights, index))
                .collect::<Loaded<_>>()?,
        })
    }

    pub(super) fn is_on_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    /// Normalised pixels `[tiles, channels, side, side]` in f32 to `[tiles, 1 + patches, hidden]`.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let tiles = pixels.dim(0)?;
        let hidden = self.config.hidden_size;
        let patches = self.patches(pixels)?;
        let embedded = self.patch_embedding.forward(&patches)?;
        let embedded = embedded.reshape((tiles, embedded.dim(0)? / tiles, hidden))?;
        let class = self.class_embedding.unsqueeze(0)?.broadcast_as((tiles, 1, hidden))?;
        let x = Tensor::cat(&[class, embedded], 1)?.broadcast_add(&self.position_embedding)?;
        let tokens = x.dim(1)?;
        let mut x = x.reshape((tiles * tokens, hidden))?;
        for layer in &self.layers {
            x = layer.forward(&x, tiles, &self.config)?;
        }
        x.reshape((tiles, tokens, hidden))
    }

    /// Cuts tiles into rows of patch pixels in the convolution kernel's order,
    /// `[tiles * patches, channels * patch * patch]`.
    fn patches(&self, pixels: &Tensor) -> Result<Tensor> {
        let (tiles, channels, side, _) = pixels.dims4()?;
        let patch = self.config.patch_size;
        let grid = side / patch;
        pixels
            .to_device(&self.device)?
            .reshape((tiles * channels, grid, patch, grid, patch))?
            .transpose(2, 3)?
            .reshape((tiles, channels, grid * grid, patch * patch))?
            .transpose(1, 2)?
            .reshape((tiles * grid * grid, channels * patch * patch))?
            .to_dtype(self.dtype)
    }
}

impl Layer {
    fn load(config: &VisionConfig, weights: &Weights, index: usize) -> Loaded<Self> {
        let prefix = format!("vision_model.encoder.layers.{index}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let vector = |name: &str| weights.tensor(&format!("{prefix}.{name}"), &[hidden]);
        let linear = |name: &str, rows: usize, columns: usize| {
            Ok::<_, WeightsError>(Linear::new(
                weights.tensor(&format!("{prefix}.{name}.weight"), &[rows, columns])?,
                Some(weights.tensor(&format!("{prefix}.{name}.bias"), &[rows])?),
            ))
        };
        let norm = |name: &str| {
            let weight = vector(&format!("{name}.weight"))?;
            let eps = config.eps as f32;
            Ok::<_, WeightsError>(match config.norm {
                VisionNorm::Layer => {
                    Norm::Layer { weight, bias: vector(&format!("{name}.bias"))?, eps }
                }
                VisionNorm::Rms => Norm::Rms { weight, eps },
            })
        };
        let qk_norm = |name: &str| {
            Ok::<_, WeightsError>(Norm::Rms {
                weight: vector(&format!("attn.{name}.weight"))?,
                eps: config.eps as f32,
            })
        };
        Ok(Self {
            norm1: norm("norm1")?,
            qkv: qkv(config, weights, &prefix)?,
            qk_norms: config
                .qk_norm
                .then(|| Ok::<_, WeightsError>((qk_norm("q_norm")?, qk_norm("k_norm")?)))
                .transpose()?,
            proj: linear("attn.proj", hidden, hidden)?,
            ls1: vector("ls1")?,
            norm2: norm("norm2")?,
            fc1: linear("mlp.fc1", inner, hidden)?,
            fc2: linear("mlp.fc2", hidden, inner)?,
            ls2: vector("ls2")?,
        })
    }

    /// `[tiles * tokens, hidden]` to the same.
    fn forward(&self, x: &Tensor, tiles: usize, config: &VisionConfig) -> Result<Tensor> {
        let attended = self.attend(&self.norm1.forward(x)?, tiles, config)?;
        let x = scaled_add(x, &attended, &self.ls1)?;
        let inner = gelu(&self.fc1.forward(&self.norm2.forward(&x)?)?)?;
        scaled_add(&x, &self.fc2.forward(&inner)?, &self.ls2)
    }

    fn attend(&self, x: &Tensor, tiles: usize, config: &VisionConfig) -> Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let (heads, tokens) = (config.heads, rows / tiles);
        let head_dim = hidden / heads;
        let qkv = self.qkv.forward(x)?;
        // [tiles, tokens, heads, head_dim] of queries, keys or values, read in place.
        let part = |index: usize| {
            qkv.reshape((tiles, tokens, 3, heads, head_dim))?.narrow(2, index, 1)?.squeeze(2)
        };
        let (mut q, mut k, v) = (part(0)?, part(1)?, part(2)?);
        if let Some((q_norm, k_norm)) = &self.qk_norms {
            let whole_rows = |norm: &Norm, x: &Tensor| {
                norm.forward(&x.reshape((rows, hidden))?)?.reshape((tiles, tokens, heads, head_dim))
            };
            (q, k) = (whole_rows(q_norm, &q)?, whole_rows(k_norm, &k)?);
        }
        let out = attention(&q, &k, &v, Causal::No)?.reshape((rows, hidden))?;
        self.proj.forward(&out)
    }
}

/// The fused projection of the original layout, or the three of the `-hf` layouts stacked.
fn qkv(config: &VisionConfig, weights: &Weights, prefix: &str) -> Loaded<Linear> {
    let hidden = config.hidden_size;
    let split = weights.contains(&format!("{prefix}.attn.q_proj.weight"));
    let load = |parameter: &str, width: &[usize]| {
        let shape = |rows: usize| [&[rows], width].concat();
        if split {
            let parts = ["q_proj", "k_proj", "v_proj"]
                .map(|name| (format!("{prefix}.attn.{name}.{parameter}"), shape(hidden)));
            weights.stacked(&parts)
        } else {
            weights.tensor(&format!("{prefix}.attn.qkv.{parameter}"), &shape(3 * hidden))
        }
    };
    let bias = config.qkv_bias.then(|| load("bias", &[])).transpose()?;
    Ok(Linear::new(load("weight", &[hidden])?, bias))
}

/// The features of patches, without the class token: `[tiles, patches, hidden]`.
pub(super) fn without_class_token(features: &Tensor) -> Result<Tensor> {
    features.i((.., 1.., ..))
}
