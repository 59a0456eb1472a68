//! What a prompt begins with, by content: equal keys mean equal tokens and equal pages from the first token
//! on, and so equal entries of the KV cache.
//!
//! A key stands for one whole block and all before it: it is the SHA-256 of the key before, of the block's
//! tokens, and of the pages whose features take the place of its image tokens. What another request sent is
//! thus found only by sending the same again.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::model::FeatureKey;

/// Names a block of the KV cache by its content and all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BlockKey(u128);

/// One whole block of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PrefixBlock {
    pub(super) key: BlockKey,
    /// Tiles whose image tokens end in this block or before.
    pub(super) tiles: usize,
}

/// The whole blocks of a prompt, in order.
pub(super) type Prefix = Arc<[PrefixBlock]>;

/// A page of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageTiles {
    pub(super) key: FeatureKey,
    pub(super) tiles: usize,
}

/// How a prompt is cut and what stands for its pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) block_tokens: usize,
    pub(super) image_token_id: u32,
    pub(super) tokens_per_tile: usize,
}

/// Names a file by its content, as it was sent: a page has many times more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileKey([u8; 32]);

pub(super) fn file_key(content: &[u8]) -> FileKey {
    FileKey(Sha256::digest(content).into())
}

/// The key of page `number` of a file, drawn at `dpi` where it has no pixels of its own, that becomes `columns`
/// by `rows` tiles.
pub(super) fn page_key(
    file: FileKey,
    (number, dpi): (usize, u32),
    (columns, rows): (u32, u32),
) -> FeatureKey {
    let mut hash = Sha256::new();
    hash.update(file.0);
    hash.update((number as u64).to_le_bytes());
    for number in [dpi, columns, rows] {
        hash.update(number.to_le_bytes());
    }
    FeatureKey(first_bits(hash))
}

/// The whole blocks of `prompt`, whose image tokens are those of `pages` in order.
pub(super) fn blocks(prompt: &[u32], pages: &[PageTiles], cut: Cut) -> Prefix {
    let mut images =
        Images { pages, tokens_per_tile: cut.tokens_per_tile, page: 0, row: 0, rows: 0 };
    let mut key = BlockKey(0);
    let block = |tokens: &[u32]| {
        let mut hash = Sha256::new();
        hash.update(key.0.to_le_bytes());
        for token in tokens {
            hash.update(token.to_le_bytes());
            if *token == cut.image_token_id {
                // Rows of a page follow one another: where the first one is says it for all.
                if let Some((page, row)) = images.next() {
                    hash.update(page.0.to_le_bytes());
                    hash.update((row as u64).to_le_bytes());
                }
            }
        }
        key = BlockKey(first_bits(hash));
        PrefixBlock { key, tiles: images.rows / cut.tokens_per_tile.max(1) }
    };
    prompt.chunks_exact(cut.block_tokens.max(1)).map(block).collect()
}

/// Goes through the feature rows of pages.
struct Images<'a> {
    pages: &'a [PageTiles],
    tokens_per_tile: usize,
    page: usize,
    /// Of the page.
    row: usize,
    /// Of all pages.
    rows: usize,
}

impl Images<'_> {
    /// The next row's page and place.
    fn next(&mut self) -> Option<(FeatureKey, usize)> {
        while self.row == self.pages.get(self.page)?.tiles * self.tokens_per_tile {
            self.page += 1;
            self.row = 0;
        }
        let found = (self.pages[self.page].key, self.row);
        self.row += 1;
        self.rows += 1;
        Some(found)
    }
}

fn first_bits(hash: Sha256) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: u32 = 9;
    const CUT: Cut = Cut { block_tokens: 4, image_token_id: IMAGE, tokens_per_tile: 3 };

    fn page(key: u128, tiles: usize) -> PageTiles {
        PageTiles { key: FeatureKey(key), tiles }
    }

    fn keys(prompt: &[u32], pages: &[PageTiles]) -> Vec<BlockKey> {
        blocks(prompt, pages, CUT).iter().map(|block| block.key).collect()
    }

    #[test]
    fn a_key_stands_for_all_before_it() {
        let a = keys(&[1, 2, 3, 4, 5, 6, 7, 8, 1], &[]);
        assert_eq!(a.len(), 2, "only whole blocks");
        let b = keys(&[1, 2, 3, 4, 5, 6, 7, 0], &[]);
        assert_eq!(a[0], b[0]);
        assert_ne!(a[1], b[1]);
        // The same tokens behind others are something else.
        assert_ne!(keys(&[5, 6, 7, 8], &[])[0], a[1]);
    }

    #[test]
    fn pages_are_part_of_the_key() {
        let prompt = [1, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, 2];
        let one = keys(&prompt, &[page(70, 2)]);
        assert_eq!(one, keys(&prompt, &[page(70, 2)]));
        assert_ne!(one[0], keys(&prompt, &[page(71, 2)])[0]);
        // Of two pages only the second differs: the first block has none of it.
        let two = |second| keys(&prompt, &[page(70, 1), page(second, 1)]);
        assert_eq!(two(71)[0], two(72)[0]);
        assert_ne!(two(71)[1], two(72)[1]);
    }

    #[test]
    fn whole_tiles_are_counted() {
        let prompt = [1, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, 2];
        let tiles: Vec<usize> =
            blocks(&prompt, &[page(1, 2)], CUT).iter().map(|block| block.tiles).collect();
        assert_eq!(tiles, [1, 2]);
    }

    #[test]
    fn another_page_or_cut_is_another_key() {
        let (file, other) = (file_key(b"a"), file_key(b"b"));
        let key = |grid| page_key(file, (1, 144), grid);
        assert_eq!(key((1, 1)), key((1, 1)));
        assert_ne!(key((1, 2)), key((2, 1)));
        assert_ne!(page_key(file, (2, 144), (1, 1)), key((1, 1)));
        assert_ne!(page_key(file, (1, 72), (1, 1)), key((1, 1)));
        assert_ne!(page_key(other, (1, 144), (1, 1)), key((1, 1)));
    }
}
