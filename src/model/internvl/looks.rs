//! Where tokens look: how much of a sequence's attention falls on each of its pages, at the end of its segment.
//!
//! What the last token looks at is what the next one is read from. The shares are a mean over the heads of the last
//! third of the layers: that is where a token gathers what it will say, while earlier layers still find out what it is
//! to look for. `docs/fields.md` has what was measured.

use std::ops::Range;

use candle_core::Result;

use super::fused::PageSums;
use crate::limits::PAGES_MAX;
use crate::model::cache::LayerCache;
use crate::model::layers::{PagedQueries, page_shares};
use crate::model::output::PageShares;
use crate::model::runner::Segment;

/// What is looked for in one pass.
pub(super) struct Looks<'a> {
    layers: Range<usize>,
    askers: Vec<Asker<'a>>,
    /// Of each output that the pass will have, which asker it is for.
    outputs: Vec<Option<usize>>,
    /// Of each asker, from layers that sum on the host.
    sums: Vec<PageShares>,
    /// From devices that sum by themselves.
    pending: Vec<PageSums>,
}

/// A sequence whose last token's attention is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// Its index in the pass.
    pub(super) sequence: usize,
    /// Its last row in the pass.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "for fused kernels"))]
    pub(super) row: usize,
    /// Tokens that its last one sees.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "for fused kernels"))]
    pub(super) seen: usize,
    pub(super) pages: &'a [Range<usize>],
}

/// What was seen, once the devices have it.
pub(super) struct Looked {
    outputs: Vec<Option<usize>>,
    sums: Vec<PageShares>,
    pending: Vec<PageSums>,
}

/// Of a model with so many layers, those whose attention counts.
pub(super) fn layers_that_count(layers: usize) -> Range<usize> {
    layers - layers.div_ceil(3)..layers
}

impl<'a> Looks<'a> {
    /// For the segments of a pass over so many layers.
    pub(super) fn new(segments: &[Segment<'a>], layers: usize) -> Self {
        let (mut askers, mut outputs) = (Vec::new(), Vec::new());
        let mut end = 0;
        for (sequence, segment) in segments.iter().enumerate() {
            end += segment.tokens.len();
            if !segment.want.is_something() {
                continue;
            }
            let asks = (1..=PAGES_MAX).contains(&segment.pages.len());
            outputs.push(asks.then_some(askers.len()));
            if asks {
                let seen = segment.start + segment.tokens.len();
                askers.push(Asker { sequence, row: end - 1, seen, pages: segment.pages });
            }
        }
        let sums = askers.iter().map(|asker| vec![0.0; asker.pages.len()]).collect();
        Self { layers: layers_that_count(layers), askers, outputs, sums, pending: Vec::new() }
    }

    /// Of a pass in which nobody asks.
    pub(super) fn none() -> Self {
        Self::new(&[], 0)
    }

    /// Whether anybody asks.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "asked by fused kernels"))]
    pub(super) fn is_asked(&self) -> bool {
        !self.askers.is_empty()
    }

    /// Whether the attention of layer `index` is wanted.
    pub(super) fn counts(&self, index: usize) -> bool {
        !self.askers.is_empty() && self.layers.contains(&index)
    }

    /// Sequences whose attention is wanted.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "asked by fused kernels"))]
    pub(super) fn askers(&self) -> &[Asker<'a>] {
        &self.askers
    }

    /// What a layer's part of a sum over all that count is multiplied by.
    pub(super) fn part(&self) -> f32 {
        1.0 / self.layers.len() as f32
    }

    /// Adds what the last of `queries`, one for each sequence of the pass, see in a layer.
    pub(super) fn add(&mut self, queries: &[PagedQueries<'_>], cache: &LayerCache) -> Result<()> {
        let part = self.part();
        for (asker, sums) in self.askers.iter().zip(&mut self.sums) {
            let shares = page_shares(&queries[asker.sequence], cache, asker.pages)?;
            for (sum, share) in sums.iter_mut().zip(shares) {
                *sum += share * part;
            }
        }
        Ok(())
    }

    /// Adds what a device sums by itself.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "called by fused kernels"))]
    pub(super) fn add_later(&mut self, sums: PageSums) {
        self.pending.push(sums);
    }

    pub(super) fn finish(self) -> Looked {
        let Self { outputs, sums, pending, .. } = self;
        Looked { outputs, sums, pending }
    }
}

impl Looked {
    /// The shares for each output of the pass, or none at all where nobody asks. Waits for the devices.
    pub(super) fn wait(self) -> Result<Vec<PageShares>> {
        let Self { outputs, mut sums, pending } = self;
        if sums.is_empty() {
            return Ok(Vec::new());
        }
        for pending in pending {
            for (sums, more) in sums.iter_mut().zip(pending.wait()?) {
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum += more;
                }
            }
        }
        let of = |asker: Option<usize>| asker.map(|asker| std::mem::take(&mut sums[asker]));
        Ok(outputs.into_iter().map(of).map(Option::unwrap_or_default).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::output::Want;
    use crate::model::runner::Slot;

    #[test]
    fn the_last_third_of_the_layers_counts() {
        assert_eq!(layers_that_count(6), 4..6);
        assert_eq!(layers_that_count(28), 18..28);
        assert_eq!(layers_that_count(1), 0..1);
    }

    #[test]
    fn outputs_find_their_askers() {
        let pages = [1..3, 4..6];
        let segment = |tokens, want, pages| Segment {
            slot: Slot(0),
            blocks: &[],
            start: 10,
            tokens,
            image_tokens_before: 0,
            want,
            pages,
        };
        let segments = [
            segment(&[1, 2, 3][..], Want::Nothing, &pages[..]),
            segment(&[1], Want::Greedy, &[]),
            segment(&[1, 2], Want::Greedy, &pages),
        ];
        let looks = Looks::new(&segments, 6);
        assert!(looks.counts(5) && !looks.counts(3));
        let [asker] = looks.askers[..] else { panic!("{:?}", looks.askers) };
        assert_eq!((asker.sequence, asker.row, asker.seen), (2, 5, 12));
        let mut looked = looks.finish();
        looked.sums[0] = vec![0.5, 0.25];
        assert_eq!(looked.wait().unwrap(), [vec![], vec![0.5, 0.25]]);
        assert_eq!(Looks::none().finish().wait().unwrap(), Vec::<PageShares>::new());
        assert!(!Looks::none().counts(0));
    }
}
