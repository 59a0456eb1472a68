//! Launches the kernels of `hopper_swiglu.cu`: an MLP's first product with its activation, on compute capability 9.0.

use candle_core::{CudaDevice, DType, Result, Tensor, bail};

use super::argument::{Argument, BOX_BYTES};
use super::hopper;
use super::hopper_tiles::{self, BOX_ROWS, CLUSTER, THREADS, TILE_ROWS};
use super::launch::{Grid, Module, expect, launch_clusters, module, suffix};

const SWIGLU: Module = module!("hopper_swiglu");

/// Numbers of rows that narrow tiles serve, faster than cublas with the activation behind it although their last tiles are not
/// full: one pass over the weights takes as long for them as for the last of these, and two. By InternVL3-8B's shape.
const OF_PASSES: [std::ops::RangeInclusive<usize>; 2] = [160..=256, 448..=512];
/// Others were not measured with fewer than these.
const ROWS_MIN: usize = 513;
/// Percent of the time of all multiprocessors that tiles must fill. With this many it was faster than cublas with the activation
/// behind it for every number of rows that was measured, with fewer for some.
const FILLED_MIN: usize = 92;
/// Rows that stay in the second-level cache while all columns pass by.
const BAND_ROWS: usize = 4096;

/// A kernel, by the columns of the result in a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// 128, of which a column takes least.
    Wide,
    /// 96: where they fill the last wave of tiles.
    Narrow,
}

impl Width {
    const ALL: [Self; 2] = [Self::Wide, Self::Narrow];

    const fn columns(self) -> usize {
        match self {
            Self::Wide => 128,
            Self::Narrow => 96,
        }
    }

    const fn stages(self) -> usize {
        match self {
            Self::Wide => 4,
            Self::Narrow => 5,
        }
    }

    /// Rows of the weight that are copied at a time.
    const fn box_rows(self) -> usize {
        match self {
            Self::Wide => 64,
            Self::Narrow => 96,
        }
    }

    /// With what goes out.
    const fn shared_bytes(self) -> usize {
        let out_bytes = TILE_ROWS * self.columns() * 2;
        hopper_tiles::shared_bytes(2 * self.columns(), self.stages()) + out_bytes
    }

    fn kernel(self, dtype: DType) -> Result<String> {
        Ok(format!("hopper_swiglu_{}_{}", suffix(dtype)?, self.columns()))
    }
}

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
    let was_measured = of_passes(rows).is_some() || rows >= ROWS_MIN;
    if !fits || !(tried || was_measured) || SWIGLU.image.is_empty() {
        return Ok(false);
    }
    if !hopper::takes(x.device().as_cuda_device()?, x.dtype())? {
        return Ok(false);
    }
    let clusters = clusters(x)?;
    Ok(clusters > 0 && (tried || Plan::new(rows, width, clusters).is_faster(rows, width)))
}

/// Rows of whole passes over the weights, for what is faster in them with fewer, too.
fn of_passes(rows: usize) -> Option<usize> {
    OF_PASSES.iter().find(|passes| passes.contains(&rows)).map(|passes| *passes.end())
}

/// Clusters that run at once, of either kernel.
fn clusters(x: &Tensor) -> Result<usize> {
    let device = x.device().as_cuda_device()?;
    let of = |width: Width| {
        let name = width.kernel(x.dtype())?;
        hopper_tiles::clusters(device, &SWIGLU, &name, width.shared_bytes())
    };
    Ok(of(Width::Wide)?.min(of(Width::Narrow)?))
}

/// How tiles are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    width: Width,
    /// Whether the two blocks of a cluster share rows of x, or else columns.
    same_rows: bool,
    /// Rows of clusters' tiles.
    cluster_rows: usize,
    /// Those that are taken together.
    band: usize,
    /// Clusters that run at once, and how often each has a tile.
    clusters: usize,
    waves: usize,
}

impl Plan {
    /// Of the widths that serve so many rows the one whose waves take least.
    fn new(rows: usize, columns: usize, clusters: usize) -> Self {
        let [wide, narrow] = Width::ALL.map(|width| Self::of(width, rows, columns, clusters));
        let is_narrow = of_passes(rows).is_some() && narrow.lasts() < wide.lasts();
        if is_narrow { narrow } else { wide }
    }

