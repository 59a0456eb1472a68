//! Numbers that leave their range: found at start-up, named while serving, and never an answer.
//!
//! Models are copies of a small one with a few weights changed, so every path runs for real.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod runner;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{D, DType, Device, Tensor};
use runner::{argmax, blocks_of};
use serde::Deserialize;
use tempfile::TempDir;
use tessera::checkpoint::Checkpoint;
use tessera::device::Dtype;
use tessera::model::internvl::{
    InternVl, LayoutOptions, LoadError, LoadOptions, ProbeInput, check, load,
};
use tessera::model::{
    PixelData, PixelTiles, Runner as _, Segment, Slot, SlotTiles, StepBatch, Want,
};
use tessera::placement::{DtypePolicy, PolicyMode};

type Weights = HashMap<String, Tensor>;

const LAYER: &str = "language_model.model.layers";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/micro-a")
}

/// A copy of the model with `change` applied to its weights.
fn changed(change: impl FnOnce(&mut Weights)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let path = dir.path().join("model.safetensors");
    let mut weights = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut weights);
    candle_core::safetensors::save(&weights, &path).unwrap();
    dir
}

/// Sets some elements of the first dimension of `name` to `value`.
fn set(weights: &mut Weights, name: &str, rows: &[usize], value: f32) {
    let tensor = &weights[name];
    let (shape, dtype) = (tensor.shape().clone(), tensor.dtype());
    let mut values: Vec<f32> =
        tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let width = values.len() / shape.dims()[0];
    for row in rows {
        values[row * width..(row + 1) * width].fill(value);
    }
    let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    weights.insert(name.to_owned(), tensor);
}

fn scale(weights: &mut Weights, name: &str, factor: f64) {
    let scaled = (&weights[name] * factor).unwrap();
    weights.insert(name.to_owned(), scaled);
}

/// One tile and its prompt.
fn page() -> ProbeInput {
    #[derive(Deserialize)]
    struct Case {
        tokens: Vec<u32>,
    }
    let base = golden().join("expected/one-tile");
    let text = std::fs::read_to_string(base.with_extension("json")).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap();
    let tensors =
        candle_core::safetensors::load(base.with_extension("safetensors"), &Device::Cpu).unwrap();
    let pixels = &tensors["pixel_values"];
    ProbeInput {
        tiles: pixels.dim(0).unwrap(),
        pixels: pixels.flatten_all().unwrap().to_vec1().unwrap(),
        tokens: case.tokens,
    }
}

fn options(dtype: Dtype, mode: PolicyMode, probe: bool) -> LoadOptions {
    LoadOptions {
        layout: LayoutOptions { map: "internvl".parse().unwrap(), ..LayoutOptions::default() },
        dtypes: DtypePolicy { requested: Some(dtype), mode, ..DtypePolicy::default() },
        probe: probe.then(page),
        ..runner::options(&Checkpoint::open(&golden()).unwrap(), "cpu,cpu")
    }
}

fn load_from(dir: &TempDir, options: &LoadOptions) -> Result<InternVl, LoadError> {
    load(&Checkpoint::open(dir.path()).unwrap(), options, &mut |_| ())
}

/// Tokens chosen after `prompt`, one at a time.
fn greedy(model: &mut InternVl, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut tokens = prompt.to_vec();
    let mut start = 0;
    for _ in 0..count {
        let segment = Segment {
            slot: Slot(0),
            blocks: blocks_of(0, 4),
            start,
            tokens: &tokens[start..],
            image_tokens_before: 0,
            want: Want::Logits,
            pages: &[],
        };
        let logits = model.step(&StepBatch { segments: vec![segment] }).unwrap();
        let chosen = argmax(logits.rows().next().unwrap());
        start = tokens.len();
        tokens.push(chosen);
    }
    tokens.split_off(prompt.len())
}

