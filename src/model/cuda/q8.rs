//! Launches the kernels of `q8.cu`: products with 8-bit weights.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::sys::{
    CUdevice_attribute as Attribute, CUfunction_attribute_enum as FunctionAttribute,
};
use candle_core::cuda_backend::cudarc::driver::{
    CudaView, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::{CudaDevice, CudaStorage, DType, Layout, Result, Shape, Storage, Tensor, bail};
use half::{bf16, f16};

/// The kernels, compiled by `build.rs` for this build's compute capability.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/q8.ptx"));
const MODULE: &str = "tessera-q8";

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
/// Largest second dimension of a grid.
const GRID_ROWS_MAX: usize = 65_535;

/// Rows of `x` that the kernels serve without and with tensor cores; for more the weight is
/// dequantised, and the library's product is faster.
const PLAIN_ROWS_MAX: usize = 8;
const TENSOR_CORE_ROWS_MAX: usize = 64;

/// A storage and which of its elements are meant.
type Operand<'a> = (&'a CudaStorage, &'a Layout);

/// What of a GPU decides how a product is cut.
#[derive(Debug, Clone, Copy)]
struct Gpu {
    tensor_cores: bool,
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
        let stream = device.cuda_stream();
        let get = |attribute| stream.context().attribute(attribute).map(|x| x as usize).w();
        Ok(Self {
            tensor_cores: get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)? >= 8,
            multiprocessors: get(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            shared_memory: get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
        })
    }

    /// Rows of `x` that have a kernel here.
    fn rows_max(self, dtype: DType) -> usize {
        match dtype {
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

/// The dtype's part of the kernels' names.
fn suffix(dtype: DType) -> Result<&'static str> {
    Ok(match dtype {
        DType::F32 => "f32",
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        other => bail!("no 8-bit kernels for {other:?}"),
    })
}

/// Whether the kernels take `x`, `[rows, in]`, and what is added to the product.
pub(in crate::model) fn takes(x: &Tensor, addend: Option<&Tensor>) -> bool {
    let Ok(device) = x.device().as_cuda_device() else { return false };
    let Ok((m, k)) = x.dims2() else { return false };
    let Ok(gpu) = Gpu::of(device) else { return false };
    let offset_bytes = x.layout().start_offset() * x.dtype().size_in_bytes();
    let aligned = k.is_multiple_of(16) && offset_bytes.is_multiple_of(16);
    let addend = addend.is_none_or(|a| a.is_contiguous() && a.dtype() == x.dtype());
    x.is_contiguous() && aligned && addend && (1..=gpu.rows_max(x.dtype())).contains(&m)
}

/// `x · weightᵀ + addend` of `[m, k]` and `[n, k]` bytes with `[n]` scales.
pub(in crate::model) fn product(
    x: Operand<'_>,
    weight: Operand<'_>,
    scales: &Tensor,
    addend: Option<&Tensor>,
) -> Result<(CudaStorage, Shape)> {
    match x.0.dtype() {
        DType::F32 => product_of::<f32>(x, weight, scales, addend),
        DType::F16 => product_of::<f16>(x, weight, scales, addend),
        DType::BF16 => product_of::<bf16>(x, weight, scales, addend),
        other => bail!("no 8-bit kernels for {other:?}"),
    }
}

fn product_of<T: CudaDType + DeviceRepr>(
    x: Operand<'_>,
    weight: Operand<'_>,
    scales: &Tensor,
    addend: Option<&Tensor>,
) -> Result<(CudaStorage, Shape)> {
    let device = x.0.device.clone();
    let ((m, k), (n, weight_k)) = (x.1.shape().dims2()?, weight.1.shape().dims2()?);
    if weight_k != k || scales.elem_count() != n {
        bail!("a weight of {:?} for rows of {k}", weight.1.shape());
    }
    let plan = Plan::new([m, n, k], x.0.dtype(), Gpu::of(&device)?);
    let name = format!("q8_{}_{}_{}", plan.kernel, suffix(x.0.dtype())?, plan.width);
    let function = device.get_or_load_custom_func(&name, MODULE, PTX)?;
    let limit = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    function.set_attribute(limit, plan.shared_bytes as i32).w()?;

    let scales = scales.storage_and_layout();
    let scales = view::<f32>(on_cuda(&scales.0)?, scales.1)?;
    let added = addend.map(Tensor::storage_and_layout);
    let added = match &added {
        Some((storage, layout)) => Some((
            view::<T>(on_cuda(storage)?, layout)?,
            if layout.dims().len() == 1 { 0 } else { n },
        )),
        None => None,
    };
    if added
        .as_ref()
        .is_some_and(|(view, stride)| view.len() != if *stride == 0 { n } else { m * n })
    {
        bail!("what is added to a product of [{m}, {n}] has another shape");
    }
    let (x, weight) = (view::<T>(x.0, x.1)?, view::<u8>(weight.0, weight.1)?);
    let [m32, n32, k32] = [m, n, k].map(|size| size as i32);
    let stride = added.as_ref().map_or(0, |(_, stride)| *stride as i32);
    let (nothing, out_is_f32) = (0u64, 0i32);
    let config = LaunchConfig {
        grid_dim: (plan.grid.0 as u32, plan.grid.1 as u32, 1),
        block_dim: (plan.threads as u32, 1, 1),
        shared_mem_bytes: plan.shared_bytes as u32,
    };
    #[expect(unsafe_code, reason = "memory that is not yet written, and a kernel launch")]
    // SAFETY: the kernel writes all of `out`, m * n elements, before anything reads it. It reads what
    // the views bound, whose lengths are m * k, n * k, n and n or m * n, checked above and by `view`;
    // 16-byte loads are aligned because `takes` saw to x and a weight begins its allocation.
    let out = unsafe {
        let mut out = device.alloc::<T>(m * n)?;
        let mut builder = function.builder();
        builder.arg(&weight).arg(&scales).arg(&x);
        match &added {
            Some((addend, _)) => builder.arg(addend),
            None => builder.arg(&nothing),
        };
        builder.arg(&mut out).arg(&stride).arg(&out_is_f32).arg(&m32).arg(&n32).arg(&k32);
        builder.launch(config).w()?;
        out
    };
    Ok((CudaStorage::wrap_cuda_slice(out, device), Shape::from((m, n))))
}

/// The dense weight of `[n, k]` bytes and `[n]` scales.
pub(in crate::model) fn dequantise(
    weight: Operand<'_>,
    scales: Operand<'_>,
    dtype: DType,
) -> Result<(CudaStorage, Shape)> {
    match dtype {
        DType::F32 => dequantise_to::<f32>(weight, scales, dtype),
        DType::F16 => dequantise_to::<f16>(weight, scales, dtype),
        DType::BF16 => dequantise_to::<bf16>(weight, scales, dtype),
        other => bail!("8-bit weights become f32, f16 or bf16, not {other:?}"),
    }
}

fn dequantise_to<T: CudaDType + DeviceRepr>(
    weight: Operand<'_>,
    scales: Operand<'_>,
    dtype: DType,
) -> Result<(CudaStorage, Shape)> {
    let device = weight.0.device.clone();
    let (n, k) = weight.1.shape().dims2()?;
    let (weight, scales) = (view::<u8>(weight.0, weight.1)?, view::<f32>(scales.0, scales.1)?);
    if scales.len() != n {
        bail!("{} scales for a weight of {n} rows", scales.len());
    }
    let name = format!("q8_dequantise_{}", suffix(dtype)?);
    let function = device.get_or_load_custom_func(&name, MODULE, PTX)?;
    let config = LaunchConfig {
        grid_dim: (
            k.div_ceil(DEQUANTISE_ELEMENTS * DEQUANTISE_THREADS) as u32,
            n.min(GRID_ROWS_MAX) as u32,
            1,
        ),
        block_dim: (DEQUANTISE_THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    };
    let [n32, k32] = [n, k].map(|size| size as i32);
    #[expect(unsafe_code, reason = "memory that is not yet written, and a kernel launch")]
    // SAFETY: the kernel reads n * k bytes and n scales, which the views hold, and writes all n * k
    // elements of `out`.
    let out = unsafe {
        let mut out = device.alloc::<T>(n * k)?;
        let mut builder = function.builder();
        builder.arg(&weight).arg(&scales).arg(&mut out).arg(&n32).arg(&k32);
        builder.launch(config).w()?;
        out
    };
    Ok((CudaStorage::wrap_cuda_slice(out, device), Shape::from((n, k))))
}

fn on_cuda(storage: &Storage) -> Result<&CudaStorage> {
    match storage {
        Storage::Cuda(storage) => Ok(storage),
        _ => bail!("scales and addend are on another device than the weight"),
    }
}

/// The elements of a contiguous tensor.
fn view<'a, T: CudaDType>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the 8-bit kernels take contiguous tensors")
    };
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}
