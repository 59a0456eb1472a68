//! The forward pass against the reference implementation, on small random models of every layout.
//!
//! What the files are, how they were made and why the bounds are what they are: `golden/README.md`.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod runner;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use runner::{argmax, blocks_of, image_token_id, options};
use serde::Deserialize;
use tessera::checkpoint::Checkpoint;
use tessera::device::Dtype;
use tessera::model::internvl::{InternVl, LoadOptions, load};
use tessera::model::{
    PixelData, PixelTiles, Runner as _, Segment, Slot, SlotTiles, StepBatch, Want,
};
use tessera::placement::DtypePolicy;

/// Ten times the rounding of two good f32 implementations, ten times below the faintest known slip.
const F32_ERROR_MAX: f64 = 1e-5;

#[derive(Deserialize)]
struct Case {
    tokens: Vec<u32>,
    greedy: Vec<u32>,
    errors: HashMap<String, HashMap<String, (f64, f64)>>,
}

struct Golden {
    case: Case,
    tensors: HashMap<String, Tensor>,
}

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden(model: &str, case: &str) -> Golden {
    let base = golden_dir().join(model).join("expected").join(case);
    let text = std::fs::read_to_string(base.with_extension("json")).unwrap();
    Golden {
        case: serde_json::from_str(&text).unwrap(),
        tensors: candle_core::safetensors::load(base.with_extension("safetensors"), &Device::Cpu)
            .unwrap(),
    }
}

