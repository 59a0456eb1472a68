//! The two activation functions.

use candle_core::{DType, Result, Tensor};

use crate::model::cpu::{Gelu, SwiGlu};

fn has_cpu_kernel(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.is_contiguous()
}

/// GELU with the exact error function, of any shape.
pub(in crate::model) fn gelu(x: &Tensor) -> Result<Tensor> {
    if has_cpu_kernel(x) { x.apply_op1_no_bwd(&Gelu) } else { x.gelu_erf() }
}

/// `silu(gate) * up` of rows `[gate | up]`, `[rows, 2 * width]` to `[rows, width]`.
pub(in crate::model) fn swiglu(x: &Tensor) -> Result<Tensor> {
    if has_cpu_kernel(x) { x.apply_op1_no_bwd(&SwiGlu) } else { candle_nn::ops::swiglu(x) }
}