/// A weight of each module, and where its NaN is first seen.
const NANS: [(&str, &str, &str); 19] = [
    ("vision_model.embeddings.patch_embedding.bias", "vision_model", "scores"),
    ("vision_model.encoder.layers.0.attn.qkv.bias", "vision_model", "scores"),
    ("vision_model.encoder.layers.1.attn.proj.weight", "vision_model", "mlp_product"),
    ("vision_model.encoder.layers.1.mlp.fc2.bias", "vision_model", "down_proj"),
    ("vision_model.encoder.layers.1.ls2", "vision_model", "residual"),
    ("mlp1.1.weight", "mlp1", "mlp_product"),
    (
        "language_model.model.layers.0.input_layernorm.weight",
        "language_model.model.layers.0",
        "scores",
    ),
    (
        "language_model.model.layers.1.self_attn.q_proj.weight",
        "language_model.model.layers.1",
        "scores",
    ),
    (
        "language_model.model.layers.0.self_attn.v_proj.bias",
        "language_model.model.layers.0",
        "attended",
    ),
    (
        "language_model.model.layers.1.self_attn.o_proj.weight",
        "language_model.model.layers.1",
        "mlp_product",
    ),
    (
        "language_model.model.layers.0.mlp.gate_proj.weight",
        "language_model.model.layers.0",
        "mlp_product",
    ),
    (
        "language_model.model.layers.1.mlp.down_proj.weight",
        "language_model.model.layers.1",
        "down_proj",
    ),
    ("vision_model.encoder.layers.1.mlp.fc1.bias", "vision_model", "mlp_product"),
    ("mlp1.3.bias", "mlp1", "residual"),
    ("language_model.model.embed_tokens.weight", "language_model.model.embed_tokens", "residual"),
    (
        "language_model.model.layers.0.self_attn.k_proj.bias",
        "language_model.model.layers.0",
        "scores",
    ),
    (
        "language_model.model.layers.1.mlp.up_proj.weight",
        "language_model.model.layers.1",
        "mlp_product",
    ),
    ("language_model.model.norm.weight", "language_model.lm_head", "logits"),
    ("language_model.lm_head.weight", "language_model.lm_head", "logits"),
];

#[test]
fn a_nan_in_any_module_is_found_at_start_up_and_named() {
    for (tensor, module, site) in NANS {
        // Whichever rows of the embedding the prompt needs are among the first.
        let rows: Vec<usize> =
            if tensor.contains("embed_tokens") { (0..300).collect() } else { vec![0] };
        let dir = changed(|weights| set(weights, tensor, &rows, f32::NAN));
        let error = load_from(&dir, &options(Dtype::F32, PolicyMode::Fallback, true)).unwrap_err();
        match error {
            LoadError::NotFinite { module: found, site: at, dtype } => {
                assert_eq!((found.as_str(), at, dtype), (module, site, Dtype::F32), "{tensor}");
            }
            other => panic!("{tensor}: {other}"),
        }
    }
}

#[test]
fn a_nan_that_appears_while_serving_is_located() {
    for (tensor, module, site) in NANS {
        let rows: Vec<usize> =
            if tensor.contains("embed_tokens") { (0..300).collect() } else { vec![0] };
        let dir = changed(|weights| set(weights, tensor, &rows, f32::NAN));
        // Without the probe the damage shows only when the model computes.
        let mut model = load_from(&dir, &options(Dtype::F32, PolicyMode::Fallback, false)).unwrap();
        let page = page();
        let pixels = PixelTiles { tiles: page.tiles, data: PixelData::Values(&page.pixels) };
        model.encode(&[SlotTiles { slot: Slot(1), first_tile: 0, pixels }]).unwrap();
        let segment = Segment {
            slot: Slot(1),
            blocks: blocks_of(1, 4),
            start: 0,
            tokens: &page.tokens,
            image_tokens_before: 0,
            want: Want::Logits,
            pages: &[],
        };
        let batch = StepBatch { segments: vec![segment] };
        let logits = model.step(&batch).unwrap();
        assert!(logits.rows().next().unwrap().iter().any(|logit| !logit.is_finite()), "{tensor}");
        let found = model.locate_non_finite(&batch).unwrap();
        // Features are made before the step: what spoilt them is known as their result.
        let (module, site) = if module == "vision_model" || module == "mlp1" {
            ("mlp1", "residual")
        } else {
            (module, site)
        };
        assert_eq!((found.module.as_str(), found.site), (module, site), "{tensor}");
        assert_eq!(found.dtype, Dtype::F32);
        assert!(found.device_id.starts_with("cpu:"), "{}", found.device_id);
    }
}

