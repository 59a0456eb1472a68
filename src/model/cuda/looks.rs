//! How much of the attention of some queries falls on each page of their sequences, summed over layers on the device.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor, bail};

use super::argument::Argument;
use super::attention::{GROUP_MAX, Paged};
use super::launch::{GRID_MAX, Grid, Module, buffer, expect, launch, module, suffix};

const LOOKS: Module = module!("looks");

// As in the kernels.
const JOB_KEYS: usize = 256;
const HEADS_MAX: usize = 256;
const NO_PAGE: u32 = u32::MAX;
/// Words of a job.
const JOB_WORDS: usize = 4;

/// A query whose attention is wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Looking<'a> {
    /// Its row among the queries.
    pub(in crate::model) row: usize,
    /// Its sequence in the tables.
    pub(in crate::model) sequence: usize,
    /// Tokens that it sees.
    pub(in crate::model) seen: usize,
    /// In their order, and apart.
    pub(in crate::model) pages: &'a [Range<usize>],
}

/// Sums of one device, over the layers that are added.
pub(in crate::model) struct Glance {
    /// u32, `[jobs, JOB_WORDS]`
    jobs: Tensor,
    /// u32, `[jobs]`
    pages: Tensor,
    /// u32, `[queries, 2]`
    sequences: Tensor,
    /// f32, `[jobs, heads, 2]`; each layer writes it anew.
    partial: Tensor,
    /// f32 in words of u32, `[queries, pages_max]`
    sums: Tensor,
    heads: usize,
}

/// One query's keys in jobs, each with its page.
fn jobs_of(looking: &Looking<'_>) -> Vec<([u32; JOB_WORDS], u32)> {
    let mut jobs = Vec::new();
    let mut put = |keys: Range<usize>, page: u32| {
        for first in keys.clone().step_by(JOB_KEYS) {
            let end = (first + JOB_KEYS).min(keys.end);
            let job = [looking.row, looking.sequence, first, end].map(|word| word as u32);
            jobs.push((job, page));
        }
    };
    let mut at = 0;
    for (index, page) in looking.pages.iter().enumerate() {
        put(at..page.start, NO_PAGE);
        put(page.clone(), index as u32);
        at = page.end;
    }
    put(at..looking.seen, NO_PAGE);
    jobs
}

