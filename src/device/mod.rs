//! Devices and dtypes: what is here, and the copies between devices.
//!
//! The only module that asks whether CUDA is compiled in; callers hold no `cfg`.

mod dtype;
mod host;
mod links;
mod mark;
mod open;

pub use dtype::{Dtype, UnknownDtype};
pub use links::{Link, LinkRoute, LinkTrial, Links};
pub use mark::{Interval, Mark};
pub use open::{
    ComputeCapability, DeviceError, DeviceHandle, DeviceMemory, DeviceRequest, DeviceSelection,
    MemoryGauge, Share, open, open_share, without_gpus,
};

/// The NVIDIA driver's own words about itself; none without one.
pub fn driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    Some(text.lines().next()?.trim_start_matches("NVRM version:").trim().to_owned())
}

/// Whether this binary can use CUDA devices.
pub const CUDA_COMPILED: bool = cfg!(feature = "cuda");
