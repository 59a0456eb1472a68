//! Pixel shuffle and the two-layer projector: patch features to language-model rows.

use candle_core::{Result, Tensor};

use super::config::Config;
use super::fault;
use super::home::Home;
use super::observe::{Part, Site, Within};
use crate::model::layers::{Linear, Norm, Visit, gelu};
use crate::weights::{Loaded, Weights, WeightsError};

/// `mlp1` of the original layout.
pub(super) struct Projector {
    home: Home,
    grid: usize,
    side: usize,
    norm: Norm,
    linear_1: Linear,
    linear_2: Linear,
}

impl Projector {
    pub(super) fn load(config: &Config, home: &Home, weights: &Weights) -> Loaded<Self> {
        let (matrices, vectors) = (home.matrices(weights), home.vectors(weights));
        let side = config.shuffle_side();
        let wide = config.vision.hidden_size * side * side;
        let hidden = config.text.hidden_size;
        let linear = |index: usize, columns: usize| {
            Ok::<_, WeightsError>(Linear::new(
                matrices.tensor(&format!("mlp1.{index}.weight"), &[hidden, columns])?,
                Some(matrices.tensor(&format!("mlp1.{index}.bias"), &[hidden])?),
            ))
        };
        Ok(Self {
            home: home.clone(),
            grid: config.patch_grid(),
            side,
            norm: Norm::Layer {
                weight: vectors.tensor("mlp1.0.weight", &[wide])?,
                bias: vectors.tensor("mlp1.0.bias", &[wide])?,
                eps: config.projector_eps as f32,
            },
            linear_1: linear(1, wide)?,
            linear_2: linear(3, hidden)?,
        })
    }

    /// `[tiles, patches, vision hidden]` to `[tiles * tokens_per_tile, hidden]`.
    pub(super) fn forward(&self, features: &Tensor, look: &mut Within<'_>) -> Result<Tensor> {
        let (compute, residual) = (self.home.compute(), self.home.residual());
        let shuffled = pixel_shuffle(&features.to_dtype(residual)?, self.grid, self.side)?;
        let normed = self.norm.forward(&shuffled)?.to_dtype(compute)?;
        let inner = gelu(&self.linear_1.forward(&normed)?)?;
        look.see(Site::MlpProduct, &inner)?;
        let mut out = self.linear_2.forward_as(&inner, residual)?;
        if !look.looks_inside() {
            out = fault::served(Part::Projector, out)?;
        }
        look.see(Site::Residual, &out)?;
        Ok(out)
    }

    /// The same from features with their class token, `[tiles, 1 + patches, vision hidden]`, on the projector's
    /// device, by fused kernels; none where there are none, or the observer looks inside.
    #[cfg(feature = "cuda")]
    pub(super) fn forward_fused(
        &self,
        features: &Tensor,
        look: &mut Within<'_>,
    ) -> Result<Option<Tensor>> {
        use super::vision::fused::{biased, layer_norm};
        use crate::model::cuda::launch::buffer;
        use crate::model::cuda::product::product;
        use crate::model::cuda::vision;
        let (compute, residual) = (self.home.compute(), self.home.residual());
        let (tiles, tokens, hidden) = features.dims3()?;
        let joined = hidden * self.side * self.side;
        let is_taken = features.device().is_cuda()
            && features.dtype() == residual
            && vision::takes(residual, compute)
            && crate::model::cuda::rows::takes(joined, compute);
        if look.looks_inside() || !is_taken {
            return Ok(None);
        }
        let cells = (self.grid / self.side).pow(2);
        let normed = buffer(features.device(), (tiles * cells, joined), compute)?;
        let rows = features.reshape((tiles * tokens, hidden))?;
        vision::shuffle_norm(&rows, (self.grid, self.side), layer_norm(&self.norm)?, &normed)?;
        let (weight, bias) = biased(&self.linear_1)?;
        let inner = product(&normed, weight, compute)?;
        vision::bias_gelu(&inner, bias)?;
        let (weight, bias) = biased(&self.linear_2)?;
        let out = product(&inner, weight, residual)?;
        vision::add_bias(&out, bias)?;
        look.see(Site::Residual, &out)?;
        Ok(Some(out))
    }

    #[cfg(not(feature = "cuda"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the kernels' own has them")]
    pub(super) fn forward_fused(&self, _: &Tensor, _: &mut Within<'_>) -> Result<Option<Tensor>> {
        Ok(None)
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    pub(super) fn visit(&self, visit: Visit<'_>) {
        self.norm.visit("0", visit);
        self.linear_1.visit("1", visit);
        self.linear_2.visit("3", visit);
    }
}

/// Joins each `side x side` square of patches into one row, channels of a patch together, patches in
/// reading order. (`candle_nn::ops::pixel_unshuffle` has another, channel-major order.)
fn pixel_shuffle(features: &Tensor, grid: usize, side: usize) -> Result<Tensor> {
    let (tiles, _, channels) = features.dims3()?;
    let cells = grid / side;
    features
        .reshape((tiles * cells, side, cells, side * channels))?
        .transpose(1, 2)?
        .reshape((tiles * cells * cells, side * side * channels))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn shuffle_has_the_closed_form() {
        // out[i, j, (2 dr + dc) C + ch] = v[2i + dr, 2j + dc, ch]
        let (grid, channels) = (4, 3);
        let x = Tensor::arange(0f32, (2 * grid * grid * channels) as f32, &Device::Cpu).unwrap();
        let x = x.reshape((2, grid * grid, channels)).unwrap();
        let source: Vec<Vec<Vec<f32>>> = x.to_vec3().unwrap();
        let out: Vec<Vec<f32>> = pixel_shuffle(&x, grid, 2).unwrap().to_vec2().unwrap();
        for tile in 0..2 {
            for (i, j, dr, dc, ch) in (0..2 * 2 * 2 * 2 * channels)
                .map(|n| (n / 24, n / 12 % 2, n / 6 % 2, n / 3 % 2, n % 3))
            {
                let expected = source[tile][(2 * i + dr) * grid + 2 * j + dc][ch];
                let ours = out[tile * 4 + i * 2 + j][(2 * dr + dc) * channels + ch];
                assert_eq!(ours.to_bits(), expected.to_bits());
            }
        }
    }
}
