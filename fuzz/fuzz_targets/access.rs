//! Any text as a token: nobody gets in by it who has no key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::access;

fuzz_target!(|token: &str| {
    let _ = access::refused(token);
});
