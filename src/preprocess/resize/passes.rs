//! The two passes, each over a few rows at a time so that callers can spread them over threads.
//!
//! The horizontal pass reads interleaved RGB and writes planar rows: all red samples of a row, then
//! all green, then all blue. The model wants planes, so nothing is interleaved again on the way to
//! it. Planes are padded to whole lanes; the padding is never read as pixels.

use super::coefficients::Coefficients;
use super::kernel::LANES;
use super::transpose::{Block, transpose};
use crate::preprocess::page::CHANNELS;

/// Rows that the horizontal pass works on together: one a lane.
pub(super) const BAND_ROWS: usize = LANES;

/// Bytes of one padded plane of one row.
pub(super) fn plane_bytes(width: usize) -> usize {
    width.next_multiple_of(LANES)
}

/// Resizes at most `BAND_ROWS` interleaved rows to planar rows. `columns` is room to work in.
pub(super) fn horizontal(
    coefficients: &Coefficients,
    rgb: &[u8],
    row_bytes: usize,
    columns: &mut Vec<u8>,
    out: &mut [u8],
) {
    transpose_band(rgb, row_bytes, columns);
    let plane = plane_bytes(coefficients.len());
    let mut sums = [[[0; LANES]; CHANNELS]; LANES];
    let (mut block, mut turned): (Block, Block) = Default::default();
    for x in (0..coefficients.len()).step_by(LANES) {
        let end = coefficients.len().min(x + LANES);
        let sums_used = &mut sums.as_flattened_mut()[..(end - x) * CHANNELS];
        coefficients.sum(x..end, columns, CHANNELS * LANES, sums_used);
        for channel in 0..CHANNELS {
            for (lanes, sums) in block.iter_mut().zip(&sums) {
                *lanes = sums[channel];
            }
            transpose(&block, &mut turned);
            let rows = out.chunks_exact_mut(CHANNELS * plane);
            for (row, samples) in rows.zip(&turned) {
                row[channel * plane + x..][..LANES].copy_from_slice(samples);
            }
        }
    }
}

/// Lays the bytes of each column of a band side by side; rows the band lacks stay as they are.
fn transpose_band(rgb: &[u8], row_bytes: usize, columns: &mut Vec<u8>) {
    columns.resize(row_bytes.next_multiple_of(LANES) * LANES, 0);
    let mut block = Block::default();
    for (chunk, out) in columns.as_chunks_mut().0.as_chunks_mut().0.iter_mut().enumerate() {
        let at = chunk * LANES;
        for (lanes, row) in block.iter_mut().zip(rgb.chunks_exact(row_bytes)) {
            match row[at..].first_chunk() {
                Some(whole) => *lanes = *whole,
                None => lanes[..row_bytes - at].copy_from_slice(&row[at..]),
            }
        }
        transpose(&block, out);
    }
}

/// Makes row `y` of the result from rows of any layout, of which the first stands at position `origin`; `out` is one
/// row.
pub(super) fn vertical(
    coefficients: &Coefficients,
    (rows, origin): (&[u8], usize),
    y: usize,
    out: &mut [u8],
) {
    let row_bytes = out.len();
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    if !whole.is_empty() {
        coefficients.sum_one(y, origin, (rows, row_bytes), whole);
    }
    if !rest.is_empty() {
        // Whole lanes would read past the row, and past the image in the last one: pad a copy.
        let at = row_bytes - rest.len();
        let mut padded = vec![0; (coefficients.inputs(y).end - origin) * LANES];
        for (lanes, row) in padded.chunks_exact_mut(LANES).zip(rows.chunks_exact(row_bytes)) {
            lanes[..rest.len()].copy_from_slice(&row[at..]);
        }
        let mut last = [[0; LANES]];
        coefficients.sum_one(y, origin, (&padded, LANES), &mut last);
        rest.copy_from_slice(&last[0][..rest.len()]);
    }
}
