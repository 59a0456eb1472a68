//! Launches the kernels of `hopper_product.cu`: products of up to 128 rows that stream a weight at the memory's
//! speed, on compute capability 9.0.

use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;
use candle_core::{CudaDevice, DType, Result, Tensor, bail};

use super::argument::{Argument, BOX_BYTES};
use super::found::{self, Found};
use super::launch::{
    Grid, Module, attribute, clusters_at_once, expect, launch_clusters, module, multiprocessors,
    suffix,
};
use super::q8::prefix;
use crate::model::byte_matrix::ByteMatrix;

const PRODUCT: Module = module!("hopper_product");

// As in hopper_product.cu.
const TILE_ROWS: usize = 64;
const THREADS: usize = 2 * 128 + 32;
/// Rows of x that kernels are made for, and the most tiles of a pass; the others have two.
const WIDTHS: [(usize, usize); 5] = [(8, 5), (16, 5), (32, 5), (64, 5), (128, 3)];
const TILES_FEW: usize = 2;
/// Warps of a block that multiply.
const WARPS: usize = 8;
/// Rows of x up to which kernels tell the likeliest tokens.
pub(super) const FOUND_ROWS_MAX: usize = 64;
/// Where stages begin, and what the barriers of one take.
const STAGE_ALIGNMENT: usize = 1024;
const BARRIER_BYTES: usize = 16;
const ROWS_STEP: usize = 4;
/// Of an element of x.
const X_ELEMENT_BYTES: usize = 2;

const STAGES_MAX: usize = 12;
/// Blocks that may share k.
const CLUSTERS: [usize; 3] = [1, 2, 4];
/// Rows of a weight that a cluster should have: fewer, and x is read too often.
const CLUSTER_ROWS_MIN: usize = 64;

/// Rows of `x` that have a kernel.
pub(super) const ROWS_MAX: usize = 128;

/// Elements of a dense weight from which it is large, and rows of `x` up to which these kernels are faster for large weights
/// and others.
const LARGE_ELEMENTS: usize = 32 << 20;
const LARGE_ROWS_MAX: usize = 96;
/// The same for an output matrix, whose product is in f32.
const LOGITS_ELEMENTS: usize = 256 << 20;
const LOGITS_ROWS_MAX: usize = ROWS_MAX;
const SMALL_ROWS_MAX: usize = 16;
/// The same for a square matrix. That is `o_proj`, which comes behind attention: its weights are on their way before the last
/// blocks of that have ended, which takes longer than the end of a norm does.
const SQUARE_ROWS_MAX: usize = 64;

/// Whether there are kernels for this GPU and dtype.
pub(super) fn takes(device: &CudaDevice, dtype: DType) -> Result<bool> {
    Ok(!PRODUCT.image.is_empty()
        && matches!(dtype, DType::F16 | DType::BF16)
        && attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)? == 9
        && attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)? == 0)
}

/// The GPU that tests of such kernels need. Where there is none of the kind they say so, and are over.
#[cfg(test)]
pub(super) fn gpu_for_tests() -> Option<candle_core::Device> {
    let device = candle_core::Device::new_cuda(0).ok();
    let device = device.filter(|gpu| takes(gpu.as_cuda_device().unwrap(), DType::BF16).unwrap());
    if device.is_none() {
        eprintln!("not run: it needs a GPU of compute capability 9.0");
    }
    device
}

/// A stored matrix, `[n, k]`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weight<'a> {
    /// Of the dtype that `x` has.
    Dense(&'a Tensor),
    Bytes(&'a ByteMatrix),
}

impl<'a> Weight<'a> {
    fn stored(self) -> &'a Tensor {
        match self {
            Self::Dense(weight) => weight,
            Self::Bytes(weight) => &weight.bytes,
        }
    }

    fn scales(self) -> Option<&'a Tensor> {
        match self {
            Self::Dense(_) => None,
            Self::Bytes(weight) => Some(&weight.scales),
        }
    }

    fn dims(self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(weight) => weight.dims2(),
            Self::Bytes(weight) => weight.dims(),
        }
    }

    /// What the kernels' names begin with, for an `x` of this dtype.
    fn prefix(self, dtype: DType) -> Result<String> {
        let from = suffix(dtype)?;
        Ok(match self {
            Self::Dense(_) => from.to_owned(),
            Self::Bytes(weight) => format!("{from}_{}", prefix(weight.format)),
        })
    }
}

