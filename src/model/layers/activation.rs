//! Activation functions, and the residual with layer scale.

use candle_core::{Result, Tensor};

use crate::model::cpu::{self, Gelu, ScaledAdd, SwiGlu};

/// GELU with the exact error function, of any shape.
pub(in crate::model) fn gelu(x: &Tensor) -> Result<Tensor> {
    if cpu::takes(x) { x.apply_op1_no_bwd(&Gelu) } else { x.gelu_erf() }
}

/// `silu(gate) * up` of rows `[gate | up]`, `[rows, 2 * width]` to `[rows, width]`.
pub(in crate::model) fn swiglu(x: &Tensor) -> Result<Tensor> {
    if cpu::takes(x) { x.apply_op1_no_bwd(&SwiGlu) } else { candle_nn::ops::swiglu(x) }
}

/// `x + y * scale`, `[rows, width]` and `[width]`, all of one dtype.
pub(in crate::model) fn scaled_add(x: &Tensor, y: &Tensor, scale: &Tensor) -> Result<Tensor> {
    if cpu::takes(x) && cpu::takes(y) {
        x.apply_op3_no_bwd(y, scale, &ScaledAdd)
    } else {
        x + y.broadcast_mul(scale)?
    }
}
