//! Layer and RMS normalisation over the last dimension.

use candle_core::{Result, Tensor};

use crate::model::cpu::{self, LayerNorm, NormOf, RmsNorm};
use crate::model::layers::Visit;

/// Both kinds compute in f32 inside, whatever the dtype of `x`.
#[derive(Debug, Clone)]
pub(in crate::model) enum Norm {
    Layer { weight: Tensor, bias: Tensor, eps: f32 },
    Rms { weight: Tensor, eps: f32 },
}

impl Norm {
    /// Weight and epsilon of an RMS norm.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn rms(&self) -> Option<(&Tensor, f32)> {
        match self {
            Self::Rms { weight, eps } => Some((weight, *eps)),
            Self::Layer { .. } => None,
        }
    }

    /// Weight, bias and epsilon of a layer norm.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn layer(&self) -> Option<(&Tensor, &Tensor, f32)> {
        match self {
            Self::Layer { weight, bias, eps } => Some((weight, bias, *eps)),
            Self::Rms { .. } => None,
        }
    }

    /// What the CPU's kernels take.
    pub(in crate::model) fn parts(&self) -> NormOf<'_> {
        match self {
            Self::Layer { weight, bias, eps } => NormOf { weight, bias: Some(bias), eps: *eps },
            Self::Rms { weight, eps } => NormOf { weight, bias: None, eps: *eps },
        }
    }

    /// Shows the stored tensors of the norm called `name`.
    pub(in crate::model) fn visit(&self, name: &str, visit: Visit<'_>) {
        let (Self::Layer { weight, .. } | Self::Rms { weight, .. }) = self;
        visit(&format!("{name}.weight"), weight);
        if let Self::Layer { bias, .. } = self {
            visit(&format!("{name}.bias"), bias);
        }
    }

    /// `[rows, width]` to the same.
    pub(in crate::model) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        match self {
            Self::Layer { weight, bias, eps } if cpu::takes(&x) => {
                x.apply_op3_no_bwd(weight, bias, &LayerNorm { eps: *eps })
            }
            Self::Rms { weight, eps } if cpu::takes(&x) => {
                x.apply_op2_no_bwd(weight, &RmsNorm { eps: *eps })
            }
            Self::Layer { weight, bias, eps } => candle_nn::ops::layer_norm(&x, weight, bias, *eps),
            Self::Rms { weight, eps } => candle_nn::ops::rms_norm(&x, weight, *eps),
        }
    }
}