/// Whether a product of `rows` with a dense weight of these sizes, to `out`, is faster by these kernels than by cublas: measured in
/// whole decoding steps of InternVL3-8B.
pub(super) fn is_faster(rows: usize, columns: usize, inner: usize, out: DType) -> bool {
    let most = if out == DType::F32 && columns * inner >= LOGITS_ELEMENTS {
        LOGITS_ROWS_MAX
    } else if columns * inner >= LARGE_ELEMENTS {
        LARGE_ROWS_MAX
    } else if columns == inner {
        SQUARE_ROWS_MAX
    } else {
        SMALL_ROWS_MAX
    };
    rows <= most
}

/// One launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Rows of x, and tiles of a pass, that the kernel is made for.
    width: usize,
    tiles: usize,
    cluster: usize,
    clusters: usize,
    /// Rows of the weight of a cluster, and of one of its passes.
    rows: usize,
    pass_rows: usize,
    stages: usize,
    shared_bytes: usize,
}

impl Plan {
    /// For `[m, k] · [n, k]ᵀ` with elements of the weight of `element_bytes`, or none where a cluster has too many rows. The GPU
    /// runs `at_once` clusters of `cluster` blocks, with `shared_memory` bytes each.
    fn new(
        [m, n, k]: [usize; 3],
        element_bytes: usize,
        (cluster, at_once): (usize, usize),
        shared_memory: usize,
    ) -> Option<Self> {
        let (width, tiles_max) = WIDTHS.into_iter().find(|(width, _)| *width >= m)?;
        let chunk = BOX_BYTES / element_bytes;
        let chunks = k.div_ceil(chunk);
        let rows = n.div_ceil(at_once.max(1)).next_multiple_of(ROWS_STEP);
        let passes = rows.div_ceil(TILE_ROWS * tiles_max);
        if at_once == 0 || cluster > 1 && (passes > 1 || chunks < cluster) {
            return None;
        }
        let pass_rows = rows.div_ceil(passes).next_multiple_of(ROWS_STEP);
        let tiles = if pass_rows <= TILES_FEW * TILE_ROWS { TILES_FEW } else { tiles_max };
        let weight_tile = pass_rows.next_multiple_of(8) * BOX_BYTES;
        let stage = weight_tile + width * chunk * X_ELEMENT_BYTES;
        let beyond = tiles * TILE_ROWS * BOX_BYTES - weight_tile;
        let fixed = STAGE_ALIGNMENT + beyond + STAGES_MAX * BARRIER_BYTES;
        let turns = passes * chunks.div_ceil(cluster);
        let stages = (shared_memory.checked_sub(fixed)? / stage).min(STAGES_MAX).min(turns);
        // The blocks of a cluster leave their sums where the stages were.
        let stride = pass_rows.next_multiple_of(16) + 4;
        let sums = if cluster > 1 { STAGE_ALIGNMENT + stride * width * 4 } else { 0 };
        let shared_bytes = (fixed + stages * stage).max(sums);
        let clusters = n.div_ceil(rows);
        (stages > 0 && shared_bytes <= shared_memory).then_some(Self {
            width,
            tiles,
            cluster,
            clusters,
            rows,
            pass_rows,
            stages,
            shared_bytes,
        })
    }
}

impl Plan {
    /// Parts of likeliest tokens that a product of a dense weight in f32 leaves of each row.
    fn found_parts(self) -> Option<usize> {
        (self.cluster == 1 && self.width <= FOUND_ROWS_MAX).then_some(self.clusters * WARPS)
    }
}

