//! Causal attention that reads keys and values where they are: in the blocks of the KV cache.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::attention::{BLOCK_ROWS, PARALLEL_FROM, softmax};
use super::gemm::{Product, View, matmul};

/// Tasks run in parallel, products within a task do not.
const ALONE: Product = Product { scale: 1.0, accumulate: false, parallel: false };

/// Attention of one sequence over `q`, `[rows, heads, head_dim]`, and the cache's keys and values,
/// `[blocks, kv_heads, block_tokens, head_dim]`, all contiguous f32. Returns `[rows, heads, head_dim]`.
pub(in crate::model) struct PagedAttention<'a> {
    /// The sequence's blocks in order.
    pub(in crate::model) blocks: &'a [u32],
    /// Position of the first query, which sees the keys up to itself.
    pub(in crate::model) start: usize,
    pub(in crate::model) scale: f32,
}

/// A tensor's values.
fn dense<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
    else {
        bail!("paged attention takes contiguous f32")
    };
    Ok(&values[start..end])
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    heads: usize,
    kv_heads: usize,
    block_tokens: usize,
    head_dim: usize,
}

impl CustomOp3 for PagedAttention<'_> {
    fn name(&self) -> &'static str {
        "paged-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        keys: &CpuStorage,
        keys_layout: &Layout,
        values: &CpuStorage,
        values_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, heads, head_dim) = q_layout.shape().dims3()?;
        let (blocks, kv_heads, block_tokens, _) = keys_layout.shape().dims4()?;
        let needed = (self.start + rows).div_ceil(block_tokens);
        if needed > self.blocks.len() || self.blocks.iter().any(|block| *block as usize >= blocks) {
            bail!("{needed} KV blocks of {:?}, and {blocks} in all", self.blocks)
        }
        let sizes = Sizes { heads, kv_heads, block_tokens, head_dim };
        let q = dense(q, q_layout)?;
        let cache = [dense(keys, keys_layout)?, dense(values, values_layout)?];
        let row_width = heads * head_dim;
        let mut out = vec![0.0; rows * row_width];
        // A task owns whole output rows, all heads of them: no two tasks write to one row.
        let task = |(index, out): (usize, &mut [f32])| {
            let first = index * BLOCK_ROWS;
            self.rows(sizes, &q[first * row_width..], cache, first, out);
        };
        if rows * heads * (self.start + rows) * head_dim < PARALLEL_FROM {
            out.chunks_mut(BLOCK_ROWS * row_width).enumerate().for_each(task);
        } else {
            out.par_chunks_mut(BLOCK_ROWS * row_width).enumerate().for_each(task);
        }
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }
}

impl PagedAttention<'_> {
    /// Output rows `first..`, as many as `out` holds; `q` begins with the first of them.
    fn rows(
        &self,
        sizes: Sizes,
        q: &[f32],
        [keys, values]: [&[f32]; 2],
        first: usize,
        out: &mut [f32],
    ) {
        let Sizes { heads, kv_heads, block_tokens, head_dim } = sizes;
        let row_width = heads * head_dim;
        let rows = out.len() / row_width;
        // Keys after the last query are masked for all of these rows.
        let seen = self.start + first + rows;
        let head_len = block_tokens * head_dim;
        let mut scores = vec![0.0; rows * seen];
        for head in 0..heads {
            let kv_head = head / (heads / kv_heads);
            let pieces = || {
                self.blocks.iter().zip((0..seen).step_by(block_tokens)).map(|(block, from)| {
                    let at = (*block as usize * kv_heads + kv_head) * head_len;
                    (at, from, block_tokens.min(seen - from))
                })
            };
            for (at, from, len) in pieces() {
                matmul(
                    (&mut scores[from..], View::row_major(rows, len, seen)),
                    (&q[head * head_dim..], View::row_major(rows, head_dim, row_width)),
                    (&keys[at..], View::row_major(len, head_dim, head_dim).transposed()),
                    Product { scale: self.scale, ..ALONE },
                );
            }
            for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
                let visible = self.start + first + row + 1;
                softmax(&mut scores[..visible]);
                scores[visible..].fill(0.0);
            }
            for (at, from, len) in pieces() {
                matmul(
                    (&mut out[head * head_dim..], View::row_major(rows, head_dim, row_width)),
                    (&scores[from..], View::row_major(rows, len, seen)),
                    (&values[at..], View::row_major(len, head_dim, head_dim)),
                    Product { accumulate: from > 0, ..ALONE },
                );
            }
        }
    }
}
