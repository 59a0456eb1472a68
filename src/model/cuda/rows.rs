//! Norms and activations of a decoder, a row at a time.

use candle_core::{DType, Result, Tensor, bail};

use super::argument::Argument;
use super::launch::{GRID_MAX, Grid, Module, THREADS_MAX, VECTOR, expect, launch, module, suffix};

const NORM: Module = module!("norm");
const MLP: Module = module!("mlp");

// As in the kernels.
pub(super) const NORM_WIDTH_MAX: usize = 4 * 1024 * VECTOR;
pub(super) const ACTIVATION_THREADS: usize = 128;

/// Threads of a block that takes a row.
pub(super) fn row_threads(width: usize) -> usize {
    width.div_ceil(VECTOR).next_multiple_of(32).min(THREADS_MAX)
}

/// Adds `delta` to `residual`, in place, and writes the sum's RMS norm times `weight` to `y`. All are
/// `[rows, width]` but the weight, `[width]`, which is of the residual's dtype.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn add_rms_norm(
    residual: &Tensor,
    delta: Option<&Tensor>,
    (weight, eps): (&Tensor, f32),
    y: &Tensor,
) -> Result<()> {
    let (rows, width) = residual.dims2()?;
    let (of_residual, compute) = (residual.dtype(), y.dtype());
    let of_delta = delta.map_or(compute, Tensor::dtype);
    expect(weight, &[width], of_residual)?;
    expect(y, &[rows, width], compute)?;
    if let Some(delta) = delta {
        expect(delta, &[rows, width], of_delta)?;
    }
    if !width.is_multiple_of(VECTOR) || width > NORM_WIDTH_MAX {
        bail!("rows of {width} have no norm kernel");
    }
    let device = residual.device().as_cuda_device()?;
    let name =
        format!("add_rms_norm_{}_{}_{}", suffix(of_residual)?, suffix(of_delta)?, suffix(compute)?);
    let grid = Grid { blocks: [rows, 1, 1], threads: row_threads(width), shared_bytes: 0 };
    // SAFETY: a block reads and writes a row of each of the tensors, whose sizes are checked above.
    unsafe {
        launch(
            device,
            &NORM,
            &name,
            grid,
            &[
                Argument::Tensor(residual),
                delta.into(),
                Argument::Tensor(weight),
                delta.map_or(Argument::Nothing, |_| Argument::Tensor(residual)),
                Argument::Tensor(y),
                Argument::Int(width),
                Argument::Float(eps),
            ],
        )
    }
}

/// `silu(gate) * up` of rows `[gate | up]`, `[rows, 2 * width]`, to `out`, `[rows, width]`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn swiglu(x: &Tensor, out: &Tensor) -> Result<()> {
    let (rows, double) = x.dims2()?;
    if !double.is_multiple_of(2 * VECTOR) || rows > GRID_MAX {
        bail!("{rows} rows of {double} have no activation kernel");
    }
    let (device, width) = (x.device().as_cuda_device()?, double / 2);
    expect(out, &[rows, width], x.dtype())?;
    let blocks = [width.div_ceil(VECTOR * ACTIVATION_THREADS), rows, 1];
    // SAFETY: threads beyond `width` do nothing; the others read two vectors of a row and write one.
    unsafe {
        launch(
            device,
            &MLP,
            &format!("swiglu_{}", suffix(x.dtype())?),
            Grid { blocks, threads: ACTIVATION_THREADS, shared_bytes: 0 },
            &[Argument::Tensor(x), Argument::Tensor(out), Argument::Int(width)],
        )
    }
}

/// Whether rows of `width` elements of `dtype` have these kernels.
pub(in crate::model) fn takes(width: usize, dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
        && width.is_multiple_of(VECTOR)
        && width <= NORM_WIDTH_MAX
}
