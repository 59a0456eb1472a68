//! Products of f16 and bf16 matrices with stored `[out, in]` weights, summed in f32 and rounded once, or not
//! at all.
//!
//! The tensor library rounds a product to its inputs' dtype. f16 ends at 65,504, which an MLP's output can
//! pass, and logits in bf16 have eight bits. Few rows are multiplied by a kernel of our own: then reading the
//! weight is all that counts, and cublas does not read at the memory's speed.

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{DType, Error, Result, Tensor, bail};

use super::argument::{Argument, address};
use super::found::Found;
use super::launch::{Grid, Module, expect, has_tensor_cores, launch, module, suffix, uninit};
use super::{hopper, hopper_logits};

const GEMV: Module = module!("gemv");

// As in the kernels.
const GEMV_ROWS: usize = 8;
/// Rows of x that a kernel is made for, and elements of a weight from which it reads faster than cublas:
/// measured with the shapes of InternVL3-8B.
const GEMV_WIDTHS: [(usize, usize); 2] = [(8, 32 << 20), (16, 256 << 20)];
/// Elements of k that a warp takes at a time; pieces are whole.
const GEMV_PIECE: usize = 32;

/// Elements of a row from which a block has twice the warps.
const LONG_ROW: usize = 8192;

/// Whether [`product`] takes rows like `x` and gives `out`.
pub(in crate::model) fn takes(x: &Tensor, out: DType) -> bool {
    x.device().is_cuda()
        && matches!(x.dtype(), DType::F16 | DType::BF16)
        && (out == x.dtype() || out == DType::F32)
}

/// `x · weightᵀ` of `[rows, in]` and `[out, in]`, in the dtype `out`.
#[expect(unsafe_code, reason = "memory that is not yet written")]
pub(in crate::model) fn product(x: &Tensor, weight: &Tensor, out: DType) -> Result<Tensor> {
    let (x, (columns, _)) = (x.contiguous()?, weight.dims2()?);
    let device = x.device().as_cuda_device()?;
    // SAFETY: a product writes all of its result.
    let result = unsafe { uninit(device, (x.dim(0)?, columns), out) }?;
    product_into(&x, weight, &result)?;
    Ok(result)
}

/// `x · weightᵀ` to `out`, `[rows, out]` in the dtype of `x` or f32.
pub(in crate::model) fn product_into(x: &Tensor, weight: &Tensor, out: &Tensor) -> Result<()> {
    let ((rows, inner), (columns, _)) = (x.dims2()?, weight.dims2()?);
    expect(weight, &[columns, inner], x.dtype())?;
    expect(out, &[rows, columns], out.dtype())?;
    if !takes(x, out.dtype()) {
        bail!("no product of {:?} in {:?}", x.dtype(), out.dtype());
    }
    if is_streamed(x, weight, out.dtype())? {
        return hopper::product_into(x, hopper::Weight::Dense(weight), out, None);
    }
    if hopper_logits::takes(x, weight, out)? {
        return hopper_logits::product_into(x, weight, out, None);
    }
    let width = GEMV_WIDTHS.into_iter().find(|(width, _)| rows <= *width);
    let fits = inner.is_multiple_of(GEMV_PIECE) && has_tensor_cores(x.device().as_cuda_device()?)?;
    match width {
        Some((width, elements)) if fits && columns * inner >= elements => {
            gemv(x, weight, out, width)
        }
        _ => gemm(x, weight, out),
    }
}

/// Whether the weight is streamed by the kernels for few rows.
fn is_streamed(x: &Tensor, weight: &Tensor, out: DType) -> Result<bool> {
    let ((rows, inner), columns) = (x.dims2()?, weight.dim(0)?);
    Ok(hopper::is_faster(rows, columns, inner, out) && hopper::takes_rows(x, weight)?)
}

/// Parts of likeliest tokens that [`logits_into`] finds of each row; none where it has no kernel for these.
pub(in crate::model) fn found_parts(
    x: &Tensor,
    weight: &Tensor,
    out: &Tensor,
) -> Result<Option<usize>> {
    if !takes(x, out.dtype()) || out.dtype() != DType::F32 {
        return Ok(None);
    }
    if is_streamed(x, weight, out.dtype())? {
        return hopper::found_parts(x, weight);
    }
    let (is_tiled, columns) = (hopper_logits::takes(x, weight, out)?, weight.dim(0)?);
    Ok(is_tiled.then(|| hopper_logits::found_parts(columns)))
}

/// As [`product_into`], to `out` in f32, where [`found_parts`] says that likeliest tokens are found: with these, and without
/// rows that are not wanted.
pub(in crate::model) fn logits_into(
    x: &Tensor,
    weight: &Tensor,
    out: &Tensor,
    found: Found<'_>,
) -> Result<()> {
    if is_streamed(x, weight, out.dtype())? {
        return hopper::product_into(x, hopper::Weight::Dense(weight), out, Some(found));
    }
    hopper_logits::product_into(x, weight, out, Some(found))
}

