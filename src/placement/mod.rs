//! Which module goes to which device, in which dtype, and why: decided before anything is loaded.
//!
//! Pure: nothing here opens a device or a file. Modules have the original layout's names, one for
//! each part that is placed as a whole: `vision_model`, `mlp1`, `language_model.model.embed_tokens`,
//! `language_model.model.layers.0`, ..., `language_model.model.norm`, `language_model.lm_head`.

mod dtype_policy;
mod pattern;

pub use dtype_policy::{
    DtypeDecision, DtypeOverride, DtypePolicy, DtypeRefused, OverrideError, PolicyMode,
    Quantization, WeightFormat,
};
pub use pattern::{ModulePattern, UnknownPattern};
