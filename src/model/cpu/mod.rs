//! CPU kernels where the tensor library leaves most of two cores unused: attention without a score
//! matrix in memory, products that add the bias or the residual themselves, vectorised norms and
//! activations.
//!
//! Each has the same result as the composite of library operations that other devices run, and a test
//! that says so.

mod attention;
mod elementwise;
mod gemm;
mod linear;
mod log_sum_exp;
mod math;
mod norm;
mod paged_attention;
pub(super) mod q8;

pub(super) use attention::FusedAttention;
pub(super) use elementwise::{Gelu, ScaledAdd, SwiGlu};
pub(super) use linear::LinearProduct;
pub use log_sum_exp::log_sum_exp;
pub(super) use norm::{LayerNorm, RmsNorm};
pub(super) use paged_attention::PagedAttention;

use candle_core::{DType, Tensor};

/// Whether the kernels take `x`: contiguous f32 on the CPU.
pub(super) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.is_contiguous()
}
