//! The model over several devices: the same answer, to the bit, whatever the number of devices, and
//! every module where the specification says it is.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod runner;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use runner::{argmax, blocks_of, options};
use tessera::checkpoint::Checkpoint;
use tessera::device::{Dtype, LinkRoute};
use tessera::model::internvl::{InternVl, LayoutOptions, LoadOptions, load};
use tessera::model::{
    PixelData, PixelTiles, Runner as _, Segment, Slot, SlotTiles, StepBatch, Want,
};
use tessera::placement::{DeviceMap, DtypePolicy, Quantization, WeightFormat};

/// An explicit map of the built-in model's six layers: stages of the same length, in order.
fn stages(count: usize) -> DeviceMap {
    let device = |index: usize| format!("cpu:{index}");
    let mut map: BTreeMap<String, String> = (0..6)
        .map(|layer| (format!("language_model.model.layers.{layer}"), device(layer * count / 6)))
        .collect();
    for (module, index) in [
        ("vision_model", 0),
        ("mlp1", 0),
        ("language_model.model.embed_tokens", 0),
        ("language_model.model.norm", count - 1),
        ("language_model.lm_head", count - 1),
    ] {
        map.insert(module.to_owned(), device(index));
    }
    DeviceMap::Explicit(map)
}

fn tiny(count: usize, dtypes: DtypePolicy) -> InternVl {
    let map = if count == 1 { DeviceMap::Auto } else { stages(count) };
    tiny_with(count, map, dtypes)
}

fn tiny_with(count: usize, map: DeviceMap, dtypes: DtypePolicy) -> InternVl {
    let options = LoadOptions {
        layout: LayoutOptions { map, ..LayoutOptions::default() },
        dtypes,
        slot_tokens: Some(512),
        ..options(&Checkpoint::Embedded, &vec!["cpu"; count].join(","))
    };
    load(&Checkpoint::Embedded, &options, &mut |_| ()).unwrap()
}

fn segment(
    slot: u32,
    start: usize,
    tokens: &[u32],
    image_tokens_before: usize,
    wants_logits: bool,
) -> Segment<'_> {
    let want = if wants_logits { Want::Logits } else { Want::Nothing };
    Segment {
        slot: Slot(slot),
        blocks: blocks_of(slot, 8),
        start,
        tokens,
        image_tokens_before,
        want,
        pages: &[],
    }
}

/// A page of one tile and a prompt in two chunks beside a text in another slot, then decode steps:
/// every logit that the model returns on the way, and the tokens that it chooses.
fn answers(model: &mut InternVl) -> (Vec<f32>, Vec<u32>) {
    let side = model.spec().tile_size_px as usize;
    let tiles = 1;
    let data: Vec<f32> =
        (0..tiles * 3 * side * side).map(|i| ((i * 7919) % 251) as f32 / 125.0 - 1.0).collect();
    let pixels = PixelTiles { tiles, data: PixelData::Values(&data) };
    model.encode(&[SlotTiles { slot: Slot(0), first_tile: 0, pixels }]).unwrap();
    let image_token = model.spec().image_token_id;
    let image_tokens = tiles * model.spec().tokens_per_tile;
    let mut prompt: Vec<u32> = vec![40, 41, 42];
    prompt.extend(std::iter::repeat_n(image_token, image_tokens));
    prompt.extend([50, 51, 52, 53]);
    let other: Vec<u32> = (60..90).collect();
    let cut = prompt.len() / 2;
    let (head, tail) = prompt.split_at(cut);
    let mut all = Vec::new();
    let mut step = |model: &mut InternVl, segments: Vec<Segment<'_>>| -> Vec<u32> {
        let logits = model.step(&StepBatch { segments }).unwrap();
        logits
            .rows()
            .map(|row| {
                all.extend_from_slice(row);
                argmax(row)
            })
            .collect()
    };
    step(model, vec![segment(0, 0, head, 0, false), segment(1, 0, &other, 0, false)]);
    let seen = head.iter().filter(|id| **id == image_token).count();
    let last = [33];
    let mut next = step(
        model,
        vec![segment(0, cut, tail, seen, true), segment(1, other.len(), &last, 0, true)],
    );
    let mut chosen = next.clone();
    for index in 0..6 {
        let tokens = [[next[0]], [next[1]]];
        next = step(
            model,
            vec![
                segment(0, prompt.len() + index, &tokens[0], image_tokens, true),
                segment(1, other.len() + 1 + index, &tokens[1], 0, true),
            ],
        );
        chosen.extend(&next);
    }
    model.release(Slot(0));
    model.release(Slot(1));
    (all, chosen)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn answers_are_equal_to_the_bit_on_one_to_four_devices() {
    let one = answers(&mut tiny(1, DtypePolicy::default()));
    assert!(one.0.iter().all(|logit| logit.is_finite()) && one.1.len() == 14);
    for count in 2..=4 {
        let mut model = tiny(count, DtypePolicy::default());
        let several = answers(&mut model);
        assert_eq!(several.1, one.1, "{count} devices");
        assert_eq!(bits(&several.0), bits(&one.0), "{count} devices");
        let spec = model.spec();
        assert_eq!(spec.devices.len(), count);
        assert!(spec.devices.iter().all(|device| device.weight_bytes > 0), "{:?}", spec.devices);
        assert_eq!(spec.links.len(), count - 1);
        assert!(spec.links.iter().all(|link| link.route == LinkRoute::Host && link.checks > 0));
    }
}

