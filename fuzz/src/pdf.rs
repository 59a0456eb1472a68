//! Any bytes as a PDF file: pages within the limits or an error. What a page does to its renderer is held by the
//! process that renders it (`tests/pdf.rs`), so a panic of the renderer is an answer here; a page that is too
//! large, or takes longer than libFuzzer waits, is not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tessera::preprocess::{DecodeLimits, Decoder, NumberedPage, Orientation, PdfRenderer, Wanted};

/// Where a panic is the property's own and not the renderer's.
pub const FILE: &str = file!();

/// Pages of the file with `body` behind a PDF's first line; none where it was refused.
pub fn pages(body: &[u8]) -> Vec<NumberedPage> {
    let limits = DecodeLimits {
        pixels_max: 1 << 16,
        file_pixels_max: 1 << 17,
        side_px_max: 1024,
        pages_max: 4,
        ..DecodeLimits::default()
    };
    let decoder =
        Decoder { limits: limits.clone(), orientation: Orientation::Apply, pdf: PdfRenderer::Here };
    // So that the renderer is reached, and no other decoder.
    let mut file = b"%PDF-1.7\n".to_vec();
    file.extend_from_slice(body);
    let wanted = Wanted { pages: Vec::new(), dpi: 72 };
    let read = catch_unwind(AssertUnwindSafe(|| decoder.read(&file, &wanted, &|| true)));
    let Ok(Ok(pages)) = read else { return Vec::new() };
    assert!(!pages.is_empty() && pages.len() <= limits.pages_max, "{} pages", pages.len());
    let mut together = 0;
    for numbered in &pages {
        let page = &numbered.page;
        let pixels = u64::from(page.width_px()) * u64::from(page.height_px());
        together += pixels;
        assert!(pixels > 0 && pixels <= limits.pixels_max, "a page of {pixels} pixels");
        assert_eq!(page.rgb().len() as u64, pixels * 3, "bytes of a page");
    }
    assert!(together <= limits.file_pixels_max, "a file of {together} pixels");
    pages
}
