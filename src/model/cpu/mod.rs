//! CPU kernels where the tensor library leaves most of two cores unused: attention without a score
//! matrix in memory, vectorised GELU and `SwiGLU`.
//!
//! Each has the same result as the composite of library operations that other devices run, and a test
//! that says so.

mod attention;
mod elementwise;
mod gemm;
mod math;

pub(super) use attention::FusedAttention;
pub(super) use elementwise::{Gelu, SwiGlu};
