//! Attention block by block: scores of a few queries live in the second-level cache, never in memory
//! as a whole.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::gemm::{Product, View, matmul};
use super::math::{exp, fold_lanes};

/// Query rows of one task: 128 rows of 1,025 scores are 525 KB.
pub(super) const BLOCK_ROWS: usize = 128;

/// Multiplications below which tasks cost more than they bring.
pub(super) const PARALLEL_FROM: usize = 1 << 20;

/// Tasks run in parallel, products within a task do not.
const ALONE: Product = Product { scale: 1.0, accumulate: false, parallel: false };

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

    /// All elements from `(batch, row, head)` on.
    fn from(self, batch: usize, row: usize, head: usize) -> &'a [f32] {
        let [batch_stride, row_stride, head_stride] = self.strides;
        &self.values[batch * batch_stride + row * row_stride + head * head_stride..]
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    keys: usize,
    group: usize,
    head_dim: usize,
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
        let sizes = Sizes { heads, keys, group: heads / kv_heads, head_dim };
        let inputs = [Input::new(q, q_layout)?, Input::new(k, k_layout)?, Input::new(v, v_layout)?];
        let mut out = vec![0.0; batch * rows * heads * head_dim];
        // A task owns whole output rows, all heads of them: no two tasks write to one row.
        let task = |(index, out): (usize, &mut [f32])| {
            let blocks = rows.div_ceil(BLOCK_ROWS);
            self.block(sizes, inputs, (index / blocks, index % blocks * BLOCK_ROWS), out);
        };
        let row_width = heads * head_dim;
        let pieces: Vec<&mut [f32]> = out
            .chunks_mut(rows * row_width)
            .flat_map(|batch| batch.chunks_mut(BLOCK_ROWS * row_width))
            .collect();
        if batch * rows * heads * keys * head_dim < PARALLEL_FROM {
            pieces.into_iter().enumerate().for_each(task);
        } else {
            pieces.into_par_iter().enumerate().for_each(task);
        }
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }
}

impl FusedAttention {
    /// Output rows `first..` of one batch entry, as many as `out` holds.
    fn block(
        &self,
        sizes: Sizes,
        [q, k, v]: [Input<'_>; 3],
        (batch, first): (usize, usize),
        out: &mut [f32],
    ) {
        let Sizes { heads, keys, group, head_dim, .. } = sizes;
        let rows = out.len() / (heads * head_dim);
        // Keys after the block's last query are masked for all of it.
        let keys = self.causal_from.map_or(keys, |position| keys.min(position + first + rows));
        let mut scores = vec![0.0; rows * keys];
        for head in 0..heads {
            let kv_head = head / group;
            let scores_view = View::row_major(rows, keys, keys);
            matmul(
                (&mut scores, scores_view),
                (q.from(batch, first, head), View::row_major(rows, head_dim, q.strides[1])),
                (
                    k.from(batch, 0, kv_head),
                    View::row_major(keys, head_dim, k.strides[1]).transposed(),
                ),
                Product { scale: self.scale, ..ALONE },
            );
            for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
                let visible = self.causal_from.map_or(keys, |position| position + first + row + 1);
                softmax(&mut scores[..visible]);
                scores[visible..].fill(0.0);
            }
            matmul(
                (&mut out[head * head_dim..], View::row_major(rows, head_dim, heads * head_dim)),
                (&scores, scores_view),
                (v.from(batch, 0, kv_head), View::row_major(keys, head_dim, v.strides[1])),
                ALONE,
            );
        }
    }
}

/// Softmax in place.
pub(super) fn softmax(scores: &mut [f32]) {
    pulp::Arch::new().dispatch(Softmax(scores));
}

struct Softmax<'a>(&'a mut [f32]);

impl pulp::NullaryFnOnce for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self(scores) = self;
        let max = fold_lanes(scores, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
        for score in scores.iter_mut() {
            *score = exp(*score - max);
        }
        let inverse = 1.0 / fold_lanes(scores, 0.0, |a, b| a + b);
        for score in scores.iter_mut() {
            *score *= inverse;
        }
    }
}
