//! What `decode.rs` offers, in a build without CUDA: nothing is taken, so nothing else is called.

use candle_core::{DType, Device, Result, Tensor, bail};

#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Paged<'a> {
    pub(in crate::model) keys: &'a Tensor,
    pub(in crate::model) values: &'a Tensor,
    pub(in crate::model) tables: &'a Tensor,
}

#[derive(Debug)]
pub(in crate::model) struct Scratch {
    device: Device,
}

impl Scratch {
    pub(in crate::model) fn new(device: &Device, _: usize, _: usize) -> Result<Self> {
        if device.is_cuda() {
            bail!("this build has no CUDA");
        }
        Ok(Self { device: device.clone() })
    }

    pub(in crate::model) fn device(&self) -> &Device {
        &self.device
    }
}

pub(in crate::model) fn takes(_: &Device, _: DType, _: usize, _: usize) -> bool {
    false
}

pub(in crate::model) fn takes_prefill(_: &Device, _: DType, _: usize) -> bool {
    false
}

pub(in crate::model) fn add_rms_norm(
    _: &Tensor,
    _: Option<&Tensor>,
    _: &Tensor,
    _: f32,
    _: DType,
) -> Result<(Tensor, Tensor)> {
    bail!("this build has no CUDA")
}

pub(in crate::model) fn swiglu(_: &Tensor) -> Result<Tensor> {
    bail!("this build has no CUDA")
}

pub(in crate::model) fn rope_cache(
    _: &Tensor,
    _: Option<&Tensor>,
    _: (&Tensor, &Tensor),
    _: &Tensor,
    _: Option<&Tensor>,
    cache: Paged<'_>,
) -> Result<Tensor> {
    let Paged { keys, values, tables } = cache;
    bail!("this build has no CUDA for {:?} {:?} {:?}", keys.shape(), values.shape(), tables.shape())
}

pub(in crate::model) fn decode_attention(
    _: &Tensor,
    _: Paged<'_>,
    _: &Tensor,
    _: usize,
    _: &Scratch,
) -> Result<Tensor> {
    bail!("this build has no CUDA")
}

pub(in crate::model) fn prefill_attention(_: &Tensor, _: Paged<'_>, _: &Tensor) -> Result<Tensor> {
    bail!("this build has no CUDA")
}

pub(in crate::model) fn full_attention(_: &Tensor) -> Result<Tensor> {
    bail!("this build has no CUDA")
}