#[test]
fn a_healthy_model_has_nothing_to_locate() {
    let dir = changed(|_| ());
    let mut model = load_from(&dir, &options(Dtype::F16, PolicyMode::Fallback, true)).unwrap();
    let probe = &model.spec().verification.probe;
    for site in ["scores", "softmax", "mlp_product", "down_proj", "residual", "logits"] {
        assert!(probe.iter().any(|range| range.site == site && range.max_abs > 0.0), "{site}");
    }
    assert!(model.spec().placements.iter().all(|p| p.compute_dtype == Dtype::F16));
    let tokens = [1, 2, 3];
    let segment = Segment {
        slot: Slot(0),
        blocks: blocks_of(0, 4),
        start: 0,
        tokens: &tokens,
        image_tokens_before: 0,
        want: Want::Logits,
        pages: &[],
    };
    assert_eq!(model.locate_non_finite(&StepBatch { segments: vec![segment] }), None);
}

/// Large products in the second layer's MLP that its last matrix makes small again.
fn large_products() -> TempDir {
    changed(|weights| {
        scale(weights, &format!("{LAYER}.1.mlp.up_proj.weight"), 2e4);
        scale(weights, &format!("{LAYER}.1.mlp.down_proj.weight"), 5e-5);
    })
}

#[test]
fn a_module_that_would_overflow_f16_is_moved_to_f32_and_reported() {
    let dir = large_products();
    let mut model = load_from(&dir, &options(Dtype::F16, PolicyMode::Fallback, true)).unwrap();
    for placement in model.spec().placements.clone() {
        let moved = placement.module == format!("{LAYER}.1");
        let expected = if moved { Dtype::F32 } else { Dtype::F16 };
        assert_eq!(placement.compute_dtype, expected, "{}", placement.module);
        assert_eq!(
            placement.dtype_reason.contains("mlp_product"),
            moved,
            "{}",
            placement.dtype_reason
        );
    }
    let prompt = [5, 80, 7, 133];
    let mut full = load_from(&dir, &options(Dtype::F32, PolicyMode::Fallback, false)).unwrap();
    assert_eq!(greedy(&mut model, &prompt, 8), greedy(&mut full, &prompt, 8));
}

/// A module in f32 needs more than the plan counted with: where that is too much, the start says so instead of
/// running out of memory, and where it is not, the new numbers are told.
#[test]
fn a_module_is_moved_to_f32_only_where_there_is_room() {
    let dir = large_products();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let within = |bytes: u64, overrides: &[&str]| {
        let options = options(Dtype::F16, PolicyMode::Fallback, true);
        let max_memory = Some(format!("cpu={bytes}"));
        LoadOptions {
            devices: "cpu".parse().unwrap(),
            layout: LayoutOptions { max_memory, ..LayoutOptions::default() },
            dtypes: DtypePolicy {
                overrides: overrides.iter().map(|one| one.parse().unwrap()).collect(),
                ..options.dtypes
            },
            ..options
        }
    };
    // The least memory in which the plan fits.
    let least = |overrides: &[&str]| {
        let (mut low, mut high) = (1 << 20, 1 << 30);
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            let fits = check(&checkpoint, &within(middle, overrides)).is_ok();
            (low, high) = if fits { (low, middle) } else { (middle, high) };
        }
        high
    };
    let (before, after) = (least(&[]), least(&["layers.1=f32"]));
    assert!(after > before + (1 << 20), "{before} {after}");
    for bytes in [before, after - 1] {
        let error = load_from(&dir, &within(bytes, &[])).unwrap_err();
        assert!(matches!(error, LoadError::NoRoomInF32 { .. }), "{error}");
        let text = error.to_string();
        let parts = [
            format!("{LAYER}.1 cannot compute in f16"),
            "more: weights".to_owned(),
            format!("--dtype-override {LAYER}.1=f32"),
            "fewer --slots".to_owned(),
        ];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    let model = load_from(&dir, &within(after, &[])).unwrap();
    let spec = model.spec();
    let moved = spec.placements.iter().filter(|one| one.compute_dtype == Dtype::F32);
    assert_eq!(moved.map(|one| one.module.clone()).collect::<Vec<_>>(), [format!("{LAYER}.1")]);
    // A key and a value of 64 numbers in each of two layers, one of them f16 and one f32.
    assert_eq!(spec.kv_bytes_per_token, 2 * 64 * (2 + 4));
    let held = spec.devices[0].kv_cache_bytes;
    assert_eq!(held, spec.kv_bytes_per_token * spec.kv_tokens() as u64);
}