impl Glance {
    /// For these queries, of so many heads each.
    pub(in crate::model) fn new(
        looking: &[Looking<'_>],
        heads: usize,
        device: &Device,
    ) -> Result<Self> {
        if heads > HEADS_MAX {
            bail!("{heads} heads have no kernel that sums their attention");
        }
        let (mut jobs, mut pages, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        for one in looking {
            let of_one = jobs_of(one);
            sequences.extend([pages.len() as u32, of_one.len() as u32]);
            for (job, page) in of_one {
                jobs.extend(job);
                pages.push(page);
            }
        }
        let (count, pages_max) = (pages.len(), looking.iter().map(|one| one.pages.len()).max());
        // In one copy.
        let words = [jobs, pages, sequences].concat();
        let words = Tensor::from_slice(&words, words.len(), device)?;
        let part = |first: usize, len: usize| words.narrow(0, first, len);
        Ok(Self {
            jobs: part(0, count * JOB_WORDS)?,
            pages: part(count * JOB_WORDS, count)?,
            sequences: part(count * (JOB_WORDS + 1), looking.len() * 2)?,
            partial: buffer(device, (count, heads, 2), DType::F32)?,
            sums: Tensor::zeros((looking.len(), pages_max.unwrap_or(0)), DType::U32, device)?,
            heads,
        })
    }

    /// Adds `part` of what the queries `q`, `[rows, heads, head_dim]`, see in a layer's cache, which has their keys.
    #[expect(unsafe_code, reason = "kernel launches")]
    pub(in crate::model) fn add(&self, q: &Tensor, cache: Paged<'_>, part: f32) -> Result<()> {
        let dtype = q.dtype();
        let sizes = cache.sizes(dtype)?;
        let (_, heads, head_dim) = q.dims3()?;
        let group = heads / sizes.kv_heads;
        let ((queries, pages_max), jobs) = (self.sums.dims2()?, self.pages.dim(0)?);
        if heads != self.heads
            || heads != group * sizes.kv_heads
            || group > GROUP_MAX
            || head_dim != sizes.head_dim
            || !matches!(head_dim, 64 | 128)
            || jobs > GRID_MAX
            || queries > GRID_MAX
            || pages_max > HEADS_MAX
        {
            bail!("queries {:?} have no kernel that sums their attention: {sizes:?}", q.shape());
        }
        expect(&self.partial, &[jobs, heads, 2], DType::F32)?;
        let device = q.device().as_cuda_device()?;
        // SAFETY: jobs name rows of `q` and sequences of the tables, which the caller made them for; keys are read
        // only in blocks that there are and before the end of a table. A block writes its own part of `partial`,
        // and adds to its own row of `sums`.
        unsafe {
            let mut arguments = vec![
                Argument::Tensor(q),
                Argument::Tensor(cache.keys),
                Argument::Tensor(cache.tables),
                Argument::Tensor(&self.jobs),
                Argument::Tensor(&self.partial),
                Argument::Int(group),
            ];
            arguments.extend(sizes.arguments());
            arguments.push(Argument::Float(1.0 / (head_dim as f32).sqrt()));
            let name = format!("page_scores_{}_{head_dim}", suffix(dtype)?);
            let blocks = [jobs, sizes.kv_heads, 1];
            let grid = Grid { blocks, threads: JOB_KEYS, shared_bytes: 0 };
            launch(device, &LOOKS, &name, grid, &arguments)?;
            let arguments = [
                Argument::Tensor(&self.partial),
                Argument::Tensor(&self.pages),
                Argument::Tensor(&self.sequences),
                Argument::Tensor(&self.sums),
                Argument::Int(heads),
                Argument::Int(pages_max),
                Argument::Float(part),
            ];
            let grid = Grid { blocks: [queries, 1, 1], threads: HEADS_MAX, shared_bytes: 0 };
            launch(device, &LOOKS, "page_sums", grid, &arguments)
        }
    }

    /// What was summed, f32 in words of u32, `[queries, pages_max]`.
    pub(in crate::model) fn sums(&self) -> &Tensor {
        &self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cache::{CacheShape, LayerCache};
    use crate::model::layers::{PagedQueries, page_shares};

    #[test]
    fn jobs_cover_every_key_once_and_stay_on_their_page() {
        let pages = [3..300, 301..302];
        let looking = Looking { row: 7, sequence: 2, seen: 1000, pages: &pages };
        let jobs = jobs_of(&looking);
        let mut at = 0;
        for ([row, sequence, first, end], page) in jobs {
            assert_eq!((row, sequence, first), (7, 2, at));
            assert!(first < end && end - first <= JOB_KEYS as u32);
            for key in first..end {
                let on = pages.iter().position(|page| page.contains(&(key as usize)));
                assert_eq!(page, on.map_or(NO_PAGE, |page| page as u32), "key {key}");
            }
            at = end;
        }
        assert_eq!(at, 1000);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one page")]
    fn the_kernels_see_what_the_library_s_operations_see() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("skipped: there is no GPU");
            return;
        };
        for (heads, kv_heads, d, dtype) in
            [(28, 4, 128, DType::BF16), (6, 2, 64, DType::F16), (5, 5, 128, DType::F16)]
        {
            let shape = CacheShape { blocks: 40, kv_heads, head_dim: d };
            let cache = LayerCache::new(shape, dtype, &device).unwrap();
            let of = |rows: usize, heads: usize, scale: f32| {
                Tensor::randn(0f32, scale, (rows, heads, d), &device)
                    .unwrap()
                    .to_dtype(dtype)
                    .unwrap()
            };
            let (all, short): (Vec<u32>, Vec<u32>) = ((0..30).rev().collect(), (30..32).collect());
            for (blocks, len) in [(&all, 1900), (&short, 100)] {
                let k = of(len, kv_heads, 1.0).transpose(0, 1).unwrap();
                cache.write(blocks, 0, &k, &k).unwrap();
            }
            let q = of(4, heads, 2.0);
            let (two, one) = ([20..900, 901..1800], [1..65]);
            let table = [all.clone(), short.clone(), vec![30; 28]].concat();
            let tables = Tensor::from_vec(table, (2, 30), &device).unwrap();
            let paged = Paged { keys: &cache.keys, values: &cache.values, tables: &tables };
            let looking = [
                Looking { row: 3, sequence: 0, seen: 1900, pages: &two },
                Looking { row: 1, sequence: 1, seen: 100, pages: &one },
            ];
            let glance = Glance::new(&looking, heads, &device).unwrap();
            // Two layers that are alike.
            glance.add(&q, paged, 0.5).unwrap();
            glance.add(&q, paged, 0.5).unwrap();
            let sums = glance.sums().to_vec2::<u32>().unwrap();
            for (one, sums) in looking.iter().zip(sums) {
                let blocks = if one.sequence == 0 { &all } else { &short };
                let q = q.narrow(0, one.row, 1).unwrap();
                let queries = PagedQueries { q, blocks, start: one.seen - 1 };
                let expected = page_shares(&queries, &cache, one.pages).unwrap();
                for (ours, expected) in sums.iter().map(|word| f32::from_bits(*word)).zip(expected)
                {
                    assert!((ours - expected).abs() < 1e-4, "{heads} {d}: {ours} {expected}");
                }
            }
        }
    }
}
