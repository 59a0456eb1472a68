//! Launches the kernels of `hopper_swiglu.cu`: an MLP's first product with its activation, on compute capability 9.0.

use candle_core::{DType, Result, Tensor, bail};

use super::hopper;
use super::hopper_tiles::{self, BOX_ROWS, CLUSTER, THREADS, TILE_ROWS, WEIGHT_ROWS};
use super::launch::{Argument, Grid, Module, expect, launch_clusters, module, suffix};

const SWIGLU: Module = module!("hopper_swiglu");

const TILE_COLUMNS: usize = WEIGHT_ROWS / 2;
/// With what goes out.
const SHARED_BYTES: usize = hopper_tiles::SHARED_BYTES + TILE_ROWS * TILE_COLUMNS * 2;

/// Fewer rows are others' work.
const ROWS_MIN: usize = 512;
/// Percent of the time of all multiprocessors that tiles must fill. With this many it was faster than cublas with the activation
/// behind it for every number of rows that was measured, with fewer for some, by InternVL3-8B's shape.
const FILLED_MIN: usize = 92;
/// Rows that stay in the second-level cache while all columns pass by.
const BAND_ROWS: usize = 4096;

/// Whether [`swiglu_product`] takes these, and is faster than what else there is or is to be `tried` all the same.
pub(in crate::model) fn takes(
    x: &Tensor,
    weight: &Tensor,
    out: &Tensor,
    tried: bool,
) -> Result<bool> {
    let (rows, width) = out.dims2()?;
    let is_copied = |matrix: &Tensor| matrix.dtype() == x.dtype() && hopper::is_copied(matrix);
    let fits = [x, weight, out].into_iter().all(is_copied);
    if !fits || !(tried || rows >= ROWS_MIN) || SWIGLU.image.is_empty() {
        return Ok(false);
    }
    if !hopper::takes(x.device().as_cuda_device()?, x.dtype())? {
        return Ok(false);
    }
    let clusters = clusters(x)?;
    let is_faster = || Plan::new(rows).filled(rows, width, clusters) >= FILLED_MIN;
    Ok(clusters > 0 && (tried || is_faster()))
}

fn kernel(dtype: DType) -> Result<String> {
    Ok(format!("hopper_swiglu_{}", suffix(dtype)?))
}

/// Clusters that run at once.
fn clusters(x: &Tensor) -> Result<usize> {
    let (device, name) = (x.device().as_cuda_device()?, kernel(x.dtype())?);
    hopper_tiles::clusters(device, &SWIGLU, &name, SHARED_BYTES)
}

/// How tiles are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Whether the two blocks of a cluster share rows of x, or else columns.
    same_rows: bool,
    /// Rows of clusters' tiles.
    cluster_rows: usize,
    /// Those that are taken together.
    band: usize,
}

impl Plan {
    fn new(rows: usize) -> Self {
        let tiles = rows.div_ceil(TILE_ROWS);
        // A pair of rows of tiles would have one in it for nothing.
        let same_rows = !tiles.is_multiple_of(CLUSTER);
        let cluster_rows = if same_rows { tiles } else { tiles / CLUSTER };
        Self { same_rows, cluster_rows, band: cluster_rows.div_ceil(rows.div_ceil(BAND_ROWS)) }
    }

    /// Percent of the blocks' time that results take, where so many clusters run at once.
    fn filled(self, rows: usize, width: usize, clusters: usize) -> usize {
        let columns = width.div_ceil(TILE_COLUMNS);
        let cluster_columns = if self.same_rows { columns.div_ceil(CLUSTER) } else { columns };
        let waves = (self.cluster_rows * cluster_columns).div_ceil(clusters);
        100 * rows * width / (waves * clusters * CLUSTER * TILE_ROWS * TILE_COLUMNS)
    }
}

