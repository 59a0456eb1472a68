//! The forward pass: tensors only. `engine` drives a [`Runner`] and never sees a tensor.
//!
//! [`runner`] is the seam between the two floors, [`output`] what comes back through it, [`draw`] how a token is drawn,
//! [`pending`] when, [`times`] where the time went, [`fake`] a runner without weights.

pub mod draw;
pub mod fake;
pub mod internvl;
pub mod output;
pub mod pending;
pub mod runner;
pub mod times;

mod byte_matrix;
mod cache;
mod cpu;
mod cuda;
mod layers;
mod replicas;

pub use cache::{BLOCK_TOKENS, pool_blocks};
pub use draw::{Draw, Odds};
pub use layers::large_product;
pub use output::{Choice, Output, Outputs, PageShares, Want};
pub use pending::Pending;
pub use runner::{
    DeviceUse, FeatureKey, ModelSpec, NonFinite, PixelData, PixelTiles, Placement, RunError,
    Runner, Segment, SiteRange, Slot, SlotTiles, StepBatch, Verification,
};
pub use times::{Lap, PassTimes, StageTimes};
