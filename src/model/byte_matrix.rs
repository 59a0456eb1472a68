//! A matrix whose numbers are bytes: what the CPU's and the GPUs' products of 8-bit weights have in common.

use candle_core::{DType, Result, Tensor, bail};

use crate::placement::Quantization;

/// `[out, in]` bytes and an f32 scale for each row: a weight is its byte's number times its row's scale.
#[derive(Debug, Clone)]
pub(super) struct ByteMatrix {
    /// `[out, in]`: the library has no type for signed bytes.
    pub(super) bytes: Tensor,
    /// `[out]`, f32.
    pub(super) scales: Tensor,
    /// What number a byte is.
    pub(super) format: Quantization,
}

impl ByteMatrix {
    /// Rows and columns, which scales and dtypes must agree with.
    pub(super) fn dims(&self) -> Result<(usize, usize)> {
        let (rows, columns) = self.bytes.dims2()?;
        let agrees = self.bytes.dtype() == DType::U8 && self.scales.dtype() == DType::F32;
        if !agrees || self.scales.dims() != [rows] {
            bail!("8-bit weights {:?} with scales {:?}", self.bytes.shape(), self.scales.shape());
        }
        Ok((rows, columns))
    }
}
