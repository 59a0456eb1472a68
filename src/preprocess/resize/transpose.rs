//! Turns sixteen rows of sixteen bytes into sixteen columns.

use super::kernel::LANES;

/// A square of bytes, row by row.
pub(super) type Block = [[u8; LANES]; LANES];

/// Rows become columns.
///
/// Four rounds of pairing: each puts row `i` and row `i + 8` together byte by byte, like the two
/// halves of a shuffled deck, which after log2(16) rounds is the transpose. Compilers turn a round
/// into byte-unpack instructions.
#[inline]
pub(super) fn transpose(block: &Block, out: &mut Block) {
    *out = round(&round(&round(&round(block))));
}

#[inline]
fn round(block: &Block) -> Block {
    let mut out = [[0; LANES]; LANES];
    for pair in 0..LANES / 2 {
        let (top, bottom) = (&block[pair], &block[pair + LANES / 2]);
        for lane in 0..LANES / 2 {
            out[2 * pair][2 * lane] = top[lane];
            out[2 * pair][2 * lane + 1] = bottom[lane];
            out[2 * pair + 1][2 * lane] = top[lane + LANES / 2];
            out[2 * pair + 1][2 * lane + 1] = bottom[lane + LANES / 2];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let block: Block = std::array::from_fn(|y| std::array::from_fn(|x| (16 * y + x) as u8));
        let columns: Block = std::array::from_fn(|y| std::array::from_fn(|x| (16 * x + y) as u8));
        let mut out = [[0; LANES]; LANES];
        transpose(&block, &mut out);
        assert_eq!(out, columns);
    }
}
