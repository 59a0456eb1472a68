//! Kernels of this program for NVIDIA GPUs, where the library has none.
//!
//! `build.rs` compiles `cuda/*.cu` when the feature `cuda` is on. What is here without it takes nothing, so
//! that callers hold no `cfg`; whoever calls the other kernels is there with the feature only.

#[cfg(feature = "cuda")]
mod argument;
#[cfg(feature = "cuda")]
pub(super) mod attention;
#[cfg(feature = "cuda")]
pub(super) mod draw;
#[cfg(feature = "cuda")]
pub(super) mod found;
#[cfg(feature = "cuda")]
pub(super) mod fp8;
#[cfg(feature = "cuda")]
pub(super) mod graph;
#[cfg(feature = "cuda")]
mod hopper;
#[cfg(feature = "cuda")]
mod hopper_attention;
#[cfg(feature = "cuda")]
mod hopper_logits;
#[cfg(feature = "cuda")]
pub(super) mod hopper_swiglu;
#[cfg(feature = "cuda")]
mod hopper_tiles;
#[cfg(feature = "cuda")]
pub(super) mod launch;
#[cfg(feature = "cuda")]
pub(super) mod looks;
#[cfg(feature = "cuda")]
pub(super) mod product;
#[cfg(feature = "cuda")]
pub(super) mod q8;
#[cfg(feature = "cuda")]
pub(super) mod rows;
#[cfg(feature = "cuda")]
pub(super) mod tokens;
#[cfg(feature = "cuda")]
pub(super) mod transfer;
#[cfg(feature = "cuda")]
pub(super) mod vision;
#[cfg(not(feature = "cuda"))]
mod without;
#[cfg(not(feature = "cuda"))]
pub(super) use without::{fp8, product, q8, transfer};
