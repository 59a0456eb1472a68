//! Why a file was not read: what is wrong, the value and the limit, and what the sender can do.

use super::PdfError;

/// Every reason for refusing a file. All of them are the sender's to fix.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the file is empty; send the bytes of a PNG, JPEG, WebP, TIFF or PDF file")]
    Empty,

    #[error(
        "the file has {bytes} bytes and the limit is {bytes_max}; \
         compress it, lower its resolution or split its pages"
    )]
    TooManyBytes { bytes: usize, bytes_max: usize },

    #[error("the file is {kind}, which is not read here; {remedy}")]
    OtherFormat { kind: &'static str, remedy: &'static str },

    #[error(
        "the file starts with none of the known signatures but with {start:02x?}; \
         send a PNG, JPEG, WebP, TIFF or PDF file"
    )]
    UnknownFormat { start: Vec<u8> },

    #[error("page {page} is {width_px}x{height_px} pixels; both sides need at least one pixel")]
    NoPixels { page: usize, width_px: u32, height_px: u32 },

    #[error(
        "page {page} is {width_px}x{height_px} pixels and the limit for a side is {side_px_max}; \
         scale it down or cut it into pages"
    )]
    SideTooLong { page: usize, width_px: u32, height_px: u32, side_px_max: u32 },

    #[error(
        "page {page} is {width_px}x{height_px} = {pixels} pixels and the limit is {pixels_max}; \
         scale it down"
    )]
    TooManyPixels { page: usize, width_px: u32, height_px: u32, pixels: u64, pixels_max: u64 },

    #[error(
        "the pages up to page {page} have {pixels} pixels together and the limit is {pixels_max}; \
         send fewer pages at once"
    )]
    TooManyPixelsTogether { page: usize, pixels: u64, pixels_max: u64 },

    #[error("the file has more than {pages_max} pages; name some of them, or split it")]
    TooManyPages { pages_max: usize },

    #[error("page {page} is not there: the file has {pages}")]
    NoSuchPage { page: usize, pages: usize },

    #[error(
        "page {page} needs more than {memory_bytes_max} bytes while it is decoded; \
         save it again as an 8-bit RGB image or scale it down"
    )]
    TooMuchMemory { page: usize, memory_bytes_max: u64 },

    #[error("page {page} is damaged or cut off: {problem}; send the whole file again")]
    Damaged { page: usize, problem: String },

    #[error(
        "page {page} uses a feature that is not read here: {feature}; \
         save it again as an 8-bit RGB PNG"
    )]
    Feature { page: usize, feature: String },

    #[error(transparent)]
    Pdf(#[from] PdfError),

    /// Nobody wants the pages any more: no mistake of the file's.
    #[error("reading was given up")]
    GivenUp,
}
