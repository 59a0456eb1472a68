//! CPU kernels where the tensor library leaves most of two cores unused: attention without a score
//! matrix in memory, products that add the bias or the residual themselves, vectorised norms and
//! activations, and a whole layer of the vision tower in a few passes over its rows.
//!
//! Each has the same result as the composite of library operations that other devices run, and a test
//! that says so.

mod attention;
mod elementwise;
mod kernel;
mod laid;
mod lent;
mod linear;
mod log_sum_exp;
mod math;
mod norm;
mod page_shares;
mod paged_attention;
mod panels;
mod pool;
mod put_rows;
pub(super) mod q8;
mod rotate;
mod scratch;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
mod vision_layer;

pub(super) use attention::FusedAttention;
pub(super) use elementwise::{Gelu, ScaledAdd, SwiGlu};
pub(super) use laid::Laid;
pub(super) use linear::LinearProduct;
pub(super) use log_sum_exp::log_sum_exp;
pub(super) use norm::{LayerNorm, RmsNorm};
pub(super) use page_shares::SharesOfPages;
pub(super) use paged_attention::{PagedAttention, attend_paged};
pub(super) use pool::on_pool;
pub(super) use put_rows::{PutRows, RowsOfBlock};
pub(super) use rotate::Rotate;
pub(super) use vision_layer::{NormOf, ProductOf, VisionLayer};

use candle_core::{DType, Tensor};

/// Whether the kernels take `x`: contiguous f32 on the CPU.
pub(super) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.is_contiguous()
}