    fn of(width: Width, rows: usize, columns: usize, clusters: usize) -> Self {
        let tiles = rows.div_ceil(TILE_ROWS);
        // A pair of rows of tiles would have one in it for nothing.
        let same_rows = !tiles.is_multiple_of(CLUSTER);
        let cluster_rows = if same_rows { tiles } else { tiles / CLUSTER };
        let band = cluster_rows.div_ceil(rows.div_ceil(BAND_ROWS));
        let across = columns.div_ceil(width.columns());
        let cluster_columns = if same_rows { across.div_ceil(CLUSTER) } else { across };
        let waves = (cluster_rows * cluster_columns).div_ceil(clusters.max(1));
        Self { width, same_rows, cluster_rows, band, clusters, waves }
    }

    /// In columns of a tile.
    fn lasts(self) -> usize {
        self.waves * self.width.columns()
    }

    /// Percent of the blocks' time that results take.
    fn filled(self, rows: usize, columns: usize) -> usize {
        100 * rows * columns / (self.lasts() * self.clusters * CLUSTER * TILE_ROWS)
    }

    /// By InternVL3-8B's shape.
    fn is_faster(self, rows: usize, columns: usize) -> bool {
        self.filled(of_passes(rows).unwrap_or(rows), columns) >= FILLED_MIN
    }
}

/// `silu(x · gateᵀ) * (x · upᵀ)` of `[rows, in]` and `[gate; up]`, `[2 * width, in]`, to `out`, `[rows, width]`, all of one
/// dtype; what both products come to is not rounded. Where it is only `tried`, both kernels are.
pub(in crate::model) fn swiglu_product(
    x: &Tensor,
    weight: &Tensor,
    out: &Tensor,
    tried: bool,
) -> Result<()> {
    let ((rows, inner), (double, _)) = (x.dims2()?, weight.dims2()?);
    let width = double / 2;
    expect(weight, &[2 * width, inner], x.dtype())?;
    expect(out, &[rows, width], x.dtype())?;
    if ![x, weight, out].into_iter().all(hopper::is_copied) {
        bail!("rows that the copy engine does not take: {:?}", x.shape());
    }
    let (device, clusters) = (x.device().as_cuda_device()?, clusters(x)?);
    if !tried {
        return launch_plan(device, Plan::new(rows, width, clusters), (x, weight, out));
    }
    for (kernel, first, end) in [(Width::Wide, 0, rows / 2), (Width::Narrow, rows / 2, rows)] {
        let count = end - first;
        if count > 0 {
            let (x, out) = (x.narrow(0, first, count)?, out.narrow(0, first, count)?);
            let plan = Plan::of(kernel, count, width, clusters);
            launch_plan(device, plan, (&x, weight, &out))?;
        }
    }
    Ok(())
}

