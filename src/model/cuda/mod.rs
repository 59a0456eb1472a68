//! GPU operations that the tensor library lacks.
//!
//! As everywhere, callers hold no `cfg`: without CUDA in the build there is no CUDA tensor to call
//! these with.

#[cfg(feature = "cuda")]
mod wide_product;

use candle_core::{Result, Tensor};

/// `x · weightᵀ` of f16 matrices on one GPU, `[rows, in]` and `[out, in]`, summed and returned in f32.
#[cfg(feature = "cuda")]
pub(super) fn wide_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2_no_bwd(weight, &wide_product::WideProduct)
}

#[cfg(not(feature = "cuda"))]
pub(super) fn wide_product(_: &Tensor, _: &Tensor) -> Result<Tensor> {
    Err(candle_core::Error::Msg("this build has no CUDA".to_owned()))
}