/// How many clusters of this size run at once.
fn at_once(device: &CudaDevice, cluster: usize, shared_memory: usize) -> Result<usize> {
    if cluster == 1 {
        return multiprocessors(device);
    }
    // One block to a multiprocessor, as all these kernels have.
    let name = "product_bf16_q8_bf16_8_2";
    clusters_at_once(device, &PRODUCT, name, (THREADS, shared_memory), cluster)
}

/// Whether [`product_into`] takes `x` and `stored`, a weight's matrix: as many rows as there are kernels for, each of
/// both at a 16-byte boundary, which is where the copy engine reads.
pub(super) fn takes_rows(x: &Tensor, stored: &Tensor) -> Result<bool> {
    let fits = is_copied(x) && is_copied(stored) && (1..=ROWS_MAX).contains(&x.dim(0)?);
    Ok(fits && takes(x.device().as_cuda_device()?, x.dtype())?)
}

/// Whether the copy engine takes boxes of this matrix: each row begins at a 16-byte boundary.
pub(super) fn is_copied(matrix: &Tensor) -> bool {
    let element_bytes = matrix.dtype().size_in_bytes();
    let Ok((_, width)) = matrix.dims2() else { return false };
    matrix.is_contiguous()
        && (width * element_bytes).is_multiple_of(16)
        && (matrix.layout().start_offset() * element_bytes).is_multiple_of(16)
}

/// The plan of a product: the smallest cluster with enough rows of the weight.
fn plan(x: &Tensor, weight: Weight<'_>) -> Result<Plan> {
    let ((m, k), (n, _), stored) = (x.dims2()?, weight.dims()?, weight.stored());
    let device = x.device().as_cuda_device()?;
    let element_bytes = stored.dtype().size_in_bytes();
    let shared_memory =
        attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
    let mut chosen = None;
    for cluster in CLUSTERS {
        let at_once = at_once(device, cluster, shared_memory)?;
        let plan = Plan::new([m, n, k], element_bytes, (cluster, at_once), shared_memory);
        chosen = plan.or(chosen);
        if chosen.is_some_and(|plan| plan.rows >= CLUSTER_ROWS_MIN) {
            break;
        }
    }
    let Some(plan) = chosen else {
        bail!("no streamed product of {m} rows with {:?}", stored.shape())
    };
    Ok(plan)
}

/// Parts of likeliest tokens that [`product_into`] finds of each row of its result in f32; none where it finds none.
pub(super) fn found_parts(x: &Tensor, weight: &Tensor) -> Result<Option<usize>> {
    Ok(plan(x, Weight::Dense(weight))?.found_parts())
}

