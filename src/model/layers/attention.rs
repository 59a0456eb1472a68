//! Scaled dot-product attention with f32 scores, over grouped key/value heads.
//!
//! Half-precision scores are what made this model answer `!!!!`: unscaled products overflow f16, and
//! bf16 rounds them visibly. Here products and softmax stay in f32 on every device.

use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor};
use rayon::prelude::*;

use crate::model::cache::LayerCache;
use crate::model::cpu::{FusedAttention, PagedAttention, SharesOfPages, attend_paged};
use crate::model::output::PageShares;

/// Rows of queries that are scored at once: bounds the memory of the score matrix.
pub(in crate::model) const QUERY_BLOCK_ROWS: usize = 512;

/// Whether queries may see keys after themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Causal {
    /// All keys: the vision tower.
    No,
    /// The first query stands at this position of the keys.
    From(usize),
}

/// Attends from `q`, `[batch, rows, heads, head_dim]`, to `k` and `v`,
/// `[batch, keys, kv_heads, head_dim]`, consecutive query heads sharing a key/value head. Returns
/// `[batch, rows, heads * head_dim]` in the dtype of `v`.
pub(in crate::model) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    causal: Causal,
) -> Result<Tensor> {
    let (batch, rows, heads, head_dim) = q.dims4()?;
    let scale = 1.0 / (head_dim as f64).sqrt();
    let out = if q.device().is_cpu() && v.dtype() == DType::F32 {
        let causal_from = match causal {
            Causal::No => None,
            Causal::From(position) => Some(position),
        };
        q.apply_op3_no_bwd(k, v, &FusedAttention { causal_from, scale: scale as f32 })?
    } else {
        composite(q, k, v, causal, scale, &mut |_, _| Ok(()))?
    };
    out.reshape((batch, rows, heads * head_dim))
}

/// Queries of one sequence for [`paged_attention`].
#[derive(Debug)]
pub(in crate::model) struct PagedQueries<'a> {
    /// `[rows, heads, head_dim]`
    pub(in crate::model) q: Tensor,
    /// The sequence's KV blocks in order.
    pub(in crate::model) blocks: &'a [u32],
    /// Position of the first query, which sees the keys up to itself.
    pub(in crate::model) start: usize,
}

/// Attends from the queries of each sequence to its keys and values in the cache. Returns `[rows, heads * head_dim]` in the
/// dtype of the cache, the rows of all one after the other.
pub(in crate::model) fn paged_attention(
    sequences: &[PagedQueries<'_>],
    cache: &LayerCache,
) -> Result<Tensor> {
    if cache.keys.device().is_cpu() && cache.keys.dtype() == DType::F32 {
        let mut of_all = Vec::with_capacity(sequences.len());
        for PagedQueries { q, blocks, start } in sequences {
            let scale = 1.0 / (q.dim(2)? as f32).sqrt();
            of_all.push((q.contiguous()?, PagedAttention { blocks, start: *start, scale }));
        }
        return attend_paged(&of_all, &cache.keys, &cache.values);
    }
    let of = |queries: &PagedQueries<'_>| {
        let PagedQueries { q, blocks, start } = queries;
        let (rows, heads, head_dim) = q.dims3()?;
        let (keys, values) = cache.gather(blocks, start + rows)?;
        let causal = Causal::From(*start);
        attention(&q.unsqueeze(0)?, &keys, &values, causal)?.reshape((rows, heads * head_dim))
    };
    match sequences {
        [one] => of(one),
        all if cache.keys.device().is_cpu() => {
            Tensor::cat(&all.par_iter().map(of).collect::<Result<Vec<Tensor>>>()?, 0)
        }
        all => Tensor::cat(&all.iter().map(of).collect::<Result<Vec<Tensor>>>()?, 0),
    }
}

