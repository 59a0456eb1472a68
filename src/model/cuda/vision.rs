//! Launches the kernels between the products of the vision tower and the projector.

use candle_core::{DType, Result, Tensor, bail};

use super::argument::Argument;
use super::launch::{GRID_MAX, Grid, Module, VECTOR, expect, launch, module, suffix};
use super::rows::{ACTIVATION_THREADS, NORM_WIDTH_MAX, row_threads};

const VISION: Module = module!("vision");

const PATCH_THREADS: usize = 128;
const SAMPLE_THREADS: usize = 256;
/// Samples that a thread turns into values.
const SAMPLES_OF_THREAD: usize = 4;
/// Values that a sample can have.
pub(super) const SAMPLES: usize = 256;

/// A layer norm over rows of one width, its tensors in the residual's dtype.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct LayerNorm<'a> {
    pub(in crate::model) weight: &'a Tensor,
    pub(in crate::model) bias: &'a Tensor,
    pub(in crate::model) eps: f32,
}

/// A product that still lacks its bias, `[width]` in its inputs' dtype, and its scale, `[width]` in the
/// residual's.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Delta<'a> {
    /// `[rows, width]`, in the residual's dtype.
    pub(in crate::model) product: &'a Tensor,
    pub(in crate::model) bias: &'a Tensor,
    pub(in crate::model) scale: &'a Tensor,
}

/// Whether there are kernels for a residual and products' inputs of these dtypes.
pub(in crate::model) fn takes(residual: DType, compute: DType) -> bool {
    matches!((residual, compute), (DType::BF16, DType::BF16) | (DType::F32, DType::F16))
}

/// Whether planes of so many samples have a kernel.
pub(super) fn takes_samples(plane: usize) -> bool {
    plane.is_multiple_of(SAMPLES_OF_THREAD)
}

/// Writes what the samples at the front of `bytes` stand for to `out`, f32, `[tiles, channels, side, side]`. The
/// table, f32, `[channels, 256]`, begins `at` bytes behind their first.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) fn sample_values(bytes: &Tensor, at: usize, out: &Tensor) -> Result<()> {
    let (tiles, channels, side, width) = out.dims4()?;
    let (plane, count) = (side * width, out.elem_count());
    expect(bytes, &[at + channels * SAMPLES * size_of::<f32>()], DType::U8)?;
    expect(out, &[tiles, channels, side, width], DType::F32)?;
    let planes = tiles * channels;
    let fits = takes_samples(plane) && planes <= GRID_MAX;
    if count > at || !at.is_multiple_of(size_of::<f32>()) || !fits {
        bail!("{count} samples before a table at {at}, in {planes} planes of {plane}");
    }
    let arguments = [
        Argument::Tensor(bytes),
        Argument::Int(at),
        Argument::Tensor(out),
        Argument::Int(channels),
        Argument::Int(plane),
    ];
    let blocks = [plane.div_ceil(SAMPLE_THREADS * SAMPLES_OF_THREAD), planes, 1];
    let grid = Grid { blocks, threads: SAMPLE_THREADS, shared_bytes: 0 };
    // SAFETY: a block writes part of a plane of `out` from as many samples, which lie before the table.
    unsafe { launch(out.device().as_cuda_device()?, &VISION, "sample_values", grid, &arguments) }
}

/// Cuts f32 pixels, `[tiles, channels, side, side]`, into rows of patch pixels in the convolution kernel's
/// order, `[tiles * patches, channels * patch * patch]`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn patch_rows(pixels: &Tensor, patch: usize, out: &Tensor) -> Result<()> {
    let (tiles, channels, side, _) = pixels.dims4()?;
    let patches = tiles * (side / patch).pow(2);
    expect(pixels, &[tiles, channels, side, side], DType::F32)?;
    expect(out, &[patches, channels * patch * patch], out.dtype())?;
    let arguments = [
        Argument::Tensor(pixels),
        Argument::Tensor(out),
        Argument::Int(channels),
        Argument::Int(side),
        Argument::Int(patch),
    ];
    let name = format!("patch_rows_{}", suffix(out.dtype())?);
    let grid = Grid { blocks: [patches, 1, 1], threads: PATCH_THREADS, shared_bytes: 0 };
    // SAFETY: a block writes a row of `out` from the pixels of its patch, which lies within its tile.
    unsafe { launch(pixels.device().as_cuda_device()?, &VISION, &name, grid, &arguments) }
}

/// `[class; embedded + bias] + position` of each tile: `embedded` is `[tiles * patches, width]`, `class`
/// `[1, width]`, `position` `[1 + patches, width]`, `out` `[tiles * (1 + patches), width]`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn vision_rows(
    embedded: &Tensor,
    bias: &Tensor,
    class: &Tensor,
    position: &Tensor,
    out: &Tensor,
) -> Result<()> {
    let (rows, residual) = (out.dim(0)?, out.dtype());
    let (tokens, width) = position.dims2()?;
    let tiles = rows / tokens;
    expect(embedded, &[tiles * (tokens - 1), width], residual)?;
    expect(bias, &[width], bias.dtype())?;
    expect(class, &[1, width], residual)?;
    expect(position, &[tokens, width], residual)?;
    expect(out, &[tiles * tokens, width], residual)?;
    check_width(width)?;
    let arguments = [
        Argument::Tensor(embedded),
        Argument::Tensor(bias),
        Argument::Tensor(class),
        Argument::Tensor(position),
        Argument::Tensor(out),
        Argument::Int(tokens),
        Argument::Int(width),
    ];
    let name = format!("vision_rows_{}_{}", suffix(residual)?, suffix(bias.dtype())?);
    let grid = Grid { blocks: [rows, 1, 1], threads: row_threads(width), shared_bytes: 0 };
    // SAFETY: a block writes a row of `out` from rows of tensors whose sizes are checked above.
    unsafe { launch(out.device().as_cuda_device()?, &VISION, &name, grid, &arguments) }
}

