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
        "kernels  of vision_model, mlp1: compared with these operations, alike",
        "healthy",
    ];
    says(&output, 0, &parts);
}

#[test]
fn a_module_in_f16_is_measured_against_its_range() {
    let output = doctor(&["--devices", "cpu", "--dtype", "f16", "--dtype-override", "vision=f32"]);
    says(&output, 0, &["% of f16, in language_model", "products of f16, sums f32, residual f32"]);
    let output = doctor(&["--devices", "cpu", "--dtype", "bf16"]);
    says(&output, 0, &["kernels  none of its own: the model serves by these operations"]);
}

/// A copy of the built-in model in a directory of its own.
fn copied() -> tempfile::TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tessera-tiny");
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    dir
}

/// In a pod the model is named by a variable or by a file, and the runbook's command names none.
#[test]
fn the_model_is_found_where_serve_finds_it() {
    let dir = copied();
    let model = dir.path().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    let output = command
        .env_clear()
        .env("TESSERA_MODEL", &model)
        .env("TESSERA_DTYPE", "f16")
        // What only serving needs is not asked for.
        .env("TESSERA_ACCESS_FILE", "/no/such/file")
        .args(["doctor", "--devices", "cpu", "--verify", "full"])
        .output()
        .unwrap();
    let looked_at = format!("model    {model}, by TESSERA_MODEL\n");
    says(&output, 0, &[&looked_at, "f16 asked for", "bit for bit", "healthy"]);
    let name = dir.path().file_name().unwrap().to_string_lossy().into_owned();
    says(&output, 0, &[&format!("Model {name} (")]);

    let file = dir.path().join("tessera.toml");
    std::fs::write(&file, format!("devices = \"cpu\"\nmodel = \"{model}\"\nlisten = 1\n")).unwrap();
    let config = file.display().to_string();
    let output = doctor(&["--config", &config, "--verify", "none"]);
    says(
        &output,
        0,
        &[&format!("model    {model}, by {config}:2:1 model\n"), "not run", "healthy"],
    );
    let output = doctor(&["--config", &config, "--verify", "none", "--model", "tessera-tiny"]);
    says(&output, 0, &["model    the embedded tessera-tiny, by --model\n", "healthy"]);
    let output = doctor(&["--devices", "cpu", "--verify", "none"]);
    says(&output, 0, &["the embedded tessera-tiny, by default of --model\n"]);
    let output = doctor(&["--config", "/no/such/file"]);
    says(&output, 2, &["/no/such/file", "cannot be read"]);
}

/// As `serve` would load them: each on its part of the devices.
#[test]
fn every_replica_is_looked_at() {
    let args = ["--devices", "cpu,cpu", "--replicas", "2", "--verify", "none"];
    says(&doctor(&args), 0, &["cpu:0    vision_model", "cpu:1    vision_model"]);
}

#[test]
fn a_broken_model_is_named() {
    let dir = copied();
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

/// Commands of a page: lines of its shell blocks, and code in its text.
fn commands(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut blocks, mut spans) = (Vec::new(), Vec::new());
    let (mut is_block, mut is_shell) = (false, false);
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_block = !is_block;
            is_shell = is_block && language == "sh";
        } else if is_shell {
            blocks.push(line.split(" #").next().unwrap().trim().to_owned());
        } else if !is_block {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let is_ours = |command: &String| command.starts_with("tessera ");
    blocks.retain(is_ours);
    spans.retain(is_ours);
    (blocks, spans)
}

/// Who has a symptom gets an answer: every command that the page shows can be given, here to the built-in model.
#[test]
fn the_commands_of_the_troubleshooting_page_work() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let (blocks, spans) = commands(&std::fs::read_to_string(page).unwrap());
    assert!(blocks.len() >= 4 && spans.len() >= 6, "{blocks:?} {spans:?}");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
        command.env_clear().args(args).output().unwrap()
    };
    for command in &blocks {
        let here = command.replace("./InternVL3-8B", "tessera-tiny").replace("10000", "10");
        let mut here = here.replace("cuda:0,cuda:1", "cpu,cpu");
        // Its own number of patterns takes minutes on a CPU.
        if here.contains("debug links") && !here.contains("--checks") {
            here.push_str(" --checks 10");
        }
        let output = run(&here.split(' ').skip(1).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{command}: {}", text(&output.stderr));
    }
    for command in blocks.iter().chain(&spans) {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let end = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
        let help = run(&[&words[..end], &["--help"]].concat());
        assert_eq!(help.status.code(), Some(0), "{command}");
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(text(&help.stdout).contains(flag), "{command} has no {flag}");
        }
    }
}