/// How much of the attention of the last of `queries` falls on each of `pages`, which are tokens of its sequence: the
/// mean over the heads.
pub(in crate::model) fn page_shares(
    queries: &PagedQueries<'_>,
    cache: &LayerCache,
    pages: &[Range<usize>],
) -> Result<PageShares> {
    let PagedQueries { q, blocks, start } = queries;
    let (rows, heads, head_dim) = q.dims3()?;
    let (last, seen) = (q.narrow(0, rows - 1, 1)?, start + rows);
    let scale = 1.0 / (head_dim as f32).sqrt();
    if q.device().is_cpu() && cache.keys.dtype() == DType::F32 {
        let attention = PagedAttention { blocks, start: seen - 1, scale };
        let kernel = SharesOfPages { attention, pages };
        let q = last.reshape((heads, head_dim))?.contiguous()?;
        return q.apply_op2_no_bwd(&cache.keys, &kernel)?.to_vec1();
    }
    let (keys, _) = cache.gather(blocks, seen)?;
    let kv_heads = keys.dim(2)?;
    let q = (last.to_dtype(DType::F32)? * f64::from(scale))?;
    let q = q.reshape((kv_heads, heads / kv_heads, head_dim))?;
    let keys = keys.squeeze(0)?.to_dtype(DType::F32)?.permute((1, 2, 0))?.contiguous()?;
    let weights = candle_nn::ops::softmax_last_dim(&q.matmul(&keys)?)?;
    let of = |page: &Range<usize>| weights.narrow(D::Minus1, page.start, page.len())?.sum_all();
    let sums = pages.iter().map(of).collect::<Result<Vec<_>>>()?;
    (Tensor::stack(&sums, 0)? / heads as f64)?.to_vec1()
}

/// Shows the scores of [`attention`], before the mask, and their softmax, block by block of queries:
/// what its kernels never write to memory.
pub(in crate::model) fn show_scores(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    causal: Causal,
    show: &mut dyn FnMut(&Tensor, &Tensor) -> Result<()>,
) -> Result<()> {
    let scale = 1.0 / (q.dim(3)? as f64).sqrt();
    composite(q, k, v, causal, scale, show).map(drop)
}

/// Attention of library operations, for every device and dtype.
fn composite(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    causal: Causal,
    scale: f64,
    show: &mut dyn FnMut(&Tensor, &Tensor) -> Result<()>,
) -> Result<Tensor> {
    let (batch, rows, heads, head_dim) = q.dims4()?;
    let (_, keys, kv_heads, _) = k.dims4()?;
    let group = heads / kv_heads;
    // Queries are scaled before the product, which then cannot overflow, in f32.
    let q = (q.to_dtype(DType::F32)? * scale)?
        .reshape((batch, rows, kv_heads, group, head_dim))?
        .permute((0, 2, 3, 1, 4))?
        .reshape((batch * kv_heads, group, rows, head_dim))?;
    let by_head = |x: &Tensor| x.transpose(1, 2)?.reshape((batch * kv_heads, keys, head_dim));
    let k = by_head(&k.to_dtype(DType::F32)?)?.t()?;
    let v = by_head(v)?;
    let mut blocks = Vec::with_capacity(rows.div_ceil(QUERY_BLOCK_ROWS));
    for start in (0..rows).step_by(QUERY_BLOCK_ROWS) {
        let len = QUERY_BLOCK_ROWS.min(rows - start);
        let causal = match causal {
            Causal::No => Causal::No,
            Causal::From(position) => Causal::From(position + start),
        };
        blocks.push(block(&q.narrow(2, start, len)?, &k, &v, causal, show)?);
    }
    let out = if blocks.len() == 1 { blocks.swap_remove(0) } else { Tensor::cat(&blocks, 2)? };
    out.reshape((batch, heads, rows, head_dim))?.transpose(1, 2)?.contiguous()
}

