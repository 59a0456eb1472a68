//! Reads a page file within limits: sniff, check the header, decode or render, convert, turn upright.
//!
//! Sizes are checked when only the header has been read, before any pixel buffer exists. At its
//! peak, decoding a page holds the decoder's output (at most 8 bytes a pixel, for 16-bit RGBA), the
//! decoder's own memory, and, for grey pages and turned ones, the RGB page beside the output. The
//! decoders are told a limit for their own memory, too; the JPEG decoder has none to set, and needs
//! about 6 bytes a pixel for progressive files.
//!
//! What is not the same as in Pillow: pixels of lossy files (JPEG, lossy WebP) come from other
//! decoders than Pillow's and differ by a few levels; CMYK is converted with other rounding; 16-bit
//! grey keeps its upper byte (see `rgb`). Everything after decoding is the same to the bit.

mod error;
mod pdf;
mod rgb;
mod sniff;
mod tiff_pages;

use std::io::Cursor;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, Limits, RgbImage};

pub use self::error::DecodeError;
pub use self::pdf::{PdfError, PdfRenderer, RendererProgram, serve as serve_pdf};
pub use self::sniff::{Format, sniff};
use crate::limits;
use crate::preprocess::page::Page;

/// Bounds on one file. The defaults are those of [`crate::limits`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Encoded size.
    pub bytes_max: usize,
    /// Width times height of one page.
    pub pixels_max: u64,
    /// The same for all pages of the file together.
    pub file_pixels_max: u64,
    /// Longer side of a page.
    pub side_px_max: u32,
    pub pages_max: usize,
    /// How long a page of a PDF may take to render, in a process of its own.
    pub pdf_page_ms_max: u64,
}

/// Which pages of a file to read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Numbers of pages, the first is 1, in the order in which to read them; empty: all.
    pub pages: Vec<usize>,
    /// Dots per inch at which pages of a PDF are rendered; fewer where a page would be over a limit.
    pub dpi: u32,
}

/// A page, and its number in the file it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberedPage {
    /// The first is 1.
    pub number: usize,
    pub page: Page,
    /// What there is to read on it, where its file says that: a PDF may, an image does not. It says nothing to
    /// the model.
    pub text: Option<String>,
}

/// Reads files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoder {
    pub limits: DecodeLimits,
    pub orientation: Orientation,
    pub pdf: PdfRenderer,
}

/// What to do with a page whose file says that it must be turned or mirrored to be upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// Turn it: photographs of documents are stored as the sensor was held, and people expect them
    /// upright.
    #[default]
    Apply,
    /// Leave it as stored, as Pillow's `open(...).convert("RGB")` does (except for TIFF, which
    /// Pillow turns).
    Ignore,
}

/// The pages of a file, all of them or none, rendered in this process where that is needed.
pub fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    orientation: Orientation,
) -> Result<Vec<Page>, DecodeError> {
    let decoder = Decoder { limits: limits.clone(), orientation, pdf: PdfRenderer::Here };
    let pages = decoder.read(bytes, &Wanted::default(), &|| true)?;
    Ok(pages.into_iter().map(|numbered| numbered.page).collect())
}

/// The pages that `wanted` names of a file that has `pages`.
fn numbers(wanted: &Wanted, pages: usize, pages_max: usize) -> Result<Vec<usize>, DecodeError> {
    let missing = wanted.pages.iter().find(|page| !(1..=pages).contains(*page));
    if let Some(&page) = missing {
        return Err(DecodeError::NoSuchPage { page, pages });
    }
    let all = wanted.pages.is_empty();
    let count = if all { pages } else { wanted.pages.len() };
    if count > pages_max {
        return Err(DecodeError::TooManyPages { pages_max });
    }
    Ok(if all { (1..=pages).collect() } else { wanted.pages.clone() })
}

