//! Any text as a question: its prompt has one run of image tokens for each page and not one more,
//! whatever the text says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::prompt;

fuzz_target!(|question: &str| {
    let _ = prompt::text(question);
});