/// What overflows makes all that follows not a number: only the module at fault is moved.
#[test]
fn a_module_behind_one_that_overflows_keeps_its_dtype() {
    let dir = changed(|weights| {
        scale(weights, &format!("{LAYER}.0.mlp.gate_proj.weight"), 2e2);
        scale(weights, &format!("{LAYER}.0.mlp.up_proj.weight"), 2e4);
        scale(weights, &format!("{LAYER}.0.mlp.down_proj.weight"), 1e-7);
    });
    let model = load_from(&dir, &options(Dtype::F16, PolicyMode::Fallback, true)).unwrap();
    for placement in &model.spec().placements {
        let moved = placement.module == format!("{LAYER}.0");
        let expected = if moved { Dtype::F32 } else { Dtype::F16 };
        assert_eq!(placement.compute_dtype, expected, "{}", placement.module);
    }
    // Probed once more, in what serves.
    let probe = &model.spec().verification.probe;
    assert!(probe.iter().all(|site| site.is_finite), "{probe:?}");
}

#[test]
fn strict_refuses_a_module_that_would_overflow_f16() {
    let error = load_from(&large_products(), &options(Dtype::F16, PolicyMode::Strict, true));
    let text = error.unwrap_err().to_string();
    assert!(text.contains("layers.1") && text.contains("--dtype-override"), "{text}");
}

/// Queries and keys with one large constant pair of channels each, of the lowest frequency, so that
/// rotary positions leave them alone: every score of a query grows by the same amount, which softmax
/// does not see, and the unscaled product passes the end of f16. Real Qwen2 keys have such channels.
fn large_scores() -> TempDir {
    const HEAD_DIM: usize = 64;
    changed(|weights| {
        for layer in 0..2 {
            for (projection, heads) in [("q_proj", 7), ("k_proj", 1)] {
                let rows: Vec<usize> =
                    (0..heads).flat_map(|head| [31, 63].map(|dim| head * HEAD_DIM + dim)).collect();
                let name =
                    |parameter| format!("{LAYER}.{layer}.self_attn.{projection}.{parameter}");
                set(weights, &name("weight"), &rows, 0.0);
                set(weights, &name("bias"), &rows, 200.0);
            }
        }
    })
}

#[test]
fn scores_beyond_f16_give_exclamation_marks_elsewhere_and_the_right_tokens_here() {
    let dir = large_scores();
    let prompt = [5, 80, 7, 133, 21, 9];
    // Token 0 is `!`: what the most likely token becomes when no logit is a number.
    let weights =
        candle_core::safetensors::load(dir.path().join("model.safetensors"), &Device::Cpu).unwrap();
    let naive = naive::logits(&weights, &prompt, DType::F16);
    assert!(naive.iter().all(|logit| logit.is_nan()), "{naive:?}");
    // The same code in f32 is a correct forward pass: the dtype alone breaks it.
    let mut full = load_from(&dir, &options(Dtype::F32, PolicyMode::Strict, false)).unwrap();
    let right = greedy(&mut full, &prompt, 8);
    assert_eq!(argmax(&naive::logits(&weights, &prompt, DType::F32)), right[0]);
    let mut half = load_from(&dir, &options(Dtype::F16, PolicyMode::Strict, true)).unwrap();
    assert_eq!(greedy(&mut half, &prompt, 8), right);
    assert!(right.iter().any(|token| *token != 0));
}

/// The decoder as notebooks ran it: every intermediate result in one dtype, scores scaled after the
/// product.
mod naive {
    use super::{D, DType, Device, LAYER, Tensor, Weights};

    const HEADS: usize = 7;
    const HEAD_DIM: usize = 64;

    fn norm(x: &Tensor, weight: &Tensor) -> Tensor {
        let wide = x.to_dtype(DType::F32).unwrap();
        let mean = wide.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
        let normed = wide.broadcast_div(&(mean + 1e-6).unwrap().sqrt().unwrap()).unwrap();
        normed.to_dtype(x.dtype()).unwrap().broadcast_mul(weight).unwrap()
    }

