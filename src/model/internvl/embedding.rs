//! The embedding: a row of its table for each token.
//!
//! The table is on the device where rows begin, or stays in the host's memory, from which one row for each token
//! is then sent. A pass reads few of its rows and computes nothing with them, so a GPU has the room for KV entries
//! instead: 1.1 GB in the 8B shape.

use std::ops::Range;
use std::sync::Arc;

use candle_core::cpu_backend::CpuStorage;
use candle_core::{DType, Result, Storage, Tensor, bail};

use super::config::TextConfig;
use super::home::{Home, Homes};
use crate::model::layers::Visit;
use crate::weights::{Loaded, Weights};

pub(super) struct Embedding {
    /// `[vocab, hidden]`; in the host's memory other replicas of the model read it too.
    table: Arc<Tensor>,
    /// Where rows begin.
    home: Home,
}

impl Embedding {
    pub(super) fn load(config: &TextConfig, homes: &Homes, weights: &Weights) -> Loaded<Self> {
        const NAME: &str = "language_model.model.embed_tokens.weight";
        let shape = [config.vocab_size, config.hidden_size];
        let home = homes.table();
        let matrices = home.matrices(weights);
        let load = || matrices.tensor(NAME, &shape);
        let table = match &homes.host {
            Some(host) => host.tables.table(home.compute(), load)?,
            None => Arc::new(load()?),
        };
        // It was used, whoever read it.
        matrices.stored(NAME, &shape)?;
        Ok(Self { table, home: homes.embedding.clone() })
    }

    pub(super) fn table(&self) -> &Tensor {
        &self.table
    }

    pub(super) fn visit(&self, visit: Visit<'_>) {
        visit("weight", &self.table);
    }

    /// Whether rows are sent from the host's memory to a device that has its own.
    pub(super) fn is_on_host(&self) -> bool {
        self.table.device().is_cpu() && !self.home.candle_device().is_cpu()
    }

    /// The rows of `ids` where rows begin, `[ids, hidden]`. Rows of `image` may be anything: features take their
    /// place.
    pub(super) fn rows(&self, ids: &[u32], image: u32) -> Result<Tensor> {
        let (device, residual) = (self.home.candle_device(), self.home.residual());
        let of = |ids: &[u32]| {
            let ids = Tensor::from_slice(ids, ids.len(), self.table.device())?;
            self.table.index_select(&ids, 0)?.to_dtype(residual)
        };
        if !self.is_on_host() {
            return of(ids);
        }
        let rows = Tensor::zeros((ids.len(), self.table.dim(1)?), residual, device)?;
        for (_, run) in runs(ids, image).filter(|(is_image, _)| !is_image) {
            rows.slice_set(&of(&ids[run.clone()])?.to_device(device)?, 0, run.start)?;
        }
        Ok(rows)
    }

    /// The rows of `ids` of a table in the host's memory, one behind the other, as a device reads them: words of
    /// two numbers in bf16 and f16, of one in f32. Zeros for an id that is not in the table.
    #[cfg_attr(
        not(any(feature = "cuda", test)),
        expect(dead_code, reason = "for decoding steps of GPUs")
    )]
    pub(super) fn put_rows(&self, ids: &[u32], to: &mut [u32]) -> Result<()> {
        let (_, width) = self.table.dims2()?;
        let (storage, layout) = self.table.storage_and_layout();
        let Some((first, end)) = layout.contiguous_offsets() else { bail!("a table with gaps") };
        let Storage::Cpu(storage) = &*storage else { bail!("a table that is not on the host") };
        let residual = self.home.residual();
        match (storage, residual) {
            (CpuStorage::F32(table), DType::F32) => {
                put(&table[first..end], width, ids, to, |row, to| {
                    to.iter_mut().zip(row).for_each(|(to, x)| *to = x.to_bits());
                });
            }
            (CpuStorage::F16(table), DType::F32) => {
                put(&table[first..end], width, ids, to, |row, to| {
                    to.iter_mut().zip(row).for_each(|(to, x)| *to = x.to_f32().to_bits());
                });
            }
            (CpuStorage::BF16(table), DType::BF16) => {
                put(&table[first..end], width, ids, to, |row, to| {
                    for (to, pair) in to.iter_mut().zip(row.chunks_exact(2)) {
                        *to = u32::from(pair[0].to_bits()) | u32::from(pair[1].to_bits()) << 16;
                    }
                });
            }
            _ => bail!("rows of {residual:?} from a table of {:?}", self.table.dtype()),
        }
        Ok(())
    }
}