/// `x · weightᵀ` of `[m, k]` and `[n, k]` to `out`, `[m, n]` in the dtype of `x` or f32. All rows begin at 16-byte
/// boundaries. Rows that are not wanted are not written where likeliest tokens are to be `found`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) fn product_into(
    x: &Tensor,
    weight: Weight<'_>,
    out: &Tensor,
    found: Option<Found<'_>>,
) -> Result<()> {
    let ((m, k), (n, _), stored) = (x.dims2()?, weight.dims()?, weight.stored());
    let kind = if weight.scales().is_some() { DType::U8 } else { x.dtype() };
    expect(stored, &[n, k], kind)?;
    let out_is_f32 = out.dtype() == DType::F32;
    expect(out, &[m, n], if out_is_f32 { DType::F32 } else { x.dtype() })?;
    let device = x.device().as_cuda_device()?;
    if !takes_rows(x, stored)? {
        bail!("no streamed product of {:?} in {:?}", x.shape(), x.dtype());
    }
    let plan = plan(x, weight)?;
    if let Some(found) = found {
        let is_dense = matches!(weight, Weight::Dense(_));
        let Some(parts) = plan.found_parts().filter(|_| is_dense && out_is_f32) else {
            bail!("no likeliest tokens of {:?} in {:?}", out.shape(), out.dtype())
        };
        found.expect(m, parts)?;
    }
    let [best, parts, needs, never] = found::arguments(found)?;
    let Plan { width, tiles, cluster, clusters, rows, pass_rows, stages, shared_bytes } = plan;
    let (from, to) = (weight.prefix(x.dtype())?, suffix(out.dtype())?);
    let name = format!("product_{from}_{to}_{width}_{tiles}");
    let rest = pass_rows % TILE_ROWS;
    let arguments = [
        Argument::Boxes(stored, TILE_ROWS, BOX_BYTES),
        Argument::Boxes(stored, if rest == 0 { TILE_ROWS } else { rest }, BOX_BYTES),
        Argument::Boxes(x, width, BOX_BYTES),
        weight.scales().into(),
        Argument::Tensor(out),
        Argument::Int(m),
        Argument::Int(n),
        Argument::Int(k),
        Argument::Int(rows),
        Argument::Int(pass_rows),
        Argument::Int(stages),
        best,
        parts,
        needs,
        never,
    ];
    let grid = Grid { blocks: [cluster, clusters, 1], threads: THREADS, shared_bytes };
    // SAFETY: sizes are checked above. The copy engine reads within the matrices, and the kernel writes m * n
    // elements of `out` at most, and a part of each row by each warp.
    unsafe { launch_clusters(device, &PRODUCT, &name, grid, cluster, &arguments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: usize = 232_448;

    /// All rows are some cluster's, in whole passes, and what a block needs fits.
    #[test]
    fn plans_cover_every_row() {
        for (element_bytes, m) in
            [1, 2].into_iter().flat_map(|b| [1, 8, 9, 64, 65, 128].map(|m| (b, m)))
        {
            for n in [1, 4, 130, 3584, 4608, 37_888, 151_674] {
                for (cluster, at_once) in [(1, 132), (2, 66), (4, 30)] {
                    let sizes = [m, n, 3584];
                    let Some(plan) = Plan::new(sizes, element_bytes, (cluster, at_once), SHARED)
                    else {
                        assert!(cluster > 1, "{m} {n}");
                        continue;
                    };
                    assert!(plan.clusters <= at_once && plan.clusters * plan.rows >= n, "{plan:?}");
                    assert!(plan.pass_rows <= plan.tiles * TILE_ROWS, "{plan:?}");
                    assert!(plan.width >= m && plan.shared_bytes <= SHARED, "{plan:?}");
                    assert!(cluster == 1 || plan.pass_rows == plan.rows, "{plan:?}");
                }
            }
        }
    }

    #[test]
    fn products_go_where_they_were_faster() {
        // The head, gate_up_proj, o_proj and qkv_proj of InternVL3-8B.
        let (logits, x) = (DType::F32, DType::BF16);
        let products = [
            (151_674, 3584, logits, 128),
            (37_888, 3584, x, 96),
            (3584, 3584, x, 64),
            (4608, 3584, x, 16),
            // gate_up_proj of InternVL3-38B has as many elements as an output matrix.
            (55_296, 5120, x, 96),
        ];
        for (columns, inner, out, most) in products {
            let is_faster = |rows| is_faster(rows, columns, inner, out);
            assert!(is_faster(most) && !is_faster(most + 1), "{columns} x {inner}");
        }
    }

    /// One kernel, by two threads, with more shared memory and with less: models that replace each other, or the replicas of
    /// one on a GPU.
    #[test]
    fn threads_do_not_take_each_other_s_shared_memory() {
        use candle_core::Device;

        if gpu_for_tests().is_none() {
            return;
        }
        let repeat = |(columns, inner): (usize, usize)| {
            let device = Device::new_cuda(0).unwrap();
            let zeros = |shape| Tensor::zeros(shape, DType::BF16, &device).unwrap();
            let (x, weight, out) =
                (zeros((8, inner)), zeros((columns, inner)), zeros((8, columns)));
            for _ in 0..2000 {
                product_into(&x, Weight::Dense(&weight), &out, None).unwrap();
            }
            device.synchronize().unwrap();
        };
        std::thread::scope(|scope| {
            for sizes in [(4608, 3584), (512, 128), (4608, 3584), (512, 128)] {
                scope.spawn(move || repeat(sizes));
            }
        });
    }
}
