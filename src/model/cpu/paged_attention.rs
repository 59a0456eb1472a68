//! Causal attention that reads keys and values where they are: in the blocks of the KV cache.

use std::ops::Deref;

use candle_core::{CpuStorage, Device, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use super::attention::{HeadPanels, PARALLEL_FROM, Queries, softmax};
use super::kernel::{Kernel, PANEL, Rows};
use super::panels::block_rows;

/// Queries up to which keys and values are read as they are stored; laying them out pays above.
const DIRECT_ROWS_MAX: usize = 4;

/// Multiplications from which on heads of these go to several threads: reading the cache is what takes the time.
const DIRECT_PARALLEL_FROM: usize = 1 << 16;

/// What a sequence's queries see.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct PagedAttention<'a> {
    /// The sequence's blocks in order.
    pub(in crate::model) blocks: &'a [u32],
    /// Position of the first query, which sees the keys up to itself.
    pub(in crate::model) start: usize,
    pub(in crate::model) scale: f32,
}

/// A tensor's values.
pub(super) fn dense<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
    else {
        bail!("paged attention takes contiguous f32")
    };
    Ok(&values[start..end])
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) block_tokens: usize,
    pub(super) head_dim: usize,
}

/// One sequence's part of a pass.
struct Task<'a> {
    attention: &'a PagedAttention<'a>,
    q: &'a [f32],
    out: &'a mut [f32],
}

/// Attends from the queries of each sequence, `[rows, heads, head_dim]`, to the cache's keys and values,
/// `[blocks, kv_heads, block_tokens, head_dim]`, all contiguous f32. Returns `[rows, heads * head_dim]`, the rows of all
/// sequences one after the other. Sequences go to several threads, and heads of one that has more than a thread's share.
pub(in crate::model) fn attend_paged(
    sequences: &[(Tensor, PagedAttention<'_>)],
    keys: &Tensor,
    values: &Tensor,
) -> Result<Tensor> {
    let (blocks, kv_heads, block_tokens, head_dim) = keys.dims4()?;
    if !block_tokens.is_multiple_of(PANEL) {
        bail!("blocks of {block_tokens} tokens are not whole panels of {PANEL}")
    }
    let (mut all_rows, mut heads) = (0, 0);
    for (q, attention) in sequences {
        let (rows, its_heads, width) = q.dims3()?;
        if width != head_dim || all_rows > 0 && its_heads != heads {
            bail!("queries of {its_heads} heads of {width} beside keys of {head_dim}")
        }
        attention.check_blocks(attention.start + rows, block_tokens, blocks)?;
        (all_rows, heads) = (all_rows + rows, its_heads);
    }
    let sizes = Sizes { heads, kv_heads, block_tokens, head_dim };
    let width = heads * head_dim;
    // Queries of several sequences are parts of one tensor, which nobody writes to.
    let locked: Vec<_> = sequences.iter().map(|(q, _)| q.storage_and_layout()).collect();
    let (keys, values) = (keys.storage_and_layout(), values.storage_and_layout());
    let cache = [of_host(&keys)?, of_host(&values)?];
    let mut out = vec![0.0; all_rows * width];
    let mut tasks = Vec::with_capacity(sequences.len());
    let mut rest = &mut out[..];
    for ((_, attention), locked) in sequences.iter().zip(&locked) {
        let q = of_host(locked)?;
        let (out, after) = rest.split_at_mut(q.len());
        tasks.push(Task { attention, q, out });
        rest = after;
    }
    let all: usize = tasks.iter().map(|task| task.multiplications(sizes)).sum();
    let share = all / rayon::current_num_threads();
    match &mut tasks[..] {
        [one] => one.run(sizes, cache, share),
        all => all.par_iter_mut().for_each(|task| task.run(sizes, cache, share)),
    }
    Tensor::from_vec(out, (all_rows, width), &Device::Cpu)
}

fn of_host<'a>(
    (storage, layout): &'a (impl Deref<Target = Storage>, &Layout),
) -> Result<&'a [f32]> {
    match &**storage {
        Storage::Cpu(storage) => dense(storage, layout),
        _ => bail!("paged attention on the host takes its memory"),
    }
}

impl Task<'_> {
    fn rows(&self, sizes: Sizes) -> usize {
        self.q.len() / (sizes.heads * sizes.head_dim)
    }

    fn multiplications(&self, sizes: Sizes) -> usize {
        self.q.len() * (self.attention.start + self.rows(sizes))
    }

    /// `share` is what one thread has of all sequences' multiplications.
    fn run(&mut self, sizes: Sizes, cache: [&[f32]; 2], share: usize) {
        let (rows, multiplications) = (self.rows(sizes), self.multiplications(sizes));
        let Self { attention, q, out } = self;
        let Sizes { heads, kv_heads, head_dim, .. } = sizes;
        if rows > DIRECT_ROWS_MAX {
            return attention.many(sizes, q, cache, multiplications >= PARALLEL_FROM, out);
        }
        // A task is what shares keys and values: some heads of a row.
        let width = heads / kv_heads * head_dim;
        let task = |(at, (out, q)): (usize, (&mut [f32], &[f32]))| {
            attention.one(sizes, q, cache, (at / kv_heads, at % kv_heads), out);
        };
        if multiplications > share.max(DIRECT_PARALLEL_FROM) {
            out.par_chunks_mut(width).zip(q.par_chunks(width)).enumerate().for_each(task);
        } else {
            out.chunks_mut(width).zip(q.chunks(width)).enumerate().for_each(task);
        }
    }
}

