//! Which module goes to which device, in which dtype, and why: decided before anything is loaded.
//!
//! Pure: nothing here opens a device or a file. Modules have the original layout's names, one for
//! each part that is placed as a whole: `vision_model`, `mlp1`, `language_model.model.embed_tokens`,
//! `language_model.model.layers.0`, ..., `language_model.model.norm`, `language_model.lm_head`.
//!
//! [`plan()`] puts it together: a model's [`cost`](ModelCost) is priced in bytes on each device of a
//! [`fleet`](parse_devices); a strategy of [`DeviceMap`] chooses; the choice is summed up.

mod accelerate;
mod advice;
mod auto;
mod bytes;
mod cost;
mod device_map;
mod dtype_policy;
mod fleet;
mod pattern;
mod plan;
mod prices;
mod split_model;

#[cfg(test)]
mod tests;

pub use advice::{Advice, advise};
pub use bytes::{Bytes, NoSize, parse_bytes};
pub use cost::{Demand, ModelCost, ModuleCost, ModuleKind, Part, Unit, Work};
pub use device_map::{DeviceMap, MapError};
pub use dtype_policy::{
    DtypeDecision, DtypeOverride, DtypePolicy, DtypeRefused, OverrideError, PolicyMode,
    Quantization, WeightFormat,
};
pub use fleet::{DeviceSpec, FleetError, limit_memory, parse_devices, parse_limits};
pub(crate) use pattern::layer_number;
pub use pattern::{ModulePattern, UnknownPattern};
pub use plan::{DevicePlan, Plan, PlanError, PlannedModule, Problem, plan, ranges};
pub use prices::CUDA_RESERVE_BYTES;
