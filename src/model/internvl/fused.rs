//! The decoder's layers by fused kernels, on GPUs that have them: a norm with the addition before it, bias
//! and rotation with the write into the cache, attention without a score matrix in memory.
//!
//! A layer takes nine launches, its four products included, and positions, slots and lengths are read on
//! the device. The results differ from [`DecoderLayer::forward`] by rounding. Observers that look inside a
//! layer, at start-up and after a NaN, see the plain operations instead.

use candle_core::{Device, Result, Tensor, bail};

use super::decoder_layer::DecoderLayer;
use super::home::Home;
use super::language::Rows;
use crate::model::cache::BLOCK_TOKENS;
use crate::model::cuda::decode::{self, Paged, Scratch};
use crate::model::layers::{Norm, RopeTable};

/// What one device reads of a step, the same for all of its layers.
pub(super) struct FusedStep {
    /// Position of each row, u32.
    positions: Tensor,
    /// Index of each row's sequence in this step, u32.
    sequences: Tensor,
    /// KV blocks of each sequence, u32, `[sequences, table_blocks]`; behind its last the first again.
    tables: Tensor,
    /// Tokens of each sequence, these rows included, u32.
    lengths: Tensor,
    longest: usize,
    cos: Tensor,
    sin: Tensor,
}

/// A residual, and what is to be added to it before the next norm.
pub(super) struct Sum {
    pub(super) residual: Tensor,
    pub(super) delta: Option<Tensor>,
}

impl Sum {
    pub(super) fn added(&self) -> Result<Tensor> {
        match &self.delta {
            Some(delta) => &self.residual + delta.to_dtype(self.residual.dtype())?,
            None => Ok(self.residual.clone()),
        }
    }
}

impl FusedStep {
    /// None where a sequence is longer than the angles of `rope` are made for.
    pub(super) fn new(
        rows: &[Rows<'_>],
        rope: &RopeTable,
        device: &Device,
    ) -> Result<Option<Self>> {
        let longest = rows.iter().map(|rows| rows.start + rows.len).max().unwrap_or(0);
        let Some((cos, sin)) = rope.unscaled(longest) else { return Ok(None) };
        let of_rows = |value: &dyn Fn(usize, &Rows<'_>, usize) -> usize| {
            let values: Vec<u32> = rows
                .iter()
                .enumerate()
                .flat_map(|(index, rows)| (0..rows.len).map(move |row| (index, rows, row)))
                .map(|(index, rows, row)| value(index, rows, row) as u32)
                .collect();
            Tensor::from_slice(&values, values.len(), device)
        };
        let of_sequences = |value: &dyn Fn(&Rows<'_>) -> usize| {
            let values: Vec<u32> = rows.iter().map(|rows| value(rows) as u32).collect();
            Tensor::from_slice(&values, values.len(), device)
        };
        Ok(Some(Self {
            positions: of_rows(&|_, rows, row| rows.start + row)?,
            sequences: of_rows(&|index, _, _| index)?,
            tables: tables(rows, longest, device)?,
            lengths: of_sequences(&|rows| rows.start + rows.len)?,
            longest,
            cos: cos.clone(),
            sin: sin.clone(),
        }))
    }
}

/// The blocks that hold the first `longest` positions of each sequence, `[sequences, table_blocks]`.
fn tables(rows: &[Rows<'_>], longest: usize, device: &Device) -> Result<Tensor> {
    let width = longest.div_ceil(BLOCK_TOKENS).max(1);
    let mut tables = Vec::with_capacity(rows.len() * width);
    for rows in rows {
        let Some(&first) = rows.blocks.first() else { bail!("a sequence without KV blocks") };
        let row = tables.len();
        tables.extend(rows.blocks.iter().take(width));
        tables.resize(row + width, first);
    }
    Tensor::from_vec(tables, (rows.len(), width), device)
}

/// Whether the layers at `home` have kernels for all they do.
pub(super) fn takes(home: &Home, head_dim: usize, group: usize) -> bool {
    let (device, compute) = (home.candle_device(), home.compute());
    decode::takes(device, compute, head_dim, group)
        && decode::takes_prefill(device, compute, head_dim)
}

impl DecoderLayer {
    /// As [`forward`](Self::forward); the sum is left to the next norm.
    pub(super) fn forward_fused(
        &self,
        sum: &Sum,
        rows: &[Rows<'_>],
        step: &FusedStep,
        scratch: &Scratch,
    ) -> Result<Sum> {
        let residual = sum.residual.to_dtype(self.residual)?;
        let (residual, normed) =
            self.normed(&self.input_layernorm, &residual, sum.delta.as_ref())?;
        let (qkv, bias) = self.qkv_proj.forward_unbiased(&normed)?;
        let cache = self.paged(&step.tables);
        let angles = (&step.cos, &step.sin);
        let q =
            decode::rope_cache(&qkv, bias, angles, &step.positions, Some(&step.sequences), cache)?;
        let attended = self.attend_fused(&q, rows, step, scratch)?;
        let delta = self.o_proj.forward_as(&attended, self.residual)?;
        let (residual, normed) =
            self.normed(&self.post_attention_layernorm, &residual, Some(&delta))?;
        let inner = decode::swiglu(&self.gate_up_proj.forward(&normed)?)?;
        let delta = self.down_proj.forward_as(&inner, self.residual)?;
        Ok(Sum { residual, delta: Some(delta) })
    }

    fn normed(
        &self,
        norm: &Norm,
        residual: &Tensor,
        delta: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let Some((weight, eps)) = norm.rms() else { bail!("the decoder's norms have no bias") };
        decode::add_rms_norm(residual, delta, weight, eps, self.compute)
    }

    fn paged<'a>(&'a self, tables: &'a Tensor) -> Paged<'a> {
        Paged { keys: &self.cache.keys, values: &self.cache.values, tables }
    }

    /// One launch where every sequence has one row; else one for each sequence.
    fn attend_fused(
        &self,
        q: &Tensor,
        rows: &[Rows<'_>],
        step: &FusedStep,
        scratch: &Scratch,
    ) -> Result<Tensor> {
        if rows.iter().all(|rows| rows.len == 1) {
            let cache = self.paged(&step.tables);
            return decode::decode_attention(q, cache, &step.lengths, step.longest, scratch);
        }
        let mut outputs = Vec::with_capacity(rows.len());
        let mut first_row = 0;
        for (index, rows) in rows.iter().enumerate() {
            let table = step.tables.narrow(0, index, 1)?;
            let cache = self.paged(&table);
            let q = q.narrow(0, first_row, rows.len)?;
            outputs.push(if rows.len == 1 {
                let lengths = step.lengths.narrow(0, index, 1)?;
                decode::decode_attention(&q, cache, &lengths, rows.start + 1, scratch)?
            } else {
                let positions = step.positions.narrow(0, first_row, rows.len)?;
                decode::prefill_attention(&q, cache, &positions)?
            });
            first_row += rows.len;
        }
        if outputs.len() == 1 { Ok(outputs.swap_remove(0)) } else { Tensor::cat(&outputs, 0) }
    }
}

/// Memory for the kernels of a device.
pub(super) fn scratch(home: &Home, slots: usize, kv_heads: usize) -> Result<Scratch> {
    Scratch::new(home.candle_device(), slots.max(1), kv_heads)
}
