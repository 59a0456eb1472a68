//! Products of many rows with weights that are 8-bit floats, on tensor cores that take 8 bits on both sides: rows of
//! `x` are rounded to 8-bit floats by `fp8.cu`, each with its own scale, and cublasLt multiplies.
//!
//! Against a product in bf16, which is what a dequantised weight is for, it takes about half the time.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::cublas::sys::cublasOperation_t;
use candle_core::cuda_backend::cudarc::cublaslt::{result, sys};
use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;
use candle_core::{CudaDevice, DType, Error, Result, Tensor, bail};

use super::argument::{Argument, address};
use super::launch::{Grid, Module, attribute, expect, launch, module, suffix, uninit};
use crate::device::ComputeCapability;
use crate::model::byte_matrix::ByteMatrix;
use crate::placement::Quantization;

const FP8: Module = module!("fp8");

const THREADS: usize = 256;
/// Rows of bytes and of results begin where cublasLt wants them.
const MULTIPLE: usize = 16;
/// Most memory that cublasLt may take for itself in one product: as its makers advise for Hopper.
const WORKSPACE_BYTES: usize = 32 << 20;

/// Whether there is a product for rows like `x`.
pub(in crate::model) fn takes(x: &Tensor, weight: &ByteMatrix) -> bool {
    let Ok(device) = x.device().as_cuda_device() else { return false };
    let Ok((n, k)) = weight.dims() else { return false };
    weight.format == Quantization::Fp8
        && matches!(x.dtype(), DType::F16 | DType::BF16)
        && n.is_multiple_of(MULTIPLE)
        && k.is_multiple_of(MULTIPLE)
        && has_products(device).unwrap_or(false)
}

/// As [`ComputeCapability::has_fp8`](crate::device::ComputeCapability::has_fp8) has it.
fn has_products(device: &CudaDevice) -> Result<bool> {
    let major = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let (major, minor) = (u32::try_from(major)?, u32::try_from(minor)?);
    Ok(ComputeCapability { major, minor }.has_fp8())
}

/// `x · weightᵀ` of `[rows, in]` in the dtype `out`: that of `x`, or f32.
#[expect(unsafe_code, reason = "memory that is not yet written")]
pub(in crate::model) fn product(x: &Tensor, weight: &ByteMatrix, out: DType) -> Result<Tensor> {
    let (x, (columns, _)) = (x.contiguous()?, weight.dims()?);
    let device = x.device().as_cuda_device()?;
    // SAFETY: a product writes all of its result.
    let result = unsafe { uninit(device, (x.dim(0)?, columns), out) }?;
    product_into(&x, weight, &result)?;
    Ok(result)
}

/// As [`product`], to `out`.
pub(in crate::model) fn product_into(x: &Tensor, weight: &ByteMatrix, out: &Tensor) -> Result<()> {
    let ((m, k), (n, width)) = (x.dims2()?, weight.dims()?);
    let out_dtype = if out.dtype() == DType::F32 { DType::F32 } else { x.dtype() };
    expect(out, &[m, n], out_dtype)?;
    if k != width || !takes(x, weight) {
        bail!("no product of {:?} in {:?} with 8-bit floats", x.shape(), x.dtype());
    }
    let rows = Rows::of(x)?;
    multiply(&rows, weight, out)
}

/// As [`product_into`] of `silu(gate) * up`, of rows `[gate | up]`.
pub(in crate::model) fn swiglu_product_into(
    gate_up: &Tensor,
    weight: &ByteMatrix,
    out: &Tensor,
) -> Result<()> {
    let ((m, both), (n, k)) = (gate_up.dims2()?, weight.dims()?);
    expect(out, &[m, n], gate_up.dtype())?;
    if both != 2 * k || !takes(gate_up, weight) {
        bail!("no product of {:?} in {:?} with 8-bit floats", gate_up.shape(), gate_up.dtype());
    }
    multiply(&Rows::of_swiglu(gate_up)?, weight, out)
}

/// Rows in 8-bit floats.
struct Rows {
    /// `[rows, in]`
    values: Tensor,
    /// `[rows]`, f32.
    scales: Tensor,
}

impl Rows {
    fn of(x: &Tensor) -> Result<Self> {
        Self::made("fp8_quantise", x, x.dim(1)?, 0)
    }

    /// Of what an MLP makes of `[gate | up]`; a block keeps a row of it.
    fn of_swiglu(gate_up: &Tensor) -> Result<Self> {
        let k = gate_up.dim(1)? / 2;
        Self::made("fp8_swiglu", gate_up, k, k * gate_up.dtype().size_in_bytes())
    }

