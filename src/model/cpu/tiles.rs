//! Products by tiles: how a right matrix is laid out for them, and the loop over blocks of the result.
//!
//! A panel of 16 columns has chunks of 32 rows, and a chunk has its parts, a tile each: line i of a tile holds rows 2i and
//! 2i + 1 of all 16 columns, one pair behind the other. Matrices whose values bf16 holds, as weights mostly were stored, have
//! one part, others three.

use std::ops::Range;

use super::kernel::amx::{
    CHUNK, Configured, Detected, Line, PARTS, Sums, TILE, configure, multiply_square,
    multiply_wide, split, split_pairs, split_rows,
};
use super::kernel::{Kernel, Rows, Start};
use super::scratch::Scratch;

/// Chunks of as many parts that are multiplied before the next ones: what is read for each panel stays in the first-level
/// cache. With all parts there is more to do for each chunk, and sums that come and go cost more than reading again.
fn depth(parts: usize) -> usize {
    if parts == 1 { 4 } else { 16 }
}

/// Rows and columns of a block, four tiles of sums.
pub(super) const BLOCK: usize = 2 * TILE;

/// Columns of a block of 16 rows.
const WIDE: usize = 4 * TILE;

/// Lines of a panel of a matrix with `inner` rows.
pub(super) fn panel_lines(inner: usize, parts: usize) -> usize {
    inner.div_ceil(CHUNK) * parts * TILE
}

/// Makes `count` rows of `inner` values the columns of a panel; says whether its parts are all of them. If not, it may be
/// written to a part only.
pub(super) fn write_rows(
    detected: Detected,
    (panel, parts): (&mut [Line], usize),
    rows: Rows<'_>,
    (count, inner): (usize, usize),
) -> bool {
    let kernel = Kernel::new();
    let mut lines = [[[0.0; TILE]; TILE]; PARTS];
    for (chunk, tiles) in panel.chunks_exact_mut(parts * TILE).enumerate() {
        let first = chunk * CHUNK;
        for row in 0..count {
            let values = &rows.row(row, inner)[first..inner.min(first + CHUNK)];
            let mut split_values = [[0.0; TILE]; PARTS];
            let is_one = split(detected, values, &mut split_values);
            if !is_one && parts != PARTS {
                return false;
            }
            for (lines, line) in lines.iter_mut().zip(split_values) {
                lines[row] = line;
            }
        }
        for (tile, lines) in tiles.chunks_exact_mut(TILE).zip(&lines) {
            kernel.write_rows(tile, std::array::from_fn(|row| &lines[row][..]));
        }
    }
    true
}

/// Copies the first `count` columns of `len` rows to the rows of a panel, of [`PARTS`] parts, from `first` on, an even
/// number.
pub(super) fn write_columns(
    detected: Detected,
    panel: &mut [Line],
    first: usize,
    rows: Rows<'_>,
    (count, len): (usize, usize),
) {
    assert!(first.is_multiple_of(2), "pairs are written as a whole");
    for at in (0..len).step_by(2) {
        let values = rows.row(at, count);
        let below = if at + 1 < len { rows.row(at + 1, count) } else { &[] };
        let split = split_pairs(detected, [values, below]);
        let row = first + at;
        let lines = &mut panel[row / CHUNK * PARTS * TILE + row % CHUNK / 2..];
        for (part, line) in split.into_iter().enumerate() {
            lines[part * TILE] = line;
        }
    }
}

/// What a product reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right<'a> {
    /// Panel behind panel.
    pub(super) lines: &'a [Line],
    /// Lines of each.
    pub(super) panel_lines: usize,
    /// Of each value.
    pub(super) parts: usize,
}

impl<'a> Right<'a> {
    /// Chunks of `N` panels, from a column on; of the last panel again where there are no more.
    fn tiles<const N: usize>(
        self,
        column: usize,
        columns: usize,
        chunks: Range<usize>,
    ) -> [&'a [Line]; N] {
        let Self { lines, panel_lines, parts } = self;
        let of_chunk = parts * TILE;
        std::array::from_fn(|at| {
            let column = (column + at * TILE).min(columns - 1);
            let panel = &lines[column / TILE * panel_lines..];
            &panel[chunks.start * of_chunk..chunks.end * of_chunk]
        })
    }
}

