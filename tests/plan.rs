//! `tessera plan` on a directory that has a configuration and no weights: the 8B shape on machines
//! that are not here.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// `InternVL3-8B`, in the original layout.
fn config() -> Value {
    json!({
        "architectures": ["InternVLChatModel"],
        "model_type": "internvl_chat",
        "downsample_ratio": 0.5,
        "dynamic_image_size": true,
        "force_image_size": 448,
        "max_dynamic_patch": 12,
        "ps_version": "v2",
        "select_layer": -1,
        "use_thumbnail": true,
        "llm_config": {
            "architectures": ["Qwen2ForCausalLM"],
            "vocab_size": 151_674,
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18_944,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
            "max_position_embeddings": 32_768,
            "hidden_act": "silu",
            "use_sliding_window": false
        },
        "vision_config": {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "image_size": 448,
            "patch_size": 14,
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "qkv_bias": true,
            "qk_normalization": false,
            "hidden_act": "gelu"
        }
    })
}

/// Runs the command on the 8B shape.
fn tessera(args: &[&str]) -> Output {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("InternVL3-8B");
    std::fs::create_dir(&model).unwrap();
    std::fs::write(model.join("config.json"), config().to_string()).unwrap();
    std::fs::write(root.path().join("map.json"), r#"{"model": 0, "lm_head": 1}"#).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.env_clear().current_dir(root.path());
    command.args(["plan", "--model", "InternVL3-8B"]).args(args).output().unwrap()
}

fn plan(args: &[&str]) -> Value {
    let output = tessera(&[&["--json"], args].concat());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// Modules by device: `v`ision, `e`mbedding, layers, `n`orm, `h`ead, `p`rojector.
fn placed(plan: &Value) -> String {
    let mut devices: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for placement in plan["placements"].as_array().unwrap() {
        let module = placement["module"].as_str().unwrap();
        let device = devices.entry(placement["device"].as_str().unwrap()).or_default();
        let name = match module {
            "vision_model" => "v",
            "mlp1" => "p",
            "language_model.model.embed_tokens" => "e",
            "language_model.model.norm" => "n",
            "language_model.lm_head" => "h",
            layer => {
                let number: u32 = layer.rsplit('.').next().unwrap().parse().unwrap();
                let run = device.last().and_then(|run| run.split_once('-'));
                let follows = run.is_some_and(|(_, last)| last.parse() == Ok(number - 1));
                let first = match run {
                    Some((first, _)) if follows => first.to_owned(),
                    _ => number.to_string(),
                };
                if follows {
                    device.pop();
                }
                device.push(format!("{first}-{number}"));
                continue;
            }
        };
        device.push(name.to_owned());
    }
    let shown: Vec<String> =
        devices.iter().map(|(id, modules)| format!("{id}: {}", modules.join(" "))).collect();
    shown.join(" | ")
}

/// What scripts may rely on: these keys, and a placement for each module by its name in the original layout.
#[test]
fn the_object_has_its_keys() {
    let plan = plan(&["--devices", "2xA10", "--device-map", "balanced"]);
    let has = |value: &Value, keys: &[&str], is: fn(&Value) -> bool| {
        keys.iter().all(|key| value.get(key).is_some_and(is))
    };
    assert!(plan["fits"].is_boolean());
    for device in plan["devices"].as_array().unwrap() {
        assert!(has(device, &["id", "name"], Value::is_string), "{device}");
        let numbers = ["memory_bytes", "weights_bytes", "kv_bytes", "reserve_bytes"];
        assert!(has(device, &numbers, Value::is_u64), "{device}");
    }
    let placements = plan["placements"].as_array().unwrap();
    for placement in placements {
        assert!(has(placement, &["module", "device", "dtype"], Value::is_string), "{placement}");
        assert!(has(placement, &["bytes"], Value::is_u64), "{placement}");
    }
    let modules: Vec<&str> =
        placements.iter().map(|placement| placement["module"].as_str().unwrap()).collect();
    let layers = (0..28).map(|layer| format!("language_model.model.layers.{layer}"));
    let before = ["vision_model", "mlp1", "language_model.model.embed_tokens"].map(str::to_owned);
    let after = ["language_model.model.norm", "language_model.lm_head"].map(str::to_owned);
    let expected: Vec<String> = before.into_iter().chain(layers).chain(after).collect();
    assert_eq!(modules, expected);
    let weights: u64 =
        placements.iter().map(|placement| placement["bytes"].as_u64().unwrap()).sum();
    assert_eq!(weights, 15_888_747_520);
}

#[test]
fn every_device_that_has_a_name_can_be_planned_for() {
    for (name, gib, dtype) in [
        ("V100-16GB", 15.8, "f16"),
        ("V100-32GB", 31.7, "f16"),
        ("T4", 14.6, "f16"),
        ("A10", 22.0, "bf16"),
        ("A100-40GB", 39.4, "bf16"),
        ("A100-80GB", 79.1, "bf16"),
        ("L4", 22.0, "bf16"),
        ("L40S", 44.4, "bf16"),
        ("H100", 79.1, "bf16"),
        ("H200", 139.8, "bf16"),
        ("name:24GiB:cc8.6", 24.0, "bf16"),
        ("name:24GiB:cc7.5", 24.0, "f16"),
    ] {
        let plan = plan(&["--devices", &format!("2x{name}")]);
        let device = &plan["devices"][1];
        assert_eq!(device["name"], name.split(':').next().unwrap());
        let found = device["memory_bytes"].as_u64().unwrap() as f64 / f64::from(1 << 30);
        assert!((found - gib).abs() < 0.1, "{name} has {found} GiB");
        assert_eq!(plan["placements"][0]["dtype"], dtype, "{name}");
    }
}

/// "`tessera plan` with the same options", says a server that does not start.
#[test]
fn the_server_s_own_options_are_understood() {
    let own =
        ["--devices", "auto", "--quantize", "none", "--kv-tokens", "auto", "--max-tiles", "auto"];
    // What is free changes from one call to the next.
    assert_eq!(plan(&own)["placements"], plan(&["--devices", "live"])["placements"]);
    // Without CUDA there is none; not one by that name.
    if !cfg!(feature = "cuda") {
        refuse(
            &["--devices", "cuda:0"],
            &expect![[r#"
                error: --devices: cuda:0 was asked for, but this binary has no CUDA: build with --features cuda, or use cpu
                exit 2"#]],
        );
    }
}

/// Tiles of several pages go through the vision tower together, so small pages save no memory there.
#[test]
fn small_pages_take_the_vision_batch_that_a_server_makes() {
    let activations = |tiles: &str| {
        plan(&["--devices", "1xA10", "--max-tiles", tiles])["devices"][0]["activation_bytes"]
            .clone()
    };
    assert_eq!(activations("1"), activations("12"));
}

/// Of GPUs with 16 GiB, 0.98 of it free.
#[track_caller]
fn check(gpus: usize, map: &str, expected: &str) {
    let devices = format!("{gpus}xgpu:16GiB:cc8.0");
    let limits: Vec<String> = (0..gpus).map(|gpu| format!("{gpu}=16836271800")).collect();
    let limits = limits.join(",");
    let plan = plan(&["--devices", &devices, "--max-memory", &limits, "--device-map", map]);
    assert_eq!(placed(&plan), expected, "{gpus} GPUs, {map}");
}

#[test]
fn balanced_is_accelerate_s() {
    check(2, "balanced", "cuda:0: v e 0-11 | cuda:1: p 12-27 n h");
    check(3, "balanced", "cuda:0: v e 0-6 | cuda:1: 7-18 | cuda:2: p 19-27 n h");
    check(4, "balanced", "cuda:0: v e 0-3 | cuda:1: 4-13 | cuda:2: 14-23 | cuda:3: p 24-27 n h");
    check(
        8,
        "balanced",
        "cuda:0: v | cuda:1: e 0-2 | cuda:2: 3-7 | cuda:3: 8-12 | cuda:4: 13-17 | cuda:5: 18-22 | \
         cuda:6: 23-27 n | cuda:7: p h",
    );
}

#[test]
fn replicas_have_a_part_of_the_devices_each() {
    let plans = plan(&["--devices", "4xA10", "--replicas", "2"]);
    assert_eq!(plans["fits"], true);
    let of: Vec<String> = plans["replicas"].as_array().unwrap().iter().map(placed).collect();
    assert_eq!(of, ["cuda:0: v p e 0-27 n h", "cuda:2: v p e 0-27 n h"]);
    let alone = plan(&["--devices", "A10"])["concurrent_pages"].as_u64().unwrap();
    let together = plan(&["--devices", "4xA10", "--replicas", "4"]);
    assert_eq!(together["concurrent_pages"].as_u64().unwrap(), 4 * alone);
    let text =
        String::from_utf8(tessera(&["--devices", "2xA10", "--replicas", "2"]).stdout).unwrap();
    assert!(text.contains("replica 2 of 2") && text.contains("cuda:1"), "{text}");
    let uneven = tessera(&["--devices", "3xA10", "--replicas", "2"]);
    assert_eq!(uneven.status.code(), Some(2));
    let error = String::from_utf8(uneven.stderr).unwrap();
    assert!(error.contains("2 replicas cannot share cuda:0, cuda:1, cuda:2 evenly"), "{error}");
}

#[test]
fn balanced_low_0_is_accelerate_s() {
    check(2, "balanced_low_0", "cuda:1: v p e 0-27 n h");
    check(3, "balanced_low_0", "cuda:1: v e 0-14 | cuda:2: p 15-27 n h");
    check(4, "balanced_low_0", "cuda:1: v e 0-8 | cuda:2: 9-20 | cuda:3: p 21-27 n h");
    check(
        8,
        "balanced_low_0",
        "cuda:1: v e 0-1 | cuda:2: 2-7 | cuda:3: 8-13 | cuda:4: 14-19 | cuda:5: 20-25 | \
         cuda:6: p 26-27 n h",
    );
}

#[test]
fn sequential_is_accelerate_s() {
    for gpus in [2, 3, 4, 8] {
        check(gpus, "sequential", "cuda:0: v p e 0-27 n h");
    }
}

#[test]
fn internvl_is_the_authors_split() {
    check(2, "internvl", "cuda:0: v p e 0-9 27-27 n h | cuda:1: 10-26");
    check(3, "internvl", "cuda:0: v p e 0-5 27-27 n h | cuda:1: 6-17 | cuda:2: 18-26");
    check(
        4,
        "internvl",
        "cuda:0: v p e 0-3 27-27 n h | cuda:1: 4-11 | cuda:2: 12-19 | cuda:3: 20-26",
    );
    check(
        8,
        "internvl",
        "cuda:0: v p e 0-1 27-27 n h | cuda:1: 2-5 | cuda:2: 6-9 | cuda:3: 10-13 | cuda:4: 14-17 | \
         cuda:5: 18-21 | cuda:6: 22-25 | cuda:7: 26-26",
    );
}

#[test]
fn auto_spreads_only_where_it_must() {
    let one = plan(&["--devices", "4xV100-32GB"]);
    assert_eq!((placed(&one), &one["fits"]), ("cuda:0: v p e 0-27 n h".to_owned(), &json!(true)));
    assert_eq!(one["placements"][0]["dtype"], "f16");
    let two = plan(&["--devices", "2xV100-16GB"]);
    assert_eq!((&two["fits"], &two["crossings"]), (&json!(true), &json!(1)));
    assert!(placed(&two).starts_with("cuda:0: v p e 0-"), "{}", placed(&two));
}

#[test]
fn the_numbers_add_up() {
    let plan = plan(&["--devices", "1xH100", "--slots", "2", "--slot-tokens", "4096"]);
    let device = &plan["devices"][0];
    assert_eq!(device["weights_bytes"], 15_888_747_520_u64);
    assert_eq!(plan["kv_bytes_per_token"], 57_344);
    assert_eq!(device["kv_bytes"], 57_344 * 8192);
    let parts = ["weights_bytes", "kv_bytes", "activation_bytes", "reserve_bytes"];
    let sum: u64 = parts.iter().map(|part| device[part].as_u64().unwrap()).sum();
    assert_eq!(device["used_bytes"], sum);
    assert_eq!(plan["page"]["tokens"], 13 * 256 + 256 + 512);
    assert_eq!(plan["concurrent_pages"], plan["kv_tokens"].as_u64().unwrap() / 4096);
}

#[test]
fn what_does_not_fit_is_told_with_what_would() {
    let output = tessera(&["--devices", "1xT4", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["fits"], false);
    assert_eq!(plan["advice"], json!(["--quantize q8", "1 more T4"]));
    let problem = plan["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("cuda:0 (T4) has 14.6 GiB and would need"), "{problem}");
    // And it is true.
    let output = tessera(&["--devices", "1xT4", "--quantize", "q8"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(tessera(&["--devices", "2xT4"]).status.code(), Some(0));
}

/// Where no single change is enough, the smallest set of them; and where no change is, another device.
#[test]
fn the_nearest_that_fits_is_found() {
    let advice = |args: &[&str]| {
        let plan = plan(args);
        assert_eq!(plan["fits"], false, "{args:?}");
        plan["advice"][0].as_str().unwrap().to_owned()
    };
    let f32 = ["--devices", "1xA10", "--device-map", "cuda:0", "--dtype", "f32"];
    assert_eq!(advice(&f32), "--dtype auto");
    let tight = ["--devices", "x:12GiB:cc8.6", "--device-map", "cuda:0", "--slots", "8"];
    let both = advice(&tight);
    assert_eq!(both, "--quantize q8 --slots 1");
    let changed = [&tight[..4], &both.split(' ').collect::<Vec<_>>()].concat();
    assert_eq!(plan(&changed)["fits"], true);
    let nearly = plan(&["--devices", "x:18.4GiB:cc8.6", "--device-map", "cuda:0"]);
    let several = nearly["advice"].as_array().unwrap();
    assert!(several[0].as_str().unwrap().starts_with("--slots "), "{several:?}");
    assert!(several.contains(&json!("--embedding host")), "{several:?}");
    let small = ["--devices", "x:4GiB:cc8.6", "--device-map", "cuda:0"];
    assert_eq!(advice(&small), "one A10 instead");
    assert_eq!(plan(&["--devices", "A10"])["fits"], true);
}

#[test]
fn a_map_may_be_a_file() {
    let plan = plan(&["--devices", "2xH100", "--device-map", "map.json"]);
    assert_eq!(placed(&plan), "cuda:0: v p e 0-27 n | cuda:1: h");
    assert_eq!(plan["device_map"], "map.json");
}

#[test]
fn the_table_of_the_embedding_can_stay_on_the_host() {
    let weights = |place: &str| {
        let output = tessera(&["--devices", "1xA10", "--embedding", place, "--json"]);
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let placed = plan["placements"][2].clone();
        let bytes = |bytes: &Value| bytes.as_u64().unwrap();
        let (gpu, host) = (&plan["devices"][0]["weights_bytes"], &plan["host_weights_bytes"]);
        (bytes(gpu), bytes(host), placed)
    };
    let ((beside, none, there), (apart, held, host)) = (weights("device"), weights("host"));
    assert_eq!(there["module"], "language_model.model.embed_tokens");
    assert_eq!((&there["device"], &host["device"]), (&"cuda:0".into(), &"cpu".into()));
    assert_eq!(beside - apart, host["bytes"].as_u64().unwrap());
    assert_eq!(host["bytes"], there["bytes"]);
    assert_eq!((none, held), (0, beside - apart));
}

/// Runs to the end and compares what stands on stderr, and the exit code.
#[track_caller]
fn refuse(args: &[&str], expected: &Expect) {
    let output = tessera(args);
    let text = String::from_utf8(output.stderr).unwrap();
    expected.assert_eq(&format!("{text}exit {}", output.status.code().unwrap()));
}

#[test]
fn mistakes_say_what_to_do() {
    refuse(
        &["--devices", "2xA11"],
        &expect![[r#"
        error: --devices: "A11" is no known device: give V100-16GB, V100-32GB, T4, A10, A100-40GB, A100-80GB, L4, L40S, H100, H200, cpu, or NAME:MEMORY:ccCAPABILITY as in mine:24GiB:cc8.6; or, alone, live, or cuda:0,cuda:1 of this machine
        exit 2"#]],
    );
    refuse(
        &["--devices", "2xA10", "--device-map", "balance"],
        &expect![[r#"
            error: --device-map "balance" cannot be used: "balance" is no device map: give auto, balanced, balanced_low_0, sequential, internvl, cuda:N, cpu, or a JSON file
            exit 2"#]],
    );
    refuse(
        &["--devices", "2xA10", "--max-memory", "0=20"],
        &expect![[r#"
            error: --max-memory: "20" is so many bytes, which no device has: give the unit too, as in 20GiB
            exit 2"#]],
    );
    refuse(
        &["--devices", "2xA10", "--max-memory", "2=20GB"],
        &expect![[r#"
            error: --max-memory: there is no device cuda:2: the devices are cuda:0, cuda:1
            exit 2"#]],
    );
    refuse(
        &["--devices", "2xA10", "--dtype", "fp16"],
        &expect![[r#"
            error: --dtype: unknown dtype "fp16": use f32, bf16 or f16, or auto
            exit 2"#]],
    );
    refuse(
        &["--devices", "2xA10", "--dtype-override", "language.layers.20-40=f32"],
        &expect![[r#"
            error: --dtype-override language.layers.20-40=f32 names a layer that is not there: the model has 28, from 0 on
            exit 2"#]],
    );
    refuse(
        &["--devices", "2xA10", "--device-map", "cuda:2"],
        &expect![[r#"
        error: the device map names cuda:2, which is not there: the devices are cuda:0, cuda:1
        exit 2"#]],
    );
    refuse(
        &["--devices", "1xV100-32GB", "--dtype", "bf16", "--dtype-policy", "strict"],
        &expect![[r#"
            error: vision_model was asked to be bf16, but compute capability 7.0 has no bf16 arithmetic: use --dtype auto, f16 or f32, or --dtype-policy fallback
            exit 2"#]],
    );
}

#[test]
fn people_get_bars() {
    let output = tessera(&["--devices", "2xA10", "--slots", "8"]);
    let text = String::from_utf8(output.stdout).unwrap();
    expect![[r#"
        InternVL3-8B, --device-map auto
          one device has room for everything
          cuda:0  A10  ██████████████████████▓▓▓▓▓▒░░░·  21.0 GiB of 22.0 GiB
            vision_model, mlp1, embed_tokens, layers 0-27, norm, lm_head in bf16
            weights 14.8 GiB, KV 3.5 GiB, activations 0.7 GiB, reserve 2.0 GiB
          cuda:1  A10  ································  0 of 22.0 GiB
          █ weights  ▓ KV  ▒ activations  ░ reserve  · free

          KV: room for 82,689 tokens of 56.0 KiB; 65,536 are reserved (8 slots of 8,192)
          pages at once, with as many slots: 20
            a page: 13 tiles of 256 tokens, 256 of prompt, 512 of answer
          a token stays on one device
          fits
    "#]]
    .assert_eq(&text);
}

/// What docs/placement.md shows is what is printed.
#[test]
fn the_page_on_placement_shows_what_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/placement.md");
    let page = std::fs::read_to_string(page).unwrap();
    let shown: Vec<(&str, &str)> = page
        .split("```text\n$ tessera plan --model InternVL3-8B ")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0.split_once('\n').unwrap())
        .collect();
    assert!(shown.len() > 5, "{} plans are shown", shown.len());
    for (args, text) in shown {
        let output = tessera(&args.split(' ').collect::<Vec<_>>());
        let printed = [output.stdout, output.stderr].concat();
        assert_eq!(String::from_utf8(printed).unwrap().trim_end(), text.trim_end(), "{args}");
    }
}