/// Adds `delta` to `residual`, `[rows, width]`, in place, and writes the sum's layer norm to the tensor that
/// stands beside it, which has the dtype of products' inputs.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn add_layer_norm(
    residual: &Tensor,
    delta: Option<Delta<'_>>,
    norm: Option<(LayerNorm<'_>, &Tensor)>,
) -> Result<()> {
    let (rows, width) = residual.dims2()?;
    let of_residual = residual.dtype();
    let compute = match (&delta, &norm) {
        (Some(delta), _) => delta.bias.dtype(),
        (None, Some((_, y))) => y.dtype(),
        (None, None) => return Ok(()),
    };
    check_width(width)?;
    if let Some(delta) = &delta {
        expect(delta.product, &[rows, width], of_residual)?;
        expect(delta.bias, &[width], compute)?;
        expect(delta.scale, &[width], of_residual)?;
    }
    if let Some((norm, y)) = &norm {
        expect(norm.weight, &[width], of_residual)?;
        expect(norm.bias, &[width], of_residual)?;
        expect(y, &[rows, width], compute)?;
    }
    let arguments = [
        Argument::Tensor(residual),
        delta.map(|delta| delta.product).into(),
        delta.map(|delta| delta.bias).into(),
        delta.map(|delta| delta.scale).into(),
        norm.map(|(norm, _)| norm.weight).into(),
        norm.map(|(norm, _)| norm.bias).into(),
        Argument::Tensor(residual),
        norm.map(|(_, y)| y).into(),
        Argument::Int(width),
        Argument::Float(norm.map_or(0.0, |(norm, _)| norm.eps)),
    ];
    let name = format!("add_layer_norm_{}_{}", suffix(of_residual)?, suffix(compute)?);
    let grid = Grid { blocks: [rows, 1, 1], threads: row_threads(width), shared_bytes: 0 };
    // SAFETY: a block reads and writes a row of each of the tensors, whose sizes are checked above.
    unsafe { launch(residual.device().as_cuda_device()?, &VISION, &name, grid, &arguments) }
}

/// Joins squares of `side` x `side` patches of `features`, `[tiles * (1 + grid * grid), width]`, to one row
/// each, and writes its layer norm to `y`, `[tiles * (grid / side)^2, side * side * width]`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn shuffle_norm(
    features: &Tensor,
    (grid, side): (usize, usize),
    norm: LayerNorm<'_>,
    y: &Tensor,
) -> Result<()> {
    let (rows, width) = features.dims2()?;
    let (tiles, joined) = (rows / (1 + grid * grid), side * side * width);
    let cells = (grid / side).pow(2);
    let residual = features.dtype();
    expect(features, &[tiles * (1 + grid * grid), width], residual)?;
    expect(norm.weight, &[joined], residual)?;
    expect(norm.bias, &[joined], residual)?;
    expect(y, &[tiles * cells, joined], y.dtype())?;
    check_width(width)?;
    check_width(joined)?;
    let arguments = [
        Argument::Tensor(features),
        Argument::Tensor(norm.weight),
        Argument::Tensor(norm.bias),
        Argument::Tensor(y),
        Argument::Int(grid),
        Argument::Int(side),
        Argument::Int(width),
        Argument::Float(norm.eps),
    ];
    let name = format!("shuffle_norm_{}_{}", suffix(residual)?, suffix(y.dtype())?);
    let blocks =
        Grid { blocks: [tiles * cells, 1, 1], threads: row_threads(joined), shared_bytes: 0 };
    // SAFETY: a block reads patches of its tile and writes a row of `y`; sizes are checked above.
    unsafe { launch(features.device().as_cuda_device()?, &VISION, &name, blocks, &arguments) }
}

/// `gelu(x + bias)` of `[rows, width]`, in place.
pub(in crate::model) fn bias_gelu(x: &Tensor, bias: &Tensor) -> Result<()> {
    expect(bias, bias.dims(), x.dtype())?;
    with_bias(&format!("bias_gelu_{}", suffix(x.dtype())?), x, bias)
}

/// `x + bias` of `[rows, width]`, in place.
pub(in crate::model) fn add_bias(x: &Tensor, bias: &Tensor) -> Result<()> {
    with_bias(&format!("add_bias_{}_{}", suffix(x.dtype())?, suffix(bias.dtype())?), x, bias)
}

#[expect(unsafe_code, reason = "a kernel launch")]
fn with_bias(name: &str, x: &Tensor, bias: &Tensor) -> Result<()> {
    let (rows, width) = x.dims2()?;
    expect(bias, &[width], bias.dtype())?;
    check_width(width)?;
    if rows > GRID_MAX {
        bail!("{rows} rows have no activation kernel");
    }
    let blocks = [width.div_ceil(VECTOR * ACTIVATION_THREADS), rows, 1];
    let arguments = [Argument::Tensor(x), Argument::Tensor(bias), Argument::Int(width)];
    let grid = Grid { blocks, threads: ACTIVATION_THREADS, shared_bytes: 0 };
    // SAFETY: threads beyond `width` do nothing; the others read and write a vector of a row.
    unsafe { launch(x.device().as_cuda_device()?, &VISION, name, grid, &arguments) }
}

fn check_width(width: usize) -> Result<()> {
    if !width.is_multiple_of(VECTOR) || width > NORM_WIDTH_MAX {
        bail!("rows of {width} have no vision kernel");
    }
    Ok(())
}
