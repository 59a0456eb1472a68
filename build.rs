//! Generates the gRPC code from `proto/` without `protoc` (protox is pure Rust), into `OUT_DIR`; with the
//! feature `cuda` it also compiles the kernels in `src/model/cuda` with nvcc.

#![expect(clippy::disallowed_methods, reason = "how cargo talks to build scripts")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let protos = [
        "tessera/v1/extraction.proto",
        "tessera/v1/model_info.proto",
        "tessera/v1/schema.proto",
        "grpc/health/v1/health.proto",
        "xds/service/orca/v3/orca.proto",
    ]
    .map(|name| format!("proto/{name}"));
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(protos, ["proto"])?;
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // Served by reflection.
    std::fs::write(out_dir.join("tessera_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Page files are megabytes: `Bytes` shares the request's buffer instead of copying it.
        .bytes(".tessera.v1.InputFile.content")
        .compile_fds(descriptors)?;
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_kernels(Path::new("src/model/cuda"), &out_dir)?;
    }
    // Each commit and checkout adds a line there; HEAD itself only names the branch. A path that is not there
    // would have this program run at each build.
    let moves = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|at| Path::new(at).exists());
    if let Some(path) = moves {
        println!("cargo:rerun-if-changed={path}");
    }
    let commit = git(&["rev-parse", "--short=7", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=TESSERA_COMMIT={commit}");
    Ok(())
}

/// What git says of the tree; nothing outside a checkout (a source archive).
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim().to_owned())
}

/// Compiles each `*.cu` in `dir` to `*.kernels` in `out_dir`: PTX for the compute capability with a zero behind
/// it, or machine code of compute capability 9.0, which `hopper_*` is for. A build for later ones, which does
/// not run on 9.0, has nothing there.
fn compile_kernels(dir: &Path, out_dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={}", dir.display());
    for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH", "CUDA_COMPUTE_CAP", "PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let nvcc = nvcc();
    let capability = compute_capability()?;
    let headers = headers(dir)?;
    for entry in std::fs::read_dir(dir)? {
        let source = entry?.path();
        if source.extension().is_none_or(|extension| extension != "cu") {
            continue;
        }
        let Some(name) = source.file_stem() else { continue };
        let out = out_dir.join(name).with_extension("kernels");
        let for_hopper = name.to_string_lossy().starts_with("hopper_");
        if for_hopper && capability.parse::<u32>()? > 90 {
            std::fs::write(out, [])?;
            continue;
        }
        let target = if for_hopper {
            ["-cubin".to_owned(), "-gencode=arch=compute_90a,code=sm_90a".to_owned()]
        } else {
            ["-ptx".to_owned(), format!("-arch=compute_{capability}")]
        };
        let mut command = Command::new(&nvcc);
        command.args(["-O3", "-std=c++17"]).args(target).arg("-o").args([&out, &source]);
        // This script runs again after each commit, and the kernels take minutes. A toolkit that was exchanged where it lies
        // is not seen: what the one before made is right as well.
        let made_of = format!("{command:?}\n{headers}{}", std::fs::read_to_string(&source)?);
        let known = out.with_extension("made_of");
        if out.exists() && std::fs::read_to_string(&known).is_ok_and(|text| text == made_of) {
            continue;
        }
        if known.exists() {
            std::fs::remove_file(&known)?;
        }
        let output = command.output().map_err(|error| {
            format!(
                "the feature `cuda` needs NVIDIA's compiler, and {} cannot be run ({error}): put \
                     nvcc on PATH, or set CUDA_HOME",
                nvcc.display()
            )
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("nvcc cannot compile {}:\n{said}", source.display()).into());
        }
        if !for_hopper {
            let mut text = std::fs::read(&out)?;
            text.push(0);
            std::fs::write(&out, text)?;
        }
        std::fs::write(known, made_of)?;
    }
    Ok(())
}

/// What the kernels include, all of it.
fn headers(dir: &Path) -> Result<String, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cuh"));
    paths.sort();
    Ok(paths.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?)
}

/// `NVCC`, or nvcc of the toolkit in `CUDA_HOME` or `CUDA_PATH`, or the one on `PATH`.
fn nvcc() -> PathBuf {
    let toolkit = |variable| {
        std::env::var_os(variable)
            .map(|home| PathBuf::from(home).join("bin/nvcc"))
            .filter(|nvcc| nvcc.exists())
    };
    std::env::var_os("NVCC")
        .map(PathBuf::from)
        .or_else(|| toolkit("CUDA_HOME"))
        .or_else(|| toolkit("CUDA_PATH"))
        .unwrap_or_else(|| PathBuf::from("nvcc"))
}

/// `CUDA_COMPUTE_CAP`, such as 90, or what the first GPU here has.
fn compute_capability() -> Result<String, Box<dyn Error>> {
    let given = std::env::var("CUDA_COMPUTE_CAP").ok().or_else(|| {
        let output = Command::new("nvidia-smi")
            .args(["--query-gpu=compute_cap", "--format=csv,noheader"])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().next().map(ToOwned::to_owned)
    });
    let digits = given.map(|text| text.trim().replace('.', "")).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the feature `cuda` needs the compute capability to compile for: set \
                    CUDA_COMPUTE_CAP (80 for A100, 90 for H100), or build where nvidia-smi runs"
            .into());
    }
    Ok(digits)
}
