//! Attention block by block: scores of a few queries live in the second-level cache, never in memory
//! as a whole.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::kernel::{Kernel, PANEL, Rows, Start};
use super::math::{exp, fold_lanes};
use super::panels::{BLOCK_ROWS_MAX, Panels, block_rows};
use super::scratch::Scratch;

/// Multiplications below which tasks cost more than they bring.
pub(super) const PARALLEL_FROM: usize = 1 << 20;

/// Attention over `q` `[batch, rows, heads, head_dim]`, `k` and `v`
/// `[batch, keys, kv_heads, head_dim]`, any strides but 1 in the last dimension, f32. Returns
/// `[batch, rows, heads, head_dim]`, contiguous.
pub(in crate::model) struct FusedAttention {
    /// Position of the first query among the keys where queries must not see keys after themselves.
    pub(in crate::model) causal_from: Option<usize>,
    pub(in crate::model) scale: f32,
}

/// A rank-4 input and where its elements are.
#[derive(Clone, Copy)]
struct Input<'a> {
    values: &'a [f32],
    /// Batch, rows, heads; the last dimension is dense.
    strides: [usize; 3],
}

impl<'a> Input<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (CpuStorage::F32(values), &[batch, rows, heads, 1]) = (storage, layout.stride()) else {
            bail!("fused attention takes f32 with a dense last dimension")
        };
        Ok(Self { values: &values[layout.start_offset()..], strides: [batch, rows, heads] })
    }

    /// One batch entry.
    fn entry(self, batch: usize) -> Self {
        Self { values: &self.values[batch * self.strides[0]..], ..self }
    }

    /// Rows of one head of the first batch entry.
    fn head(self, head: usize) -> Rows<'a> {
        Rows::new(&self.values[head * self.strides[2]..], self.strides[1])
    }
}

/// Keys and values of one head, as the kernels read them: keys are columns, values are rows.
pub(super) struct HeadPanels {
    pub(super) keys: Panels,
    pub(super) values: Panels,
}

/// Queries of a few rows, all heads of each.
#[derive(Clone, Copy)]
pub(super) struct Queries<'a> {
    /// Rows of one head begin at multiples of `head_stride`.
    pub(super) rows: Rows<'a>,
    pub(super) head_stride: usize,
    pub(super) head_dim: usize,
    pub(super) scale: f32,
    /// Position of the first query among the keys; without one all queries see all keys.
    pub(super) causal_from: Option<usize>,
}

impl HeadPanels {
    pub(super) fn new(keys: usize, head_dim: usize) -> Self {
        Self { keys: Panels::new(head_dim, keys), values: Panels::new(keys, head_dim) }
    }

    pub(super) fn of_rows(keys: Rows<'_>, values: Rows<'_>, count: usize, head_dim: usize) -> Self {
        let mut panels = Self::new(count, head_dim);
        for mut panel in panels.keys.iter_mut() {
            panel.write_rows(keys.from(panel.first, 0));
        }
        for mut panel in panels.values.iter_mut() {
            panel.write_columns(0, values.from(0, panel.first), count);
        }
        panels
    }
}

impl Queries<'_> {
    /// Output rows, as many as `out` holds and at most [`block_rows`], `[rows, heads, head_dim]`. Consecutive
    /// heads share one of `kv`.
    pub(super) fn attend(self, heads: usize, kv: &[HeadPanels], out: &mut [f32]) {
        let kernel = Kernel::new();
        let row_width = heads * self.head_dim;
        let rows = out.len() / row_width;
        // Keys after the last query are masked for all of these rows.
        let keys = kv[0].keys.columns();
        let seen = self.causal_from.map_or(keys, |position| keys.min(position + rows));
        let visible = |row: usize| self.causal_from.map_or(seen, |position| position + row + 1);
        // Rows begin at cache lines.
        let stride = seen.next_multiple_of(PANEL);
        let mut scores = Scratch::new(rows * stride);
        let scores = scores.values_mut();
        let mut inverses = [0.0; BLOCK_ROWS_MAX];
        for head in 0..heads {
            let kv = &kv[head / (heads / kv.len())];
            let q = self.rows.from(0, head * self.head_stride);
            let sizes = (rows, self.head_dim);
            kv.keys.multiply_columns(kernel, sizes, 0..seen, q, (scores, stride), Start::Zero);
            let each = scores.chunks_exact_mut(stride).zip(&mut inverses).enumerate();
            for (row, (scores, inverse)) in each {
                let (scores, masked) = scores[..seen].split_at_mut(visible(row));
                *inverse = softmax(scores, self.scale);
                masked.fill(0.0);
            }
            let weights = Rows::new(scores, stride);
            let out = &mut out[head * self.head_dim..];
            kv.values.multiply(kernel, (rows, seen), weights, (out, row_width), Start::Zero);
            for (out, inverse) in out.chunks_mut(row_width).zip(&inverses) {
                for value in &mut out[..self.head_dim] {
                    *value *= inverse;
                }
            }
        }
    }
}

impl CustomOp3 for FusedAttention {
    fn name(&self) -> &'static str {
        "fused-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, rows, heads, head_dim) = q_layout.shape().dims4()?;
        let (_, keys, kv_heads, _) = k_layout.shape().dims4()?;
        let inputs = [Input::new(q, q_layout)?, Input::new(k, k_layout)?, Input::new(v, v_layout)?];
        let mut out = vec![0.0; batch * rows * heads * head_dim];
        let row_width = heads * head_dim;
        for (entry, out) in out.chunks_exact_mut(rows * row_width).enumerate() {
            let [q, k, v] = inputs.map(|input| input.entry(entry));
            let panels =
                |head: usize| HeadPanels::of_rows(k.head(head), v.head(head), keys, head_dim);
            // A task owns whole output rows, all heads of them: no two tasks write to one row.
            let task = |kv: &[HeadPanels], index: usize, out: &mut [f32]| {
                let first = index * block_rows();
                let queries = Queries {
                    rows: q.head(0).from(first, 0),
                    head_stride: q.strides[2],
                    head_dim,
                    scale: self.scale,
                    causal_from: self.causal_from.map(|position| position + first),
                };
                queries.attend(heads, kv, out);
            };
            let blocks = block_rows() * row_width;
            if rows * heads * keys * head_dim < PARALLEL_FROM {
                let kv: Vec<_> = (0..kv_heads).map(panels).collect();
                out.chunks_mut(blocks).enumerate().for_each(|(at, out)| task(&kv, at, out));
            } else {
                let kv: Vec<_> = (0..kv_heads).into_par_iter().map(panels).collect();
                out.par_chunks_mut(blocks)
                    .enumerate()
                    .with_max_len(1)
                    .for_each(|(at, out)| task(&kv, at, out));
            }
        }
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }
}

/// Makes scores, yet to be multiplied with `scale`, the numerators of their softmax; returns one over their
/// sum.
pub(super) fn softmax(scores: &mut [f32], scale: f32) -> f32 {
    pulp::Arch::new().dispatch(Softmax { scores, scale })
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    scale: f32,
}

impl pulp::NullaryFnOnce for Softmax<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        const LANES: usize = 32;
        let Self { scores, scale } = self;
        let max = fold_lanes(scores, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
        let mut sums = [0.0; LANES];
        let (chunks, rest) = scores.as_chunks_mut::<LANES>();
        for chunk in chunks {
            for (score, sum) in chunk.iter_mut().zip(&mut sums) {
                *score = exp((*score - max) * scale);
                *sum += *score;
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for score in rest {
            *score = exp((*score - max) * scale);
            sum += *score;
        }
        1.0 / sum
    }
}