/// Reads one page after another, and counts.
struct PageReader<'a> {
    limits: &'a DecodeLimits,
    orientation: Orientation,
    /// Number of the page being read, from 1.
    page: usize,
    /// Pixels of the pages up to this one.
    pixels: u64,
}

// === impl DecodeLimits ===

impl DecodeLimits {
    /// Largest total of all pages by default: sixteen A4 pages at 300 dots per inch, and some.
    const FILE_PIXELS_MAX: u64 = 4 * limits::PAGE_PIXELS_MAX;

    /// A decoder's own memory: the largest pixel it can produce (16-bit RGBA) for each, and room
    /// for tables.
    pub fn memory_bytes_max(&self) -> u64 {
        const TABLES_BYTES: u64 = 16 << 20;
        self.pixels_max.saturating_mul(8).saturating_add(TABLES_BYTES)
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            bytes_max: limits::FILE_BYTES_MAX,
            pixels_max: limits::PAGE_PIXELS_MAX,
            file_pixels_max: Self::FILE_PIXELS_MAX,
            side_px_max: limits::PAGE_SIDE_PX_MAX,
            pages_max: limits::PAGES_MAX,
            pdf_page_ms_max: limits::PDF_PAGE_MS_MAX,
        }
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self { pages: Vec::new(), dpi: limits::PDF_DPI_DEFAULT }
    }
}

// === impl Decoder ===

impl Decoder {
    /// The wanted pages of a file, all of them or none. Only TIFF and PDF files have more than one; of
    /// animations the first picture is read. `go_on` is asked now and then whether anybody still wants
    /// them.
    pub fn read(
        &self,
        bytes: &[u8],
        wanted: &Wanted,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<NumberedPage>, DecodeError> {
        let format = sniff(bytes)?;
        let limits = &self.limits;
        if bytes.len() > limits.bytes_max {
            let (bytes, bytes_max) = (bytes.len(), limits.bytes_max);
            return Err(DecodeError::TooManyBytes { bytes, bytes_max });
        }
        if format == Format::Pdf {
            return pdf::pages(&self.pdf, bytes, wanted, limits, go_on);
        }
        let mut reader = PageReader { limits, orientation: self.orientation, page: 1, pixels: 0 };
        let file = Cursor::new(bytes);
        if format == Format::Tiff {
            let mut views: Vec<_> = tiff_pages::views(bytes)?.into_iter().map(Some).collect();
            let mut pages = Vec::new();
            for number in numbers(wanted, views.len(), limits.pages_max)? {
                if !go_on() {
                    return Err(DecodeError::GivenUp);
                }
                reader.page = number;
                // A page is named once.
                let Some(view) = views[number - 1].take() else { continue };
                let page = reader.read(TiffDecoder::new(view))?;
                pages.push(NumberedPage { number, page, text: None });
            }
            return Ok(pages);
        }
        numbers(wanted, 1, limits.pages_max)?;
        let page = match format {
            Format::Png => reader.read(PngDecoder::new(file))?,
            Format::WebP => reader.read(WebPDecoder::new(file))?,
            _ => {
                let page = reader.read(JpegDecoder::new(file))?;
                if is_cut_off_jpeg(bytes) {
                    let problem = "the JPEG has no end marker".to_owned();
                    return Err(DecodeError::Damaged { page: 1, problem });
                }
                page
            }
        };
        Ok(vec![NumberedPage { number: 1, page, text: None }])
    }
}

// === impl PageReader ===

impl PageReader<'_> {
    fn read<D: ImageDecoder>(
        &mut self,
        decoder: Result<D, ImageError>,
    ) -> Result<Page, DecodeError> {
        let mut decoder = decoder.map_err(|error| self.refusal(&error))?;
        let (width_px, height_px) = decoder.dimensions();
        self.check_size(width_px, height_px)?;
        decoder.set_limits(self.decoder_limits()).map_err(|error| self.refusal(&error))?;

        let as_stored = image::metadata::Orientation::NoTransforms;
        let turn = match self.orientation {
            // A page whose metadata cannot be read is still a page.
            Orientation::Apply => decoder.orientation().unwrap_or(as_stored),
            Orientation::Ignore => as_stored,
        };
        let color = decoder.color_type();
        let bytes = usize::try_from(decoder.total_bytes()).map_err(|_| self.too_much_memory())?;
        let mut samples = vec![0; bytes];
        decoder.read_image(&mut samples).map_err(|error| self.refusal(&error))?;

        let rgb = rgb::to_rgb8(samples, color).ok_or_else(|| DecodeError::Feature {
            page: self.page,
            feature: format!("samples of type {color:?}"),
        })?;
        let page = upright(width_px, height_px, rgb, turn).ok_or(DecodeError::NoPixels {
            page: self.page,
            width_px,
            height_px,
        })?;
        Ok(page)
    }

