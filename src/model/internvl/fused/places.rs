//! What a device reads of a step: where its rows stand in their sequences, and where these are in the cache.

use candle_core::{Device, Result, Tensor, bail};

use crate::model::cache::{BLOCK_TOKENS, Rows};
use crate::model::cuda::attention::Span;
use crate::model::layers::RopeTable;

/// What one device reads of a step, the same for all of its layers.
pub(super) struct Places {
    /// Position of each row, u32.
    pub(super) positions: Tensor,
    /// Index of each row's sequence in this step, u32; none where a row is its sequence.
    pub(super) sequences: Option<Tensor>,
    /// Each sequence's blocks of the cache, u32, `[sequences, table_blocks]`.
    pub(super) tables: Tensor,
    /// Tokens of each sequence, these rows included, u32.
    pub(super) lengths: Tensor,
    /// Rows of the step in pieces that one launch attends from.
    pub(super) pieces: Vec<Piece>,
    /// Of the sequences of one row.
    pub(super) span: Span,
    pub(super) cos: Tensor,
    pub(super) sin: Tensor,
}

/// Rows that attend together: some sequences with one row each, or several rows of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) first_sequence: usize,
    pub(super) sequences: usize,
}

impl Piece {
    pub(super) fn is_of_single_rows(self) -> bool {
        self.rows == self.sequences
    }
}

impl Places {
    /// None where a sequence is longer than the angles of `rope` are made for.
    pub(super) fn new(
        rows: &[Rows<'_>],
        rope: &RopeTable,
        device: &Device,
    ) -> Result<Option<Self>> {
        let longest = rows.iter().map(|rows| rows.start + rows.len).max().unwrap_or(0);
        let Some((cos, sin)) = rope.unscaled(longest) else { return Ok(None) };
        let of_rows = || {
            let rows = rows.iter().enumerate();
            rows.flat_map(|(index, rows)| (0..rows.len).map(move |row| (index, rows.start + row)))
        };
        let (count, all) = (rows.len(), of_rows().count());
        let mut values: Vec<u32> = of_rows().map(|(_, position)| position as u32).collect();
        values.extend(of_rows().map(|(index, _)| index as u32));
        values.extend(rows.iter().map(|rows| (rows.start + rows.len) as u32));
        let first_table = values.len();
        let table_blocks = longest.div_ceil(BLOCK_TOKENS).max(1);
        for rows in rows {
            put_table(&mut values, rows.blocks, table_blocks)?;
        }
        // In one copy.
        let values = Tensor::from_slice(&values, values.len(), device)?;
        Ok(Some(Self {
            positions: values.narrow(0, 0, all)?,
            sequences: Some(values.narrow(0, all, all)?),
            lengths: values.narrow(0, 2 * all, count)?,
            tables: values
                .narrow(0, first_table, count * table_blocks)?
                .reshape((count, table_blocks))?,
            pieces: pieces(rows),
            // Where only the last row of a sequence is left the others are of the same step.
            span: Span { longest, fresh: None },
            cos: cos.clone(),
            sin: sin.clone(),
        }))
    }
}

/// Appends the first `width` blocks of a sequence. Where it has fewer its first stands for what is behind
/// its end, so that nobody else's is named.
pub(super) fn put_table(values: &mut Vec<u32>, blocks: &[u32], width: usize) -> Result<()> {
    let Some(&first) = blocks.first() else { bail!("a sequence without KV blocks") };
    let end = values.len() + width;
    values.extend(blocks.iter().take(width));
    values.resize(end, first);
    Ok(())
}

/// Sequences of one row that follow each other go together, others alone.
fn pieces(rows: &[Rows<'_>]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut first_row = 0;
    for (index, rows) in rows.iter().enumerate() {
        match pieces.last_mut() {
            Some(last) if rows.len == 1 && last.is_of_single_rows() => {
                last.rows += 1;
                last.sequences += 1;
            }
            _ => pieces.push(Piece {
                first_row,
                rows: rows.len,
                first_sequence: index,
                sequences: 1,
            }),
        }
        first_row += rows.len;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_rows_go_together() {
        let rows = |len| Rows { blocks: &[], start: 0, len };
        let piece = |first_row, rows, first_sequence, sequences| Piece {
            first_row,
            rows,
            first_sequence,
            sequences,
        };
        let all = [1, 1, 5, 1, 7].map(rows);
        let expected = [piece(0, 2, 0, 2), piece(2, 5, 2, 1), piece(7, 1, 3, 1), piece(8, 7, 4, 1)];
        assert_eq!(pieces(&all), expected);
        assert!(pieces(&[]).is_empty());
    }

    #[test]
    fn a_table_names_only_the_sequence_s_own_blocks() {
        let mut values = vec![9];
        put_table(&mut values, &[4, 7], 4).unwrap();
        put_table(&mut values, &[5, 6, 8], 2).unwrap();
        assert_eq!(values, [9, 4, 7, 4, 4, 5, 6]);
        assert!(put_table(&mut values, &[], 2).is_err());
    }
}
