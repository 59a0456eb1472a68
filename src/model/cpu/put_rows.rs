//! Rows of keys or values into the blocks of the KV cache.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, bail};

/// Rows that follow each other, and go to tokens of one block that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) struct RowsOfBlock {
    /// First of the rows.
    pub(in crate::model) first: usize,
    pub(in crate::model) block: usize,
    /// First of the block's tokens.
    pub(in crate::model) offset: usize,
    pub(in crate::model) len: usize,
}

/// Writes rows of the second tensor, f32 `[rows, kv_heads, head_dim]` with dense heads, to the first, a dense cache of
/// `[blocks, kv_heads, block_tokens, head_dim]`.
pub(in crate::model) struct PutRows<'a>(pub(in crate::model) &'a [RowsOfBlock]);

impl InplaceOp2 for PutRows<'_> {
    fn name(&self) -> &'static str {
        "put-rows"
    }

    fn cpu_fwd(
        &self,
        cache: &mut CpuStorage,
        cache_layout: &Layout,
        rows: &CpuStorage,
        rows_layout: &Layout,
    ) -> Result<()> {
        let (blocks, kv_heads, block_tokens, head_dim) = cache_layout.shape().dims4()?;
        let (count, heads, width) = rows_layout.shape().dims3()?;
        let (CpuStorage::F32(cache), CpuStorage::F32(rows)) = (cache, rows) else {
            bail!("rows for the cache are f32")
        };
        let (Some((first, end)), &[stride, head_stride, 1]) =
            (cache_layout.contiguous_offsets(), rows_layout.stride())
        else {
            bail!("rows for the cache have dense heads")
        };
        if (heads, width) != (kv_heads, head_dim) || heads > 1 && head_stride != head_dim {
            bail!("rows of {heads} heads of {width} for a cache of {kv_heads} of {head_dim}")
        }
        let (cache, rows) = (&mut cache[first..end], &rows[rows_layout.start_offset()..]);
        for part in self.0 {
            if part.block >= blocks
                || part.offset + part.len > block_tokens
                || part.first + part.len > count
            {
                bail!("{part:?} of {count} rows, and {blocks} blocks of {block_tokens} tokens")
            }
            for at in 0..part.len {
                let row = &rows[(part.first + at) * stride..][..kv_heads * head_dim];
                for (head, values) in row.chunks_exact(head_dim).enumerate() {
                    let token = (part.block * kv_heads + head) * block_tokens + part.offset + at;
                    cache[token * head_dim..][..head_dim].copy_from_slice(values);
                }
            }
        }
        Ok(())
    }
}
