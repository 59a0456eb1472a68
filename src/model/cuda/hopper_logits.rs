//! Launches the kernels of `hopper_logits.cu`: logits of more rows than weights are streamed for, on compute capability
//! 9.0.

use candle_core::{DType, Result, Tensor, bail};

use super::argument::{Argument, BOX_BYTES};
use super::found::{self, Found};
use super::hopper;
use super::hopper_tiles::{self, BOX_ROWS, CLUSTER, THREADS, TILE_ROWS};
use super::launch::{Grid, Module, expect, launch_clusters, module, suffix};

const LOGITS: Module = module!("hopper_logits");

// As in the kernels.
const STAGES: usize = 4;
const TILE_COLUMNS: usize = 256;
const SHARED_BYTES: usize = hopper_tiles::shared_bytes(TILE_COLUMNS, STAGES);

/// Kernels are given addresses at 16-byte boundaries.
const VECTOR_F32: usize = 4;
/// Rows of x for which it was measured. Fewer are others' work.
const ROWS: std::ops::RangeInclusive<usize> = hopper::ROWS_MAX + 1..=512;
/// Elements of a weight from which this is faster than cublas: it was measured with the head of InternVL3-8B.
const ELEMENTS_MIN: usize = 256 << 20;

/// Whether [`product_into`] takes these, and is faster than what else there is.
pub(super) fn takes(x: &Tensor, weight: &Tensor, out: &Tensor) -> Result<bool> {
    let fits = ROWS.contains(&x.dim(0)?)
        && weight.elem_count() >= ELEMENTS_MIN
        && are_taken(x, weight, out)
        && !LOGITS.image.is_empty();
    Ok(fits && hopper::takes(x.device().as_cuda_device()?, x.dtype())? && clusters(x)? > 0)
}

fn are_taken(x: &Tensor, weight: &Tensor, out: &Tensor) -> bool {
    let is_copied = |matrix: &Tensor| matrix.dtype() == x.dtype() && hopper::is_copied(matrix);
    out.dtype() == DType::F32
        && out.layout().start_offset().is_multiple_of(VECTOR_F32)
        && [x, weight].into_iter().all(is_copied)
}

fn kernel(dtype: DType) -> Result<String> {
    Ok(format!("hopper_logits_{}", suffix(dtype)?))
}

/// Clusters that run at once.
fn clusters(x: &Tensor) -> Result<usize> {
    let (device, name) = (x.device().as_cuda_device()?, kernel(x.dtype())?);
    hopper_tiles::clusters(device, &LOGITS, &name, SHARED_BYTES)
}

/// Parts that are found of each row: one by each tile.
pub(super) fn found_parts(columns: usize) -> usize {
    columns.div_ceil(TILE_COLUMNS)
}

/// `x · weightᵀ` of `[rows, in]` and `[out, in]` to `out`, `[rows, out]` in f32, of which rows that are not wanted are not
/// written where likeliest tokens are to be `found`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) fn product_into(
    x: &Tensor,
    weight: &Tensor,
    out: &Tensor,
    found: Option<Found<'_>>,
) -> Result<()> {
    let ((rows, inner), (columns, _)) = (x.dims2()?, weight.dims2()?);
    expect(weight, &[columns, inner], x.dtype())?;
    expect(out, &[rows, columns], DType::F32)?;
    if !are_taken(x, weight, out) {
        bail!("rows that the copy engine does not take: {:?}", x.shape());
    }
    if let Some(found) = found {
        found.expect(rows, found_parts(columns))?;
    }
    let [best, parts, needs, never] = found::arguments(found)?;
    let (device, name, clusters) = (x.device().as_cuda_device()?, kernel(x.dtype())?, clusters(x)?);
    let tiles = rows.div_ceil(TILE_ROWS);
    let same_rows = !tiles.is_multiple_of(CLUSTER);
    let arguments = [
        Argument::Boxes(x, BOX_ROWS, BOX_BYTES),
        Argument::Boxes(weight, BOX_ROWS, BOX_BYTES),
        Argument::Tensor(out),
        Argument::Int(rows),
        Argument::Int(columns),
        Argument::Int(inner),
        Argument::Int(usize::from(same_rows)),
        // All rows before the next columns: the weight passes by once.
        Argument::Int(if same_rows { tiles } else { tiles / CLUSTER }),
        best,
        parts,
        needs,
        never,
    ];
    let blocks = [clusters * CLUSTER, 1, 1];
    let grid = Grid { blocks, threads: THREADS, shared_bytes: SHARED_BYTES };
    // SAFETY: sizes are checked above. The copy engine reads within the matrices, and the kernel writes `rows * columns`
    // elements of `out` at most, and a part of each row by each tile.
    unsafe { launch_clusters(device, &LOGITS, &name, grid, CLUSTER, &arguments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_fits() {
        const { assert!(SHARED_BYTES <= 232_448) };
    }

    /// Against the product in f64; and nothing is written beside the result.
    #[test]
    #[expect(clippy::float_cmp, reason = "zeros that nothing was written to")]
    fn logits_are_the_sums_of_their_terms() {
        let Some(device) = hopper::gpu_for_tests() else { return };
        for (columns, inner) in [(9000, 3584), (1003, 264), (256, 128), (130, 72)] {
            for dtype in [DType::BF16, DType::F16] {
                let random = |rows: usize| {
                    let values = Tensor::randn(0f64, 1f64, (rows, inner), &device).unwrap();
                    values.to_dtype(dtype).unwrap()
                };
                let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap();
                let weight = random(columns);
                let (transposed, sizes) =
                    (wide(&weight).t().unwrap(), wide(&weight).abs().unwrap());
                for rows in [1, 100, 129, 160, 200, 256, 300] {
                    let x = random(rows);
                    // The first row that begins where a result may.
                    let begins = |row: &usize| (row * columns).is_multiple_of(VECTOR_F32);
                    let first = (1..=VECTOR_F32).find(begins).unwrap();
                    let room = Tensor::zeros((rows + 5, columns), DType::F32, &device).unwrap();
                    product_into(&x, &weight, &room.narrow(0, first, rows).unwrap(), None).unwrap();
                    let exact = wide(&x).matmul(&transposed).unwrap();
                    let limit = wide(&x).abs().unwrap().matmul(&sizes.t().unwrap()).unwrap();
                    let ours = wide(&room.narrow(0, first, rows).unwrap());
                    let part = ((ours - exact).unwrap().abs().unwrap() / limit).unwrap();
                    let worst = part.max_all().unwrap().to_scalar::<f64>().unwrap();
                    assert!(worst <= 3e-6, "{rows} x {columns} of {inner} in {dtype:?}: {worst}");
                    for beside in [first - 1, first + rows] {
                        let beside = wide(&room.narrow(0, beside, 1).unwrap()).abs().unwrap();
                        let sum = beside.sum_all().unwrap().to_scalar::<f64>().unwrap();
                        assert_eq!(sum, 0.0, "{rows} x {columns}");
                    }
                }
            }
        }
    }
}
