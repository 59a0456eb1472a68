//! Opening a GPU: its stream, its memory pool, and what it can do.
#![allow(unsafe_code, reason = "settings of the driver that have no safe form")]

use std::mem::MaybeUninit;

use candle_core::Device;
use candle_core::cuda_backend::cudarc::driver::sys::{
    self, CUdevice_attribute_enum as Attribute, CUmemPool_attribute,
};
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result};

use super::{ComputeCapability, DeviceError, DeviceHandle, DeviceMemory, MemoryGauge};

/// GPUs that the driver shows, at least one; or why it shows none.
pub(super) fn count() -> Result<usize, String> {
    match CudaContext::device_count().map(usize::try_from) {
        Ok(Ok(count)) if count > 0 => Ok(count),
        Ok(_) => Err("the driver shows none".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// An own stream: with the default per-thread streams copies between GPUs raced (measured:
/// 196 of 200 checks read wrong data), with own streams none did.
pub(super) fn open(ordinal: usize) -> Result<DeviceHandle, DeviceError> {
    let id = format!("cuda:{ordinal}");
    let failed = |message: String| DeviceError::Open { device: id.clone(), message };
    let device =
        Device::new_cuda_with_stream(ordinal).map_err(|error| failed(error.to_string()))?;
    let cuda = device.as_cuda_device().map_err(|error| failed(error.to_string()))?;
    // SAFETY: tensors of this device are used on its one stream. Copies to another device are made by
    // `device::links` alone, which orders them by events of its own and keeps their sources alive.
    unsafe { cuda.disable_event_tracking() };
    let stream = cuda.cuda_stream();
    let context = stream.context();
    if let Err(error) = keep_freed_memory(context) {
        tracing::debug!(device = id, %error, "freed memory goes back to the driver");
    }
    let attribute = |attribute| {
        context.attribute(attribute).map(|value| value as u32).map_err(|e| failed(e.to_string()))
    };
    let capability = ComputeCapability {
        major: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        minor: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    };
    let name = context.name().map_err(|error| failed(error.to_string()))?;
    Ok(DeviceHandle { device, id: id.clone(), name, capability: Some(capability) })
}

/// Leaves freed memory in the device's pool: by default it goes back to the driver whenever the host waits
/// for the device, which is once a step, and the next step pays for getting it again.
fn keep_freed_memory(context: &CudaContext) -> Result<(), DriverError> {
    let mut threshold = u64::MAX;
    let pool = pool(context)?;
    let attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the threshold is a u64 that outlives the call.
    unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut threshold).cast()).result() }
}

/// Gives what is free in the device's pool to the driver, once all that was begun is done.
pub(super) fn give_back(device: &Device) {
    let Ok(cuda) = device.as_cuda_device() else { return };
    let stream = cuda.cuda_stream();
    let trimmed = stream.synchronize().and_then(|()| pool(stream.context())).and_then(|pool| {
        // SAFETY: a pool of the driver's; blocks that are in use stay.
        unsafe { sys::cuMemPoolTrimTo(pool, 0).result() }
    });
    // A driver that has ended, as the process does, has given everything back already.
    let ended = |error: &DriverError| error.0 == sys::CUresult::CUDA_ERROR_DEINITIALIZED;
    if let Some(error) = trimmed.err().filter(|error| !ended(error)) {
        tracing::warn!(%error, "memory of a model that is gone stays with this process");
    }
}

fn pool(context: &CudaContext) -> Result<sys::CUmemoryPool, DriverError> {
    let mut pool = MaybeUninit::uninit();
    // SAFETY: the pool is written on success.
    unsafe {
        sys::cuDeviceGetMemPool(pool.as_mut_ptr(), context.cu_device()).result()?;
        Ok(pool.assume_init())
    }
}

/// Asks through the device's context, which is all that is kept.
pub(super) fn gauge(device: &Device) -> MemoryGauge {
    match device.as_cuda_device() {
        Ok(cuda) => {
            let context = cuda.cuda_stream().context().clone();
            MemoryGauge::of(move || memory(&context))
        }
        Err(_) => MemoryGauge::fixed(DeviceMemory::default()),
    }
}

/// The context's own way to ask would first take an error that is kept there for those who work with it.
fn memory(context: &CudaContext) -> DeviceMemory {
    // SAFETY: the context lives as long as it is borrowed, and others who need one here bind their own.
    let bound = unsafe { result::ctx::set_current(context.cu_ctx()) };
    let found = bound.and_then(|()| result::mem_get_info());
    found.map_or_else(
        |_| DeviceMemory::default(),
        |(free, total)| DeviceMemory { total_bytes: total as u64, free_bytes: free as u64 },
    )
}