/// `out = start + a · right` for `rows` rows and `columns` columns, of which `inner` values and rows count.
pub(super) fn multiply(
    detected: Detected,
    (rows, inner, columns): (usize, usize, usize),
    a: Rows<'_>,
    right: Right<'_>,
    (out, stride): (&mut [f32], usize),
    start: Start<'_>,
) {
    let chunks = inner.div_ceil(CHUNK);
    let depth = depth(right.parts);
    let mut left = Scratch::new(2 * depth.min(chunks) * PARTS * TILE * TILE);
    let left = left.lines_mut();
    let configured = configure(detected);
    for row in (0..rows).step_by(BLOCK) {
        let count = BLOCK.min(rows - row);
        let out = &mut out[row * stride..];
        for first in (0..chunks).step_by(depth) {
            let range = first..chunks.min(first + depth);
            let values = first * CHUNK..inner.min(range.end * CHUNK);
            let rows = (row..row + count).map(|row| &a.row(row, inner)[values.clone()]);
            split_rows(detected, rows, range.len(), left);
            let of_tile = range.len() * PARTS * TILE;
            let left = Left { configured: &configured, lines: &left[..2 * of_tile], rows: count };
            let start = if first == 0 { start.from(row, 0) } else { Start::Output };
            left.multiply((right, range), columns, (out, stride), start);
        }
    }
}

/// Rows that are split, in one tile or two.
#[derive(Clone, Copy)]
struct Left<'a> {
    configured: &'a Configured,
    /// Of two tiles.
    lines: &'a [Line],
    rows: usize,
}

impl Left<'_> {
    /// With these chunks of the right matrix.
    fn multiply(
        self,
        (right, chunks): (Right<'_>, Range<usize>),
        columns: usize,
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        let is_wide = self.rows <= TILE && right.parts == 1;
        let step = if is_wide { WIDE } else { BLOCK };
        for column in (0..columns).step_by(step) {
            let out = (&mut out[column..], stride);
            let count = step.min(columns - column);
            let start = start.from(0, column);
            if is_wide {
                let b = right.tiles::<4>(column, columns, chunks.clone());
                let tile = &self.lines[..self.lines.len() / 2];
                let multiply = |out: (&mut [f32], usize), sums: Sums<'_>| {
                    multiply_wide(self.configured, tile, b, out, sums);
                };
                block::<TILE, WIDE>((self.rows, count), out, start, multiply);
            } else {
                let b = (right.tiles::<2>(column, columns, chunks.clone()), right.parts);
                let (first, second) = self.lines.split_at(self.lines.len() / 2);
                // Rows that are no more than one tile are multiplied twice.
                let a = [first, if self.rows > TILE { second } else { first }];
                let multiply = |out: (&mut [f32], usize), sums: Sums<'_>| {
                    multiply_square(self.configured, a, b, out, sums);
                };
                block::<BLOCK, BLOCK>((self.rows, count), out, start, multiply);
            }
        }
    }
}

