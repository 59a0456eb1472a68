//! What a figure was measured on: processor, memory, devices, model, versions.

use std::fs;

use crate::pb::v1::{Dtype, ModelStatus};

/// Named facts about this machine and the server, as they stand in a report.
pub(super) fn facts(server: &str, model: &ModelStatus) -> Vec<(String, String)> {
    let mut facts = machine();
    facts.push(("server".to_owned(), format!("{server}, {}", model.server_version)));
    facts.push(("model".to_owned(), format!("{} ({})", model.model, model.revision)));
    for device in &model.devices {
        let memory = device.total_bytes as f64 / f64::from(1 << 30);
        facts.push((format!("device {}", device.id), format!("{}, {memory:.1} GiB", device.name)));
    }
    let mut dtypes: Vec<String> = model
        .placements
        .iter()
        .map(|placed| {
            format!("{} ({} weights)", name(placed.compute_dtype()), name(placed.weight_dtype()))
        })
        .collect();
    dtypes.sort();
    dtypes.dedup();
    facts.push(("computes in".to_owned(), dtypes.join(", ")));
    if let Some(limits) = &model.limits {
        let slots = format!(
            "{} at once, {} queued of up to {} prompt tokens together",
            limits.max_running_requests, limits.max_queued_requests, limits.max_queued_tokens
        );
        facts.push(("requests".to_owned(), slots));
    }
    facts
}

/// Facts about this machine alone.
pub(super) fn machine() -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    facts.push(("processor".to_owned(), format!("{processor}, {cores} usable threads")));
    if let Some(total) = line_of("/proc/meminfo", "MemTotal") {
        let kib: f64 = total.trim_end_matches("kB").trim().parse().unwrap_or(0.0);
        facts.push(("memory".to_owned(), format!("{:.1} GiB", kib / f64::from(1 << 20))));
    }
    if let Ok(load) = fs::read_to_string("/proc/loadavg") {
        let load: Vec<&str> = load.split(' ').take(3).collect();
        facts.push(("load before".to_owned(), load.join(" ")));
    }
    let version = concat!(env!("CARGO_PKG_VERSION"), "+", env!("TESSERA_COMMIT"));
    facts.push(("client".to_owned(), version.to_owned()));
    facts
}

/// The value after `key:` in a file of such lines.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "f32",
        Dtype::Bf16 => "bf16",
        Dtype::F16 => "f16",
        Dtype::Q8 => "q8",
        Dtype::Fp8 => "fp8",
        Dtype::Unspecified => "unknown",
    }
}
