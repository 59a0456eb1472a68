//! The pages of a benchmark: files that were named, or pages made to have a wanted number of tiles, no
//! two of them alike, so that no cache of pages makes a server look faster than it is.

use std::path::PathBuf;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage};
use rayon::prelude::*;

use crate::cli::demo::RECEIPT;
use crate::cli::failure::{Exit, Failure};
use crate::cli::files;
use crate::preprocess::{self, Grid, TILE_SIZE_PX};

/// As scanners and cameras write them.
const JPEG_QUALITY: u8 = 85;
/// Side of one square of the mark that makes a page one of its own.
const MARK_PX: u32 = 12;

/// One page file.
#[derive(Debug, Clone)]
pub(super) struct PageFile {
    pub name: String,
    pub content: Bytes,
}

/// What pages to send.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// These files, in turn.
    Files(Vec<PathBuf>),
    /// Pages of so many tiles, overview included, in turn; `distinct` of them in all.
    Made { tiles: Vec<u32>, distinct: usize, tile_px: u32 },
}

/// The page files of `source`, for a server that cuts a page into at most `max_tiles` and an overview.
pub(super) fn pages(source: &Source, max_tiles: u32) -> Result<Vec<PageFile>, Failure> {
    match source {
        Source::Files(paths) => read(paths),
        Source::Made { tiles, distinct, tile_px } => made(tiles, *distinct, *tile_px, max_tiles),
    }
}

fn read(paths: &[PathBuf]) -> Result<Vec<PageFile>, Failure> {
    let found = files::pages(paths)?;
    found
        .iter()
        .map(|path| {
            let content = files::read(path)?;
            Ok(PageFile { name: path.display().to_string(), content: Bytes::from(content) })
        })
        .collect()
}

