//! Building blocks shared by the vision tower and the language model. Shapes are in the doc comments;
//! field names follow the weight names.

mod activation;
mod attention;
mod linear;
mod norm;
mod quantized;
mod rope;

pub(super) use activation::{gelu, scaled_add, swiglu};
pub(super) use attention::{Causal, attention};
pub(super) use linear::Linear;
pub(super) use norm::Norm;
pub(super) use rope::{DynamicNtk, RopeTable, rotate};
