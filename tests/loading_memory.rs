//! What loading takes of the host's memory beside the weights that stay there: a checkpoint in four shards is
//! loaded by a process of its own, whose peak is compared with the largest shard.
//!
//! On the CPU the weights of the loaded model are host memory themselves; they and the KV cache are subtracted. What
//! is left is what a GPU's host would hold too: pages of the files, and copies on their way.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tessera::checkpoint::Checkpoint;
use tessera::device::Dtype;
use tessera::model::Runner as _;
use tessera::model::internvl::{LoadOptions, load};
use tessera::placement::{DtypePolicy, Quantization};

const SHARDS: usize = 4;
const LAYERS: usize = 8;
const HEADS: usize = 28;
const KV_HEADS: usize = 4;
const HEAD_DIM: usize = 64;
const HIDDEN: usize = HEADS * HEAD_DIM;
const INNER: usize = 4864;

/// The test that the process which loads runs. Behind its name stand what to load and as what, which the harness
/// takes for names of other tests.
const LOADS: &str = "loads_where_it_is_told_to";

/// What the loading process found of itself, in bytes.
#[derive(Debug)]
struct Found {
    /// Before it began.
    before: u64,
    peak: u64,
    /// Weights and KV cache.
    kept: u64,
}

/// A wider relative of a small golden model: its files, and another shape of decoder.
fn write_checkpoint(dir: &Path) -> u64 {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/micro-a");
    let text = std::fs::read_to_string(golden.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let language = &mut config["llm_config"];
    language["hidden_size"] = json!(HIDDEN);
    language["num_attention_heads"] = json!(HEADS);
    language["num_key_value_heads"] = json!(KV_HEADS);
    language["num_hidden_layers"] = json!(LAYERS);
    language["intermediate_size"] = json!(INNER);
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();

    let bytes = std::fs::read(golden.join("model.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut shapes: BTreeMap<String, Vec<usize>> = metadata
        .tensors()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("language_model.model.layers"))
        .map(|(name, info)| (name, info.shape.iter().map(|n| widened(*n)).collect()))
        .collect();
    let kv = KV_HEADS * HEAD_DIM;
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("input_layernorm.weight", vec![HIDDEN]),
            ("post_attention_layernorm.weight", vec![HIDDEN]),
            ("self_attn.q_proj.weight", vec![HIDDEN, HIDDEN]),
            ("self_attn.q_proj.bias", vec![HIDDEN]),
            ("self_attn.k_proj.weight", vec![kv, HIDDEN]),
            ("self_attn.k_proj.bias", vec![kv]),
            ("self_attn.v_proj.weight", vec![kv, HIDDEN]),
            ("self_attn.v_proj.bias", vec![kv]),
            ("self_attn.o_proj.weight", vec![HIDDEN, HIDDEN]),
            ("mlp.gate_proj.weight", vec![INNER, HIDDEN]),
            ("mlp.up_proj.weight", vec![INNER, HIDDEN]),
            ("mlp.down_proj.weight", vec![HIDDEN, INNER]),
        ] {
            shapes.insert(format!("language_model.model.layers.{layer}.{name}"), shape);
        }
    }
    write_shards(dir, &shapes)
}

/// Widths of the golden model's decoder are this one's.
fn widened(size: usize) -> usize {
    if size == 448 { HIDDEN } else { size }
}

/// Tensors in the order of their names, as many bytes in each file. Returns the largest file's.
fn write_shards(dir: &Path, shapes: &BTreeMap<String, Vec<usize>>) -> u64 {
    let bytes_of = |shape: &[usize]| 2 * shape.iter().product::<usize>();
    let all: usize = shapes.values().map(|shape| bytes_of(shape)).sum();
    let mut shards: Vec<Vec<(&String, &Vec<usize>)>> = vec![Vec::new(); SHARDS];
    let mut written = 0;
    for tensor in shapes {
        shards[(written * SHARDS / all).min(SHARDS - 1)].push(tensor);
        written += bytes_of(tensor.1);
    }
    let mut weight_map = BTreeMap::new();
    let mut largest = 0;
    for (index, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{SHARDS:05}.safetensors", index + 1);
        let path = dir.join(&file);
        write_shard(&path, shard);
        largest = largest.max(path.metadata().unwrap().len());
        weight_map.extend(shard.iter().map(|(name, _)| ((*name).clone(), file.clone())));
    }
    let index = json!({ "weight_map": weight_map });
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
    largest
}

fn write_shard(path: &PathBuf, tensors: &[(&String, &Vec<usize>)]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(
            (*name).clone(),
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }),
        );
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    // bf16 around 0.01, of both signs, none like its neighbour.
    let mut state = 1_u32;
    let mut piece = vec![0_u8; 1 << 16];
    while end > 0 {
        let count = end.min(piece.len());
        for value in piece.as_chunks_mut::<2>().0 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (state >> 16) as u16;
            *value = ((random & 0x8000) | 0x3c00 | (random & 0x7f)).to_le_bytes();
        }
        file.write_all(&piece[..count]).unwrap();
        end -= count;
    }
}

/// A figure of this process's memory, in bytes.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

/// Run by the test below in a process of its own; by itself it does nothing.
#[test]
fn loads_where_it_is_told_to() {
    let mut arguments = std::env::args().skip_while(|argument| argument != LOADS).skip(1);
    let (Some(dir), Some(as_what)) = (arguments.next(), arguments.next()) else { return };
    let (dtype, quantization) = match as_what.as_str() {
        "f32" => (Dtype::F32, None),
        "bf16" => (Dtype::Bf16, None),
        "q8" => (Dtype::F32, Some(Quantization::Q8)),
        other => panic!("{other}"),
    };
    let options = LoadOptions {
        devices: "cpu".parse().unwrap(),
        dtypes: DtypePolicy { requested: Some(dtype), quantization, ..DtypePolicy::default() },
        slots: 1,
        slot_tokens: Some(64),
        image_token_id: Some(3),
        ..LoadOptions::default()
    };
    let before = memory("VmRSS");
    let model = load(&Checkpoint::Dir(dir.into()), &options, &mut |_| {}).unwrap();
    let device = &model.spec().devices[0];
    let kept = device.weight_bytes + device.kv_cache_bytes;
    println!("found {before} {} {kept}", memory("VmHWM"));
}

fn loaded_elsewhere(dir: &Path, as_what: &str) -> Found {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", LOADS])
        .arg(dir)
        .arg(as_what)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("found ")).map(|(_, rest)| rest);
    let Some(line) = line else {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    let numbers: Vec<u64> = line.split(' ').map(|number| number.trim().parse().unwrap()).collect();
    Found { before: numbers[0], peak: numbers[1], kept: numbers[2] }
}

#[test]
fn loading_holds_less_than_a_shard_beside_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let shard = write_checkpoint(dir.path());
    for as_what in ["f32", "bf16", "q8"] {
        let found = loaded_elsewhere(dir.path(), as_what);
        let beside = found.peak.saturating_sub(found.before + found.kept);
        println!("{as_what}: {} MB beside the weights, {found:?}, shard {shard}", beside >> 20);
        // Files that are copied whole, or stay mapped, would be four shards.
        assert!(beside * 10 <= shard * 12, "{as_what}: {beside} of a shard of {shard}: {found:?}");
        assert!(found.kept > shard, "{as_what}: {found:?}");
    }
}
