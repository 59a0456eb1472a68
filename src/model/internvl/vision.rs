//! InternViT: pixels of tiles to patch features.

use candle_core::{DType, IndexOp as _, Result, Tensor};

use super::config::{VisionConfig, VisionNorm};
use super::fault;
use super::home::Home;
use super::observe::{Part, Site, Within};
use crate::model::cpu::{self, VisionLayer};
use crate::model::layers::{Causal, Linear, Norm, Visit, attention, gelu, scaled_add, show_scores};
use crate::weights::{Loaded, ModuleWeights, Weights, WeightsError};

#[cfg(feature = "cuda")]
pub(super) mod fused;

/// The tower. One sequence a tile: a class token and the patches, row by row.
pub(super) struct VisionTower {
    config: VisionConfig,
    home: Home,
    /// `[patch pixels, hidden]` with bias: the patch convolution as a matrix product.
    patch_embedding: Linear,
    /// `[1, hidden]`
    class_embedding: Tensor,
    /// `[1 + patches, hidden]`
    position_embedding: Tensor,
    layers: Vec<Layer>,
}

struct Layer {
    /// Of products' inputs.
    compute: DType,
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
    pub(super) fn load(config: &VisionConfig, home: &Home, weights: &Weights) -> Loaded<Self> {
        let (matrices, vectors) = (home.matrices(weights), home.vectors(weights));
        let hidden = config.hidden_size;
        let patches = (config.image_size / config.patch_size).pow(2);
        let prefix = "vision_model.embeddings";
        let kernel = [hidden, config.channels, config.patch_size, config.patch_size];
        let flatten = |tensor: Tensor, shape: (usize, usize)| {
            tensor.reshape(shape).map_err(|error| matrices.cannot_place(prefix, &error))
        };
        let patch_pixels = kernel[1..].iter().product();
        let patch_weight = matrices.tensor(&format!("{prefix}.patch_embedding.weight"), &kernel)?;
        let patch_bias = matrices.tensor(&format!("{prefix}.patch_embedding.bias"), &[hidden])?;
        let class = vectors.tensor(&format!("{prefix}.class_embedding"), &[1, 1, hidden])?;
        let position =
            vectors.tensor(&format!("{prefix}.position_embedding"), &[1, 1 + patches, hidden])?;
        Ok(Self {
            config: config.clone(),
            home: home.clone(),
            patch_embedding: Linear::new(
                flatten(patch_weight, (hidden, patch_pixels))?,
                Some(patch_bias),
            ),
            class_embedding: flatten(class, (1, hidden))?,
            position_embedding: flatten(position, (1 + patches, hidden))?,
            layers: (0..config.layers)
                .map(|index| Layer::load(config, home, weights, index))
                .collect::<Loaded<_>>()?,
        })
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Whether it may serve by other operations than the plain ones that show every place.
    pub(super) fn has_kernels(&self) -> bool {
        let of_cpu = |layer: &Layer| layer.on_cpu(&self.config).is_some();
        !self.home.candle_device().is_cpu() || self.layers.iter().any(of_cpu)
    }

    pub(super) fn visit(&self, visit: Visit<'_>) {
        self.patch_embedding.visit("embeddings.patch_embedding", visit);
        visit("embeddings.class_embedding", &self.class_embedding);
        visit("embeddings.position_embedding", &self.position_embedding);
        for (index, layer) in self.layers.iter().enumerate() {
            layer.visit(&mut |name, tensor| {
                visit(&format!("encoder.layers.{index}.{name}"), tensor);
            });
        }
    }

    /// Normalised pixels `[tiles, channels, side, side]` in f32 to `[tiles, 1 + patches, hidden]`.
    pub(super) fn forward(&self, pixels: &Tensor, look: &mut Within<'_>) -> Result<Tensor> {
        let tiles = pixels.dim(0)?;
        let hidden = self.config.hidden_size;
        if let Some(x) = self.forward_fused(pixels, look)? {
            look.see(Site::Residual, &x)?;
            return Ok(x);
        }
        let patches = self.patches(pixels)?;
        let embedded = self.patch_embedding.forward_as(&patches, self.home.residual())?;
        let embedded = embedded.reshape((tiles, embedded.dim(0)? / tiles, hidden))?;
        let class = self.class_embedding.unsqueeze(0)?.broadcast_as((tiles, 1, hidden))?;
        let x = Tensor::cat(&[class, embedded], 1)?.broadcast_add(&self.position_embedding)?;
        let tokens = x.dim(1)?;
        let mut x = x.reshape((tiles * tokens, hidden))?;
        for layer in &self.layers {
            x = layer.forward(&x, tiles, &self.config, look)?;
        }
        let x = x.reshape((tiles, tokens, hidden))?;
        look.see(Site::Residual, &x)?;
        Ok(x)
    }

    #[cfg(not(feature = "cuda"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the kernels' own has them")]
    fn forward_fused(&self, _: &Tensor, _: &Within<'_>) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Cuts tiles into rows of patch pixels in the convolution kernel's order,
    /// `[tiles * patches, channels * patch * patch]`.
    fn patches(&self, pixels: &Tensor) -> Result<Tensor> {
        let (tiles, channels, side, _) = pixels.dims4()?;
        let patch = self.config.patch_size;
        let grid = side / patch;
        pixels
            .to_device(self.home.candle_device())?
            .reshape((tiles * channels, grid, patch, grid, patch))?
            .transpose(2, 3)?
            .reshape((tiles, channels, grid * grid, patch * patch))?
            .transpose(1, 2)?
            .reshape((tiles * grid * grid, channels * patch * patch))?
            .to_dtype(self.home.compute())
    }
}

impl Layer {
    fn load(config: &VisionConfig, home: &Home, weights: &Weights, index: usize) -> Loaded<Self> {
        let (matrices, vectors) = (home.matrices(weights), home.vectors(weights));
        let prefix = format!("vision_model.encoder.layers.{index}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let vector = |name: &str| vectors.tensor(&format!("{prefix}.{name}"), &[hidden]);
        let linear = |name: &str, rows: usize, columns: usize| {
            Ok::<_, WeightsError>(Linear::new(
                matrices.tensor(&format!("{prefix}.{name}.weight"), &[rows, columns])?,
                Some(matrices.tensor(&format!("{prefix}.{name}.bias"), &[rows])?),
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
        // Reads a product, not the residual.
        let qk_norm = |name: &str| {
            Ok::<_, WeightsError>(Norm::Rms {
                weight: matrices.tensor(&format!("{prefix}.attn.{name}.weight"), &[hidden])?,
                eps: config.eps as f32,
            })
        };
        Ok(Self {
            compute: home.compute(),
            norm1: norm("norm1")?,
            qkv: qkv(config, &matrices, &prefix)?,
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

    fn visit(&self, visit: Visit<'_>) {
        self.norm1.visit("norm1", visit);
        self.qkv.visit("attn.qkv", visit);
        if let Some((q_norm, k_norm)) = &self.qk_norms {
            q_norm.visit("attn.q_norm", visit);
            k_norm.visit("attn.k_norm", visit);
        }
        self.proj.visit("attn.proj", visit);
        visit("ls1", &self.ls1);
        self.norm2.visit("norm2", visit);
        self.fc1.visit("mlp.fc1", visit);
        self.fc2.visit("mlp.fc2", visit);
        visit("ls2", &self.ls2);
    }

    /// `[tiles * tokens, hidden]` to the same.
    fn forward(
        &self,
        x: &Tensor,
        tiles: usize,
        config: &VisionConfig,
        look: &mut Within<'_>,
    ) -> Result<Tensor> {
        let residual = x.dtype();
        if !look.looks_inside()
            && cpu::takes(x)
            && let Some(layer) = self.on_cpu(config)
        {
            return fault::served(Part::Vision, layer.forward(x, tiles)?);
        }
        let attended = self.attend(&self.norm1.forward(x)?, tiles, config, look)?;
        let x = scaled_add(x, &self.proj.forward_as(&attended, residual)?, &self.ls1)?;
        let normed = self.norm2.forward(&x)?.to_dtype(self.compute)?;
        let inner = gelu(&self.fc1.forward(&normed)?)?;
        let down = self.fc2.forward_as(&inner, residual)?;
        let x = scaled_add(&x, &down, &self.ls2)?;
        if look.looks_inside() {
            look.see(Site::MlpProduct, &inner)?;
            look.see(Site::DownProj, &down)?;
            look.see(Site::Residual, &x)?;
        }
        Ok(x)
    }

    /// The layer as the CPU's kernels take it: where its products are in f32 too.
    fn on_cpu(&self, config: &VisionConfig) -> Option<VisionLayer<'_>> {
        (self.compute == DType::F32).then_some(VisionLayer {
            heads: config.heads,
            norm1: self.norm1.parts(),
            qkv: self.qkv.parts()?,
            qk_norms: self.qk_norms.as_ref().map(|(q, k)| [q.parts(), k.parts()]),
            proj: self.proj.parts()?,
            ls1: &self.ls1,
            norm2: self.norm2.parts(),
            fc1: self.fc1.parts()?,
            fc2: self.fc2.parts()?,
            ls2: &self.ls2,
        })
    }

    /// `[tiles * tokens, hidden]` of normalised rows to what the output product takes.
    fn attend(
        &self,
        x: &Tensor,
        tiles: usize,
        config: &VisionConfig,
        look: &mut Within<'_>,
    ) -> Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let (heads, tokens) = (config.heads, rows / tiles);
        let head_dim = hidden / heads;
        let qkv = self.qkv.forward(&x.to_dtype(self.compute)?)?;
        // [tiles, tokens, heads, head_dim] of queries, keys or values, read in place.
        let part = |index: usize| {
            qkv.reshape((tiles, tokens, 3, heads, head_dim))?.narrow(2, index, 1)?.squeeze(2)
        };
        let (mut q, mut k, v) = (part(0)?, part(1)?, part(2)?);
        if let Some((q_norm, k_norm)) = &self.qk_norms {
            let whole_rows = |norm: &Norm, x: &Tensor| {
                let x = x.reshape((rows, hidden))?;
                norm.forward(&x)?.reshape((tiles, tokens, heads, head_dim))
            };
            (q, k) = (whole_rows(q_norm, &q)?, whole_rows(k_norm, &k)?);
        }
        if look.looks_inside() {
            show_scores(&q, &k, &v, Causal::No, &mut |scores, weights| {
                look.see(Site::Scores, scores)?;
                look.see(Site::Softmax, weights)
            })?;
        }
        let out = attention(&q, &k, &v, Causal::No)?.reshape((rows, hidden))?;
        if look.looks_inside() {
            look.see(Site::Attended, &out)?;
        }
        Ok(out)
    }
}

/// The fused projection of the original layout, or the three of the `-hf` layouts stacked.
fn qkv(config: &VisionConfig, weights: &ModuleWeights<'_>, prefix: &str) -> Loaded<Linear> {
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
