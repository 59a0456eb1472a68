//! The KV cache: what attention reads and writes. Who owns which slot is the engine's business.

use candle_core::{DType, Device, Result, Tensor};

use super::runner::Slot;

/// Keys and values of every slot of one decoder layer, allocated once.
#[derive(Debug)]
pub(super) struct LayerCache {
    /// One `[kv_heads, positions, head_dim]` pair a slot.
    slots: Vec<(Tensor, Tensor)>,
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
        let zeros =
            || Tensor::zeros((shape.kv_heads, shape.positions, shape.head_dim), dtype, device);
        let slots = (0..shape.slots).map(|_| Ok((zeros()?, zeros()?))).collect::<Result<_>>()?;
        Ok(Self { slots })
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
        let (keys, values) = &self.slots[slot.0 as usize];
        keys.slice_set(&k.contiguous()?, 1, start)?;
        values.slice_set(&v.contiguous()?, 1, start)?;
        let end = start + k.dim(1)?;
        Ok((keys.narrow(1, 0, end)?, values.narrow(1, 0, end)?))
    }
}
