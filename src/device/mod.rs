//! Devices and dtypes: what is here, and the copies between devices.
//!
//! The only module that asks whether CUDA is compiled in; callers hold no `cfg`.

mod dtype;
mod links;
mod open;

pub use dtype::{Dtype, UnknownDtype};
pub use links::{Link, LinkRoute, Links};
pub use open::{
    ComputeCapability, DeviceError, DeviceHandle, DeviceMemory, DeviceRequest, DeviceSelection,
    open,
};

/// Whether this binary can use CUDA devices.
pub const CUDA_COMPILED: bool = cfg!(feature = "cuda");
