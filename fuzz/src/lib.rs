//! What each fuzz target holds of its input, without libFuzzer: `fuzz_targets/` gives these functions any bytes, and
//! `tests/fuzz_seeds.rs` the seeds, each of which has to come as far as it was made to come. A seed that is refused at
//! the door leaves a fuzzer outside, where nothing is ever found.
//!
//! A function panics where its property is broken, and says how far an input came.

pub mod access;
pub mod image_file;
pub mod partial_json;
pub mod pdf;
pub mod prompt;
pub mod request;
pub mod schema;
pub mod uri;

/// Stands between the parts of an input that has several: a line that is in no JSON.
const BETWEEN: &str = "\n---\n";
