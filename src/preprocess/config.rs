//! What the model wants its pixels to look like. Read from the model's own files by the caller.

use crate::preprocess::resize::PassOrder;

/// Pixels of a tile's side for every published InternVL3 size.
pub const TILE_SIZE_PX: u32 = 448;

/// `ImageNet` statistics, as InternVL was trained with.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How an image becomes tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Side of the square tiles; 0 is read as 1.
    pub tile_size_px: u32,
    /// Fewest tiles of a grid, without the thumbnail.
    pub min_tiles: u32,
    /// Most tiles of a grid, without the thumbnail.
    pub max_tiles: u32,
    /// Append the whole image, shrunk to one tile, when the grid has more than one tile.
    pub use_thumbnail: bool,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub normalization: Normalization,
    pub pass_order: PassOrder,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tile_size_px: TILE_SIZE_PX,
            min_tiles: 1,
            max_tiles: 12,
            use_thumbnail: true,
            mean: MEAN,
            std: STD,
            normalization: Normalization::TwoStep,
            pass_order: PassOrder::HorizontalFirst,
        }
    }
}

/// The two published orders of the same arithmetic; they differ in the last bit of the `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// `(x / 255 - mean) / std`: the model's own code and transformers' slow processor.
    #[default]
    TwoStep,
    /// `(x - mean * 255) / (std * 255)`: transformers' fast processor.
    Fused,
}
