//! Launches the kernels of `q8.cu`: products with 8-bit weights, integers or floats.

use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;
use candle_core::{CudaDevice, DType, Result, Tensor, bail};

use super::argument::Argument;
use super::hopper;
use super::launch::{
    GRID_MAX, Grid, Module, attribute, expect, has_tensor_cores, launch, module, multiprocessors,
    suffix, uninit,
};
use crate::model::byte_matrix::ByteMatrix;
use crate::placement::Quantization;

const Q8: Module = module!("q8");

// As in q8.cu.
const GEMV_ROWS_OF_FEW: usize = 8;
const GEMV_ROWS_OF_MORE: usize = 4;
const GEMV_FEW: usize = 2;
const DEPTH: usize = 128;
const THIN_ROWS: usize = 32;
const THIN_WARPS_MAX: usize = 8;
const THIN_STAGES: usize = 2;
const THIN_WIDTH_MAX: usize = 32;

/// Elements of a row from which the gemv kernel has twice the threads.
const LONG_ROW: usize = 8192;
const DEQUANTISE_THREADS: usize = 128;
/// Elements of a row that a thread dequantises.
const DEQUANTISE_ELEMENTS: usize = 16;

/// Rows of `x` that the kernels serve without and with tensor cores; for more the weight is
/// dequantised, and the library's product is faster.
const PLAIN_ROWS_MAX: usize = 8;
const TENSOR_CORE_ROWS_MAX: usize = 64;
/// Rows of `x` from which the kernels for compute capability 9.0 are faster.
const STREAMED_ROWS_MIN: usize = 33;

/// What of a GPU decides how a product is cut.
#[derive(Debug, Clone, Copy)]
struct Gpu {
    tensor_cores: bool,
    /// Whether it has the kernels for compute capability 9.0, which add nothing to a product.
    streams: bool,
    multiprocessors: usize,
    /// Bytes that a block may have.
    shared_memory: usize,
}

/// One launch.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    kernel: &'static str,
    /// Rows of `x` that the kernel is compiled for.
    width: usize,
    grid: (usize, usize),
    threads: usize,
    shared_bytes: usize,
}

impl Gpu {
    fn of(device: &CudaDevice) -> Result<Self> {
        let shared = Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        Ok(Self {
            tensor_cores: has_tensor_cores(device)?,
            streams: hopper::takes(device, DType::BF16)?,
            multiprocessors: multiprocessors(device)?,
            shared_memory: attribute(device, shared)?,
        })
    }

    /// Rows of `x` that have a kernel here.
    fn rows_max(self, dtype: DType, adds: bool) -> usize {
        match dtype {
            DType::F16 | DType::BF16 if self.streams && !adds => hopper::ROWS_MAX,
            DType::F16 | DType::BF16 if self.tensor_cores => TENSOR_CORE_ROWS_MAX,
            DType::F16 | DType::F32 => PLAIN_ROWS_MAX,
            _ => 0,
        }
    }
}

impl Plan {
    /// For `[m, k] · [n, k]ᵀ`.
    fn new([m, n, k]: [usize; 3], dtype: DType, gpu: Gpu) -> Self {
        // A single row is memory's speed alone, and plain cores keep up with it.
        if m <= 1 || !gpu.tensor_cores || dtype == DType::F32 {
            Self::gemv([m, n, k])
        } else {
            Self::thin([m, n], gpu)
        }
    }

    fn gemv([m, n, k]: [usize; 3]) -> Self {
        let width = m.next_power_of_two();
        let columns = if width <= GEMV_FEW { GEMV_ROWS_OF_FEW } else { GEMV_ROWS_OF_MORE };
        let threads = if k >= LONG_ROW { 256 } else { 128 };
        Self { kernel: "gemv", width, grid: (n.div_ceil(columns), 1), threads, shared_bytes: 0 }
    }

    fn thin([m, n]: [usize; 2], gpu: Gpu) -> Self {
        let width = m.next_power_of_two().clamp(8, THIN_WIDTH_MAX);
        let grid = (n.div_ceil(THIN_ROWS), m.div_ceil(width));
        let blocks = grid.0 * grid.1;
        let warp_bytes = THIN_STAGES * (THIN_ROWS * DEPTH + width * DEPTH * 2);
        // A block that is alone on its multiprocessor needs more warps to keep it busy.
        let warps = match blocks {
            _ if blocks <= gpu.multiprocessors
                && THIN_WARPS_MAX * warp_bytes <= gpu.shared_memory =>
            {
                THIN_WARPS_MAX
            }
            _ if width == THIN_WIDTH_MAX && blocks > 4 * gpu.multiprocessors => 2,
            _ => 4,
        };
        Self { kernel: "thin", width, grid, threads: 32 * warps, shared_bytes: warps * warp_bytes }
    }
}