    #[expect(unsafe_code, reason = "memory that is not yet written, and a kernel launch")]
    fn made(kernel: &str, from: &Tensor, k: usize, shared_bytes: usize) -> Result<Self> {
        let m = from.dim(0)?;
        let device = from.device().as_cuda_device()?;
        // SAFETY: the kernel writes `k` values for each row, and its scale.
        let (values, scales) =
            unsafe { (uninit(device, (m, k), DType::U8)?, uninit(device, m, DType::F32)?) };
        let arguments = [
            Argument::Tensor(from),
            Argument::Tensor(&values),
            Argument::Tensor(&scales),
            Argument::Int(k),
        ];
        let grid = Grid { blocks: [m, 1, 1], threads: THREADS, shared_bytes };
        let name = format!("{kernel}_{}", suffix(from.dtype())?);
        // SAFETY: there is a block for each row, and `k` is a multiple of what a thread takes at once, which
        // `takes` saw to.
        unsafe { launch(device, &FP8, &name, grid, &arguments) }?;
        Ok(Self { values, scales })
    }
}

/// How cublasLt computes a product, by its context, `[m, n, k]` and the dtype of the result: asking takes longer than
/// launching.
type Known = HashMap<(usize, [usize; 3], DType), Chosen>;

#[derive(Clone, Copy)]
struct Chosen {
    algorithm: sys::cublasLtMatmulAlgo_t,
    workspace_bytes: usize,
}

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
/// A handle of cublasLt for each context: it is never destroyed.
static HANDLES: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);

#[expect(unsafe_code, reason = "the tensor library has no product of 8-bit floats")]
fn multiply(x: &Rows, weight: &ByteMatrix, out: &Tensor) -> Result<()> {
    let ((m, k), (n, _)) = (x.values.dims2()?, weight.dims()?);
    let device = out.device().as_cuda_device()?;
    let stream = device.cuda_stream();
    let context = stream.context().cu_ctx() as usize;
    stream.context().bind_to_thread().map_err(Error::wrap)?;
    let locked =
        [&weight.bytes, &weight.scales, &x.values, &x.scales, out].map(Tensor::storage_and_layout);
    let mut at = [0; 5];
    // Kept until after the launch: they tell other streams when it is done.
    let mut accesses = Vec::with_capacity(at.len());
    for (at, (storage, layout)) in at.iter_mut().zip(&locked) {
        let (pointer, access) = address(storage, layout, &stream)?;
        *at = pointer;
        accesses.push(access);
    }
    let [weight_at, weight_scales_at, x_at, x_scales_at, out_at] = at;
    let task = Task::new([m, n, k], out.dtype(), weight_scales_at, x_scales_at)?;
    let handle = handle(context)?;
    let chosen = {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (context, [m, n, k], out.dtype());
        if let Some(chosen) = known.get(&key) {
            *chosen
        } else {
            let chosen = task.choose(handle)?;
            known.insert(key, chosen);
            chosen
        }
    };
    // SAFETY: only cublasLt reads it, after it has written it.
    let workspace = unsafe { uninit(device, chosen.workspace_bytes.max(1), DType::U8) }?;
    let (workspace_storage, workspace_layout) = workspace.storage_and_layout();
    let (workspace_at, _using) = address(&workspace_storage, workspace_layout, &stream)?;
    let (one, zero) = (1f32, 0f32);
    // SAFETY: the tensors have the sizes of the layouts and live on this stream's device; the algorithm was chosen for
    // these layouts, and stream order does the rest.
    unsafe {
        result::matmul(
            handle,
            task.description,
            (&raw const one).cast::<c_void>(),
            (&raw const zero).cast::<c_void>(),
            weight_at as *const c_void,
            task.weight,
            x_at as *const c_void,
            task.x,
            out_at as *const c_void,
            task.out,
            out_at as *mut c_void,
            task.out,
            &raw const chosen.algorithm,
            workspace_at as *mut c_void,
            chosen.workspace_bytes,
            stream.cu_stream().cast(),
        )
    }
    .map_err(failed)
}

fn handle(context: usize) -> Result<sys::cublasLtHandle_t> {
    let mut handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = handles.get(&context) {
        return Ok(*handle as sys::cublasLtHandle_t);
    }
    let handle = result::create_handle().map_err(failed)?;
    handles.insert(context, handle as usize);
    Ok(handle)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Cuda(Box::new(error))
}

