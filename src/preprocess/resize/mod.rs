//! Pillow's bicubic `resize`, bit for bit.
//!
//! Two passes, each rounded to 8 bits: that rounding is visible in the result, so the order of the
//! passes is part of the definition, and it changed in Pillow 13. A pass between equal sizes is a
//! copy, as in Pillow.
//!
//! Rows of the result are made on demand, some at a time ([`Rows::fill`]), so that the caller can
//! spread them over threads and turn them into whatever it needs while they are in the processor's
//! cache. Where the horizontal pass comes first, it is done for the rows that those need: there is
//! no intermediate image, and a few rows between two parts are made twice. Where the vertical pass
//! does, it is done for the whole image first, over all threads of the current pool.

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
    rgb.par_chunks_mut(rows.at_once * width * CHANNELS).enumerate().for_each_init(
        Scratch::default,
        |scratch, (part, out)| {
            let count = out.len() / (width * CHANNELS);
            rows.fill(part * rows.at_once, count, scratch);
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

/// A resized image of which any rows can be made.
pub(crate) struct Rows<'a> {
    width: usize,
    /// How many rows it is best to make at a time, and the most.
    at_once: usize,
    passes: Passes<'a>,
}

enum Passes<'a> {
    HorizontalFirst {
        across: Coefficients,
        down: Coefficients,
        rgb: &'a [u8],
        row_bytes: usize,
    },
    /// The vertical pass is done.
    Horizontal {
        across: Coefficients,
        rgb: Vec<u8>,
        row_bytes: usize,
    },
}

/// Room for one thread to work in; holds the rows made last.
#[derive(Default)]
pub(crate) struct Scratch {
    columns: Vec<u8>,
    /// After the horizontal pass, before the vertical one.
    between: Vec<u8>,
    planar: Vec<u8>,
}

/// Rows of the page that a part of the result is made from, about: many more than are made twice, few enough for
/// the caches.
const PART_INPUT_ROWS: f64 = 112.0;

/// Bounds of a part's rows, for pages that are much smaller or larger than the result.
const PART_ROWS: (f64, f64) = (48.0, 112.0);

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

impl<'a> Rows<'a> {
    /// `to` has no zero side.
    pub(crate) fn new(page: &'a Page, to: Size, order: PassOrder) -> Self {
        let from = Size { width_px: page.width_px(), height_px: page.height_px() };
        let across = Coefficients::new(from.width_px, to.width_px);
        let down = Coefficients::new(from.height_px, to.height_px);
        let row_bytes = from.width_px as usize * CHANNELS;
        let width = to.width_px as usize;
        if order.is_vertical_first(from, to) {
            let rgb = first_vertical(&down, page.rgb(), row_bytes);
            let passes = Passes::Horizontal { across, rgb, row_bytes };
            return Self { width, at_once: BAND_ROWS, passes };
        }
        let scale = f64::from(from.height_px) / f64::from(to.height_px);
        let (least, most) = PART_ROWS;
        let at_once = (PART_INPUT_ROWS / scale).clamp(least, most) as usize;
        let passes = Passes::HorizontalFirst { across, down, rgb: page.rgb(), row_bytes };
        Self { width, at_once, passes }
    }

    /// Rows that one `fill` makes at most.
    pub(crate) fn fill_rows(&self) -> usize {
        self.at_once
    }

    /// Makes rows `y..y + count` of the result, to be read with [`Rows::plane`].
    pub(crate) fn fill(&self, y: usize, count: usize, scratch: &mut Scratch) {
        let row = CHANNELS * plane_bytes(self.width);
        let Scratch { columns, between, planar } = scratch;
        planar.resize(row * self.at_once, 0);
        let out = &mut planar[..row * count];
        match &self.passes {
            Passes::HorizontalFirst { across, down, rgb, row_bytes } => {
                let inputs = down.inputs_of(y..y + count);
                let (first, rows) = (inputs.start, inputs.len());
                if between.len() < row * rows {
                    between.resize(row * rows, 0);
                }
                let rgb = &rgb[first * row_bytes..][..rows * row_bytes];
                let bands =
                    between.chunks_mut(BAND_ROWS * row).zip(rgb.chunks(BAND_ROWS * row_bytes));
                for (out, rgb) in bands {
                    passes::horizontal(across, rgb, *row_bytes, columns, out);
                }
                for (offset, out) in out.chunks_exact_mut(row).enumerate() {
                    passes::vertical(down, (between, first), y + offset, out);
                }
            }
            Passes::Horizontal { across, rgb, row_bytes } => {
                let rgb = &rgb[y * row_bytes..(y + count) * row_bytes];
                passes::horizontal(across, rgb, *row_bytes, columns, out);
            }
        }
    }

    /// One channel of the row `offset` rows below the first one filled last.
    pub(crate) fn plane<'s>(
        &self,
        scratch: &'s Scratch,
        offset: usize,
        channel: usize,
    ) -> &'s [u8] {
        let plane = plane_bytes(self.width);
        &scratch.planar[(offset * CHANNELS + channel) * plane..][..self.width]
    }
}

fn first_vertical(coefficients: &Coefficients, rgb: &[u8], row_bytes: usize) -> Vec<u8> {
    let mut rows = vec![0; coefficients.len() * row_bytes];
    rows.par_chunks_mut(row_bytes)
        .enumerate()
        .for_each(|(y, out)| passes::vertical(coefficients, (rgb, 0), y, out));
    rows
}