    fn check_size(&mut self, width_px: u32, height_px: u32) -> Result<(), DecodeError> {
        let page = self.page;
        let DecodeLimits { pixels_max, file_pixels_max, side_px_max, .. } = *self.limits;
        if width_px == 0 || height_px == 0 {
            return Err(DecodeError::NoPixels { page, width_px, height_px });
        }
        if width_px.max(height_px) > side_px_max {
            return Err(DecodeError::SideTooLong { page, width_px, height_px, side_px_max });
        }
        let pixels = u64::from(width_px) * u64::from(height_px);
        if pixels > pixels_max {
            return Err(DecodeError::TooManyPixels {
                page,
                width_px,
                height_px,
                pixels,
                pixels_max,
            });
        }
        self.pixels = self.pixels.saturating_add(pixels);
        if self.pixels > file_pixels_max {
            let (pixels, pixels_max) = (self.pixels, file_pixels_max);
            return Err(DecodeError::TooManyPixelsTogether { page, pixels, pixels_max });
        }
        Ok(())
    }

    fn decoder_limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.max_image_width = Some(self.limits.side_px_max);
        limits.max_image_height = Some(self.limits.side_px_max);
        limits.max_alloc = Some(self.limits.memory_bytes_max());
        limits
    }

    fn too_much_memory(&self) -> DecodeError {
        let memory_bytes_max = self.limits.memory_bytes_max();
        DecodeError::TooMuchMemory { page: self.page, memory_bytes_max }
    }

    fn refusal(&self, error: &ImageError) -> DecodeError {
        let page = self.page;
        match error {
            ImageError::Unsupported(error) => {
                DecodeError::Feature { page, feature: error.to_string() }
            }
            ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => {
                self.too_much_memory()
            }
            other => DecodeError::Damaged { page, problem: other.to_string() },
        }
    }
}

/// Turns and mirrors as the file asks.
fn upright(
    width_px: u32,
    height_px: u32,
    rgb: Vec<u8>,
    turn: image::metadata::Orientation,
) -> Option<Page> {
    if turn == image::metadata::Orientation::NoTransforms {
        return Page::from_rgb(width_px, height_px, rgb);
    }
    let mut image = DynamicImage::ImageRgb8(RgbImage::from_raw(width_px, height_px, rgb)?);
    image.apply_orientation(turn);
    Page::from_rgb(image.width(), image.height(), image.into_rgb8().into_raw())
}

/// Whether the compressed data of a JPEG stops before its end marker.
///
/// The decoder fills what is missing with grey and reports success; Pillow refuses such files, and
/// so must a reader of documents: half a page would be read as if it were whole.
fn is_cut_off_jpeg(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    // Segments before the scan have lengths; previews in them have end markers of their own.
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        if kind == START_OF_SCAN {
            // In compressed data 0xff is followed by 0 unless a marker begins.
            // It is the last thing in whole files.
            return !bytes[at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
        }
        // Fill bytes may stand before a marker.
        at += if kind == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
    }
    // The decoder was content with something unusual; do not second-guess it.
    false
}
