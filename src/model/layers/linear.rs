//! Matrix product with a stored `[out, in]` weight.

use candle_core::{Result, Tensor};

/// `x · weightᵀ + bias`.
#[derive(Debug, Clone)]
pub(in crate::model) struct Linear {
    /// `[out, in]`
    weight: Tensor,
    /// `[out]`
    bias: Option<Tensor>,
}

impl Linear {
    pub(in crate::model) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub(in crate::model) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let product = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}
