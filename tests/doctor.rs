//! `tessera doctor` on this machine's CPU: what it says of a healthy model, and of a broken one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

use candle_core::{Device, Tensor};

fn doctor(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.env_clear().arg("doctor").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn says(output: &Output, exit: i32, parts: &[&str]) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{out}{err}");
    for part in parts {
        assert!(out.contains(part) || err.contains(part), "{part:?} is not in:\n{out}{err}");
    }
}

#[test]
fn a_healthy_machine_is_described() {
    let output = doctor(&["--devices", "cpu,cpu", "--device-map", "internvl", "--verify", "full"]);
    let parts = [
        "computes in f32",
        "cpu:0 -> cpu:1: host memory, 40 of 40 patterns right",
        "auto asked for, policy fallback",
        "weights f32",
        "bit for bit",
        "mlp_product",
        "healthy",
    ];
    says(&output, 0, &parts);
}

#[test]
fn a_module_in_f16_is_measured_against_its_range() {
    let output = doctor(&["--devices", "cpu", "--dtype", "f16", "--dtype-override", "vision=f32"]);
    says(&output, 0, &["% of f16, in language_model", "products of f16, sums f32, residual f32"]);
}

#[test]
fn a_broken_model_is_named() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tessera-tiny");
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let path = dir.path().join("model.safetensors");
    let mut weights = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let name = weights.keys().find(|name| name.ends_with("layers.2.mlp.up_proj.weight")).unwrap();
    let name = name.clone();
    let whole = &weights[&name];
    let nan = Tensor::full(f32::NAN, whole.shape(), &Device::Cpu).unwrap();
    let nan = nan.to_dtype(whole.dtype()).unwrap();
    weights.insert(name, nan);
    candle_core::safetensors::save(&weights, &path).unwrap();
    let model = dir.path().display().to_string();
    let output = doctor(&["--model", &model, "--devices", "cpu"]);
    says(
        &output,
        1,
        &["not finite", "language_model.model.layers.2", "mlp_product", "--verify full"],
    );
    assert!(!text(&output.stdout).contains("healthy"));
}

#[test]
fn mistakes_are_explained() {
    let output =
        doctor(&["--devices", "cpu,gpu", "--dtype-override", "audio=f32", "--quantize", "q2"]);
    says(&output, 2, &["3 mistakes", "there is no device", "unknown module", "none, q8"]);
}
