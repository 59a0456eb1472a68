//! The KV cache: what attention reads and writes. Who owns which slot is the engine's business.

use candle_core::{DType, Device, Result, Tensor};

use super::runner::Slot;

/// Kernels address the positions of a slot in steps of this.
const POSITIONS_STEP: usize = 16;

/// Keys and values of every slot of one decoder layer, allocated once.
#[derive(Debug)]
pub(super) struct LayerCache {
    /// `[slots, kv_heads, positions, head_dim]`
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

/// Sizes of a cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheShape {
    pub(super) slots: usize,
    pub(super) positions: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
}

impl LayerCache {
    pub(super) fn new(shape: CacheShape, dtype: DType, device: &Device) -> Result<Self> {
        let positions = shape.positions.next_multiple_of(POSITIONS_STEP);
        let sizes = (shape.slots, shape.kv_heads, positions, shape.head_dim);
        let zeros = || Tensor::zeros(sizes, dtype, device);
        Ok(Self { keys: zeros()?, values: zeros()? })
    }

    /// Writes `k` and `v`, `[kv_heads, len, head_dim]`, at `start` and returns all keys and values
    /// of the slot up to their end, `[kv_heads, start + len, head_dim]`.
    pub(super) fn extend(
        &mut self,
        slot: Slot,
        start: usize,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let of_slot = |cache: &Tensor| cache.narrow(0, slot.0 as usize, 1)?.squeeze(0);
        let (keys, values) = (of_slot(&self.keys)?, of_slot(&self.values)?);
        keys.slice_set(&k.contiguous()?, 1, start)?;
        values.slice_set(&v.contiguous()?, 1, start)?;
        let end = start + k.dim(1)?;
        Ok((keys.narrow(1, 0, end)?, values.narrow(1, 0, end)?))
    }
}
