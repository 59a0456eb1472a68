//! Cuts a page into the model's tiles: resize to the grid, crop, append the thumbnail, normalise.
//!
//! Crops of the resized page are never made: rows of the resized page go straight to where they
//! belong in the output, in bands, over all threads of the current pool.
//!
//! Memory, besides the page: the output (602,112 `f32` a tile of 448 pixels, so 31 MB for twelve
//! tiles and the thumbnail) and one intermediate image of `grid width x page height` bytes times
//! three: below 50 MB for a 64-megapixel page of any shape and at most twelve tiles.

use rayon::prelude::*;

use crate::preprocess::config::Config;
use crate::preprocess::grid::{Grid, choose_grid};
use crate::preprocess::normalize::Lookup;
use crate::preprocess::page::{CHANNELS, Page};
use crate::preprocess::resize::{Rows, Scratch, Size};

/// A page as the vision model reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    pub grid: Grid,
    /// Tiles in `data`: those of the grid, row by row, then the thumbnail if there is one.
    pub tiles: u32,
    pub tile_size_px: u32,
    /// Normalised samples, `[tiles, 3, tile_size_px, tile_size_px]`.
    pub data: Vec<f32>,
}

/// Makes the tiles of a page. Every page has at least one.
pub fn tile(page: &Page, config: &Config) -> Tiles {
    let side = config.tile_size_px.max(1);
    let grid =
        choose_grid(page.width_px(), page.height_px(), config.min_tiles, config.max_tiles, side);
    let has_thumbnail = config.use_thumbnail && grid.tiles() > 1;
    let tiles = grid.tiles() + u32::from(has_thumbnail);

    let lookup = Lookup::new(config);
    let mut data = vec![0.0; tiles as usize * CHANNELS * (side as usize).pow(2)];
    let (of_grid, of_thumbnail) =
        data.split_at_mut(grid.tiles() as usize * CHANNELS * (side as usize).pow(2));
    let thumbnail = Grid { columns: 1, rows: 1 };
    for (grid, out) in [(grid, of_grid), (thumbnail, of_thumbnail)] {
        if out.is_empty() {
            continue; // no thumbnail
        }
        let size = Size { width_px: side * grid.columns, height_px: side * grid.rows };
        let rows = Rows::new(page, size, config.pass_order);
        write_tiles(&rows, &lookup, grid, side as usize, out);
    }
    Tiles { grid, tiles, tile_size_px: side, data }
}

/// A few rows of the resized page, and where their samples go.
struct Band<'a> {
    y: usize,
    /// One slice a tile column and channel: the same rows of each tile's plane.
    planes: Vec<&'a mut [f32]>,
}

fn write_tiles(rows: &Rows, lookup: &Lookup, grid: Grid, side: usize, out: &mut [f32]) {
    bands(grid, side, out).into_par_iter().for_each_init(Scratch::default, |scratch, band| {
        let count = band.planes.first().map_or(0, |plane| plane.len() / side);
        rows.fill(band.y, count, scratch);
        for (index, plane) in band.planes.into_iter().enumerate() {
            let (column, channel) = (index / CHANNELS, index % CHANNELS);
            for (offset, out) in plane.chunks_exact_mut(side).enumerate() {
                let samples = &rows.plane(scratch, offset, channel)[column * side..][..side];
                lookup.apply(channel, samples, out);
            }
        }
    });
}

/// Splits the output into bands that threads can fill without sharing.
fn bands(grid: Grid, side: usize, out: &mut [f32]) -> Vec<Band<'_>> {
    let mut bands = Vec::new();
    for (row, tiles) in
        out.chunks_exact_mut(grid.columns as usize * CHANNELS * side * side).enumerate()
    {
        let first = bands.len();
        bands.extend((0..side).step_by(Rows::FILL_MAX).map(|y| Band {
            y: row * side + y,
            planes: Vec::with_capacity(grid.columns as usize * CHANNELS),
        }));
        for plane in tiles.chunks_exact_mut(side * side) {
            let parts = plane.chunks_mut(Rows::FILL_MAX * side);
            for (band, part) in bands[first..].iter_mut().zip(parts) {
                band.planes.push(part);
            }
        }
    }
    bands
}
