//! What a pass is for: the rows that somebody reads. A layer's keys and values need all rows before it, so only the last layer
//! can leave rows out, once their keys and values are in the cache: of a prompt all but the last.

use candle_core::{DType, Device, Result, Tensor};

use crate::model::cache::Rows;

/// Rows that a pass is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim<'a> {
    /// All, for those who look at them.
    All,
    /// The last row of each of these sequences, by their indices in the pass, ascending.
    LastOf(&'a [usize]),
}

/// Rows that the last layer is finished for, where those are not all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ends<'a> {
    /// Their indices in the pass, ascending.
    rows: Vec<u32>,
    /// Of each its sequence, as if it were that one's only row here.
    pub(super) sequences: Vec<Rows<'a>>,
    /// Of each the index of its sequence.
    pub(super) indices: &'a [usize],
}

impl<'a> Ends<'a> {
    /// None where `aim` has every row of the pass.
    pub(super) fn of(aim: Aim<'a>, sequences: &[Rows<'a>]) -> Option<Self> {
        let Aim::LastOf(indices) = aim else { return None };
        let is_one = |rows: &Rows<'_>| rows.len == 1;
        if indices.len() == sequences.len() && sequences.iter().all(is_one) {
            return None;
        }
        let mut ends = Self { rows: Vec::new(), sequences: Vec::new(), indices };
        let (mut end, mut wanted) = (0, indices.iter().peekable());
        for (index, rows) in sequences.iter().enumerate() {
            end += rows.len;
            if wanted.next_if_eq(&&index).is_some() {
                ends.rows.push(end as u32 - 1);
                let start = rows.start + rows.len - 1;
                ends.sequences.push(Rows { blocks: rows.blocks, start, len: 1 });
            }
        }
        Some(ends)
    }

    /// Has a device load what [`gather`](Self::gather) needs of it, before somebody waits for it.
    pub(super) fn warm_up(device: &Device, dtype: DType) -> Result<()> {
        let rows = Tensor::zeros((3, 1), dtype, device)?;
        rows.index_select(&Tensor::from_slice(&[0u32, 2], 2, device)?, 0).map(drop)
    }

    /// Whether nobody reads any row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Their rows of `x`, whose first dimension is the rows of the pass.
    pub(super) fn gather(&self, x: &Tensor) -> Result<Tensor> {
        let (first, count) = (self.rows.first().copied().unwrap_or(0), self.rows.len());
        let follow_each_other = self.rows.iter().zip(first..).all(|(row, next)| *row == next);
        if follow_each_other {
            return x.narrow(0, first as usize, count);
        }
        x.index_select(&Tensor::from_slice(&self.rows, count, x.device())?, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCES: [Rows<'_>; 4] = [
        Rows { blocks: &[3], start: 9, len: 1 },
        Rows { blocks: &[4, 5], start: 64, len: 3 },
        Rows { blocks: &[6], start: 0, len: 2 },
        Rows { blocks: &[7], start: 5, len: 1 },
    ];

    #[test]
    fn the_last_row_of_a_sequence_is_a_sequence_of_one() {
        let ends = Ends::of(Aim::LastOf(&[0, 1, 3]), &SEQUENCES).unwrap();
        assert_eq!(ends.rows, [0, 3, 6]);
        let one = |index: usize, start| Rows { start, len: 1, ..SEQUENCES[index] };
        assert_eq!(ends.sequences, [one(0, 9), one(1, 66), one(3, 5)]);
        let x = Tensor::arange(0f32, 14.0, &Device::Cpu).unwrap().reshape((7, 2)).unwrap();
        let rows = ends.gather(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[0.0, 1.0], [6.0, 7.0], [12.0, 13.0]]);
        let ends = Ends::of(Aim::LastOf(&[2, 3]), &SEQUENCES).unwrap();
        let rows = ends.gather(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[10.0, 11.0], [12.0, 13.0]]);
    }

    #[test]
    fn nothing_is_left_out_where_every_row_is_read() {
        assert_eq!(Ends::of(Aim::All, &SEQUENCES), None);
        let ones = [SEQUENCES[0], SEQUENCES[3]];
        assert_eq!(Ends::of(Aim::LastOf(&[0, 1]), &ones), None);
        assert_eq!(Ends::of(Aim::LastOf(&[1]), &ones).unwrap().rows, [1]);
        let none = Ends::of(Aim::LastOf(&[]), &SEQUENCES).unwrap();
        assert!(none.is_empty());
        let x = Tensor::zeros((7, 2), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(none.gather(&x).unwrap().dims(), [0, 2]);
    }
}
