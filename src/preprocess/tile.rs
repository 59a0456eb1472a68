//! Cuts a page into the model's tiles: resize to the grid, crop, append the thumbnail.
//!
//! Crops of the resized page are never made: rows of the resized page go straight to where they
//! belong in the output, in bands, over all threads of the current pool.
//!
//! Memory, besides the page: the output (602,112 bytes a tile of 448 pixels, so 7.8 MB for twelve
//! tiles and the thumbnail) and one intermediate image of `grid width x page height` bytes times
//! three: below 50 MB for a 64-megapixel page of any shape and at most twelve tiles.

use rayon::prelude::*;

use crate::preprocess::config::Config;
use crate::preprocess::grid::{Grid, choose_grid};
use crate::preprocess::normalize::SampleValues;
use crate::preprocess::page::{CHANNELS, Page};
use crate::preprocess::resize::{Rows, Scratch, Size};

/// A page as the vision model reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    pub grid: Grid,
    /// Tiles in `data`: those of the grid, row by row, then the thumbnail if there is one.
    pub tiles: u32,
    pub tile_size_px: u32,
    /// `[tiles, 3, tile_size_px, tile_size_px]`.
    pub samples: Vec<u8>,
}

impl Tiles {
    /// The samples as the model's numbers, in the same order.
    pub fn values(&self, values: &SampleValues) -> Vec<f32> {
        let mut out = vec![0.0; self.samples.len()];
        values.fill(&self.samples, (self.tile_size_px as usize).pow(2), &mut out);
        out
    }
}

/// Makes the tiles of a page. Every page has at least one.
pub fn tile(page: &Page, config: &Config) -> Tiles {
    let side = config.tile_size_px.max(1);
    let grid =
        choose_grid(page.width_px(), page.height_px(), config.min_tiles, config.max_tiles, side);
    let has_thumbnail = config.use_thumbnail && grid.tiles() > 1;
    let tiles = grid.tiles() + u32::from(has_thumbnail);

    let mut samples = vec![0; tiles as usize * CHANNELS * (side as usize).pow(2)];
    let (of_grid, of_thumbnail) =
        samples.split_at_mut(grid.tiles() as usize * CHANNELS * (side as usize).pow(2));
    let thumbnail = Grid { columns: 1, rows: 1 };
    for (grid, out) in [(grid, of_grid), (thumbnail, of_thumbnail)] {
        if out.is_empty() {
            continue; // no thumbnail
        }
        let size = Size { width_px: side * grid.columns, height_px: side * grid.rows };
        let rows = Rows::new(page, size, config.pass_order);
        write_tiles(&rows, grid, side as usize, out);
    }
    Tiles { grid, tiles, tile_size_px: side, samples }
}

/// A few rows of the resized page, and where their samples go.
struct Band<'a> {
    y: usize,
    /// One slice a tile column and channel: the same rows of each tile's plane.
    planes: Vec<&'a mut [u8]>,
}

fn write_tiles(rows: &Rows, grid: Grid, side: usize, out: &mut [u8]) {
    bands(grid, side, out).into_par_iter().for_each_init(Scratch::default, |scratch, band| {
        let count = band.planes.first().map_or(0, |plane| plane.len() / side);
        rows.fill(band.y, count, scratch);
        for (index, plane) in band.planes.into_iter().enumerate() {
            let (column, channel) = (index / CHANNELS, index % CHANNELS);
            for (offset, out) in plane.chunks_exact_mut(side).enumerate() {
                let samples = &rows.plane(scratch, offset, channel)[column * side..][..side];
                out.copy_from_slice(samples);
            }
        }
    });
}

/// Splits the output into bands that threads can fill without sharing.
fn bands(grid: Grid, side: usize, out: &mut [u8]) -> Vec<Band<'_>> {
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