/// A product as cublasLt is told of it. It counts columns first, so it gets the transposed one: outᵀ `[n, m]` = weight ·
/// xᵀ.
struct Task {
    description: sys::cublasLtMatmulDesc_t,
    weight: sys::cublasLtMatrixLayout_t,
    x: sys::cublasLtMatrixLayout_t,
    out: sys::cublasLtMatrixLayout_t,
}

impl Task {
    fn new(
        [m, n, k]: [usize; 3],
        out: DType,
        weight_scales_at: u64,
        x_scales_at: u64,
    ) -> Result<Self> {
        use sys::cublasLtMatmulDescAttributes_t as Key;
        let e4m3 = sys::cudaDataType::CUDA_R_8F_E4M3;
        let matrix = |kind, rows: usize, columns: usize| {
            result::create_matrix_layout(kind, rows as u64, columns as u64, rows as i64)
                .map_err(failed)
        };
        let wide = sys::cudaDataType::CUDA_R_32F;
        let sums = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let mut task = Self {
            description: result::create_matmul_desc(sums, wide).map_err(failed)?,
            weight: std::ptr::null_mut(),
            x: std::ptr::null_mut(),
            out: std::ptr::null_mut(),
        };
        task.weight = matrix(e4m3, k, n)?;
        task.x = matrix(e4m3, k, m)?;
        task.out = matrix(result_type(out)?, n, m)?;
        let by_row = sys::cublasLtMatmulMatrixScale_t::CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
        task.set(Key::CUBLASLT_MATMUL_DESC_TRANSA, &cublasOperation_t::CUBLAS_OP_T)?;
        task.set(Key::CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &by_row)?;
        task.set(Key::CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &by_row)?;
        task.set(Key::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &weight_scales_at)?;
        task.set(Key::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &x_scales_at)?;
        // Without "fast accumulation", which is a fifth faster: sums that stay on the tensor cores are cut and not
        // rounded, and of 18,944 products of one sign a quarter was missing.
        task.set(Key::CUBLASLT_MATMUL_DESC_FAST_ACCUM, &0i8)?;
        Ok(task)
    }

    #[expect(unsafe_code, reason = "cublasLt takes attributes by address and size")]
    fn set<T>(&self, key: sys::cublasLtMatmulDescAttributes_t, value: &T) -> Result<()> {
        let at = std::ptr::from_ref(value).cast::<c_void>();
        // SAFETY: the description lives, and the value is copied before the call returns. A value of the wrong size is
        // refused.
        unsafe { result::set_matmul_desc_attribute(self.description, key, at, size_of::<T>()) }
            .map_err(failed)
    }

    /// The first of the algorithms that cublasLt expects to be fast.
    #[expect(unsafe_code, reason = "cublasLt's descriptors are pointers")]
    fn choose(&self, handle: sys::cublasLtHandle_t) -> Result<Chosen> {
        use sys::cublasLtMatmulPreferenceAttributes_t as Key;
        let preference = result::create_matmul_pref().map_err(failed)?;
        // SAFETY: all descriptors live until they are destroyed, the preference below and the others with `self`.
        let found = unsafe {
            let key = Key::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            let at = std::ptr::from_ref(&WORKSPACE_BYTES).cast::<c_void>();
            result::set_matmul_pref_attribute(preference, key, at, size_of::<usize>()).and_then(
                |()| {
                    result::get_matmul_algo_heuristic(
                        handle,
                        self.description,
                        self.weight,
                        self.x,
                        self.out,
                        self.out,
                        preference,
                    )
                },
            )
        };
        // SAFETY: made above, and not used any more.
        unsafe { result::destroy_matmul_pref(preference) }.map_err(failed)?;
        let found = found.map_err(failed)?;
        Ok(Chosen { algorithm: found.algo, workspace_bytes: found.workspaceSize })
    }
}

impl Drop for Task {
    #[expect(unsafe_code, reason = "cublasLt's descriptors are pointers")]
    fn drop(&mut self) {
        for layout in [self.weight, self.x, self.out] {
            if !layout.is_null() {
                // SAFETY: made in `new`, and destroyed once. There is nobody to tell of a failure.
                let _ = unsafe { result::destroy_matrix_layout(layout) };
            }
        }
        // SAFETY: as above.
        let _ = unsafe { result::destroy_matmul_desc(self.description) };
    }
}

fn result_type(dtype: DType) -> Result<sys::cudaDataType> {
    Ok(match dtype {
        DType::F32 => sys::cudaDataType::CUDA_R_32F,
        DType::F16 => sys::cudaDataType::CUDA_R_16F,
        DType::BF16 => sys::cudaDataType::CUDA_R_16BF,
        other => bail!("no products of 8-bit floats in {other:?}"),
    })
}
