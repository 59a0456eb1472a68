//! Products of f16 matrices with an f32 result.
//!
//! The tensor library rounds a product to its inputs' dtype, and f16 ends at 65,504: the MLP's output
//! can pass that. The hardware sums in f32 anyway; here the sum is simply kept.
#![allow(unsafe_code, reason = "cublas has no safe form of a product of mixed dtypes")]

use std::ffi::c_void;

use candle_core::backend::BackendStorage as _;
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::cuda_backend::cudarc::driver::{DevicePtr as _, DevicePtrMut as _};
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Error, Layout, Result, Shape};
use half::f16;

pub(super) struct WideProduct;

impl CustomOp2 for WideProduct {
    fn name(&self) -> &'static str {
        "wide-product"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Err(Error::Msg("wide products are for GPUs".to_owned()))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (rows, inner) = x_layout.shape().dims2()?;
        let (columns, weight_inner) = weight_layout.shape().dims2()?;
        let dense = |layout: &Layout| {
            layout
                .contiguous_offsets()
                .ok_or_else(|| Error::Msg("wide products need contiguous matrices".to_owned()))
        };
        let ((x_start, x_end), (w_start, w_end)) = (dense(x_layout)?, dense(weight_layout)?);
        if inner != weight_inner {
            return Err(Error::Msg(format!("widths differ: {inner} and {weight_inner}")));
        }
        let device = x.device().clone();
        let stream = device.cuda_stream();
        let x = x.as_cuda_slice::<f16>()?.slice(x_start..x_end);
        let weight = weight.as_cuda_slice::<f16>()?.slice(w_start..w_end);
        // SAFETY: the product below writes every element before anything can read it.
        let mut out = unsafe { stream.alloc::<f32>(rows * columns) }.w()?;
        {
            let (x, _reading_x) = x.device_ptr(&stream);
            let (weight, _reading_weight) = weight.device_ptr(&stream);
            let (out, _writing) = out.device_ptr_mut(&stream);
            let (one, zero) = (1f32, 0f32);
            // cublas counts columns first, so it is told of the transposed product:
            // outᵀ [columns, rows] = weight · xᵀ.
            // SAFETY: the three ranges have the sizes that the dimensions say, on this handle's
            // device, and live until after the launch; stream order does the rest.
            unsafe {
                result::gemm_ex(
                    *device.cublas_handle().handle(),
                    sys::cublasOperation_t::CUBLAS_OP_T,
                    sys::cublasOperation_t::CUBLAS_OP_N,
                    columns as i32,
                    rows as i32,
                    inner as i32,
                    (&raw const one).cast::<c_void>(),
                    weight as *const c_void,
                    sys::cudaDataType::CUDA_R_16F,
                    inner as i32,
                    x as *const c_void,
                    sys::cudaDataType::CUDA_R_16F,
                    inner as i32,
                    (&raw const zero).cast::<c_void>(),
                    out as *mut c_void,
                    sys::cudaDataType::CUDA_R_32F,
                    columns as i32,
                    sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                    sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
                )
            }
            .map_err(|error| Error::Cuda(Box::new(error)))?;
        }
        Ok((CudaStorage::wrap_cuda_slice(out, device), Shape::from((rows, columns))))
    }
}
