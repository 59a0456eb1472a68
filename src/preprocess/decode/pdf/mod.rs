//! Pages of PDF files: rendered at a resolution, with the text that they bring, in a process of their own where
//! there is one, because a file of a few bytes can ask for any amount of time and memory.

mod frames;
mod process;
mod render;
mod text;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use process::serve;

use super::{DecodeError, DecodeLimits, NumberedPage, Wanted};

/// Where PDF files are rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PdfRenderer {
    /// In this process: a page that takes for ever takes this thread with it.
    #[default]
    Here,
    /// In a child of this program, which is stopped when a page takes too long, or its memory.
    Process(RendererProgram),
}

/// This program, as a child that renders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RendererProgram {
    pub path: PathBuf,
    /// Where its libraries are looked for beside the usual places, as `LD_LIBRARY_PATH` has it: all that a child gets of
    /// the environment, which may hold secrets.
    pub library_path: Option<String>,
}

/// Why a PDF file was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PdfError {
    #[error("the PDF needs a password; save it without one")]
    Encrypted,
    #[error("the PDF is encrypted in a way that is not read here; save it without encryption")]
    UnknownEncryption,
    #[error("the PDF is damaged or cut off; send the whole file again, or print it to a new PDF")]
    Damaged,
    #[error("the PDF has no pages")]
    NoPages,
    #[error(
        "page {page} was not rendered within {ms_max} ms; print it to a new PDF, or send it as PNG"
    )]
    TooSlow { page: usize, ms_max: u64 },
    #[error(
        "page {page} cannot be rendered within {bytes_max} bytes of memory; lower dpi, print it to a new \
         PDF, or send it as PNG"
    )]
    TooMuchMemory { page: usize, bytes_max: u64 },
    /// No file's fault.
    #[error("the server's own renderer of PDF files does not start: {problem}; its log says more")]
    NotStarted { problem: String },
    #[error("page {page} cannot be rendered: {problem}; print it to a new PDF, or send it as PNG")]
    Failed { page: usize, problem: String },
}

/// Renders the wanted pages; `go_on` is asked now and then whether anybody still wants them.
pub(super) fn pages(
    renderer: &PdfRenderer,
    bytes: &[u8],
    wanted: &Wanted,
    limits: &DecodeLimits,
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<NumberedPage>, DecodeError> {
    match renderer {
        PdfRenderer::Here => {
            let mut pages = Vec::new();
            render::render(bytes, wanted, limits, &mut |page| {
                pages.push(page);
                if go_on() { Ok(()) } else { Err(DecodeError::GivenUp) }
            })?;
            Ok(pages)
        }
        PdfRenderer::Process(program) => process::render(program, bytes, wanted, limits, go_on),
    }
}

impl PdfError {
    /// The limit that was passed: its name, its value, and by what.
    pub fn limit(&self) -> Option<(&'static str, u64)> {
        match self {
            Self::TooSlow { ms_max, .. } => Some(("max_render_ms", *ms_max)),
            Self::TooMuchMemory { bytes_max, .. } => Some(("max_render_bytes", *bytes_max)),
            _ => None,
        }
    }
}
