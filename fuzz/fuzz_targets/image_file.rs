//! Any bytes as a page file: pages within the limits or an error, and tiles of every page.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::image_file;

fuzz_target!(|bytes: &[u8]| {
    let _ = image_file::pages(bytes);
});