/// A block of the result, of which `rows` and `columns` count, by what multiplies a whole one.
fn block<const ROWS: usize, const COLUMNS: usize>(
    (rows, columns): (usize, usize),
    (out, stride): (&mut [f32], usize),
    start: Start<'_>,
    multiply: impl Fn((&mut [f32], usize), Sums<'_>),
) {
    if (rows, columns) == (ROWS, COLUMNS) {
        let sums = match start {
            Start::Zero => Sums::Zero,
            Start::Row(values) => Sums::Row(values),
            Start::Rows(rows) => Sums::Rows(rows.values, rows.stride),
            Start::Output => Sums::There,
        };
        multiply((out, stride), sums);
        return;
    }
    // Beside the output.
    let mut whole = [[0.0; COLUMNS]; ROWS];
    for (row, whole) in whole.iter_mut().enumerate().take(rows) {
        match start {
            Start::Zero => break,
            Start::Output => whole[..columns].copy_from_slice(&out[row * stride..][..columns]),
            _ => start.write(row, &mut whole[..columns]),
        }
    }
    multiply((whole.as_flattened_mut(), COLUMNS), Sums::There);
    for (row, whole) in whole.iter().enumerate().take(rows) {
        out[row * stride..][..columns].copy_from_slice(&whole[..columns]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values with all 24 bits of an f32's, or with 8 of bf16's.
    fn values(count: usize, seed: usize, is_short: bool) -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 10_007) as f32 / 5003.5 - 1.0;
        let cut = |x: f32| f32::from_bits(x.to_bits() & if is_short { 0xffff_0000 } else { !0 });
        (0..count).map(|i| cut(value(i))).collect()
    }

    /// `inner` rows of a right matrix, written by rows or by columns.
    fn right(
        detected: Detected,
        (inner, columns): (usize, usize),
        matrix: &[f32],
        (parts, by_columns): (usize, bool),
    ) -> Vec<Line> {
        let panel_lines = panel_lines(inner, parts);
        // What is not written may be anything, but for rows beyond the last one.
        let mut lines = vec![[f32::NAN; TILE]; columns.div_ceil(TILE) * panel_lines];
        for panel in lines.chunks_exact_mut(panel_lines) {
            panel[panel_lines - parts * TILE..].fill([0.0; TILE]);
        }
        for (index, panel) in lines.chunks_exact_mut(panel_lines).enumerate() {
            let first = index * TILE;
            let count = TILE.min(columns - first);
            if by_columns {
                // In two pieces, of which the second mostly has an odd number of rows.
                let cut = inner / 4 * 2;
                let rows = Rows::new(matrix, columns).from(0, first);
                write_columns(detected, panel, 0, rows, (count, cut));
                if cut < inner {
                    let rows = rows.from(cut, 0);
                    write_columns(detected, panel, cut, rows, (count, inner - cut));
                }
            } else {
                let columns_of: Vec<f32> = (0..count * inner)
                    .map(|i| matrix[i % inner * columns + first + i / inner])
                    .collect();
                let rows = Rows::new(&columns_of, inner);
                let is_whole = write_rows(detected, (panel, parts), rows, (count, inner));
                assert!(is_whole, "all of a value is in its parts");
            }
        }
        lines
    }

    #[test]
    fn products_have_the_rounding_of_f32() {
        let Some(detected) = Detected::new() else {
            eprintln!("not run: it needs tiles");
            return;
        };
        let sizes = [
            (1, 1, 1),
            (16, 32, 16),
            (16, 70, 130),
            (32, 64, 32),
            (33, 40, 47),
            (5, 300, 64),
            (20, 96, 33),
            (31, 33, 65),
            (70, 257, 20),
        ];
        for ((rows, inner, columns), (parts, by_columns)) in sizes
            .into_iter()
            .flat_map(|size| [(1, false), (PARTS, false), (PARTS, true)].map(|kind| (size, kind)))
        {
            let a = values(rows * inner, 1, false);
            let b = values(inner * columns, 2, parts == 1);
            let lines = right(detected, (inner, columns), &b, (parts, by_columns));
            let right = Right { lines: &lines, panel_lines: panel_lines(inner, parts), parts };
            let stride = columns + 3;
            let before = values(rows * stride, 3, false);
            let bias = values(columns, 4, false);
            let added = Rows::new(&before, stride);
            for start in [Start::Zero, Start::Row(&bias), Start::Rows(added), Start::Output] {
                let mut out = before.clone();
                let a_rows = Rows::new(&a, inner);
                multiply(
                    detected,
                    (rows, inner, columns),
                    a_rows,
                    right,
                    (&mut out, stride),
                    start,
                );
                for (at, ours) in out.iter().enumerate() {
                    let (row, column) = (at / stride, at % stride);
                    if column >= columns {
                        assert_eq!(ours.to_bits(), before[at].to_bits(), "beside the output");
                        continue;
                    }
                    let first = match start {
                        Start::Zero => 0.0,
                        Start::Row(bias) => bias[column],
                        _ => before[at],
                    };
                    let terms = (0..inner).map(|k| {
                        f64::from(a[row * inner + k]) * f64::from(b[k * columns + column])
                    });
                    let (sum, size) = terms.fold((f64::from(first), 1.0), |(sum, size), term| {
                        (sum + term, size + term.abs())
                    });
                    let error = (f64::from(*ours) - sum).abs();
                    assert!(
                        error < 2e-7 * size,
                        "{rows}x{inner}x{columns}, {parts} parts: {error:e} of {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let Some(detected) = Detected::new() else {
            eprintln!("not run: it needs tiles");
            return;
        };
        // Bits that a carry would make 0, on either side; and an infinity.
        for bits in [0x7fff_ffff, 0xffff_e000, 0x7fc0_0000, 0x7f80_0000] {
            let (mut a, b) = (values(32, 1, false), values(32, 2, false));
            let right_of = |b: &[f32]| right(detected, (32, 1), b, (PARTS, false));
            let product = |a: &[f32], b: &[f32]| {
                let lines = right_of(b);
                let right =
                    Right { lines: &lines, panel_lines: panel_lines(32, PARTS), parts: PARTS };
                let mut out = [0.0];
                let a = Rows::new(a, 32);
                multiply(detected, (1, 32, 1), a, right, (&mut out, 1), Start::Zero);
                out[0]
            };
            assert!(product(&a, &b).is_finite());
            a[7] = f32::from_bits(bits);
            assert!(!product(&a, &b).is_finite(), "{bits:x}");
            assert!(!product(&b, &a).is_finite(), "{bits:x}");
        }
    }

    #[test]
    fn what_bf16_does_not_hold_is_noticed() {
        let Some(detected) = Detected::new() else {
            eprintln!("not run: it needs tiles");
            return;
        };
        let mut row = values(40, 1, true);
        let mut panel = vec![[0.0; TILE]; panel_lines(40, 1)];
        let mut write =
            |row: &[f32]| write_rows(detected, (&mut panel, 1), Rows::new(row, 40), (1, 40));
        assert!(write(&row));
        row[37] += 1e-4;
        assert!(!write(&row));
    }
}
