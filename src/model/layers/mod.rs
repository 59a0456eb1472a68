//! Building blocks shared by the vision tower and the language model. Shapes are in the doc comments;
//! field names follow the weight names.

mod activation;
mod attention;
mod linear;
mod norm;
mod quantized;
mod rope;

use candle_core::Tensor;

/// Is shown stored tensors with their names.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&str, &Tensor);

pub(super) use activation::{gelu, scaled_add, swiglu};
pub(super) use attention::{
    Causal, PagedQueries, QUERY_BLOCK_ROWS, attention, page_shares, paged_attention, show_scores,
};
pub(super) use linear::Linear;
pub use linear::large_product;
pub(super) use norm::Norm;
pub(super) use rope::{DynamicNtk, RopeTable, rotate};
