//! The forward pass: tensors only. `engine` drives a [`Runner`] and never sees a tensor.
//!
//! [`runner`] is the seam between the two floors, [`fake`] a runner without weights.

pub mod fake;
pub mod internvl;
pub mod runner;

mod cache;
mod cpu;
mod cuda;
mod layers;

pub use cpu::log_sum_exp;
pub use runner::{
    DeviceUse, Logits, ModelSpec, NonFinite, PixelTiles, Placement, RunError, Runner, Segment,
    SiteRange, Slot, StepBatch, Verification,
};