/// Whether the kernels take `x`, `[rows, in]`, and what is added to the product.
pub(in crate::model) fn takes(x: &Tensor, addend: Option<&Tensor>) -> bool {
    let Ok(device) = x.device().as_cuda_device() else { return false };
    let Ok((m, k)) = x.dims2() else { return false };
    let Ok(gpu) = Gpu::of(device) else { return false };
    let offset_bytes = x.layout().start_offset() * x.dtype().size_in_bytes();
    let aligned = k.is_multiple_of(16) && offset_bytes.is_multiple_of(16);
    let rows_max = gpu.rows_max(x.dtype(), addend.is_some());
    let addend = addend.is_none_or(|a| a.is_contiguous() && a.dtype() == x.dtype());
    x.is_contiguous() && aligned && addend && (1..=rows_max).contains(&m)
}

/// `x · weightᵀ + addend` of `[m, k]`, `[n, k]`, and `[n]` or `[m, n]`; in the dtype of `x`.
#[expect(unsafe_code, reason = "memory that is not yet written")]
pub(in crate::model) fn product(
    x: &Tensor,
    weight: &ByteMatrix,
    addend: Option<&Tensor>,
) -> Result<Tensor> {
    let (rows, (columns, _)) = (x.dim(0)?, weight.dims()?);
    // SAFETY: a product writes all of its result.
    let out = unsafe { uninit(x.device().as_cuda_device()?, (rows, columns), x.dtype()) }?;
    product_into(x, weight, addend, &out)?;
    Ok(out)
}

/// As [`product`], to `out`, `[m, n]` in the dtype of `x` or f32.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn product_into(
    x: &Tensor,
    weight: &ByteMatrix,
    addend: Option<&Tensor>,
    out: &Tensor,
) -> Result<()> {
    let ((m, k), (n, _)) = (x.dims2()?, weight.dims()?);
    expect(&weight.bytes, &[n, k], DType::U8)?;
    let out_is_f32 = out.dtype() == DType::F32;
    expect(out, &[m, n], if out_is_f32 { DType::F32 } else { x.dtype() })?;
    if !takes(x, addend) {
        bail!("no 8-bit product of {:?} in {:?}", x.shape(), x.dtype());
    }
    let stride = match addend {
        Some(addend) if addend.rank() == 2 => {
            expect(addend, &[m, n], x.dtype())?;
            n
        }
        Some(addend) => {
            expect(addend, &[n], x.dtype())?;
            0
        }
        None => 0,
    };
    let device = x.device().as_cuda_device()?;
    let gpu = Gpu::of(device)?;
    if gpu.streams && x.dtype() != DType::F32 && addend.is_none() && m >= STREAMED_ROWS_MIN {
        return hopper::product_into(x, hopper::Weight::Bytes(weight), out, None);
    }
    let Plan { kernel, width, grid, threads, shared_bytes } = Plan::new([m, n, k], x.dtype(), gpu);
    let name = format!("{}_{kernel}_{}_{width}", prefix(weight.format), suffix(x.dtype())?);
    let arguments = [
        Argument::Tensor(&weight.bytes),
        Argument::Tensor(&weight.scales),
        Argument::Tensor(x),
        addend.into(),
        Argument::Tensor(out),
        Argument::Int(stride),
        Argument::Int(usize::from(out_is_f32)),
        Argument::Int(m),
        Argument::Int(n),
        Argument::Int(k),
    ];
    let grid = Grid { blocks: [grid.0, grid.1, 1], threads, shared_bytes };
    // SAFETY: sizes are checked above, and 16-byte loads are aligned because `takes` saw to x and a weight
    // begins its allocation; the kernel writes m * n elements of `out`.
    unsafe { launch(device, &Q8, &name, grid, &arguments) }
}

/// The format's part of the kernels' names.
pub(super) fn prefix(format: Quantization) -> &'static str {
    match format {
        Quantization::Q8 => "q8",
        Quantization::Fp8 => "fp8",
    }
}

/// The dense weight, `[n, k]`.
#[expect(unsafe_code, reason = "memory that is not yet written, and a kernel launch")]
pub(in crate::model) fn dequantise(weight: &ByteMatrix, dtype: DType) -> Result<Tensor> {
    let (n, k) = weight.dims()?;
    let name = format!("{}_dequantise_{}", prefix(weight.format), suffix(dtype)?);
    let device = weight.bytes.device().as_cuda_device()?;
    let grid = Grid {
        blocks: [k.div_ceil(DEQUANTISE_ELEMENTS * DEQUANTISE_THREADS), n.min(GRID_MAX), 1],
        threads: DEQUANTISE_THREADS,
        shared_bytes: 0,
    };
    // SAFETY: the kernel writes all n * k elements.
    let out = unsafe { uninit(device, (n, k), dtype) }?;
    let arguments = [
        Argument::Tensor(&weight.bytes),
        Argument::Tensor(&weight.scales),
        Argument::Tensor(&out),
        Argument::Int(n),
        Argument::Int(k),
    ];
    // SAFETY: sizes are checked above.
    unsafe { launch(device, &Q8, &name, grid, &arguments) }?;
    Ok(out)
}