/// `silu(x · gateᵀ) * (x · upᵀ)` of `[rows, in]` and `[gate; up]`, `[2 * width, in]`, to `out`, `[rows, width]`, all of one
/// dtype; what both products come to is not rounded.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn swiglu_product(x: &Tensor, weight: &Tensor, out: &Tensor) -> Result<()> {
    let ((rows, inner), (double, _)) = (x.dims2()?, weight.dims2()?);
    let width = double / 2;
    expect(weight, &[2 * width, inner], x.dtype())?;
    expect(out, &[rows, width], x.dtype())?;
    if ![x, weight, out].into_iter().all(hopper::is_copied) {
        bail!("rows that the copy engine does not take: {:?}", x.shape());
    }
    let (device, name, clusters) = (x.device().as_cuda_device()?, kernel(x.dtype())?, clusters(x)?);
    let Plan { same_rows, band, .. } = Plan::new(rows);
    let arguments = [
        Argument::Boxes(x, BOX_ROWS),
        Argument::Boxes(weight, BOX_ROWS),
        Argument::Boxes(out, BOX_ROWS),
        Argument::Int(rows),
        Argument::Int(width),
        Argument::Int(inner),
        Argument::Int(usize::from(same_rows)),
        Argument::Int(band),
    ];
    let blocks = [clusters * CLUSTER, 1, 1];
    let grid = Grid { blocks, threads: THREADS, shared_bytes: SHARED_BYTES };
    // SAFETY: sizes are checked above. The copy engine reads and writes within the matrices.
    unsafe { launch_clusters(device, &SWIGLU, &name, grid, CLUSTER, &arguments) }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_block_fits() {
        assert!(SHARED_BYTES <= 232_448, "{SHARED_BYTES}");
    }

    #[test]
    fn no_row_of_tiles_is_for_nothing() {
        for rows in [1, 128, 129, 1856, 2048, 3400, 16_384, 20_000] {
            let Plan { same_rows, cluster_rows, band } = Plan::new(rows);
            let tiles = rows.div_ceil(TILE_ROWS);
            assert_eq!(same_rows, tiles % 2 == 1, "{rows}");
            assert_eq!(cluster_rows, if same_rows { tiles } else { tiles / 2 }, "{rows}");
            let held = band * TILE_ROWS * if same_rows { 1 } else { CLUSTER };
            assert!(band > 0 && held < BAND_ROWS + 2 * TILE_ROWS, "{rows}: {band}");
        }
    }

    /// As measured on 132 multiprocessors, InternVL3-8B's width: faster where the last wave is full, or waves are many.
    #[test]
    fn it_is_taken_where_it_is_faster() {
        let filled = |rows: usize| Plan::new(rows).filled(rows, 18_944, 66);
        for (rows, is_faster) in [
            (512, false),
            (600, false),
            (640, true),
            (768, true),
            (1024, true),
            (1087, false),
            (1152, false),
            (1856, true),
            (2048, true),
            (3400, true),
            (16_384, true),
        ] {
            assert_eq!(filled(rows) >= FILLED_MIN, is_faster, "{rows}: {}", filled(rows));
        }
        assert_eq!(filled(16_896), 100);
    }

    /// Against the products in f64; and nothing is written beside the result.
    #[test]
    fn a_fused_product_is_the_activation_of_two() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("skipped: there is no GPU");
            return;
        };
        if !hopper::takes(device.as_cuda_device().unwrap(), DType::BF16).unwrap() {
            eprintln!("skipped: the GPU is of another kind");
            return;
        }
        for (width, inner) in [(18_944, 3584), (1000, 264), (384, 128), (136, 72)] {
            for dtype in [DType::BF16, DType::F16] {
                let random = |rows: usize, scale: f64| {
                    let values = Tensor::randn(0f64, scale, (rows, inner), &device).unwrap();
                    values.to_dtype(dtype).unwrap()
                };
                let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap();
                let weight = random(2 * width, 2.0 / (inner as f64).sqrt());
                for rows in [1, 65, 129, 256, 400, 1024] {
                    let x = random(rows, 1.0);
                    let room = Tensor::zeros((rows + 2, width), dtype, &device).unwrap();
                    swiglu_product(&x, &weight, &room.narrow(0, 1, rows).unwrap()).unwrap();
                    let both = wide(&x).matmul(&wide(&weight).t().unwrap()).unwrap();
                    let gate = both.narrow(1, 0, width).unwrap();
                    let up = both.narrow(1, width, width).unwrap();
                    let exact = (gate.silu().unwrap() * up).unwrap();
                    let ours = wide(&room.narrow(0, 1, rows).unwrap());
                    let rounding = if dtype == DType::F16 { 2f64.powi(-11) } else { 2f64.powi(-8) };
                    let limit = exact.abs().unwrap().affine(rounding + 1e-5, 1e-4).unwrap();
                    let part = ((ours - &exact).unwrap().abs().unwrap() / limit).unwrap();
                    let parts = part.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                    let wrong = parts.iter().filter(|part| !(**part <= 1.0)).count();
                    assert_eq!(wrong, 0, "{rows} rows of {inner} to {width} in {dtype:?}");
                    for row in [0, rows + 1] {
                        let beside = wide(&room.narrow(0, row, 1).unwrap()).abs().unwrap();
                        assert_eq!(beside.sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
                    }
                }
            }
        }
    }
}
