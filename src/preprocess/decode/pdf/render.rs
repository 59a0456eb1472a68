//! Renders pages of a PDF file with hayro, in this process.

use std::sync::Arc;

use hayro::hayro_interpret::{InterpreterCache, InterpreterSettings};
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::vello_cpu::Pixmap;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings, render as render_page};

use super::{PdfError, text};
use crate::preprocess::decode::{DecodeError, DecodeLimits, NumberedPage, Wanted, numbers};
use crate::preprocess::page::Page;

/// Points of PDF to an inch.
const POINTS_PER_INCH: f64 = 72.0;
/// Of a page whose resolution was lowered: rounding must not bring it over the limit again.
const BELOW_LIMIT: f64 = 0.999;

/// Hands each wanted page to `take`, in order.
pub(super) fn render(
    bytes: &[u8],
    wanted: &Wanted,
    limits: &DecodeLimits,
    take: &mut dyn FnMut(NumberedPage) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let pdf = Pdf::new(Arc::new(bytes.to_vec())).map_err(unreadable)?;
    let pages = pdf.pages();
    if pages.is_empty() {
        return Err(PdfError::NoPages.into());
    }
    let (cache, fonts) = (RenderCache::new(), InterpreterCache::new());
    let mut pixels_before = 0;
    for number in numbers(wanted, pages.len(), limits.pages_max)? {
        let page = &pages[number - 1];
        let (width, height) = page.render_dimensions();
        let size = (f64::from(width), f64::from(height));
        let scale = scale(size, wanted.dpi, limits);
        let [width_px, height_px] = [size.0, size.1].map(|points| pixels(points * scale));
        if width_px == 0 || height_px == 0 {
            return Err(DecodeError::NoPixels { page: number, width_px, height_px });
        }
        pixels_before += u64::from(width_px) * u64::from(height_px);
        if pixels_before > limits.file_pixels_max {
            let (pixels, pixels_max) = (pixels_before, limits.file_pixels_max);
            return Err(DecodeError::TooManyPixelsTogether { page: number, pixels, pixels_max });
        }
        let settings = PixmapSettings {
            x_scale: scale_to(width_px, width),
            y_scale: scale_to(height_px, height),
            bg_color: WHITE,
        };
        let pixmap = render_page(
            page,
            &cache,
            &InterpreterSettings::default(),
            &RenderSettings::default(),
            &settings,
        );
        let text = text::of(page, &fonts);
        let page = rgb(&pixmap).ok_or_else(|| {
            let problem = "the renderer returned no picture".to_owned();
            PdfError::Failed { page: number, problem }
        })?;
        take(NumberedPage { number, page, text })?;
    }
    Ok(())
}

/// Pixels to a point: what `dpi` asks for, or less where the page would be over a limit.
fn scale((width, height): (f64, f64), dpi: u32, limits: &DecodeLimits) -> f64 {
    let asked = f64::from(dpi) / POINTS_PER_INCH;
    let by_pixels = (limits.pixels_max as f64 / (width * height)).sqrt();
    let by_side = f64::from(limits.side_px_max) / width.max(height);
    let most = by_pixels.min(by_side) * BELOW_LIMIT;
    asked.min(most)
}

/// Whole pixels: what is a whole number but for rounding is that number.
fn pixels(length: f64) -> u32 {
    (length + 1e-3) as u32
}

/// The scale at which the renderer, which cuts fractions off, makes so many pixels of so many points.
fn scale_to(px: u32, points: f32) -> f32 {
    (px as f32 + 0.01) / points
}

/// The page's colours; drawn on white it hides nothing.
fn rgb(pixmap: &Pixmap) -> Option<Page> {
    let (width, height) = (u32::from(pixmap.width()), u32::from(pixmap.height()));
    let rgb = pixmap.data().iter().flat_map(|pixel| [pixel.r, pixel.g, pixel.b]).collect();
    Page::from_rgb(width, height, rgb)
}

fn unreadable(error: LoadPdfError) -> PdfError {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => PdfError::Encrypted,
        LoadPdfError::Decryption(_) => PdfError::UnknownEncryption,
        LoadPdfError::Invalid => PdfError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolution_is_lowered_where_a_page_would_be_too_large() {
        let limits =
            DecodeLimits { pixels_max: 1_000_000, side_px_max: 2_000, ..Default::default() };
        let check = |points: (f64, f64), dpi, wanted: f64| {
            let found = scale(points, dpi, &limits);
            assert!((found - wanted).abs() < 1e-9, "{points:?} at {dpi}: {found}");
        };
        check((100.0, 100.0), 144, 2.0);
        check((1000.0, 4000.0), 72, 0.5 * BELOW_LIMIT);
        check((10.0, 10_000.0), 72, 0.2 * BELOW_LIMIT);
    }
}