impl PagedAttention<'_> {
    /// Whether the sequence's blocks hold its first `seen` tokens and are among the cache's `blocks`.
    pub(super) fn check_blocks(
        &self,
        seen: usize,
        block_tokens: usize,
        blocks: usize,
    ) -> Result<()> {
        let needed = seen.div_ceil(block_tokens);
        if needed > self.blocks.len() || self.blocks.iter().any(|block| *block as usize >= blocks) {
            bail!("{needed} KV blocks of {:?}, and {blocks} in all", self.blocks)
        }
        Ok(())
    }

    /// Where the first `seen` tokens of one head are: their first value in the cache, their first position, and
    /// how many they are.
    pub(super) fn pieces(
        &self,
        sizes: Sizes,
        kv_head: usize,
        seen: usize,
    ) -> impl Iterator<Item = (usize, usize, usize)> {
        let Sizes { kv_heads, block_tokens, head_dim, .. } = sizes;
        self.blocks.iter().zip((0..seen).step_by(block_tokens)).map(move |(block, from)| {
            let at = (*block as usize * kv_heads + kv_head) * block_tokens * head_dim;
            (at, from, block_tokens.min(seen - from))
        })
    }

    /// The output of the query heads `q` of one row, which share a key and value head.
    fn one(
        &self,
        sizes: Sizes,
        q: &[f32],
        [keys, values]: [&[f32]; 2],
        (row, kv_head): (usize, usize),
        out: &mut [f32],
    ) {
        let kernel = Kernel::new();
        let head_dim = sizes.head_dim;
        let seen = self.start + row + 1;
        let group = q.len() / head_dim;
        let mut scores = vec![0.0; group * seen];
        for (at, from, len) in self.pieces(sizes, kv_head, seen) {
            let keys = &keys[at..][..len * head_dim];
            kernel.dots(group, (q, keys), head_dim, (&mut scores[from..], seen));
        }
        for (scores, out) in scores.chunks_exact_mut(seen).zip(out.chunks_exact_mut(head_dim)) {
            let inverse = softmax(scores, self.scale);
            for (at, from, len) in self.pieces(sizes, kv_head, seen) {
                let (weights, values) = (&scores[from..][..len], &values[at..][..len * head_dim]);
                pulp::Arch::new().dispatch(WeightedSum { out, weights, values });
            }
            for value in out {
                *value *= inverse;
            }
        }
    }

    /// All output rows.
    fn many(&self, sizes: Sizes, q: &[f32], cache: [&[f32]; 2], parallel: bool, out: &mut [f32]) {
        let Sizes { heads, kv_heads, head_dim, .. } = sizes;
        let row_width = heads * head_dim;
        let seen = self.start + out.len() / row_width;
        let panels = |kv_head: usize| self.panels(sizes, kv_head, seen, cache);
        // A task owns whole output rows, all heads of them: no two tasks write to one row.
        let task = |kv: &[HeadPanels], index: usize, out: &mut [f32]| {
            let first = index * block_rows();
            let queries = Queries {
                rows: Rows::new(q, row_width).from(first, 0),
                head_stride: head_dim,
                head_dim,
                scale: self.scale,
                causal_from: Some(self.start + first),
            };
            queries.attend(heads, kv, out);
        };
        let blocks = block_rows() * row_width;
        if parallel {
            let kv: Vec<_> = (0..kv_heads).into_par_iter().map(panels).collect();
            out.par_chunks_mut(blocks)
                .enumerate()
                .with_max_len(1)
                .for_each(|(at, out)| task(&kv, at, out));
        } else {
            let kv: Vec<_> = (0..kv_heads).map(panels).collect();
            out.chunks_mut(blocks).enumerate().for_each(|(at, out)| task(&kv, at, out));
        }
    }

    /// The first `seen` keys and values of one head.
    fn panels(
        &self,
        sizes: Sizes,
        kv_head: usize,
        seen: usize,
        [keys, values]: [&[f32]; 2],
    ) -> HeadPanels {
        let head_dim = sizes.head_dim;
        let mut panels = HeadPanels::new(seen, head_dim);
        // A panel of keys lies in one block.
        let mut of_keys = panels.keys.iter_mut();
        for (at, _, len) in self.pieces(sizes, kv_head, seen) {
            for first in (0..len).step_by(PANEL) {
                let Some(mut panel) = of_keys.next() else { break };
                panel.write_rows(Rows::new(&keys[at..], head_dim).from(first, 0));
            }
        }
        drop(of_keys);
        for mut panel in panels.values.iter_mut() {
            for (at, from, len) in self.pieces(sizes, kv_head, seen) {
                let values = Rows::new(&values[at..], head_dim).from(0, panel.first);
                panel.write_columns(from, values, len);
            }
        }
        panels
    }
}

/// Adds rows of values, each with its weight, to `out`.
struct WeightedSum<'a> {
    out: &'a mut [f32],
    weights: &'a [f32],
    values: &'a [f32],
}

impl pulp::NullaryFnOnce for WeightedSum<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        /// Eight AVX2 registers, or four of AVX-512: enough for additions to overlap.
        const SUMS: usize = 64;
        let Self { out, weights, values } = self;
        let width = out.len();
        let (chunks, rest) = out.as_chunks_mut::<SUMS>();
        let done = width - rest.len();
        for (index, chunk) in chunks.iter_mut().enumerate() {
            // Beside the output, so that they stay in registers from the first row to the last.
            let mut sums = *chunk;
            for (weight, values) in weights.iter().zip(values.chunks_exact(width)) {
                let values = &values[index * SUMS..][..SUMS];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            *chunk = sums;
        }
        for (weight, values) in weights.iter().zip(values.chunks_exact(width)) {
            for (out, value) in rest.iter_mut().zip(&values[done..]) {
                *out += weight * value;
            }
        }
    }
}
