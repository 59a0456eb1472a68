//! Any bytes as a PDF file: pages within the limits or an error. What a page does to its renderer is held by the
//! process that renders it (`tests/pdf.rs`), so a panic of the renderer is an answer here; a page that is too
//! large, or takes longer than libFuzzer waits, is not.
#![no_main]

use std::panic;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::pdf;

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // libFuzzer's own hook would take the renderer's panic for a finding. One that nobody catches still is.
    QUIET.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            if panic.location().is_some_and(|location| location.file().ends_with(pdf::FILE)) {
                eprintln!("{panic}");
            }
        }));
    });
    let _ = pdf::pages(bytes);
});
