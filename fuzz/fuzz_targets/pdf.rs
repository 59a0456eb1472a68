//! Any bytes as a PDF file: pages within the limits or an error. What a page does to its renderer is held by the
//! process that renders it (`tests/pdf.rs`), so a panic of the renderer is an answer here; a page that is too
//! large, or takes longer than libFuzzer waits, is not.
#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use tessera::preprocess::{DecodeLimits, Decoder, Orientation, PdfRenderer, Wanted};

static QUIET: Once = Once::new();

/// Ends the process where a check fails: panics are caught here.
fn check(holds: bool, what: &str) {
    if !holds {
        eprintln!("{what}");
        std::process::abort();
    }
}

fuzz_target!(|bytes: &[u8]| {
    // libFuzzer's own hook would take the renderer's panic for a finding.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
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
    file.extend_from_slice(bytes);
    let wanted = Wanted { pages: Vec::new(), dpi: 72 };
    let read = catch_unwind(AssertUnwindSafe(|| decoder.read(&file, &wanted, &|| true)));
    let Ok(Ok(pages)) = read else { return };
    check(!pages.is_empty() && pages.len() <= limits.pages_max, "number of pages");
    let mut together = 0;
    for numbered in &pages {
        let page = &numbered.page;
        let pixels = u64::from(page.width_px()) * u64::from(page.height_px());
        together += pixels;
        check(pixels > 0 && pixels <= limits.pixels_max, "pixels of a page");
        check(page.rgb().len() as u64 == pixels * 3, "bytes of a page");
    }
    check(together <= limits.file_pixels_max, "pixels of a file");
});
