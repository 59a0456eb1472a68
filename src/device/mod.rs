//! Devices and dtypes: what is here, and what each may compute in.
//!
//! The only module that asks whether CUDA is compiled in; callers hold no `cfg`.

mod dtype;
mod open;

pub use dtype::{Dtype, DtypeDecision, UnknownDtype, decide_dtype};
pub use open::{ComputeCapability, DeviceError, DeviceHandle, DeviceMemory, DeviceRequest, open};

/// Whether this binary can use CUDA devices.
pub const CUDA_COMPILED: bool = cfg!(feature = "cuda");
