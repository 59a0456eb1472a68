//! Pillow's bicubic `resize`, bit for bit.
//!
//! Two passes, each rounded to 8 bits: that rounding is visible in the result, so the order of the
//! passes is part of the definition, and it changed in Pillow 13. A pass between equal sizes is a
//! copy, as in Pillow.
//!
//! The first pass is done for the whole image, over all threads of the current pool. Rows of the
//! result are then made on demand ([`Rows::fill`]), so the caller can turn them into whatever it
//! needs while they are in the processor's cache. Memory: one intermediate image of `width out x
//! height in` (or the other way round).

mod coefficients;
mod kernel;
mod passes;
mod transpose;

use rayon::prelude::*;

use self::coefficients::Coefficients;
use self::passes::{BAND_ROWS, plane_bytes};
use crate::preprocess::page::{CHANNELS, Page};

/// Which pass comes first. Where the orders differ, some samples of the result do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassOrder {
    /// Pillow up to 12: what the models were trained and their answers recorded with.
    #[default]
    HorizontalFirst,
    /// Pillow 13: vertical first where that is less work, by its rule.
    Pillow13,
}

/// A size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width_px: u32,
    pub height_px: u32,
}

/// Resizes a page as `Image.resize((width, height), BICUBIC)` does. A side of 0 is read as 1.
pub fn resize(page: &Page, to: Size, order: PassOrder) -> Page {
    let to = Size { width_px: to.width_px.max(1), height_px: to.height_px.max(1) };
    let rows = Rows::new(page, to, order);
    let (width, height) = (to.width_px as usize, to.height_px as usize);
    let mut rgb = vec![0; width * height * CHANNELS];
    rgb.par_chunks_mut(BAND_ROWS * width * CHANNELS).enumerate().for_each_init(
        Scratch::default,
        |scratch, (band, out)| {
            let count = out.len() / (width * CHANNELS);
            rows.fill(band * BAND_ROWS, count, scratch);
            for (y, row) in out.chunks_exact_mut(width * CHANNELS).enumerate() {
                let planes: [&[u8]; CHANNELS] =
                    std::array::from_fn(|channel| rows.plane(scratch, y, channel));
                for (x, pixel) in row.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
                    *pixel = planes.map(|plane| plane[x]);
                }
            }
        },
    );
    Page::from_rgb(to.width_px, to.height_px, rgb).unwrap_or_else(|| page.clone())
}

/// An image after its first pass: any rows of the result can be made from it.
pub(crate) struct Rows {
    width: usize,
    second: Second,
}

/// The pass still to do, and what it reads.
enum Second {
    Vertical { coefficients: Coefficients, planar: Vec<u8> },
    Horizontal { coefficients: Coefficients, rgb: Vec<u8>, row_bytes: usize },
}

/// Room for one thread to work in; holds the rows made last.
#[derive(Default)]
pub(crate) struct Scratch {
    columns: Vec<u8>,
    planar: Vec<u8>,
}

// === impl PassOrder ===

impl PassOrder {
    fn is_vertical_first(self, from: Size, to: Size) -> bool {
        let less = |from: u32, to: u32| i64::from(from) - i64::from(to);
        let rows_fewer = less(from.height_px, to.height_px);
        let columns_fewer = less(from.width_px, to.width_px);
        self == Self::Pillow13 && rows_fewer > 0 && rows_fewer > 2 * columns_fewer
    }
}

// === impl Rows ===

impl Rows {
    /// Most rows that one `fill` makes.
    pub(crate) const FILL_MAX: usize = BAND_ROWS;

    /// Does the first pass. `to` has no zero side.
    pub(crate) fn new(page: &Page, to: Size, order: PassOrder) -> Self {
        let from = Size { width_px: page.width_px(), height_px: page.height_px() };
        let across = Coefficients::new(from.width_px, to.width_px);
        let down = Coefficients::new(from.height_px, to.height_px);
        let row_bytes = from.width_px as usize * CHANNELS;
        let second = if order.is_vertical_first(from, to) {
            let rgb = first_vertical(&down, page.rgb(), row_bytes);
            Second::Horizontal { coefficients: across, rgb, row_bytes }
        } else {
            let planar = first_horizontal(&across, page.rgb(), row_bytes);
            Second::Vertical { coefficients: down, planar }
        };
        Self { width: to.width_px as usize, second }
    }

    /// Makes rows `y..y + count` of the result, to be read with [`Rows::plane`]; `count` is at most
    /// `FILL_MAX`.
    pub(crate) fn fill(&self, y: usize, count: usize, scratch: &mut Scratch) {
        let row = CHANNELS * plane_bytes(self.width);
        scratch.planar.resize(row * BAND_ROWS, 0);
        let out = &mut scratch.planar[..row * count];
        match &self.second {
            Second::Vertical { coefficients, planar } => {
                for (offset, out) in out.chunks_exact_mut(row).enumerate() {
                    passes::vertical(coefficients, planar, y + offset, out);
                }
            }
            Second::Horizontal { coefficients, rgb, row_bytes } => {
                let rgb = &rgb[y * row_bytes..(y + count) * row_bytes];
                passes::horizontal(coefficients, rgb, *row_bytes, &mut scratch.columns, out);
            }
        }
    }

    /// One channel of the row `offset` rows below the first one filled last.
    pub(crate) fn plane<'a>(
        &self,
        scratch: &'a Scratch,
        offset: usize,
        channel: usize,
    ) -> &'a [u8] {
        let plane = plane_bytes(self.width);
        &scratch.planar[(offset * CHANNELS + channel) * plane..][..self.width]
    }
}

fn first_horizontal(coefficients: &Coefficients, rgb: &[u8], row_bytes: usize) -> Vec<u8> {
    let height = rgb.len() / row_bytes;
    let row_out = CHANNELS * plane_bytes(coefficients.len());
    let mut planar = vec![0; height * row_out];
    planar
        .par_chunks_mut(BAND_ROWS * row_out)
        .zip(rgb.par_chunks(BAND_ROWS * row_bytes))
        .for_each_init(Vec::new, |columns, (out, rgb)| {
            passes::horizontal(coefficients, rgb, row_bytes, columns, out);
        });
    planar
}

fn first_vertical(coefficients: &Coefficients, rgb: &[u8], row_bytes: usize) -> Vec<u8> {
    let mut rows = vec![0; coefficients.len() * row_bytes];
    rows.par_chunks_mut(row_bytes)
        .enumerate()
        .for_each(|(y, out)| passes::vertical(coefficients, rgb, y, out));
    rows
}