/// One block of queries, `[batch * kv_heads, group, queries, head_dim]` to the same.
fn block(
    q: &Tensor,
    k_transposed: &Tensor,
    v: &Tensor,
    causal: Causal,
    show: &mut dyn FnMut(&Tensor, &Tensor) -> Result<()>,
) -> Result<Tensor> {
    let (kv_heads, group, queries, head_dim) = q.dims4()?;
    let scores = q.reshape((kv_heads, group * queries, head_dim))?.matmul(k_transposed)?;
    let visible = match causal {
        Causal::From(position) if queries > 1 => mask(&scores, group, queries, position)?,
        _ => scores.clone(),
    };
    let weights = candle_nn::ops::softmax_last_dim(&visible)?;
    show(&scores, &weights)?;
    weights.to_dtype(v.dtype())?.matmul(v)?.reshape((kv_heads, group, queries, head_dim))
}

/// Adds negative infinity where a key lies after its query. The mask is made on the device.
fn mask(scores: &Tensor, group: usize, queries: usize, position: usize) -> Result<Tensor> {
    let (kv_heads, _, keys) = scores.dims3()?;
    let bias = causal_bias(queries, keys, position, scores.device())?;
    scores.reshape((kv_heads, group, queries, keys))?.broadcast_add(&bias)?.reshape((
        kv_heads,
        group * queries,
        keys,
    ))
}