#[test]
fn each_step_says_where_its_own_time_went() {
    for count in [1, 3] {
        let mut model = tiny(count, DtypePolicy::default());
        let tokens = [40, 41, 42, 43];
        let batch = |start: usize, len: usize| StepBatch {
            segments: vec![segment(0, start, &tokens[..len], 0, true)],
        };
        let begin = Instant::now();
        // The second one is begun before anybody asks for the times of the first.
        let passes = [(0, 4), (4, 1)].map(|(start, len)| model.submit(&batch(start, len)).unwrap());
        let whole = begin.elapsed();
        let times = passes.map(|pass| {
            let times = pass.times().expect("devices can be timed").clone();
            pass.wait().unwrap();
            assert!(times.has_passed());
            times.get().clone()
        });
        let mut sum = Duration::ZERO;
        for times in &times {
            let devices: BTreeSet<&str> = times.devices.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!((times.devices.len(), devices.len()), (count, count), "{times:?}");
            assert!(times.devices.iter().all(|(_, time)| !time.is_zero()), "{times:?}");
            assert_eq!(times.hops.is_zero(), count == 1, "{times:?}");
            sum += times.devices.iter().map(|(_, time)| *time).sum::<Duration>() + times.hops;
        }
        assert!(sum <= whole, "{times:?} in {whole:?}");
        assert_ne!(times[0], times[1]);
    }
}

#[test]
fn every_strategy_gives_the_same_answer() {
    let (_, expected) = answers(&mut tiny(1, DtypePolicy::default()));
    for map in ["auto", "balanced", "balanced_low_0", "sequential", "internvl", "cpu:1"] {
        let mut model = tiny_with(3, map.parse().unwrap(), DtypePolicy::default());
        assert_eq!(answers(&mut model).1, expected, "{map}");
    }
}

#[test]
fn a_model_that_does_not_fit_is_not_loaded() {
    let layout =
        LayoutOptions { max_memory: Some("cpu=1MiB".to_owned()), ..LayoutOptions::default() };
    let options = LoadOptions { layout, ..options(&Checkpoint::Embedded, "cpu") };
    let error = load(&Checkpoint::Embedded, &options, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("does not fit") && error.contains("tessera plan"), "{error}");
}

#[test]
fn bytes_by_device_add_up_to_one_device() {
    let bytes = |count: usize| -> (u64, u64) {
        let model = tiny(count, DtypePolicy::default());
        let spec = model.spec();
        let kv = spec.devices.iter().map(|device| device.kv_cache_bytes).sum();
        // Tied embeddings are stored once on one device, and on both ends of several.
        let head = spec.placements.iter().filter(|p| !p.module.ends_with("lm_head"));
        (head.map(|placement| placement.weight_bytes).sum(), kv)
    };
    assert_eq!(bytes(1), bytes(3));
}

