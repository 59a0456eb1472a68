//! The KV cache: blocks of tokens that attention reads and writes through each sequence's list of them.
//! Who owns which block is the engine's business.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::cpu::{PutRows, RowsOfBlock};

/// Tokens of a block: a multiple of 16, which the kernels of GPUs need, and a divisor of a tile's tokens, so
/// that pages of different documents begin at the same places of their blocks.
pub const BLOCK_TOKENS: usize = 64;

/// KV blocks of a pool of `tokens`; none: as many as all slots can fill. Never more than those, and never
/// fewer than one longest sequence needs.
pub fn pool_blocks(slots: usize, slot_tokens: usize, tokens: Option<usize>) -> usize {
    let longest = slot_tokens.div_ceil(BLOCK_TOKENS);
    let all = slots * longest;
    tokens.map_or(all, |tokens| (tokens / BLOCK_TOKENS).clamp(longest, all))
}

/// Keys and values of one decoder layer, allocated once.
#[derive(Debug)]
pub(super) struct LayerCache {
    /// `[blocks, kv_heads, BLOCK_TOKENS, head_dim]`
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

/// Sizes of a cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheShape {
    pub(super) blocks: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
}

/// Rows of one sequence in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows<'a> {
    /// KV blocks of the sequence in order, up to its last row at least.
    pub(super) blocks: &'a [u32],
    /// Position of the first row in its sequence.
    pub(super) start: usize,
    pub(super) len: usize,
}

/// Part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    block: u32,
    /// First of its tokens.
    offset: usize,
    len: usize,
}

impl LayerCache {
    pub(super) fn new(shape: CacheShape, dtype: DType, device: &Device) -> Result<Self> {
        let sizes = (shape.blocks, shape.kv_heads, BLOCK_TOKENS, shape.head_dim);
        let zeros = || Tensor::zeros(sizes, dtype, device);
        Ok(Self { keys: zeros()?, values: zeros()? })
    }

    /// Writes `k` and `v`, `[kv_heads, len, head_dim]`, at positions `start..` of the sequence that has
    /// `blocks`.
    pub(super) fn write(&self, blocks: &[u32], start: usize, k: &Tensor, v: &Tensor) -> Result<()> {
        let mut first = 0;
        for piece in pieces(blocks, start, k.dim(1)?)? {
            for (cache, new) in [(&self.keys, k), (&self.values, v)] {
                let block = cache.narrow(0, piece.block as usize, 1)?.squeeze(0)?;
                let new = new.narrow(1, first, piece.len)?.contiguous()?;
                block.slice_set(&new, 1, piece.offset)?;
            }
            first += piece.len;
        }
        Ok(())
    }

