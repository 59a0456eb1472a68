//! Any bytes as a request message: it is decoded or refused, and what was decoded says the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::request;

fuzz_target!(|bytes: &[u8]| {
    let _ = request::decoded(bytes);
});
