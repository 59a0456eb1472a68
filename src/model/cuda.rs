//! Kernels of this program for NVIDIA GPUs, where the library has none.
//!
//! `build.rs` compiles `cuda/*.cu` when the feature `cuda` is on. Without it the same functions are here
//! and take nothing, so that callers hold no `cfg`.

#[cfg(feature = "cuda")]
#[expect(dead_code, reason = "tokens still come from the host and logits still go there")]
pub(super) mod decode;
#[cfg(not(feature = "cuda"))]
#[path = "cuda/without.rs"]
pub(super) mod decode;
#[cfg(feature = "cuda")]
mod launch;
#[cfg(feature = "cuda")]
pub(super) mod q8;
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

#[cfg(not(feature = "cuda"))]
pub(super) mod q8 {
    use candle_core::Tensor;

    pub(in crate::model) fn takes(_x: &Tensor, _addend: Option<&Tensor>) -> bool {
        false
    }
}