#[expect(unsafe_code, reason = "a kernel launch")]
fn gemv(x: &Tensor, weight: &Tensor, out: &Tensor, width: usize) -> Result<()> {
    let ((rows, inner), (columns, _)) = (x.dims2()?, weight.dims2()?);
    let name = format!("gemv_{}_{}_{width}", suffix(x.dtype())?, suffix(out.dtype())?);
    let warps = if inner >= LONG_ROW { 8 } else { 4 };
    let blocks = [columns.div_ceil(GEMV_ROWS), 1, 1];
    let arguments = [
        Argument::Tensor(weight),
        Argument::Tensor(x),
        Argument::Tensor(out),
        Argument::Int(rows),
        Argument::Int(columns),
        Argument::Int(inner),
    ];
    let grid = Grid { blocks, threads: 32 * warps, shared_bytes: 0 };
    // SAFETY: sizes are checked by the caller. The kernel reads rows that there are, in whole pieces, and
    // writes what lies within the result.
    unsafe { launch(x.device().as_cuda_device()?, &GEMV, &name, grid, &arguments) }
}

#[expect(unsafe_code, reason = "cublas has no safe form of a product of mixed dtypes")]
fn gemm(x: &Tensor, weight: &Tensor, out: &Tensor) -> Result<()> {
    let ((rows, inner), (columns, _)) = (x.dims2()?, weight.dims2()?);
    let [rows, inner, columns] = [rows, inner, columns].map(i32::try_from);
    let (rows, inner, columns) = (rows?, inner?, columns?);
    let device = x.device().as_cuda_device()?;
    let stream = device.cuda_stream();
    let (x_storage, x_layout) = x.storage_and_layout();
    let (w_storage, w_layout) = weight.storage_and_layout();
    let (out_storage, out_layout) = out.storage_and_layout();
    let (x_at, _reading_x) = address(&x_storage, x_layout, &stream)?;
    let (w_at, _reading_weight) = address(&w_storage, w_layout, &stream)?;
    let (out_at, _writing) = address(&out_storage, out_layout, &stream)?;
    let (one, zero) = (1f32, 0f32);
    // cublas counts columns first, so it is told of the transposed product: outᵀ [columns, rows] =
    // weight · xᵀ.
    // SAFETY: the three tensors have the sizes that the dimensions say, which the caller checked, on this
    // handle's device, and stream order does the rest.
    unsafe {
        result::gemm_ex(
            *device.cublas_handle().handle(),
            sys::cublasOperation_t::CUBLAS_OP_T,
            sys::cublasOperation_t::CUBLAS_OP_N,
            columns,
            rows,
            inner,
            (&raw const one).cast::<c_void>(),
            w_at as *const c_void,
            cublas_type(weight.dtype())?,
            inner,
            x_at as *const c_void,
            cublas_type(x.dtype())?,
            inner,
            (&raw const zero).cast::<c_void>(),
            out_at as *mut c_void,
            cublas_type(out.dtype())?,
            columns,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
        )
    }
    .map_err(|error| Error::Cuda(Box::new(error)))
}

fn cublas_type(dtype: DType) -> Result<sys::cudaDataType> {
    Ok(match dtype {
        DType::F32 => sys::cudaDataType::CUDA_R_32F,
        DType::F16 => sys::cudaDataType::CUDA_R_16F,
        DType::BF16 => sys::cudaDataType::CUDA_R_16BF,
        other => bail!("no products of {other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// By every kernel that serves some number of rows: few by our own, and which of them depends on the GPU.
    #[test]
    fn a_product_is_the_sum_of_its_terms() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("skipped: there is no GPU");
            return;
        };
        let random = |rows: usize, columns: usize, dtype: DType| {
            let values = Tensor::randn(0f32, 1f32, (rows, columns), &device).unwrap();
            values.to_dtype(dtype).unwrap()
        };
        let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap();
        for (columns, inner) in
            [(4608, 3584), (3584, 3584), (3584, 18_944), (130, 64), (4, 96), (11_000, 3104)]
        {
            for dtype in [DType::BF16, DType::F16] {
                let weight = random(columns, inner, dtype);
                let (transposed, sizes) =
                    (wide(&weight).t().unwrap(), wide(&weight).abs().unwrap());
                for rows in [1, 8, 9, 16, 17, 64, 96, 97, 129] {
                    let x = random(rows, inner, dtype);
                    let exact = wide(&x).matmul(&transposed).unwrap();
                    let size = wide(&x).abs().unwrap().matmul(&sizes.t().unwrap()).unwrap();
                    for out in [dtype, DType::F32] {
                        let rounding = match out {
                            DType::F32 => 2f64.powi(-24),
                            DType::F16 => 2f64.powi(-11),
                            _ => 2f64.powi(-8),
                        };
                        let limit = (size.affine(3e-6, 0.0).unwrap()
                            + exact.abs().unwrap().affine(rounding, 0.0).unwrap())
                        .unwrap();
                        let error = (wide(&product(&x, &weight, out).unwrap()) - &exact).unwrap();
                        let part = (error.abs().unwrap() / limit).unwrap();
                        let parts = part.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                        let wrong =
                            parts.iter().filter(|part| part.is_nan() || **part > 1.0).count();
                        assert_eq!(wrong, 0, "{rows} rows, {columns} x {inner}, {out:?}");
                    }
                }
            }
        }
    }
}
