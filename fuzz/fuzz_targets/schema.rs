//! Any text as a JSON Schema: it is refused with reasons, or becomes fields, a grammar that constrains a model,
//! and a schema of its own that says the same again. Any answer can be mended against it, and the fields of what
//! comes of that lie inside the answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::schema;

fuzz_target!(|input: &str| {
    let _ = schema::reached(input);
});
