//! The vision tower by fused kernels: a norm with the scaled addition before it, attention that adds the
//! products' biases itself, GELU with its bias. Eight launches a layer, four of them products, in buffers
//! that all layers share. The results differ from the plain operations by rounding.

use candle_core::{DType, Result, Tensor};

use super::{Layer, VisionTower};
use crate::model::cuda::launch::buffer;
use crate::model::cuda::product::{product, product_into};
use crate::model::cuda::vision::{self, Delta, LayerNorm};
use crate::model::cuda::{attention, rows};
use crate::model::internvl::observe::Within;
use crate::model::layers::{Linear, Norm};

/// Buffers of one pass; each layer writes them anew.
struct Workspace {
    normed: Tensor,
    qkv: Tensor,
    attended: Tensor,
    delta: Tensor,
    inner: Tensor,
}

impl VisionTower {
    /// As [`forward`](Self::forward); none where this tower has no kernels, or the observer looks inside.
    pub(super) fn forward_fused(
        &self,
        pixels: &Tensor,
        look: &Within<'_>,
    ) -> Result<Option<Tensor>> {
        if look.looks_inside() || !self.is_fused() {
            return Ok(None);
        }
        let Some((patch_weight, Some(patch_bias))) = self.patch_embedding.dense() else {
            return Ok(None);
        };
        let (tiles, channels, side, _) = pixels.dims4()?;
        let (device, compute, residual) =
            (pixels.device(), self.home.compute(), self.home.residual());
        let (tokens, hidden) = self.position_embedding.dims2()?;
        let patch = self.config.patch_size;
        let patches = (side / patch).pow(2);
        let cut = buffer(device, (tiles * patches, channels * patch * patch), compute)?;
        vision::patch_rows(&pixels.contiguous()?, patch, &cut)?;
        let embedded = product(&cut, patch_weight, residual)?;
        let x = buffer(device, (tiles * tokens, hidden), residual)?;
        let (class, position) = (&self.class_embedding, &self.position_embedding);
        vision::vision_rows(&embedded, patch_bias, class, position, &x)?;
        let of = |width: usize, dtype: DType| buffer(device, (tiles * tokens, width), dtype);
        let workspace = Workspace {
            normed: of(hidden, compute)?,
            qkv: of(3 * hidden, compute)?,
            attended: of(hidden, compute)?,
            delta: of(hidden, residual)?,
            inner: of(self.config.intermediate_size, compute)?,
        };
        // What the layer before left to add.
        let mut before: Option<(&Tensor, &Tensor)> = None;
        for layer in &self.layers {
            before =
                Some(layer.forward_fused(&x, before, &workspace, (tiles, self.config.heads))?);
        }
        if let Some((bias, scale)) = before {
            vision::add_layer_norm(&x, Some(workspace.delta_with(bias, scale)), None)?;
        }
        x.reshape((tiles, tokens, hidden)).map(Some)
    }

    fn is_fused(&self) -> bool {
        let (compute, hidden) = (self.home.compute(), self.config.hidden_size);
        let device = self.home.candle_device();
        device.is_cuda()
            && vision::takes(self.home.residual(), compute)
            && attention::takes_prefill(device, compute, hidden / self.config.heads)
            && [hidden, self.config.intermediate_size]
                .iter()
                .all(|width| rows::takes(*width, compute))
            && self.layers.iter().all(Layer::is_fused)
    }
}

impl Workspace {
    fn delta_with<'a>(&'a self, bias: &'a Tensor, scale: &'a Tensor) -> Delta<'a> {
        Delta { product: &self.delta, bias, scale }
    }
}

impl Layer {
    /// What the kernels have no arguments for: norms of queries and keys, norms without a mean.
    fn is_fused(&self) -> bool {
        let dense = [&self.proj, &self.fc1, &self.fc2];
        self.qk_norms.is_none()
            && self.norm1.layer().is_some()
            && self.norm2.layer().is_some()
            && self.qkv.dense().is_some()
            && dense.iter().all(|linear| matches!(linear.dense(), Some((_, Some(_)))))
    }

    /// Runs the layer on `x`, `[rows, hidden]`, in place, after adding what the layer before left. Returns
    /// bias and scale of what it leaves itself.
    fn forward_fused(
        &self,
        x: &Tensor,
        before: Option<(&Tensor, &Tensor)>,
        workspace: &Workspace,
        (tiles, heads): (usize, usize),
    ) -> Result<(&Tensor, &Tensor)> {
        let Workspace { normed, qkv, attended, delta, inner } = workspace;
        let (rows, hidden) = x.dims2()?;
        let before = before.map(|(bias, scale)| workspace.delta_with(bias, scale));
        vision::add_layer_norm(x, before, Some((layer_norm(&self.norm1)?, normed)))?;
        let (weight, bias) = dense(&self.qkv)?;
        product_into(normed, weight, qkv)?;
        let by_head = qkv.reshape((tiles, rows / tiles, 3, heads, hidden / heads))?;
        let by_tile = attended.reshape((tiles, rows / tiles, hidden))?;
        attention::full_attention(&by_head, bias, &by_tile)?;
        let (weight, bias) = biased(&self.proj)?;
        product_into(attended, weight, delta)?;
        let sum = Some(workspace.delta_with(bias, &self.ls1));
        vision::add_layer_norm(x, sum, Some((layer_norm(&self.norm2)?, normed)))?;
        let (weight, bias) = biased(&self.fc1)?;
        product_into(normed, weight, inner)?;
        vision::bias_gelu(inner, bias)?;
        let (weight, bias) = biased(&self.fc2)?;
        product_into(inner, weight, delta)?;
        Ok((bias, &self.ls2))
    }
}

pub(in crate::model::internvl) fn layer_norm(norm: &Norm) -> Result<LayerNorm<'_>> {
    norm.layer()
        .map(|(weight, bias, eps)| LayerNorm { weight, bias, eps })
        .ok_or_else(|| candle_core::Error::Msg("a norm without a mean".to_owned()))
}

fn dense(linear: &Linear) -> Result<(&Tensor, Option<&Tensor>)> {
    linear.dense().ok_or_else(|| candle_core::Error::Msg("an 8-bit matrix".to_owned()))
}

/// Weight and bias.
pub(in crate::model::internvl) fn biased(linear: &Linear) -> Result<(&Tensor, &Tensor)> {
    match dense(linear)? {
        (weight, Some(bias)) => Ok((weight, bias)),
        _ => candle_core::bail!("a product without a bias"),
    }
}