    /// Writes `k` and `v`, `[rows, kv_heads, head_dim]`, of all `sequences` one after the other, where they belong.
    pub(super) fn write_all(&self, sequences: &[Rows<'_>], k: &Tensor, v: &Tensor) -> Result<()> {
        let is_direct = |x: &Tensor| x.device().is_cpu() && x.dtype() == DType::F32;
        let mut first = 0;
        if ![&self.keys, k, v].into_iter().all(is_direct) {
            for Rows { blocks, start, len } in sequences.iter().copied() {
                let of = |x: &Tensor| x.narrow(0, first, len)?.transpose(0, 1);
                self.write(blocks, start, &of(k)?, &of(v)?)?;
                first += len;
            }
            return Ok(());
        }
        let mut rows = Vec::with_capacity(sequences.len());
        for Rows { blocks, start, len } in sequences.iter().copied() {
            for Piece { block, offset, len } in pieces(blocks, start, len)? {
                rows.push(RowsOfBlock { first, block: block as usize, offset, len });
                first += len;
            }
        }
        self.keys.inplace_op2(k, &PutRows(&rows))?;
        self.values.inplace_op2(v, &PutRows(&rows))
    }

    /// A copy of the first `len` keys and values of a sequence, `[1, len, kv_heads, head_dim]` as attention
    /// reads them.
    pub(super) fn gather(&self, blocks: &[u32], len: usize) -> Result<(Tensor, Tensor)> {
        let used = blocks.get(..len.div_ceil(BLOCK_TOKENS)).unwrap_or(blocks);
        let ids = Tensor::from_slice(used, used.len(), self.keys.device())?;
        let of = |cache: &Tensor| {
            let (_, kv_heads, _, head_dim) = cache.dims4()?;
            let rows = cache.index_select(&ids, 0)?.transpose(1, 2)?;
            rows.reshape((1, used.len() * BLOCK_TOKENS, kv_heads, head_dim))?.narrow(1, 0, len)
        };
        Ok((of(&self.keys)?, of(&self.values)?))
    }
}

/// Where positions `start..start + len` are.
fn pieces(blocks: &[u32], start: usize, len: usize) -> Result<Vec<Piece>> {
    let end = start + len;
    let mut pieces = Vec::with_capacity(len / BLOCK_TOKENS + 2);
    let mut at = start;
    while at < end {
        let Some(&block) = blocks.get(at / BLOCK_TOKENS) else {
            bail!("position {at} of a sequence with {} KV blocks", blocks.len())
        };
        let offset = at % BLOCK_TOKENS;
        let len = (BLOCK_TOKENS - offset).min(end - at);
        pieces.push(Piece { block, offset, len });
        at += len;
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_found_in_their_blocks() {
        let piece = |block, offset, len| Piece { block, offset, len };
        assert_eq!(pieces(&[7], 0, 3).unwrap(), [piece(7, 0, 3)]);
        assert_eq!(
            pieces(&[7, 2, 5], BLOCK_TOKENS - 1, BLOCK_TOKENS + 2).unwrap(),
            [piece(7, BLOCK_TOKENS - 1, 1), piece(2, 0, BLOCK_TOKENS), piece(5, 0, 1)]
        );
        assert!(pieces(&[7], BLOCK_TOKENS, 1).is_err());
    }

    #[test]
    fn sequences_written_together_are_written_as_each_alone() {
        let shape = CacheShape { blocks: 6, kv_heads: 2, head_dim: 3 };
        let sequences = [
            Rows { blocks: &[4, 1], start: BLOCK_TOKENS - 2, len: 5 },
            Rows { blocks: &[0], start: 9, len: 1 },
            Rows { blocks: &[5, 2], start: 0, len: 0 },
            Rows { blocks: &[3, 5], start: BLOCK_TOKENS, len: 2 },
        ];
        for dtype in [DType::F32, DType::BF16] {
            let new = || LayerCache::new(shape, dtype, &Device::Cpu).unwrap();
            let (together, alone) = (new(), new());
            // Keys and values are parts of wider rows.
            let values: Vec<f32> = (0..8 * 5 * 3).map(|i| i as f32).collect();
            let rows = Tensor::from_vec(values, (8, 5, 3), &Device::Cpu).unwrap();
            let rows = rows.to_dtype(dtype).unwrap();
            let part = |first: usize| rows.narrow(1, first, 2).unwrap();
            let (k, v) = (part(0), part(3));
            together.write_all(&sequences, &k, &v).unwrap();
            let mut first = 0;
            for Rows { blocks, start, len } in sequences {
                let of = |x: &Tensor| x.narrow(0, first, len).unwrap().transpose(0, 1).unwrap();
                alone.write(blocks, start, &of(&k), &of(&v)).unwrap();
                first += len;
            }
            let flat = |x: &Tensor| -> Vec<f32> {
                x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
            };
            assert_eq!(flat(&together.keys), flat(&alone.keys));
            assert_eq!(flat(&together.values), flat(&alone.values));
            assert!(flat(&alone.keys).iter().any(|x| *x != 0.0));
            let beyond = [Rows { blocks: &[6], start: 0, len: 8 }];
            assert!(together.write_all(&beyond, &k, &v).is_err());
        }
    }

    #[test]
    fn what_is_written_in_pieces_is_gathered_in_order() {
        let shape = CacheShape { blocks: 4, kv_heads: 2, head_dim: 3 };
        let cache = LayerCache::new(shape, DType::F32, &Device::Cpu).unwrap();
        let len = BLOCK_TOKENS + 7;
        let values = |from: f32| {
            let count = (2 * len * 3) as u32;
            let all: Vec<f32> = (0..count).map(|i| from + i as f32).collect();
            Tensor::from_vec(all, (2, len, 3), &Device::Cpu).unwrap()
        };
        let (k, v) = (values(0.0), values(1e4));
        let blocks = [3, 1];
        for (start, count) in [(0, 5), (5, BLOCK_TOKENS), (5 + BLOCK_TOKENS, 2)] {
            let part = |x: &Tensor| x.narrow(1, start, count).unwrap();
            cache.write(&blocks, start, &part(&k), &part(&v)).unwrap();
        }
        let (keys, found) = cache.gather(&blocks, len).unwrap();
        let flat = |x: Tensor| -> Vec<f32> { x.flatten_all().unwrap().to_vec1().unwrap() };
        let expected = |x: &Tensor| flat(x.transpose(0, 1).unwrap());
        assert_eq!((flat(keys), flat(found)), (expected(&k), expected(&v)));
    }
}
