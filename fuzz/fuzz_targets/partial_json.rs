//! Any text of a model, cut anywhere: the same fields complete as where it comes in one piece, and the
//! object, if there is one, lies inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::partial_json;

fuzz_target!(|input: &[u8]| {
    let _ = partial_json::fields(input);
});
