//! Kernels of this program for NVIDIA GPUs, where the library has none.
//!
//! `build.rs` compiles `cuda/*.cu` when the feature `cuda` is on. Without it the same functions are here
//! and take nothing, so that callers hold no `cfg`.

#[cfg(feature = "cuda")]
pub(super) mod q8;

#[cfg(not(feature = "cuda"))]
pub(super) mod q8 {
    use candle_core::Tensor;

    pub(in crate::model) fn takes(_x: &Tensor, _addend: Option<&Tensor>) -> bool {
        false
    }
}