fn made(
    tiles: &[u32],
    distinct: usize,
    tile_px: u32,
    max_tiles: u32,
) -> Result<Vec<PageFile>, Failure> {
    let sheets = tiles
        .iter()
        .map(|&tiles| {
            let grid = grid(tiles, max_tiles).ok_or_else(|| no_grid(tiles, max_tiles))?;
            // A small page of more pixels would be cut into more tiles.
            let keeps_grid = is_cut_into(grid, tile_px, max_tiles);
            Ok((tiles, sheet(grid, if keeps_grid { tile_px } else { TILE_SIZE_PX })?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    (0..distinct.max(tiles.len()))
        .into_par_iter()
        .map(|index| {
            let (tiles, sheet) = &sheets[index % sheets.len()];
            let content = jpeg(&marked(sheet, index as u64))?;
            Ok(PageFile { name: format!("made-{tiles}-tiles-{index}"), content })
        })
        .collect()
}

/// The grid, most like an upright page, that a page of `tiles` has when cut into at most `max_tiles`.
fn grid(tiles: u32, max_tiles: u32) -> Option<Grid> {
    // A page of more than one tile gets an overview as well.
    let cut = if tiles == 1 { 1 } else { tiles.checked_sub(1).filter(|cut| *cut > 1)? };
    let mut grids: Vec<Grid> = (1..=cut)
        .filter(|columns| cut % columns == 0)
        .map(|columns| Grid { columns, rows: cut / columns })
        .filter(|grid| is_cut_into(*grid, TILE_SIZE_PX, max_tiles))
        .collect();
    let from_upright = |grid: &Grid| {
        let ratio = f64::from(grid.rows) / f64::from(grid.columns);
        (ratio / std::f64::consts::SQRT_2).ln().abs()
    };
    grids.sort_by(|a, b| from_upright(a).total_cmp(&from_upright(b)));
    grids.first().copied()
}

/// Whether a page of so many pixels for each side of a tile is cut into `grid`.
fn is_cut_into(grid: Grid, tile_px: u32, max_tiles: u32) -> bool {
    let (width, height) = (grid.columns * tile_px, grid.rows * tile_px);
    preprocess::choose_grid(width, height, 1, max_tiles, TILE_SIZE_PX) == grid
}

fn no_grid(tiles: u32, max_tiles: u32) -> Failure {
    let possible: Vec<String> = (1..=max_tiles + 1)
        .filter(|&tiles| grid(tiles, max_tiles).is_some())
        .map(|tiles| tiles.to_string())
        .collect();
    Failure::new(Exit::Usage, format!("--tiles {tiles}: no page of this server has so many tiles"))
        .fact("a page is cut into at most", format!("{max_tiles} tiles and an overview"))
        .remedy(format!("--tiles with one of {}", possible.join(", ")))
}

/// A page full of print: the bundled receipt, side by side.
fn sheet(grid: Grid, tile_px: u32) -> Result<RgbImage, Failure> {
    let receipt = image::load_from_memory(RECEIPT)
        .map_err(|error| Failure::new(Exit::Failed, "the bundled page is damaged").because(&error))?
        .into_rgb8();
    let (width, height) = (grid.columns * tile_px, grid.rows * tile_px);
    let columns = grid.columns.div_ceil(2).max(1);
    let copy_width = width / columns;
    let copy_height = copy_width * receipt.height() / receipt.width();
    let copy = imageops::resize(&receipt, copy_width, copy_height.max(1), FilterType::Triangle);
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    for column in 0..columns {
        for row in 0..height.div_ceil(copy.height()) {
            let (x, y) = (column * copy_width, row * copy.height());
            imageops::replace(&mut sheet, &copy, i64::from(x), i64::from(y));
        }
    }
    Ok(sheet)
}

/// `sheet` with `number` in black and white squares along its edge.
fn marked(sheet: &RgbImage, number: u64) -> RgbImage {
    let mut page = sheet.clone();
    for bit in 0..32 {
        let level = if number >> bit & 1 == 1 { 0 } else { 255 };
        let square = RgbImage::from_pixel(MARK_PX, MARK_PX, Rgb([level; 3]));
        imageops::replace(&mut page, &square, i64::from(bit * MARK_PX), 0);
    }
    page
}

fn jpeg(page: &RgbImage) -> Result<Bytes, Failure> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY)
        .write_image(page.as_raw(), page.width(), page.height(), ExtendedColorType::Rgb8)
        .map_err(|error| Failure::new(Exit::Failed, "cannot make a page").because(&error))?;
    Ok(Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::{DecodeLimits, Orientation, decode};

    /// Tiles that the server's own code cuts the made page into.
    fn tiles_of(file: &PageFile, max_tiles: u32) -> u32 {
        let pages = decode(&file.content, &DecodeLimits::default(), Orientation::Apply).unwrap();
        let [page] = &pages[..] else { panic!("{} pages", pages.len()) };
        let grid =
            preprocess::choose_grid(page.width_px(), page.height_px(), 1, max_tiles, TILE_SIZE_PX);
        grid.tiles() + u32::from(grid.tiles() > 1)
    }

    #[test]
    fn pages_have_the_tiles_that_were_asked_for() {
        for (tiles, tile_px) in [(1, 200), (3, 200), (7, 200), (13, 200), (1, 640), (13, 640)] {
            let made = made(&[tiles], 1, tile_px, 12).unwrap();
            assert_eq!(tiles_of(&made[0], 12), tiles, "{}", made[0].name);
        }
    }

    #[test]
    fn no_two_pages_are_alike() {
        let made = made(&[1, 3], 6, 448, 12).unwrap();
        let unlike: std::collections::HashSet<&[u8]> =
            made.iter().map(|file| file.content.as_ref()).collect();
        assert_eq!(unlike.len(), 6);
        assert_eq!(made.iter().map(|file| tiles_of(file, 12)).sum::<u32>(), 3 * (1 + 3));
    }

    #[test]
    fn what_no_page_has_is_refused_with_what_pages_have() {
        let failure = made(&[2], 1, 448, 4).unwrap_err();
        assert_eq!(failure.remedy.as_deref(), Some("--tiles with one of 1, 3, 4, 5"));
    }
}