#[test]
fn each_module_has_the_dtype_that_was_asked_for() {
    let policy = DtypePolicy {
        requested: Some(Dtype::F16),
        overrides: vec!["vision=f32".parse().unwrap(), "layers.1-2=f32".parse().unwrap()],
        ..DtypePolicy::default()
    };
    let mut model = tiny(2, policy);
    for placement in &model.spec().placements {
        let f32_asked = placement.module == "vision_model"
            || placement.module.ends_with("layers.1")
            || placement.module.ends_with("layers.2");
        let expected = if f32_asked { Dtype::F32 } else { Dtype::F16 };
        assert_eq!(placement.compute_dtype, expected, "{}", placement.module);
        assert_eq!(placement.residual_dtype, Dtype::F32, "{}", placement.module);
        assert!(placement.tensors > 0);
    }
    // It computes, across dtypes and devices, what f32 computes, within f16's precision.
    let (half, half_chosen) = answers(&mut model);
    let (full, full_chosen) = answers(&mut tiny(1, DtypePolicy::default()));
    let error: f64 = half.iter().zip(&full).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let norm: f64 = full.iter().map(|b| f64::from(*b).powi(2)).sum();
    assert!((error / norm).sqrt() < 0.01, "{}", (error / norm).sqrt());
    assert_eq!(half_chosen[0], full_chosen[0]);
}

#[test]
fn eight_bit_weights_are_half_of_bf16_and_nearly_as_good() {
    let policy = DtypePolicy { quantization: Some(Quantization::Q8), ..DtypePolicy::default() };
    let (mut one, mut two) = (tiny(1, policy.clone()), tiny(2, policy));
    let format = |module: &str, model: &InternVl| {
        let found = model.spec().placements.iter().find(|p| p.module.ends_with(module)).cloned();
        found.map(|placement| (placement.weights, placement.weight_bytes)).unwrap()
    };
    let dense = tiny(1, DtypePolicy::default());
    for module in ["layers.0", "layers.5", "lm_head"] {
        let (weights, bytes) = format(module, &two);
        assert_eq!(weights, WeightFormat::Quantized(Quantization::Q8), "{module}");
        // A quarter of f32, the scales, biases and norms apart; the head is the embedding elsewhere.
        let (_, full) = format(if module == "lm_head" { "embed_tokens" } else { module }, &dense);
        assert!(bytes * 100 < full * 28, "{module}: {bytes} of {full}");
    }
    for module in ["vision_model", "mlp1", "embed_tokens"] {
        assert_eq!(format(module, &two).0, WeightFormat::Dense(Dtype::F32), "{module}");
    }
    let (quantized, chosen) = answers(&mut one);
    assert_eq!(bits(&answers(&mut two).0), bits(&quantized));
    let (full, _) = answers(&mut tiny(1, DtypePolicy::default()));
    // The first step's logits: later ones follow other tokens where two are as likely.
    let first = dense.spec().vocab_size * 2;
    let difference: f64 = (0..first).map(|i| f64::from(quantized[i] - full[i]).powi(2)).sum();
    let norm: f64 = full[..first].iter().map(|b| f64::from(*b).powi(2)).sum();
    assert!((difference / norm).sqrt() < 0.05, "{}", (difference / norm).sqrt());
    assert_eq!(chosen.len(), 14);
}

#[test]
fn every_weight_can_be_compared_with_its_file() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/micro-a");
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let compared = |quantization| {
        let options = LoadOptions {
            compare_weights: true,
            dtypes: DtypePolicy { quantization, ..DtypePolicy::default() },
            ..options(&checkpoint, "cpu")
        };
        let model = load(&checkpoint, &options, &mut |_| ()).unwrap();
        model.spec().verification.tensors_compared
    };
    let file = std::fs::read(dir.join("model.safetensors")).unwrap();
    let stored = safetensors::SafeTensors::deserialize(&file).unwrap().len();
    // 8-bit ones too: against what the host makes of the file once more.
    assert_eq!((compared(None), compared(Some(Quantization::Q8))), (stored, stored));
}