    fn rotate(x: &Tensor) -> Tensor {
        let rows = x.dim(0).unwrap();
        let half = HEAD_DIM / 2;
        let angles: Vec<f32> = (0..rows)
            .flat_map(|position| {
                (0..half)
                    .map(move |i| position as f32 * 1e6f32.powf(-2.0 * i as f32 / HEAD_DIM as f32))
            })
            .collect();
        let angles = Tensor::from_vec(angles, (rows, 1, half), &Device::Cpu).unwrap();
        let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
        let (cos, sin) = (cos.to_dtype(x.dtype()).unwrap(), sin.to_dtype(x.dtype()).unwrap());
        let (a, b) = (x.narrow(2, 0, half).unwrap(), x.narrow(2, half, half).unwrap());
        let mul = |x: &Tensor, y: &Tensor| x.broadcast_mul(y).unwrap();
        let first = (mul(&a, &cos) - mul(&b, &sin)).unwrap();
        let second = (mul(&b, &cos) + mul(&a, &sin)).unwrap();
        Tensor::cat(&[first, second], 2).unwrap()
    }

    /// Logits after the last of `tokens`.
    pub(super) fn logits(weights: &Weights, tokens: &[u32], dtype: DType) -> Vec<f32> {
        let weight = |name: &str| weights[name].to_dtype(dtype).unwrap();
        let ids = Tensor::new(tokens, &Device::Cpu).unwrap();
        let rows = tokens.len();
        let mut x =
            weight("language_model.model.embed_tokens.weight").index_select(&ids, 0).unwrap();
        for layer in 0..2 {
            let of = |name: &str| weight(&format!("{LAYER}.{layer}.{name}"));
            let product = |x: &Tensor, name: &str| x.matmul(&of(name).t().unwrap()).unwrap();
            let normed = norm(&x, &of("input_layernorm.weight"));
            let projected = |name: &str, heads: usize| {
                let flat = product(&normed, &format!("self_attn.{name}.weight"));
                let flat = flat.broadcast_add(&of(&format!("self_attn.{name}.bias"))).unwrap();
                flat.reshape((rows, heads, HEAD_DIM)).unwrap()
            };
            let heads = |x: &Tensor| x.transpose(0, 1).unwrap().contiguous().unwrap();
            let q = heads(&rotate(&projected("q_proj", HEADS)));
            let shared = |x: &Tensor| x.broadcast_as((HEADS, rows, HEAD_DIM)).unwrap();
            let k = shared(&heads(&rotate(&projected("k_proj", 1)))).contiguous().unwrap();
            let v = shared(&heads(&projected("v_proj", 1))).contiguous().unwrap();
            let scores = (q.matmul(&k.t().unwrap()).unwrap() * 0.125).unwrap();
            let mask: Vec<f32> = (0..rows * rows)
                .map(|i| if i % rows <= i / rows { 0.0 } else { f32::NEG_INFINITY })
                .collect();
            let mask = Tensor::from_vec(mask, (rows, rows), &Device::Cpu).unwrap();
            let scores = scores.broadcast_add(&mask.to_dtype(dtype).unwrap()).unwrap();
            let weights = candle_nn::ops::softmax_last_dim(&scores).unwrap();
            let out = weights.matmul(&v).unwrap().transpose(0, 1).unwrap();
            let out = out.reshape((rows, HEADS * HEAD_DIM)).unwrap();
            x = (x + product(&out, "self_attn.o_proj.weight")).unwrap();
            let normed = norm(&x, &of("post_attention_layernorm.weight"));
            let gate = product(&normed, "mlp.gate_proj.weight").silu().unwrap();
            let inner = (gate * product(&normed, "mlp.up_proj.weight")).unwrap();
            x = (x + product(&inner, "mlp.down_proj.weight")).unwrap();
        }
        let last = norm(&x, &weight("language_model.model.norm.weight"));
        let last = last.narrow(0, rows - 1, 1).unwrap();
        let logits = last.matmul(&weight("language_model.lm_head.weight").t().unwrap()).unwrap();
        logits.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }
}
