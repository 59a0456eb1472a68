//! How much of a token's attention falls on each page: softmax over all keys of a sequence, summed by page.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, bail};

use super::attention::softmax;
use super::kernel::Kernel;
use super::paged_attention::{PagedAttention, Sizes, dense};

/// From one query, `[heads, head_dim]`, and the cache's keys, `[blocks, kv_heads, block_tokens, head_dim]`, both
/// contiguous f32, to `[pages]`: the mean over the heads.
pub(in crate::model) struct SharesOfPages<'a> {
    /// The query is that of the last token that it sees: `start` is its position.
    pub(in crate::model) attention: PagedAttention<'a>,
    pub(in crate::model) pages: &'a [Range<usize>],
}

impl CustomOp2 for SharesOfPages<'_> {
    fn name(&self) -> &'static str {
        "shares-of-pages"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        keys: &CpuStorage,
        keys_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (heads, head_dim) = q_layout.shape().dims2()?;
        let (blocks, kv_heads, block_tokens, _) = keys_layout.shape().dims4()?;
        let seen = self.attention.start + 1;
        self.attention.check_blocks(seen, block_tokens, blocks)?;
        if self.pages.iter().any(|page| page.start > page.end || page.end > seen) {
            bail!("pages at {:?} of {seen} tokens", self.pages)
        }
        let sizes = Sizes { heads, kv_heads, block_tokens, head_dim };
        let (q, keys) = (dense(q, q_layout)?, dense(keys, keys_layout)?);
        let group = heads / kv_heads;
        let mut shares = vec![0.0; self.pages.len()];
        for (kv_head, q) in q.chunks_exact(group * head_dim).enumerate() {
            // Products are added to what is there.
            let mut scores = vec![0.0; group * seen];
            for (at, from, len) in self.attention.pieces(sizes, kv_head, seen) {
                let keys = &keys[at..][..len * head_dim];
                Kernel::new().dots(group, (q, keys), head_dim, (&mut scores[from..], seen));
            }
            for scores in scores.chunks_exact_mut(seen) {
                let part = softmax(scores, self.attention.scale) / heads as f32;
                for (share, page) in shares.iter_mut().zip(self.pages) {
                    *share += scores[page.clone()].iter().sum::<f32>() * part;
                }
            }
        }
        Ok((CpuStorage::F32(shares), Shape::from(self.pages.len())))
    }
}
