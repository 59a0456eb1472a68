//! Generates the gRPC code from `proto/` without `protoc` (protox is pure Rust), into `OUT_DIR`.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let protos = ["extraction.proto", "model_info.proto", "schema.proto"]
        .map(|name| format!("proto/tessera/v1/{name}"));
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(protos, ["proto"])?;
    #[expect(clippy::disallowed_methods, reason = "how cargo talks to build scripts")]
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // Served by reflection.
    std::fs::write(out_dir.join("tessera_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Page files are megabytes: `Bytes` shares the request's buffer instead of copying it.
        .bytes(".tessera.v1.InputFile.content")
        .compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rustc-env=TESSERA_COMMIT={}", commit());
    Ok(())
}

/// The short commit of the tree, or `unknown` outside a checkout (a source archive).
fn commit() -> String {
    Command::new("git")
        .args(["rev-parse", "--short=7", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