/// Packs the row of each of `ids` into as many words of `to`.
fn put<T>(table: &[T], width: usize, ids: &[u32], to: &mut [u32], pack: impl Fn(&[T], &mut [u32])) {
    for (id, to) in ids.iter().zip(to.chunks_exact_mut(to.len() / ids.len().max(1))) {
        match table.chunks_exact(width).nth(*id as usize) {
            Some(row) => pack(row, to),
            None => to.fill(0),
        }
    }
}

/// The ranges of `ids` in which text and images take turns, each with whether it is `image`.
pub(super) fn runs(ids: &[u32], image: u32) -> impl Iterator<Item = (bool, Range<usize>)> {
    let mut start = 0;
    ids.chunk_by(move |a, b| (*a == image) == (*b == image)).map(move |run| {
        let range = start..start + run.len();
        start = range.end;
        (run[0] == image, range)
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use half::{bf16, f16};

    use super::*;
    use crate::device::{self, DeviceRequest, DeviceSelection, Dtype};
    use crate::placement::DtypePolicy;

    fn embedding(table: Tensor, compute: Dtype) -> Embedding {
        let policy = DtypePolicy { requested: Some(compute), ..DtypePolicy::default() };
        let decision = policy.decide("language_model.model.embed_tokens", None).unwrap();
        let cpu = device::open(&DeviceSelection::Listed(vec![DeviceRequest::Cpu])).unwrap();
        Embedding {
            table: Arc::new(table),
            home: Home { index: 0, device: cpu[0].clone(), decision },
        }
    }

    #[test]
    fn rows_are_packed_as_a_device_reads_them() {
        let values: Vec<f32> = (0..12u8).map(f32::from).collect();
        let table = Tensor::from_vec(values, (3, 4), &Device::Cpu).unwrap();
        let packed = |stored: DType, compute: Dtype, words: usize| {
            let embedding = embedding(table.to_dtype(stored).unwrap(), compute);
            let mut to = vec![u32::MAX; 3 * words];
            embedding.put_rows(&[2, 0, 3], &mut to).unwrap();
            assert!(to[2 * words..].iter().all(|word| *word == 0), "no row 3");
            to.truncate(2 * words);
            to
        };
        let floats = [8.0f32, 9.0, 10.0, 11.0, 0.0, 1.0, 2.0, 3.0];
        assert_eq!(packed(DType::F32, Dtype::F32, 4), floats.map(f32::to_bits));
        assert_eq!(packed(DType::F16, Dtype::F16, 4), floats.map(f32::to_bits));
        let halves: Vec<u8> =
            floats.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        let words = packed(DType::BF16, Dtype::Bf16, 2);
        assert_eq!(words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>(), halves);
    }

    #[test]
    fn rows_of_another_kind_are_refused() {
        let table = Tensor::full(f16::ONE, (1, 2), &Device::Cpu).unwrap();
        let error = embedding(table, Dtype::Bf16).put_rows(&[0], &mut [0]).unwrap_err();
        assert!(error.to_string().contains("BF16"), "{error}");
    }

    #[test]
    fn text_and_images_take_turns() {
        let found = |ids: &[u32]| runs(ids, 9).collect::<Vec<_>>();
        assert_eq!(found(&[9, 9, 1, 2, 9]), [(true, 0..2), (false, 2..4), (true, 4..5)]);
        assert_eq!(found(&[1, 9]), [(false, 0..1), (true, 1..2)]);
        assert_eq!(found(&[1, 2]), [(false, 0..2)]);
        assert!(found(&[]).is_empty());
    }
}
