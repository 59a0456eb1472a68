//! A plan as one JSON object, for scripts.

use serde_json::{Value, json};

use super::{ANSWER_TOKENS, PROMPT_TOKENS, Report};
use crate::placement::{DevicePlan, PlannedModule};

pub(super) fn text(report: &Report) -> String {
    value(report).to_string()
}

/// Several equal models, each on its part of the devices.
pub(super) fn of_replicas(reports: &[Report]) -> String {
    let pages: u64 =
        reports.iter().map(|report| report.plan.kv_tokens / report.page.tokens() as u64).sum();
    json!({
        "fits": reports.iter().all(|report| report.plan.fits),
        "concurrent_pages": pages,
        "replicas": reports.iter().map(value).collect::<Vec<_>>(),
    })
    .to_string()
}

fn value(report: &Report) -> Value {
    let plan = &report.plan;
    let devices: Vec<Value> = plan.devices.iter().map(device).collect();
    let placements: Vec<Value> = plan
        .placements
        .iter()
        .map(|placed| placement(placed, &plan.devices[placed.device]))
        .collect();
    let page_tokens = report.page.tokens();
    json!({
        "fits": plan.fits,
        "model": report.model,
        "device_map": report.map,
        "reason": plan.reason,
        "slots": report.demand.slots,
        "slot_tokens": report.demand.slot_tokens,
        "reserved_kv_tokens": report.demand.tokens(),
        "devices": devices,
        "host_weights_bytes": host_weights_bytes(&plan.placements),
        "placements": placements,
        "crossings": plan.crossings,
        "kv_bytes_per_token": plan.kv_bytes_per_token,
        "kv_tokens": plan.kv_tokens,
        "page": {
            "tiles": report.page.tiles,
            "tokens_per_tile": report.page.tokens_per_tile,
            "prompt_tokens": PROMPT_TOKENS,
            "answer_tokens": ANSWER_TOKENS,
            "tokens": page_tokens,
        },
        "concurrent_pages": plan.kv_tokens / page_tokens as u64,
        "problems": plan.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "advice": report.advice.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Of a GPU's modules whose weights stay in the host's memory. Replicas of one dtype share them.
fn host_weights_bytes(placements: &[PlannedModule]) -> u64 {
    placements.iter().filter(|placed| placed.on_host).map(|placed| placed.bytes).sum()
}

fn device(device: &DevicePlan) -> Value {
    json!({
        "id": device.spec.id,
        "name": device.spec.name,
        "compute_capability": device.spec.capability.map(|capability| capability.to_string()),
        "memory_bytes": device.spec.memory_bytes,
        "used_bytes": device.used_bytes(),
        "weights_bytes": device.weight_bytes,
        "kv_bytes": device.kv_bytes,
        "activation_bytes": device.activation_bytes,
        "reserve_bytes": device.reserve_bytes,
        "kv_tokens": device.kv_tokens,
    })
}

fn placement(placed: &PlannedModule, device: &DevicePlan) -> Value {
    json!({
        "module": placed.module,
        "device": if placed.on_host { "cpu" } else { &device.spec.id },
        "dtype": placed.decision.weights.to_string(),
        "compute_dtype": placed.decision.compute.to_string(),
        "bytes": placed.bytes,
        "reason": placed.decision.reason,
    })
}