/// `[queries, keys]`: 0 where the key is at or before the query, else negative infinity.
fn causal_bias(queries: usize, keys: usize, position: usize, device: &Device) -> Result<Tensor> {
    let query_positions =
        Tensor::arange(position as u32, (position + queries) as u32, device)?.unsqueeze(1)?;
    let key_positions = Tensor::arange(0u32, keys as u32, device)?.unsqueeze(0)?;
    let shape = (queries, keys);
    let visible = key_positions.broadcast_as(shape)?.le(&query_positions.broadcast_as(shape)?)?;
    let zero = Tensor::zeros(shape, DType::F32, device)?;
    let never = Tensor::full(f32::NEG_INFINITY, shape, device)?;
    visible.where_cond(&zero, &never)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cache::{BLOCK_TOKENS, CacheShape};

    fn random(shape: [usize; 4], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect();
        Tensor::from_vec(values, &shape, &Device::Cpu).unwrap()
    }

    fn flat(x: &Tensor) -> Vec<f32> {
        x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The textbook formula, one query at a time, in f64.
    fn reference(q: &Tensor, k: &Tensor, v: &Tensor, causal: Causal) -> Vec<f64> {
        let (batch, rows, heads, d) = q.dims4().unwrap();
        let (_, keys, kv_heads, _) = k.dims4().unwrap();
        let (q, k, v) = (flat(q), flat(k), flat(v));
        let mut out = Vec::new();
        for (b, row, head) in
            (0..batch * rows * heads).map(|i| (i / (rows * heads), i / heads % rows, i % heads))
        {
            let q = &q[((b * rows + row) * heads + head) * d..][..d];
            let kv = |j: usize| ((b * keys + j) * kv_heads + head / (heads / kv_heads)) * d;
            let visible = match causal {
                Causal::No => keys,
                Causal::From(position) => position + row + 1,
            };
            let scores: Vec<f64> = (0..visible)
                .map(|j| {
                    let dot: f64 = (0..d).map(|i| f64::from(q[i] * k[kv(j) + i])).sum();
                    (dot / (d as f64).sqrt()).exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            out.extend((0..d).map(|i| {
                let sum: f64 = (0..visible).map(|j| scores[j] * f64::from(v[kv(j) + i])).sum();
                sum / total
            }));
        }
        out
    }

    #[track_caller]
    fn check(q: [usize; 4], keys: usize, kv_heads: usize, causal: Causal) {
        let kv_shape = [q[0], keys, kv_heads, q[3]];
        let (q, k, v) = (random(q, 1), random(kv_shape, 2), random(kv_shape, 3));
        let scale = 1.0 / (q.dim(3).unwrap() as f64).sqrt();
        let fused = attention(&q, &k, &v, causal).unwrap();
        let composite = composite(&q, &k, &v, causal, scale, &mut |_, _| Ok(())).unwrap();
        for (name, ours) in [("fused", fused), ("composite", composite)] {
            for (ours, expected) in flat(&ours).iter().zip(reference(&q, &k, &v, causal)) {
                assert!((f64::from(*ours) - expected).abs() < 1e-5, "{name} {ours} {expected}");
            }
        }
    }

    #[test]
    fn equals_the_textbook_formula() {
        check([2, 5, 2, 8], 5, 2, Causal::No);
        check([1, 1, 7, 16], 33, 1, Causal::From(32));
        check([1, 6, 14, 8], 10, 2, Causal::From(4));
        // More than one block of queries, the last one short, in both implementations.
        check([1, QUERY_BLOCK_ROWS + 3, 2, 4], QUERY_BLOCK_ROWS + 13, 1, Causal::From(10));
        check([3, 70, 2, 4], 70, 2, Causal::No);
    }

    #[test]
    fn blocks_of_a_cache_equal_one_piece() {
        let (rows, heads, kv_heads, d) = (70, 6, 2, 40);
        let shape = CacheShape { blocks: 9, kv_heads, head_dim: d };
        let cache = LayerCache::new(shape, DType::F32, &Device::Cpu).unwrap();
        // From the first position, within a block, and over more than one block of queries.
        for (start, rows) in [(0, 1), (0, rows), (97, 1), (130, rows), (130, 200)] {
            let len = start + rows;
            let (k, v) = (random([1, len, kv_heads, d], 2), random([1, len, kv_heads, d], 3));
            let q = random([1, rows, heads, d], 1);
            let blocks = [8, 3, 1, 6, 2, 0];
            let by_head = |x: &Tensor| x.squeeze(0).unwrap().transpose(0, 1).unwrap();
            cache.write(&blocks, 0, &by_head(&k), &by_head(&v)).unwrap();
            let queries = PagedQueries { q: q.squeeze(0).unwrap(), blocks: &blocks, start };
            let paged = paged_attention(&[queries], &cache).unwrap();
            let expected = reference(&q, &k, &v, Causal::From(start));
            for (ours, expected) in flat(&paged).iter().zip(expected) {
                assert!((f64::from(*ours) - expected).abs() < 1e-5, "{start} {ours} {expected}");
            }
        }
        let q = random([1, 1, heads, d], 1).squeeze(0).unwrap();
        for (blocks, start) in [(&[0, 1][..], 2 * BLOCK_TOKENS), (&[9], 0)] {
            let queries = PagedQueries { q: q.clone(), blocks, start };
            assert!(paged_attention(&[queries], &cache).is_err());
        }
    }

    #[test]
    fn shares_of_pages_are_weights_of_their_keys() {
        let (heads, kv_heads, d) = (6, 2, 40);
        let shape = CacheShape { blocks: 9, kv_heads, head_dim: d };
        let cache = LayerCache::new(shape, DType::F32, &Device::Cpu).unwrap();
        let half = LayerCache::new(shape, DType::BF16, &Device::Cpu).unwrap();
        let (start, rows) = (130, 3);
        let len = start + rows;
        let blocks = [8, 3, 1];
        let by_head = |x: &Tensor| x.squeeze(0).unwrap().transpose(0, 1).unwrap();
        let k = by_head(&random([1, len, kv_heads, d], 2));
        cache.write(&blocks, 0, &k, &k).unwrap();
        let rounded = k.to_dtype(DType::BF16).unwrap();
        half.write(&blocks, 0, &rounded, &rounded).unwrap();
        let q = (random([1, rows, heads, d], 1) * 3.0).unwrap().squeeze(0).unwrap();
        let queries = PagedQueries { q: q.clone(), blocks: &blocks, start };
        let pages = [5..70, 71..128, 130..131];
        let shares = page_shares(&queries, &cache, &pages).unwrap();
        // The textbook formula, with values that say which page their key is on.
        for (page, share) in pages.iter().zip(&shares) {
            let on: Vec<f32> = (0..len)
                .flat_map(|at| vec![f32::from(u8::from(page.contains(&at))); kv_heads * d])
                .collect();
            let v = Tensor::from_vec(on, (1, len, kv_heads, d), &Device::Cpu).unwrap();
            let keys = k.transpose(0, 1).unwrap().unsqueeze(0).unwrap();
            let last = q.narrow(0, rows - 1, 1).unwrap().unsqueeze(0).unwrap();
            let weights = reference(&last, &keys, &v, Causal::From(len - 1));
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            assert!((f64::from(*share) - mean).abs() < 1e-5, "{share} {mean}");
        }
        // Other dtypes and devices, by operations of the library.
        for (ours, exact) in page_shares(&queries, &half, &pages).unwrap().iter().zip(&shares) {
            assert!((ours - exact).abs() < 0.02, "{ours} {exact}");
        }
        let beyond = 100..len + 1;
        assert!(page_shares(&queries, &cache, std::slice::from_ref(&beyond)).is_err());
        let few = PagedQueries { blocks: &blocks[..2], ..queries };
        assert!(page_shares(&few, &cache, &pages).is_err());
    }

    #[test]
    fn sequences_together_equal_each_alone() {
        let (heads, kv_heads, d) = (6, 2, 40);
        let shape = CacheShape { blocks: 9, kv_heads, head_dim: d };
        let cache = LayerCache::new(shape, DType::F32, &Device::Cpu).unwrap();
        let blocks: [&[u32]; 3] = [&[8, 3], &[1, 6, 2], &[0]];
        let all: Vec<PagedQueries<'_>> = [(70, 1), (100, 30), (0, 3)]
            .into_iter()
            .zip(blocks)
            .enumerate()
            .map(|(seed, ((start, rows), blocks))| {
                let (k, v) = (
                    random([1, start + rows, kv_heads, d], seed + 2),
                    random([1, start + rows, kv_heads, d], seed + 9),
                );
                let by_head = |x: &Tensor| x.squeeze(0).unwrap().transpose(0, 1).unwrap();
                cache.write(blocks, 0, &by_head(&k), &by_head(&v)).unwrap();
                let q = random([1, rows, heads, d], seed).squeeze(0).unwrap();
                PagedQueries { q, blocks, start }
            })
            .collect();
        let together = flat(&paged_attention(&all, &cache).unwrap());
        let alone = |one: &PagedQueries<'_>| {
            flat(&paged_attention(std::slice::from_ref(one), &cache).unwrap())
        };
        assert_eq!(together, all.iter().flat_map(alone).collect::<Vec<f32>>());
    }

    #[test]
    fn strided_views_are_read_in_place() {
        let qkv = random([1, 9, 3, 8], 5);
        let part = |i| qkv.narrow(2, i, 1).unwrap();
        let (q, k, v) = (part(0), part(1), part(2));
        let dense = |x: &Tensor| x.contiguous().unwrap();
        let expected = attention(&dense(&q), &dense(&k), &dense(&v), Causal::No).unwrap();
        assert_eq!(flat(&attention(&q, &k, &v, Causal::No).unwrap()), flat(&expected));
    }

    #[test]
    fn half_precision_scores_do_not_overflow() {
        // Products of 400 * 400 * 64 are 156 times the largest f16.
        let large = |x: Tensor| (x.ones_like().unwrap() * 400.0).unwrap();
        let (q, k) = (large(random([1, 3, 1, 64], 1)), large(random([1, 3, 1, 64], 2)));
        let v = random([1, 3, 1, 64], 3);
        let half = |x: &Tensor| x.to_dtype(DType::F16).unwrap();
        let out = attention(&half(&q), &half(&k), &half(&v), Causal::From(0)).unwrap();
        assert!(flat(&out).iter().all(|value| value.is_finite()));
    }
}