fn model(name: &str, dtype: Dtype) -> InternVl {
    let checkpoint = Checkpoint::open(&golden_dir().join(name)).unwrap();
    let dtypes = DtypePolicy { requested: Some(dtype), ..DtypePolicy::default() };
    let options = LoadOptions { dtypes, ..options(&checkpoint, "cpu") };
    load(&checkpoint, &options, &mut |_| ()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// `|ours - expected| / |expected|`
fn relative_error(ours: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(ours.dims(), expected.dims());
    let (ours, expected) = (values(ours), values(expected));
    assert!(ours.iter().all(|value| value.is_finite()));
    let square = |x: f64| x * x;
    let difference: f64 =
        ours.iter().zip(&expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm).sqrt()
}

fn pixels(golden: &Golden) -> (usize, Vec<f32>) {
    golden
        .tensors
        .get("pixel_values")
        .map_or_else(|| (0, Vec::new()), |tensor| (tensor.dim(0).unwrap(), values(tensor)))
}

#[track_caller]
fn check_activations(name: &str, expected: &str, case: &str) {
    let golden = golden(expected, case);
    let (tiles, data) = pixels(&golden);
    let ours = model(name, Dtype::F32)
        .activations(PixelTiles { tiles, data: PixelData::Values(&data) }, &golden.case.tokens)
        .unwrap();
    let mut sites: Vec<&String> = golden
        .tensors
        .keys()
        .filter(|site| !["greedy", "tokens"].contains(&site.as_str()))
        .collect();
    sites.sort();
    for site in sites {
        let error = relative_error(&ours[site], &golden.tensors[site]);
        assert!(error <= F32_ERROR_MAX, "{name}/{case} {site}: relative error {error:e}");
    }
}

/// Takes in `tokens` from `start` on, in one segment, and returns the logits that follow.
fn step(model: &mut InternVl, slot: u32, start: usize, all: &[u32], end: usize) -> Vec<f32> {
    let image_token = model.spec().image_token_id;
    let segment = Segment {
        slot: Slot(slot),
        blocks: blocks_of(slot, 4),
        start,
        tokens: &all[start..end],
        image_tokens_before: all[..start].iter().filter(|id| **id == image_token).count(),
        want: Want::Logits,
        pages: &[],
    };
    let logits = model.step(&StepBatch { segments: vec![segment] }).unwrap();
    logits.rows().next().unwrap().to_vec()
}

fn encode(model: &mut InternVl, slot: u32, golden: &Golden) {
    let (tiles, data) = pixels(golden);
    if tiles > 0 {
        let pixels = PixelTiles { tiles, data: PixelData::Values(&data) };
        model.encode(&[SlotTiles { slot: Slot(slot), first_tile: 0, pixels }]).unwrap();
    }
}

#[track_caller]
fn check_greedy(name: &str, expected: &str, case: &str) {
    let golden = golden(expected, case);
    let mut model = model(name, Dtype::F32);
    encode(&mut model, 1, &golden);
    let mut tokens = golden.case.tokens.clone();
    let prompt = tokens.len();
    let mut logits = step(&mut model, 1, 0, &tokens, prompt);
    for (index, expected) in golden.case.greedy.iter().enumerate() {
        let chosen = argmax(&logits);
        assert_eq!(chosen, *expected, "{name}/{case}: token {index}");
        tokens.push(chosen);
        logits = step(&mut model, 1, tokens.len() - 1, &tokens, tokens.len());
    }
}

macro_rules! cases {
    ($($test:ident: $model:literal, $expected:literal, $case:literal;)+) => {
        mod activations {
            $(#[test] fn $test() { super::check_activations($model, $expected, $case); })+
        }
        mod greedy {
            $(#[test] fn $test() { super::check_greedy($model, $expected, $case); })+
        }
    };
}

cases! {
    original_layout_one_tile: "micro-a", "micro-a", "one-tile";
    original_layout_thirteen_tiles: "micro-a", "micro-a", "thirteen-tiles";
    original_layout_two_images: "micro-a", "micro-a", "two-images";
    original_layout_text_only: "micro-a", "micro-a", "text";
    published_hf_names_one_tile: "micro-b", "micro-b", "one-tile";
    published_hf_names_across_the_trained_context: "micro-b", "micro-b", "crossing";
    published_hf_names_beyond_the_trained_context: "micro-b", "micro-b", "long";
    hf_module_names_sharded_one_tile: "micro-c", "micro-c", "one-tile";
    hf_module_names_sharded_seven_tiles: "micro-c", "micro-c", "seven-tiles";
    rms_norm_tower_one_tile: "micro-d", "micro-d", "one-tile";
    rms_norm_tower_three_tiles: "micro-d", "micro-d", "three-tiles";
    rms_norm_tower_in_hf_layout: "micro-d-hf", "micro-d", "three-tiles";
}

#[test]
fn half_precision_is_no_worse_than_the_reference_in_the_same_dtype() {
    for (dtype, reference) in [(Dtype::Bf16, "bf16_eager"), (Dtype::F16, "f16_eager")] {
        let golden = golden("micro-a", "one-tile");
        let (tiles, data) = pixels(&golden);
        let ours = model("micro-a", dtype)
            .activations(PixelTiles { tiles, data: PixelData::Values(&data) }, &golden.case.tokens)
            .unwrap();
        for (site, (bound, _)) in &golden.case.errors[reference] {
            let Some(expected) = golden.tensors.get(site) else { continue };
            let error = relative_error(&ours[site], expected);
            assert!(error <= 2.0 * bound, "{dtype} {site}: {error:e} against {bound:e}");
        }
    }
}

#[test]
fn a_later_token_never_changes_earlier_rows() {
    let golden = golden("micro-a", "two-images");
    let (tiles, data) = pixels(&golden);
    let mut model = model("micro-a", Dtype::F32);
    let mut hidden = |tokens: &[u32]| {
        let activations = model
            .activations(PixelTiles { tiles, data: PixelData::Values(&data) }, tokens)
            .unwrap();
        let layers = activations.keys().filter(|site| site.starts_with("hidden.")).count() - 1;
        activations[&format!("hidden.{layers}")].clone()
    };
    let tokens = &golden.case.tokens;
    let before = hidden(tokens);
    for changed in [1, tokens.len() / 2, tokens.len() - 1] {
        let mut other = tokens.clone();
        // Text stays text: image rows are given.
        other[changed] = if other[changed] == 40 { 41 } else { 40 };
        if tokens[changed] == model_image_token() {
            continue;
        }
        let after = hidden(&other);
        let rows = |x: &Tensor| values(&x.narrow(0, 0, changed).unwrap());
        assert_eq!(rows(&before), rows(&after), "token {changed}");
        let changed_row = |x: &Tensor| values(&x.narrow(0, changed, 1).unwrap());
        assert_ne!(changed_row(&before), changed_row(&after), "token {changed}");
    }
}

fn model_image_token() -> u32 {
    image_token_id(&Checkpoint::open(&golden_dir().join("micro-a")).unwrap())
}

/// Prompts cut into pieces and batched with a decoding neighbour give what they give alone.
#[test]
fn batched_and_chunked_equals_alone() {
    let (first, second) = (golden("micro-a", "one-tile"), golden("micro-a", "two-images"));
    let mut model = model("micro-a", Dtype::F32);
    encode(&mut model, 0, &first);
    encode(&mut model, 1, &second);
    let (a, b) = (&first.case.tokens, &second.case.tokens);
    let alone_a = step(&mut model, 0, 0, a, a.len());
    let alone_b = step(&mut model, 1, 0, b, b.len());

    let image_token = model.spec().image_token_id;
    let images =
        |all: &[u32], end: usize| all[..end].iter().filter(|id| **id == image_token).count();
    let segment = |slot, all: &'static [u32], start, end: usize| Segment {
        slot: Slot(slot),
        blocks: blocks_of(slot, 4),
        start,
        tokens: &all[start..end],
        image_tokens_before: images(all, start),
        want: if end == all.len() { Want::Logits } else { Want::Nothing },
        pages: &[],
    };
    let a: &'static [u32] = a.clone().leak();
    let b: &'static [u32] = b.clone().leak();
    // b in three pieces, a's prompt but its last token with the second, that token with the third.
    let cuts = [b.len() / 3, 2 * b.len() / 3, b.len()];
    let steps = [
        vec![segment(1, b, 0, cuts[0])],
        vec![segment(1, b, cuts[0], cuts[1]), segment(0, a, 0, a.len() - 1)],
        vec![segment(0, a, a.len() - 1, a.len()), segment(1, b, cuts[1], cuts[2])],
    ];
    let mut rows = Vec::new();
    for segments in steps {
        let logits = model.step(&StepBatch { segments }).unwrap();
        rows.extend(logits.rows().map(<[f32]>::to_vec));
    }
    let close = |ours: &[f32], alone: &[f32]| {
        let tensor = |x: &[f32]| Tensor::new(x, &Device::Cpu).unwrap();
        relative_error(&tensor(ours), &tensor(alone)) < F32_ERROR_MAX
    };
    assert_eq!(rows.len(), 2);
    assert!(close(&rows[0], &alone_a));
    assert!(close(&rows[1], &alone_b));
}
