//! What kernels read of tensors that are lent to them.

use candle_core::{CpuStorage, Result, Storage, StorageRef, Tensor, bail};

/// The values of a dense tensor, for as long as this is kept.
pub(super) struct Lent<'a> {
    storage: StorageRef<'a>,
    from: usize,
    to: usize,
}

impl<'a> Lent<'a> {
    pub(super) fn new(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some((from, to))) => Ok(Self { storage, from, to }),
            _ => bail!("the CPU kernels take contiguous f32"),
        }
    }

    pub(super) fn values(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.from..self.to],
            _ => &[],
        }
    }
}
