//! Cuts a page into the model's tiles: resize to the grid, crop, append the thumbnail.
//!
//! Crops of the resized page are never made: rows of the resized page go straight to where they
//! belong in the output, in bands, over all threads of the current pool.
//!
//! Memory, besides the page: the output (602,112 bytes a tile of 448 pixels, so 7.8 MB for twelve
//! tiles and the thumbnail) and, for each thread, the rows that it works on: some hundred of the
//! grid's width.

use std::sync::{Mutex, PoisonError};

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
    /// Tiles in `samples`: those of the grid, row by row, then the thumbnail if there is one.
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
    let rows = |grid: Grid| {
        let size = Size { width_px: side * grid.columns, height_px: side * grid.rows };
        Rows::new(page, size, config.pass_order)
    };
    let whole = rows(grid);
    let mut all = bands(&whole, grid, side as usize, of_grid);
    let thumbnail = Grid { columns: 1, rows: 1 };
    let small = has_thumbnail.then(|| rows(thumbnail));
    if let Some(small) = &small {
        all.extend(bands(small, thumbnail, side as usize, of_thumbnail));
    }
    let scratch: Vec<Mutex<Scratch>> =
        (0..rayon::current_num_threads()).map(|_| Mutex::default()).collect();
    // The thumbnail's are made from the most pixels: they must not be what is left at the end.
    all.into_par_iter().rev().with_max_len(1).for_each(|band| {
        // Each thread has its own: nobody waits.
        let scratch = &scratch[rayon::current_thread_index().unwrap_or(0)];
        band.write(side as usize, &mut scratch.lock().unwrap_or_else(PoisonError::into_inner));
    });
    Tiles { grid, tiles, tile_size_px: side, samples }
}

/// A few rows of the resized page, and where their samples go.
struct Band<'a> {
    rows: &'a Rows<'a>,
    y: usize,
    /// One slice a tile column and channel: the same rows of each tile's plane.
    planes: Vec<&'a mut [u8]>,
}

impl Band<'_> {
    fn write(self, side: usize, scratch: &mut Scratch) {
        let count = self.planes.first().map_or(0, |plane| plane.len() / side);
        self.rows.fill(self.y, count, scratch);
        for (index, plane) in self.planes.into_iter().enumerate() {
            let (column, channel) = (index / CHANNELS, index % CHANNELS);
            for (offset, out) in plane.chunks_exact_mut(side).enumerate() {
                let samples = &self.rows.plane(scratch, offset, channel)[column * side..][..side];
                out.copy_from_slice(samples);
            }
        }
    }
}

/// Splits the output into bands that threads can fill without sharing.
fn bands<'a>(rows: &'a Rows<'a>, grid: Grid, side: usize, out: &'a mut [u8]) -> Vec<Band<'a>> {
    let mut bands = Vec::new();
    for (row, tiles) in
        out.chunks_exact_mut(grid.columns as usize * CHANNELS * side * side).enumerate()
    {
        let first = bands.len();
        bands.extend((0..side).step_by(rows.fill_rows()).map(|y| Band {
            rows,
            y: row * side + y,
            planes: Vec::with_capacity(grid.columns as usize * CHANNELS),
        }));
        for plane in tiles.chunks_exact_mut(side * side) {
            let parts = plane.chunks_mut(rows.fill_rows() * side);
            for (band, part) in bands[first..].iter_mut().zip(parts) {
                band.planes.push(part);
            }
        }
    }
    bands
}
