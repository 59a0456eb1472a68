//! Damaged and foreign model directories: each is refused before any model work, with what is wrong
//! and what to do, and nothing is loaded.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tessera::checkpoint::Checkpoint;
use tessera::model::Runner as _;
use tessera::model::internvl::{LoadOptions, load};
use tessera::weights::WeightSource;

/// A copy of a small sharded model, to be damaged.
fn copy() -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/micro-c");
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    dir
}

fn options() -> LoadOptions {
    LoadOptions { devices: "cpu".parse().unwrap(), slots: 1, ..LoadOptions::default() }
}

/// The refusal of `dir`, which says all of `expected`.
#[track_caller]
fn refused(dir: &Path, expected: &[&str]) {
    let error = load(&Checkpoint::Dir(dir.to_owned()), &options(), &mut |_| ()).unwrap_err();
    let text = error.to_string();
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn edit(path: PathBuf, from: &str, to: &str) {
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = text.replacen(from, to, 1);
    assert_ne!(text, edited, "{from} is not in {}", path.display());
    std::fs::write(path, edited).unwrap();
}

#[test]
fn the_undamaged_copy_loads() {
    let dir = copy();
    let model = load(&Checkpoint::Dir(dir.path().to_owned()), &options(), &mut |_| ()).unwrap();
    assert!(model.spec().placements.iter().all(
        |placement| placement.weight_bytes > 0 || placement.module == "language_model.lm_head"
    ));
}

#[test]
fn no_configuration() {
    let dir = copy();
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    refused(dir.path(), &["config.json", "which a model directory needs"]);
}

#[test]
fn configuration_that_is_no_json() {
    let dir = copy();
    std::fs::write(dir.path().join("config.json"), "{").unwrap();
    refused(dir.path(), &["config.json", "not valid JSON"]);
}

#[test]
fn another_architecture() {
    let dir = copy();
    edit(dir.path().join("config.json"), "InternVLForConditionalGeneration", "LlavaForCausalLM");
    refused(dir.path(), &["LlavaForCausalLM", "not supported", "InternVL3"]);
}

#[test]
fn a_value_that_does_not_fit_its_neighbours() {
    let dir = copy();
    edit(
        dir.path().join("config.json"),
        "\"num_key_value_heads\": 3",
        "\"num_key_value_heads\": 4",
    );
    refused(dir.path(), &["num_key_value_heads", "6 heads do not divide by it"]);
}

#[test]
fn a_missing_shard() {
    let dir = copy();
    std::fs::remove_file(dir.path().join("model-00002-of-00003.safetensors")).unwrap();
    refused(dir.path(), &["model-00002-of-00003.safetensors", "not there", "incomplete"]);
}

#[test]
fn a_shard_that_was_cut_off() {
    let dir = copy();
    let path = dir.path().join("model-00001-of-00003.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for len in [0, 7, 20, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        refused(dir.path(), &["model-00001-of-00003.safetensors", "download it again"]);
    }
}

#[test]
fn no_weights_at_all() {
    let dir = copy();
    for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().contains("safetensors") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    refused(dir.path(), &["no *.safetensors", "random:1"]);
}

#[test]
fn weights_of_another_size() {
    let dir = copy();
    edit(dir.path().join("config.json"), "\"vocab_size\": 307", "\"vocab_size\": 308");
    refused(dir.path(), &["embed_tokens.weight", "[307, 96]", "[308, 96]"]);
}

#[test]
fn a_configuration_with_more_layers_than_the_weights() {
    let dir = copy();
    edit(dir.path().join("config.json"), "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    refused(dir.path(), &["language_model.model.layers.3", "describes another model"]);
}

#[test]
fn random_weights_need_no_files() {
    let dir = copy();
    for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().contains("safetensors") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let options = LoadOptions { weights: WeightSource::Random { seed: 7 }, ..options() };
    let checkpoint = Checkpoint::Dir(dir.path().to_owned());
    let logits = || {
        let mut model = load(&checkpoint, &options, &mut |_| ()).unwrap();
        assert_eq!(model.spec().revision, "random:7");
        let segment = tessera::model::Segment {
            slot: tessera::model::Slot(0),
            blocks: &[0],
            start: 0,
            tokens: &[1, 2, 3],
            image_tokens_before: 0,
            want: tessera::model::Want::Logits,
            pages: &[],
        };
        let batch = tessera::model::StepBatch { segments: vec![segment] };
        model.step(&batch).unwrap().rows().next().unwrap().to_vec()
    };
    let first = logits();
    assert!(first.iter().all(|value| value.is_finite()));
    assert_eq!(first, logits(), "the same seed gives the same weights");
}
