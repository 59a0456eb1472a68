//! From the bytes of an image file to the model's tiles: CPU only, no tensors, not asynchronous.
//!
//! [`decode()`] reads a file within limits, [`tile()`] makes tiles of each page, whose samples
//! [`SampleValues`] turns into the model's numbers. The resize between them equals Pillow's bit for bit,
//! because the model was trained on Pillow's pixels.

mod config;
mod decode;
mod grid;
mod normalize;
mod page;
pub mod resize;
mod tile;

pub use config::{Config, MEAN, Normalization, STD, TILE_SIZE_PX};
pub use decode::{
    DecodeError, DecodeLimits, Decoder, Format, NumberedPage, Orientation, PdfError, PdfRenderer,
    RendererProgram, Wanted, decode, serve_pdf, sniff,
};
pub use grid::{Grid, choose_grid};
pub use normalize::SampleValues;
pub use page::Page;
pub use tile::{Tiles, tile};
