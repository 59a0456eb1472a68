//! `tessera render-pdf`: what a server starts for each PDF file, so that no file can hold or harm it.

use std::path::PathBuf;

use clap::Args;

use super::failure::{Exit, Failure};
use crate::config::env::{Env as _, ProcessEnv};
use crate::preprocess::{DecodeLimits, PdfRenderer, RendererProgram, Wanted, serve_pdf};

/// Render a PDF from stdin to stdout, in the server's own format
#[derive(Debug, Args)]
pub(super) struct RenderPdfArgs {
    #[arg(long)]
    dpi: u32,
    /// Empty: all
    #[arg(long, value_delimiter = ',', num_args = 0..)]
    pages: Vec<String>,
    #[arg(long)]
    pixels_max: u64,
    #[arg(long)]
    file_pixels_max: u64,
    #[arg(long)]
    side_px_max: u32,
    #[arg(long)]
    pages_max: usize,
}

pub(super) fn run(args: &RenderPdfArgs) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::error::Error| Failure::new(Exit::Failed, "cannot render").because(error);
    let pages: Result<Vec<usize>, _> = args
        .pages
        .iter()
        .filter(|page| !page.is_empty())
        .map(|page| page.parse::<usize>())
        .collect();
    let pages = pages.map_err(|error| failed(&error))?;
    let limits = DecodeLimits {
        pixels_max: args.pixels_max,
        file_pixels_max: args.file_pixels_max,
        side_px_max: args.side_px_max,
        pages_max: args.pages_max,
        ..DecodeLimits::default()
    };
    serve_pdf(&Wanted { pages, dpi: args.dpi }, &limits).map_err(|error| failed(&error))
}

/// This program, as a renderer for a server in this process.
pub(super) fn renderer() -> PdfRenderer {
    let library_path = ProcessEnv.get("LD_LIBRARY_PATH");
    let process = |path| PdfRenderer::Process(RendererProgram { path, library_path });
    // The kernel's name for the running program holds where its file was replaced meanwhile.
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() {
        return process(own);
    }
    std::env::current_exe().map_or(PdfRenderer::Here, process)
}
