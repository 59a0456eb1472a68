//! Bytes of each device: what `tessera plan --json` counts beforehand is what a server then says that it holds, in
//! `ModelInfo` and in its metrics. On virtual devices, each of which is a share of the host.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tessera::pb::v1;

use crate::server::Server;

/// Bytes of weights and of the KV cache, by device.
type Held = BTreeMap<String, (u64, u64)>;

/// Device, dtype and bytes, by module.
type Modules = BTreeMap<String, (String, String, u64)>;

fn planned(flags: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    let output = command.args(["plan", "--json"]).args(flags).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What `plan` says of devices that anything is placed on.
fn by_plan(plan: &Value) -> Held {
    let devices = plan["devices"].as_array().unwrap().iter();
    let held = devices.map(|device| {
        let bytes = |key: &str| device[key].as_u64().unwrap();
        (device["id"].as_str().unwrap().to_owned(), (bytes("weights_bytes"), bytes("kv_bytes")))
    });
    held.filter(|(_, held)| *held != (0, 0)).collect()
}

fn modules(plan: &Value) -> Modules {
    let text = |placed: &Value, key: &str| placed[key].as_str().unwrap().to_owned();
    let placements = plan["placements"].as_array().unwrap().iter();
    let module = |placed: &Value| {
        let bytes = placed["bytes"].as_u64().unwrap();
        (text(placed, "module"), (text(placed, "device"), text(placed, "dtype"), bytes))
    };
    placements.map(module).collect()
}

fn by_model_info(status: &v1::ModelStatus) -> Held {
    let held = |device: &v1::Device| (device.weight_bytes, device.kv_cache_bytes);
    status.devices.iter().map(|device| (device.id.clone(), held(device))).collect()
}

fn by_metrics(server: &Server) -> Held {
    let text = server.http("GET", "/metrics");
    let samples = text.lines().filter(|line| line.starts_with("tessera_device_memory_bytes{"));
    let mut held = Held::new();
    for sample in samples {
        let label = |name: &str| {
            let (_, value) = sample.split_once(&format!("{name}=\"")).unwrap();
            value.split_once('"').unwrap().0
        };
        let bytes = sample.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64;
        let device = held.entry(label("tessera_device").to_owned()).or_default();
        match label("tessera_memory") {
            "weights" => device.0 = bytes,
            "kv_cache" => device.1 = bytes,
            total_or_free => assert!(bytes > 0, "{total_or_free}: {sample}"),
        }
    }
    held
}

async fn info(server: &Server) -> v1::ModelStatus {
    let answer = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    answer.into_inner().status.unwrap()
}

/// A map of one's own: the last four layers and the ends behind them on the other device, with a copy of the embedding
/// as output matrix.
fn map() -> Value {
    let first = ["vision_model", "mlp1", "language_model.model.embed_tokens"].map(str::to_owned);
    let last = ["language_model.model.norm", "language_model.lm_head"].map(str::to_owned);
    let layer = |index: u32| format!("language_model.model.layers.{index}");
    let on = |device: &'static str| move |module| (module, Value::from(device));
    let first = first.into_iter().chain((0..2).map(layer)).map(on("cpu:0"));
    first.chain((2..6).map(layer).chain(last).map(on("cpu:1"))).collect()
}

/// The model over two devices: each with a part of it.
#[tokio::test]
async fn a_sharded_model_holds_what_was_planned() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("map.json");
    std::fs::write(&file, map().to_string()).unwrap();
    for (map, quantize) in [("internvl", "q8"), (file.to_str().unwrap(), "none")] {
        let flags = ["--devices", "cpu,cpu", "--device-map", map, "--quantize", quantize];
        let flags = [&flags[..], &["--slots", "3", "--slot-tokens", "2048"]].concat();
        let plan = planned(&flags);
        let expected = by_plan(&plan);
        let ids: Vec<&str> = expected.keys().map(String::as_str).collect();
        assert_eq!(ids, ["cpu:0", "cpu:1"], "{plan}");
        assert!(expected.values().all(|(weights, kv)| *weights > 0 && *kv > 0), "{plan}");

        let server = Server::start(&flags).await;
        let status = info(&server).await;
        assert_eq!(by_model_info(&status), expected, "{map}");
        assert_eq!(by_metrics(&server), expected, "{map}");
        assert_eq!(plan["reserved_kv_tokens"], status.kv_capacity_tokens);
        assert_as_planned(&status.placements, &modules(&plan));
        server.stop().await;
    }
}

/// Each module is where it was planned, in that dtype and with so many bytes.
#[track_caller]
fn assert_as_planned(placed: &[v1::ModulePlacement], planned: &Modules) {
    let mut seen = 0;
    for placed in placed {
        // Neighbours share an entry: `layers.0-2`.
        let (stem, last) = placed.module.rsplit_once('-').unwrap_or((&placed.module, ""));
        let names: Vec<String> = match (stem.rsplit_once('.'), last.parse::<u32>()) {
            (Some((stem, first)), Ok(last)) => {
                let first: u32 = first.parse().unwrap();
                (first..=last).map(|layer| format!("{stem}.{layer}")).collect()
            }
            _ => vec![placed.module.clone()],
        };
        seen += names.len();
        let dtype = placed.weight_dtype().as_str_name().replace("DTYPE_", "").to_lowercase();
        let mut bytes = 0;
        for name in &names {
            let (device, planned_dtype, planned_bytes) = &planned[name];
            assert_eq!((device, planned_dtype), (&placed.device_id, &dtype), "{placed:?}");
            bytes += planned_bytes;
        }
        assert_eq!(bytes, placed.weight_bytes, "{placed:?}");
    }
    assert_eq!(seen, planned.len());
}

/// A model on each of two devices.
#[tokio::test]
async fn replicas_hold_what_was_planned() {
    let flags = ["--devices", "cpu,cpu", "--replicas", "2", "--slots", "2"];
    let plan = planned(&flags);
    let mut expected = Held::new();
    for replica in plan["replicas"].as_array().unwrap() {
        expected.extend(by_plan(replica));
    }
    assert_eq!(expected.len(), 2, "{plan}");
    let server = Server::start(&flags).await;
    let status = info(&server).await;
    assert_eq!(status.replicas, 2);
    assert_eq!(by_model_info(&status), expected);
    assert_eq!(by_metrics(&server), expected);
    server.stop().await;
}
