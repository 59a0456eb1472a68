//! Image features: of the sequences that run, by slot, and of pages that were seen before, by key.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use crate::model::runner::{FeatureKey, Slot};

/// Rows in the embedding's place, `[rows, hidden]`, on its device.
#[derive(Debug)]
pub(super) struct FeatureRows {
    /// Pieces of each slot, by their first row; they may share memory with what is kept.
    slots: Vec<BTreeMap<usize, Tensor>>,
    kept: HashMap<FeatureKey, Tensor>,
}

impl FeatureRows {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots: vec![BTreeMap::new(); slots], kept: HashMap::new() }
    }

    pub(super) fn insert(&mut self, slot: Slot, first_row: usize, rows: Tensor) {
        self.slots[slot.0 as usize].insert(first_row, rows);
    }

    /// All pieces of a slot.
    pub(super) fn pieces(&self, slot: Slot) -> impl Iterator<Item = &Tensor> {
        self.slots[slot.0 as usize].values()
    }

    /// Rows of a slot, in pieces.
    pub(super) fn rows(&self, slot: Slot, rows: Range<usize>) -> Result<Vec<Tensor>> {
        let mut found = Vec::new();
        let mut at = rows.start;
        while at < rows.end {
            let Some((first, piece)) = self.slots[slot.0 as usize].range(..=at).next_back() else {
                bail!("image tokens without encoded pages")
            };
            let (offset, len) = (at - first, piece.dim(0)?);
            if offset >= len {
                bail!("image row {at} of a slot whose pieces end at {}", first + len)
            }
            let count = (len - offset).min(rows.end - at);
            found.push(piece.narrow(0, offset, count)?);
            at += count;
        }
        Ok(found)
    }

    /// Keeps rows of a slot. Memory is shared where they are a whole piece.
    pub(super) fn keep(&mut self, slot: Slot, rows: Range<usize>, key: FeatureKey) -> Result<()> {
        let piece = self.slots[slot.0 as usize].get(&rows.start);
        let whole = piece.filter(|piece| piece.dims().first() == Some(&rows.len()));
        let kept = match whole {
            Some(piece) => piece.clone(),
            None => match &self.rows(slot, rows)?[..] {
                [one] => one.force_contiguous()?,
                several => Tensor::cat(several, 0)?,
            },
        };
        self.kept.insert(key, kept);
        Ok(())
    }

    pub(super) fn reuse(&mut self, slot: Slot, first_row: usize, key: FeatureKey) {
        if let Some(rows) = self.kept.get(&key) {
            self.slots[slot.0 as usize].insert(first_row, rows.clone());
        }
    }

    pub(super) fn forget(&mut self, key: FeatureKey) {
        self.kept.remove(&key);
    }

    pub(super) fn release(&mut self, slot: Slot) {
        self.slots[slot.0 as usize].clear();
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn rows(from: u32, count: u32) -> Tensor {
        Tensor::arange(from, from + count, &Device::Cpu).unwrap().unsqueeze(1).unwrap()
    }

    fn read(features: &FeatureRows, slot: u32, rows: Range<usize>) -> Vec<u32> {
        let pieces = features.rows(Slot(slot), rows).unwrap();
        pieces.iter().flat_map(|piece| piece.flatten_all().unwrap().to_vec1().unwrap()).collect()
    }

    #[test]
    fn rows_are_found_across_pieces() {
        let mut features = FeatureRows::new(2);
        features.insert(Slot(1), 0, rows(0, 4));
        features.insert(Slot(1), 4, rows(4, 4));
        features.insert(Slot(1), 12, rows(12, 4));
        assert_eq!(read(&features, 1, 2..7), [2, 3, 4, 5, 6]);
        assert!(features.rows(Slot(1), 6..9).is_err(), "a gap");
        assert!(features.rows(Slot(0), 0..1).is_err(), "another slot's");
    }

    #[test]
    fn kept_rows_outlive_their_slot() {
        let mut features = FeatureRows::new(2);
        features.insert(Slot(0), 0, rows(0, 4));
        features.insert(Slot(0), 4, rows(4, 4));
        for (key, range) in [(1, 0..8), (2, 4..8), (3, 5..7)] {
            features.keep(Slot(0), range, FeatureKey(key)).unwrap();
        }
        features.release(Slot(0));
        for (key, first, expected) in [(1, 0, 0..8u32), (2, 8, 4..8), (3, 12, 5..7)] {
            features.reuse(Slot(1), first, FeatureKey(key));
            let len = expected.len();
            assert_eq!(read(&features, 1, first..first + len), expected.collect::<Vec<u32>>());
        }
        features.forget(FeatureKey(1));
        assert_eq!(read(&features, 1, 0..2), [0, 1]);
    }
}