/// The shapes are checked: what is read and written lies within the boxes of these matrices in any case.
#[expect(unsafe_code, reason = "a kernel launch")]
fn launch_plan(
    device: &CudaDevice,
    plan: Plan,
    (x, weight, out): (&Tensor, &Tensor, &Tensor),
) -> Result<()> {
    let Plan { width: tile, same_rows, band, clusters, .. } = plan;
    let ((_, inner), (rows, width)) = (x.dims2()?, out.dims2()?);
    let arguments = [
        Argument::Boxes(x, BOX_ROWS, BOX_BYTES),
        Argument::Boxes(weight, tile.box_rows(), BOX_BYTES),
        Argument::Boxes(out, BOX_ROWS, BOX_BYTES / 2),
        Argument::Int(rows),
        Argument::Int(width),
        Argument::Int(inner),
        Argument::Int(usize::from(same_rows)),
        Argument::Int(band),
    ];
    let blocks = [clusters * CLUSTER, 1, 1];
    let grid = Grid { blocks, threads: THREADS, shared_bytes: tile.shared_bytes() };
    // SAFETY: the copy engine alone reads and writes, and only within the three matrices.
    unsafe { launch_clusters(device, &SWIGLU, &tile.kernel(x.dtype())?, grid, CLUSTER, &arguments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// InternVL3-8B's, and what 132 multiprocessors run at once.
    const COLUMNS: usize = 18_944;
    const CLUSTERS: usize = 66;

    #[test]
    fn a_block_fits() {
        for width in Width::ALL {
            assert!(width.shared_bytes() <= 232_448, "{width:?}: {}", width.shared_bytes());
        }
    }

    #[test]
    fn no_row_of_tiles_is_for_nothing() {
        for rows in [1, 128, 129, 1856, 2048, 3400, 16_384, 20_000] {
            let Plan { same_rows, cluster_rows, band, .. } = Plan::new(rows, COLUMNS, CLUSTERS);
            let tiles = rows.div_ceil(TILE_ROWS);
            assert_eq!(same_rows, tiles % 2 == 1, "{rows}");
            assert_eq!(cluster_rows, if same_rows { tiles } else { tiles / 2 }, "{rows}");
            let held = band * TILE_ROWS * if same_rows { 1 } else { CLUSTER };
            assert!(band > 0 && held < BAND_ROWS + 2 * TILE_ROWS, "{rows}: {band}");
        }
    }

    #[test]
    fn tiles_are_as_wide_as_fills_the_last_wave() {
        for (rows, width, waves) in [
            // 198 narrow columns, three for each cluster.
            (256, Width::Narrow, 3),
            (512, Width::Narrow, 6),
            // As long as twelve waves of narrow ones.
            (1024, Width::Wide, 9),
            (1856, Width::Wide, 17),
            // 41 waves of narrow ones would be as long.
            (3400, Width::Wide, 31),
        ] {
            let plan = Plan::new(rows, COLUMNS, CLUSTERS);
            assert_eq!((plan.width, plan.waves), (width, waves), "{rows}");
        }
    }

    /// As measured: faster where the last wave is full, or waves are many.
    #[test]
    fn it_is_taken_where_it_is_faster() {
        for (rows, is_faster) in [
            (160, true),
            (256, true),
            (288, false),
            (384, false),
            (432, false),
            (448, true),
            (512, true),
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
            let plan = Plan::new(rows, COLUMNS, CLUSTERS);
            let filled = plan.filled(rows, COLUMNS);
            assert_eq!(plan.is_faster(rows, COLUMNS), is_faster, "{rows}: {filled}");
        }
        assert_eq!(Plan::new(16_896, COLUMNS, CLUSTERS).filled(16_896, COLUMNS), 100);
        // Fewer multiprocessors: four narrow waves are no shorter than three wide ones, which are not full.
        assert!(!Plan::new(256, COLUMNS, 57).is_faster(256, COLUMNS));
    }

    /// Against the products in f64; and nothing is written beside the result.
    #[test]
    #[expect(clippy::float_cmp, reason = "zeros that nothing was written to")]
    fn a_fused_product_is_the_activation_of_two() {
        let Some(device) = hopper::gpu_for_tests() else { return };
        for (width, inner) in [(18_944, 3584), (1000, 264), (384, 128), (136, 72)] {
            for dtype in [DType::BF16, DType::F16] {
                let random = |rows: usize, scale: f64| {
                    let values = Tensor::randn(0f64, scale, (rows, inner), &device).unwrap();
                    values.to_dtype(dtype).unwrap()
                };
                let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap();
                let weight = random(2 * width, 2.0 / (inner as f64).sqrt());
                for (rows, tile) in [1, 65, 129, 256, 400, 1024]
                    .into_iter()
                    .flat_map(|rows| Width::ALL.map(|tile| (rows, tile)))
                {
                    let x = random(rows, 1.0);
                    let room = Tensor::zeros((rows + 2, width), dtype, &device).unwrap();
                    let out = room.narrow(0, 1, rows).unwrap();
                    let plan = Plan::of(tile, rows, width, clusters(&x).unwrap());
                    let cuda = device.as_cuda_device().unwrap();
                    launch_plan(cuda, plan, (&x, &weight, &out)).unwrap();
                    let both = wide(&x).matmul(&wide(&weight).t().unwrap()).unwrap();
                    let gate = both.narrow(1, 0, width).unwrap();
                    let up = both.narrow(1, width, width).unwrap();
                    let exact = (gate.silu().unwrap() * up).unwrap();
                    let ours = wide(&out);
                    let rounding = if dtype == DType::F16 { 2f64.powi(-11) } else { 2f64.powi(-8) };
                    let limit = exact.abs().unwrap().affine(rounding + 1e-5, 1e-4).unwrap();
                    let part = ((ours - &exact).unwrap().abs().unwrap() / limit).unwrap();
                    let parts = part.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                    let wrong = parts.iter().filter(|part| part.is_nan() || **part > 1.0).count();
                    assert_eq!(
                        wrong, 0,
                        "{rows} rows of {inner} to {width} in {dtype:?}, {tile:?}"
                    );
                    for row in [0, rows + 1] {
                        let beside = wide(&room.narrow(0, row, 1).unwrap()).abs().unwrap();
                        assert_eq!(beside.sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
                    }
                }
            }
        }
    }
}
